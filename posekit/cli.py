"""The `posekit` command: a thin layer over the package. Each command imports what it needs, so help is instant."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from posekit.errors import InputError

app = typer.Typer(
    help="Keypoint estimation with MindSpore: vehicles (HRNet, VeRi) and people.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Make, prepare and check data sets.", no_args_is_help=True)
synth_app = typer.Typer(help="Draw a data set in a published layout.", no_args_is_help=True)
prepare_app = typer.Typer()
check_app = typer.Typer(help="Verify a data set.", no_args_is_help=True)
score_app = typer.Typer(help="Score a predictions table from labels alone.", no_args_is_help=True)
course_app = typer.Typer(help="List the lessons, or run them headless.", no_args_is_help=True)
app.add_typer(data_app, name="data")
data_app.add_typer(synth_app, name="synth")
data_app.add_typer(check_app, name="check")
app.add_typer(score_app, name="score")
app.add_typer(course_app, name="course")

console = Console()

Device = Annotated[str, typer.Option(help="auto, cpu, gpu or ascend, with :ID for one of several.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change a recipe field: field=value. Repeatable.")]


CANNOT_WRITE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
)  # fmt: skip


def main() -> None:
    """Run the command. Bad input is one line on standard error and exit code 2."""
    os.environ.setdefault("GLOG_v", "4")  # MindSpore's C++ logs errors that it also raises; the line below is enough
    try:
        app(standalone_mode=True)
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        _fail(f"{error.filename or 'output'}: cannot write ({error.strerror}); make room or choose another place")


def _fail(message: str) -> None:
    print(f"posekit: {message}", file=sys.stderr)
    sys.exit(2)


@synth_app.command("vehicles")
def synth_vehicles(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    train: Annotated[int, typer.Option(min=1, help="Training images.")] = 1500,
    test: Annotated[int, typer.Option(min=1, help="Test images.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Draw vehicles in the VeRi layout."""
    from posekit.synthetic.vehicle import write_vehicles

    write_vehicles(out, train, test, seed)
    print(f"{out}: {train} training and {test} test images")


@synth_app.command("people")
def synth_people(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    train: Annotated[int, typer.Option(min=1, help="Training people; an image shows one to four.")] = 1500,
    test: Annotated[int, typer.Option(min=1, help="Test people.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Draw people in the MPII layout."""
    from posekit.synthetic.person import write_people

    write_people(out, train, test, seed)
    print(f"{out}: {train} training and {test} test people")


@data_app.command("prepare-veri")
def prepare_veri(
    veri: Annotated[Path, typer.Option(help="The original VeRi data set, with image_train/.")],
    labels: Annotated[Path, typer.Option(help="Folder of PAMTRI's label_train.csv and label_test.csv.")],
    out: Annotated[Path, typer.Option(help="Folder to make; run again to go on.")],
) -> None:
    """Build PoseEstNet's layout from the original VeRi data set."""
    from posekit.datasets.veri import prepare_veri as prepare

    made, kept = prepare(veri, labels, out)
    print(f"{out}: {made} images made, {kept} kept")


@check_app.command("veri")
def check_veri(
    data: Annotated[Path, typer.Argument(help="Folder in the VeRi layout.")],
    images: Annotated[Path | None, typer.Option(help="Images, when they lie apart.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit with 2 when anything is wrong.")] = False,
) -> None:
    """Report what is wrong with a data set in the VeRi layout, and write its annot/image_test.json."""
    from posekit.datasets.check import check_veri as check

    _print_report(check(data, images), strict)


@check_app.command("mpii")
def check_mpii(
    data: Annotated[Path, typer.Argument(help="Folder in the MPII layout.")],
    images: Annotated[Path | None, typer.Option(help="Images, when they lie apart.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit with 2 when anything is wrong.")] = False,
) -> None:
    """Report what is wrong with a data set in the MPII layout."""
    from posekit.datasets.check import check_mpii as check

    _print_report(check(data, images), strict)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="For example poseestnet, poseestnet-laptop or poseestnet-smoke.")],
    out: Annotated[Path, typer.Option(help="Folder of the run to make.")],
    data: Annotated[Path | None, typer.Option(help="Data set; the embedded one when not given.")] = None,
    images: Annotated[Path | None, typer.Option(help="Images, when they lie apart.")] = None,
    device: Device = "auto",
    settings: Settings = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file of recipe fields.")] = None,
) -> None:
    """Train a recipe's network from scratch."""
    from posekit.recipes import get_recipe, override, override_from_file

    chosen = get_recipe(recipe)
    if config:
        chosen = override_from_file(chosen, config)
    chosen = override(chosen, settings or [])
    from posekit.training import run

    best = run(chosen, data, out, device, images)
    print(f"{out}: best PCK@{chosen.validation_threshold:g} {best:.2f} % ({out / 'best.ckpt'})")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A .ckpt, .mindir or .onnx file.")],
    out: Annotated[Path, typer.Option(help="The csv to write for --data, else the folder for pictures and csv.")],
    pictures: Annotated[list[Path] | None, typer.Argument(help="Images, when no --data is given.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data set to predict a split of.")] = None,
    split: Annotated[str, typer.Option(help="The split.")] = "test",
    images: Annotated[Path | None, typer.Option(help="Images of the data set, when they lie apart.")] = None,
    device: Device = "auto",
    flip_test: Annotated[
        bool | None, typer.Option(help="Average with the mirrored image; the recipe's default.")
    ] = None,
) -> None:
    """Find keypoints: a data set's split into a predictions table, or images into annotated pictures and a table."""
    if (data is None) == (not pictures):
        raise InputError("give either images or --data")
    from posekit.inference import predict_pictures, predict_split

    if data:
        predict_split(model, data, split, out, device, flip_test, images)
    else:
        predict_pictures(model, pictures, out, device, flip_test)


