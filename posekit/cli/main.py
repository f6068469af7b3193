"""The `posekit` command: a thin layer over the package. Each command imports what it needs, so help is instant."""

import os
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from typer.core import TyperGroup

from posekit.cli.boundary import Commands, adapt_to_place, boundary, check_current_folder
from posekit.cli.data import data_app
from posekit.cli.infer310 import infer310_app
from posekit.cli.models import evaluate, export, parity, predict
from posekit.cli.options import Data, Device, Images, Lang, Pretrained, Settings, take_home_directories
from posekit.cli.recipe import recipe_app
from posekit.cli.reid import reid
from posekit.cli.score import compare, gallery, score_app
from posekit.cli.teaching import edition, grade, progress
from posekit.cli.weights import convert
from posekit.errors import InputError
from posekit.runtime import announce

app = typer.Typer(
    cls=Commands,
    help="Keypoint estimation with MindSpore: vehicles (HRNet, VeRi) and people.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
course_app = typer.Typer(help="Run lessons headless, compare runs, hand out, grade.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(score_app, name="score")
app.add_typer(course_app, name="course")
for command in (edition, grade, progress):
    course_app.command()(command)
app.add_typer(recipe_app, name="recipe")
app.add_typer(infer310_app, name="infer310")
for command in (predict, evaluate, export, parity, reid, convert, compare, gallery):
    app.command()(command)

console = Console()


def main() -> None:
    """Run the command. What goes wrong is one line on standard error, as `boundary` says; a bug is a traceback."""
    os.environ.setdefault("GLOG_v", "4")  # MindSpore's C++ logs errors that it also raises; the line is enough
    adapt_to_place()
    with boundary():
        check_current_folder()
        announce()
        take_home_directories(command := typer.main.get_command(app))
        command()


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="One of posekit recipe list, for example poseestnet-smoke.")],
    out: Annotated[Path, typer.Option(help="Folder of the run to make.")],
    data: Data = None,
    images: Images = None,
    device: Device = "auto",
    settings: Settings = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file of recipe fields.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out, if it has begun.")] = False,
    save_minutes: Annotated[float, typer.Option(min=0, help="Within an epoch, save as often as this.")] = 10,
    flip_pairs: Annotated[
        str | None, typer.Option(help="COCO: left/right pairs, a:b,c:d, or none; found in the names if not given.")
    ] = None,
    pretrained: Pretrained = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check what a training needs, on all hosts; exit with 0 or 2.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --dry-run: devices of the training to come; 1 if not given.")
    ] = None,
) -> None:
    """Train a recipe's network. Ctrl-C and SIGTERM save and exit with code 75; --resume continues."""
    from posekit.layouts import for_training
    from posekit.recipes import get_recipe
    from posekit.settings import override, override_from_file

    chosen = for_training(get_recipe(recipe), data)
    if config:
        chosen = override_from_file(chosen, config)
    chosen = override(chosen, settings or [])
    if flip_pairs:
        chosen = override(chosen, [f"flip_pairs={flip_pairs}"])
    if dry_run:
        from posekit.doctor.dry_run import dry_run as check
        from posekit.doctor.trials import Plan

        plan = Plan(chosen, data, out, device, images, resume, pretrained)
        sys.exit(check(Console(width=max(console.width, 110)), plan, workers))
    if workers:
        raise InputError("--workers: only for --dry-run; several train by scripts/distributed.sh --workers")
    from posekit.training.loop import run

    best = run(chosen, data, out, device, images, resume, save_minutes, pretrained)
    print(f"{out}: best PCK@{chosen.validation_threshold:g} {best:.2f} % ({out / 'best.ckpt'})")


@course_app.command("list")
def course_list() -> None:
    """The lessons in order."""
    from posekit.course.run import print_lessons

    print_lessons()


