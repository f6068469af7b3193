"""`posekit data`: draw, prepare and check data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from posekit.cli.options import Images, Seed, Settings, Split, Strict, Test, Train
from posekit.errors import InputError

if TYPE_CHECKING:
    from posekit.datasets.check import Report

data_app = typer.Typer(help="Make, prepare and check data sets.", no_args_is_help=True)
synth_app = typer.Typer(help="Draw a data set in a published layout.", no_args_is_help=True)
check_app = typer.Typer(help="Verify a data set.", no_args_is_help=True)
data_app.add_typer(synth_app, name="synth")
data_app.add_typer(check_app, name="check")

Out = Annotated[Path, typer.Option(help="New folder for the data set.")]
Varied = Annotated[
    bool,
    typer.Option("--varied", help="Vary views, surfaces and cameras as far as possible, to help with photographs."),
]


@synth_app.command("vehicles")
def synth_vehicles(out: Out, train: Train = 1500, test: Test = 300, seed: Seed = 0, varied: Varied = False) -> None:
    """Draw vehicles in the VeRi layout."""
    _draw("veri", out, train, test, seed, varied)


@synth_app.command("people")
def synth_people(out: Out, train: Train = 1500, test: Test = 300, seed: Seed = 0, varied: Varied = False) -> None:
    """Draw people in the MPII layout, one to four per image."""
    _draw("mpii", out, train, test, seed, varied)


@synth_app.command("mugs")
def synth_mugs(out: Out, train: Train = 300, test: Test = 60, seed: Seed = 0) -> None:
    """Draw mugs in COCO's layout: an object of your own, six keypoints."""
    _draw("coco", out, train, test, seed)


def _draw(layout: str, out: Path, train: int, test: int, seed: int, varied: bool = False) -> None:
    from posekit.layouts import LAYOUTS

    LAYOUTS[layout].draw(out, train, test, seed, varied=varied)
    print(f"{out}: {train} training and {test} test {LAYOUTS[layout].drawn}")


@data_app.command("prepare-veri")
def prepare_veri(
    veri: Annotated[Path, typer.Option(help="Folder of the original VeRi data set, with image_train/.")],
    labels: Annotated[Path, typer.Option(help="Folder with PAMTRI's label_train.csv and label_test.csv.")],
    out: Annotated[Path, typer.Option(help="New folder for the data set; run again to continue.")],
) -> None:
    """Build PoseEstNet's layout from the original VeRi data set."""
    from posekit.layouts.veri import prepare_veri as prepare
    from posekit.locks import one_writer

    with one_writer(out):
        made, kept = prepare(veri, labels, out)
    print(f"{out}: {made} images made, {kept} kept")


@data_app.command("prepare-lsp")
def prepare_lsp(
    out: Annotated[Path, typer.Option(help="New folder for the data set; run again to continue.")],
    lsp: Annotated[Path | None, typer.Option(help="Folder of LSP, with joints.mat and 2,000 images.")] = None,
    extended: Annotated[
        Path | None, typer.Option(help="Folder of LSP Extended, with joints.mat and 10,000 images.")
    ] = None,
) -> None:
    """Bring the people of Leeds Sports Pose and its extension into the MPII layout."""
    from posekit.layouts.lsp import prepare_lsp as prepare
    from posekit.locks import one_writer

    with one_writer(out):
        print(*prepare(out, lsp, extended), sep="\n")


@data_app.command("add-heads")
def add_heads(
    annotation: Annotated[Path, typer.Argument(help="MPII's annotation file, mpii_human_pose_v1_u12_1.mat.")],
    data: Annotated[Path, typer.Argument(help="Folder in the MPII layout, or a label file (h5).")],
    split: Split = "test",
) -> None:
    """Add head boxes to a label file of people, so that `posekit score mpii --protocol pckh` computes PCKh."""
    from posekit.layouts.heads import add_heads as add
    from posekit.layouts.mpii import MPII

    labels = data if data.is_file() else MPII.label_path(data, split)
    print(f"{labels}: head boxes of {add(annotation, labels)} people")


@data_app.command("convert")
def convert(
    data: Annotated[Path, typer.Argument(help="Data set in the VeRi, MPII or COCO layout, or a label file.")],
    to: Annotated[str, typer.Option(help="coco or mpii.")],
    out: Annotated[Path, typer.Option(help="New folder for the data set.")],
    images: Images = None,
) -> None:
    """Write a data set in another layout; what that has no place for is named."""
    from posekit.layouts.converting import convert as run

    print(*run(data, to, out, images), sep="\n")
    print(f"{out}: in the {to} layout")


@data_app.command("cache")
def cache(
    data: Annotated[Path, typer.Argument(help="Data set: a folder, or a COCO file.")],
    recipe: Annotated[str, typer.Option(help="The recipe that will train on it.")],
    images: Images = None,
    settings: Settings = None,
) -> None:
    """Store the part of each training image that a recipe shows, so that trainings need not decode whole images.

    `posekit train` takes the cache as long as labels, image files, sizes and augmentation are the same.
    """
    from posekit.datasets.cache import make_cache
    from posekit.layouts import for_training, open_training
    from posekit.recipes import get_recipe
    from posekit.settings import override

    chosen, training, _ = open_training(override(for_training(get_recipe(recipe), data), settings or []), data, images)
    folder = make_cache(training, chosen)
    size = (folder / "crops.bin").stat().st_size
    print(f"{folder}: {len(training)} crops, {size / 1e6:.0f} MB")


@check_app.command("veri")
def check_veri(
    data: Annotated[Path, typer.Argument(help="Folder in the VeRi layout.")],
    images: Images = None,
    strict: Strict = False,
) -> None:
    """Report problems in a data set in the VeRi layout, and write its annot/image_test.json."""
    _check("veri", data, images, strict)


@check_app.command("mpii")
def check_mpii(
    data: Annotated[Path, typer.Argument(help="Folder in the MPII layout.")],
    images: Images = None,
    strict: Strict = False,
) -> None:
    """Report problems in a data set in the MPII layout."""
    _check("mpii", data, images, strict)


@check_app.command("coco")
def check_coco(
    data: Annotated[Path, typer.Argument(help="COCO keypoint file, or a folder with some.")],
    images: Images = None,
    strict: Strict = False,
) -> None:
    """Report problems in COCO keypoint files, and which keypoints are left/right pairs."""
    _check("coco", data, images, strict)


def _check(layout: str, data: Path, images: Path | None, strict: bool) -> None:
    from posekit.layouts import LAYOUTS

    _print_report(LAYOUTS[layout].check(data, images), strict)


@check_app.command("reid")
def check_reid(
    out: Annotated[Path, typer.Argument(help="Folder that posekit reid wrote.")],
    data: Annotated[Path, typer.Option(help="The data set in MultiTaskNet's layout from which it was made.")],
    strict: Strict = False,
) -> None:
    """Report problems in the data that posekit reid wrote, picture by picture."""
    from posekit.reid.check import check_reid as check

    _print_report(check(out, data), strict)


def _print_report(report: "Report", strict: bool) -> None:
    Console().print(report.table())
    if strict and report.problems:
        raise InputError(f"{report.data}: {len(report.problems)} kinds of problem; see the table above")