@score_app.command("veri")
def score_veri(
    data: Annotated[Path, typer.Argument(help="Folder in the VeRi layout (labels suffice), or a label csv.")],
    predictions: Annotated[Path, typer.Option(help="A pose csv.")],
    protocol: Annotated[str, typer.Option(help="seed (the published table) or pck.")] = "seed",
    split: Annotated[str, typer.Option(help="The split.")] = "test",
    json: Annotated[Path | None, typer.Option(help="Write the table here, too.")] = None,
) -> None:
    """Score predictions of vehicles."""
    from posekit.evaluation import PROTOCOLS, score_file, write_scores

    rows = score_file("veri", data, predictions, protocol, split)
    _print_scores(protocol, rows, PROTOCOLS["veri"][protocol].about)
    if json:
        write_scores(json, rows.get("", rows))


@score_app.command("mpii")
def score_mpii(
    data: Annotated[Path, typer.Argument(help="Folder in the MPII layout (labels suffice), or a label h5.")],
    predictions: Annotated[Path, typer.Option(help="A pose csv, samples named <imgname>:<row>.")],
    protocol: Annotated[str, typer.Option(help="seed (the published report) or pckh.")] = "seed",
    split: Annotated[str, typer.Option(help="The split.")] = "test",
    json: Annotated[Path | None, typer.Option(help="Write the tables here, too.")] = None,
    train_predictions: Annotated[Path | None, typer.Option(help="A pose csv of the train split, as well.")] = None,
    train_samples: Annotated[int, typer.Option(min=1, help="How many of its first people count.")] = 300,
) -> None:
    """Score predictions of people."""
    from posekit.evaluation import PROTOCOLS, score_file, write_scores
    from posekit.metrics import mpii_seed_report

    if train_predictions and data.is_file():
        raise InputError(f"{data}: holds one split; with --train-predictions give the folder that holds annot")
    rows, training = score_file("mpii", data, predictions, protocol, split), {}
    if train_predictions:
        training = score_file("mpii", data, train_predictions, protocol, "train", train_samples)
    tables = rows | {f"Tra {name}": row for name, row in training.items()}
    about = PROTOCOLS["mpii"][protocol].about
    if protocol == "seed":
        print(f"{mpii_seed_report(rows, training)}({about})")
    else:
        _print_scores(protocol, tables, about)
    if json:
        write_scores(json, tables)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A .ckpt, .mindir or .onnx file.")],
    out: Annotated[Path, typer.Option(help="Folder for predictions.csv and scores.json.")],
    data: Annotated[Path | None, typer.Option(help="Data set; the embedded one when not given.")] = None,
    split: Annotated[str, typer.Option(help="The split.")] = "test",
    images: Annotated[Path | None, typer.Option(help="Images, when they lie apart.")] = None,
    device: Device = "auto",
    flip_test: Annotated[
        bool | None, typer.Option(help="Average with the mirrored image; the recipe's default.")
    ] = None,
) -> None:
    """Predict a split and score it under every protocol."""
    from posekit.evaluation import PROTOCOLS
    from posekit.evaluation import evaluate as run

    kind, scores = run(model, data, split, out, device, flip_test, images)
    for protocol, rows in scores.items():
        _print_scores(protocol, rows, PROTOCOLS[kind][protocol].about)
    print(f"{out}: predictions.csv and scores.json")


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="A checkpoint.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    format: Annotated[str, typer.Option(help="mindir or onnx.")] = "onnx",
    batch: Annotated[int, typer.Option(min=1, help="Images the file takes at once.")] = 1,
) -> None:
    """Write a checkpoint as a file for other run times."""
    from posekit.export import export_model
    from posekit.runtime import set_up

    set_up("cpu")
    export_model(model, format, out, batch)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@course_app.command("list")
def course_list() -> None:
    """The lessons in order."""
    from posekit.course import print_lessons

    print_lessons()


@course_app.command("run")
def course_run(
    scale: Annotated[str | None, typer.Option(help="smoke (minutes), laptop (hours) or full.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="A lesson's number; repeatable.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a stopped run's folder.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="name=value for the lessons.")
    ] = None,
) -> None:
    """Execute the lessons with papermill."""
    from posekit.course import run

    sys.exit(run(scale, only or [], resume, parameter or []))


@app.command()
def bench(
    recipe: Annotated[str, typer.Argument(help="The recipe whose parts to time.")] = "poseestnet-smoke",
    data: Annotated[Path | None, typer.Option(help="Data set; the embedded one when not given.")] = None,
    device: Device = "auto",
    settings: Settings = None,
) -> None:
    """Time each part of the line on this machine: pipeline, training step, forward, codec."""
    from posekit.bench import bench as run
    from posekit.recipes import get_recipe, override

    console.print(run(override(get_recipe(recipe), settings or []), data, device))


@app.command()
def doctor() -> None:
    """Say what is installed and right, which device is chosen and why, and whether convolutions run fast."""
    from posekit.doctor import diagnose

    sys.exit(diagnose(console))


def _print_scores(protocol: str, rows: dict[str, dict[str, float]], about: str) -> None:
    """The protocol's table, rates in percent and counts as they are; without a terminal it is not cut to a width."""
    columns = list(next(iter(rows.values())))
    table = Table("", *columns, title=f"protocol {protocol}, percent", title_justify="left")
    table.caption, table.caption_justify = f"{protocol}: {about}", "left"
    for name, row in rows.items():
        table.add_row(name, *(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in row.values()))
    Console(width=max(console.width, 140)).print(table)


def _print_report(report: object, strict: bool) -> None:
    console.print(report.table())
    if strict and report.problems:
        raise InputError(f"{report.data}: {len(report.problems)} kinds of problem; see the table above")