@course_app.command("run")
def course_run(
    scale: Annotated[
        str | None, typer.Option(help="quick (the default, minutes), smoke, laptop (hours) or full.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A lesson's number; repeatable.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Folder of a stopped run, to continue it.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="name=value for the lessons.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Lessons at once; on a CPU 2, else 1.")] = None,
    lang: Lang = None,
) -> None:
    """Execute the lessons with papermill."""
    from posekit.course.run import run

    sys.exit(run(scale, only or [], resume, parameter or [], jobs, lang=lang))


@course_app.command("times")
def course_times(
    run: Annotated[Path, typer.Argument(help="Folder of a course.")],
    update: Annotated[
        bool, typer.Option("--update", help="Write them to the lessons' heads and to the times that courses expect.")
    ] = False,
) -> None:
    """How long each lesson and its slowest cells took, and how long its bar stood still.

    Exit code 1 if one stood still for more than 10 seconds.
    """
    from posekit.course.times import print_times, update_times

    if update:
        update_times(run, console)
    sys.exit(print_times(run, Console(width=max(console.width, 120))))


@course_app.command("collect")
def course_collect(
    runs: Annotated[Path, typer.Argument(help="Folder of trainings, executed notebooks or courses, at any depth.")],
) -> None:
    """Gather many runs, failed ones too, into one table and one picture."""
    from posekit.course.collect import collect

    collect(runs, Console(width=max(console.width, 140)))


@course_app.command("compare")
def course_compare(
    one: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a headless course, runs/TIME-SCALE.")],
    other: Annotated[Path, typer.Argument(metavar="RUN", help="Another.")],
    points: Annotated[
        float | None, typer.Option(min=0, help="Percentages may differ by this; else 0 on equal CPUs, 1 otherwise.")
    ] = None,
    relative: Annotated[
        float | None, typer.Option(min=0, help="Other numbers by this share; else 0 on equal CPUs, 0.05 otherwise.")
    ] = None,
) -> None:
    """Say whether one run reproduces another, and what differs. Exit code 1 if it doesn't."""
    from posekit.course.compare import compare_runs, print_comparison

    sys.exit(not print_comparison(compare_runs(one, other, points, relative), Console(width=max(console.width, 120))))


@course_app.command("site")
def course_site(
    runs: Annotated[list[Path], typer.Argument(help="Folder of a finished course; one for each language.")],
    out: Annotated[Path, typer.Option(help="Folder of the site to make.")],
) -> None:
    """Make a site of the executed lessons, which opens offline; takes pip install 'posekit[site]'."""
    from posekit.cli.reference import reference
    from posekit.course.site import write_site

    print(write_site(runs, out, reference(cast(TyperGroup, typer.main.get_command(app)))))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context, lang: Lang = None) -> None:
    """Open the lessons in JupyterLab. All other options are passed to `jupyter lab`, --no-browser for example."""
    from posekit.course.lab import open_lab

    open_lab(context.args)


@app.command()
def bench(
    recipe: Annotated[str, typer.Argument(help="The recipe whose parts to time.")] = "poseestnet-smoke",
    data: Data = None,
    device: Device = "auto",
    settings: Settings = None,
    only_input: Annotated[
        bool, typer.Option("--input", help="Time reading of full-size images instead, from files and from the cache.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Time all that people wait for, at full size, beside PyTorch where it is; minutes."),
    ] = False,
) -> None:
    """Time each part of the line on this machine: pipeline, training step, forward, codec."""
    if everything:
        from posekit.deploy.bench_all import bench_all

        bench_all(console)
        return
    if only_input:
        from posekit.training.bench_input import bench_input

        console.print(bench_input())
        return
    from posekit.recipes import get_recipe
    from posekit.settings import override
    from posekit.training.bench import bench as run

    console.print(run(override(get_recipe(recipe), settings or []), data, device))


@app.command()
def doctor(device: Device = "auto") -> None:
    """Check the installation: versions, the device that is chosen and why, the speed of convolutions.

    With --device gpu or ascend: whether driver and CUDA or CANN are what MindSpore needs.
    """
    from posekit.doctor.diagnose import diagnose

    sys.exit(diagnose(console, device))


if __name__ == "__main__":
    main()
