"""Commands on a trained network: predict, evaluate, export, parity."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from posekit.cli.options import (
    Backend,
    Checkpoint,
    Data,
    Device,
    First,
    FlipTest,
    Images,
    LitePython,
    Model,
    Precision,
    Soc,
    Split,
)
from posekit.cli.score import WIDEST, print_scores
from posekit.errors import InputError
from posekit.locks import one_writer

if TYPE_CHECKING:
    from posekit.deploy.parity import Row


def predict(
    model: Model,
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="Images, videos or folders of them, instead of --data.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for pictures and csv (if not given: found), or with --data the csv (predictions.csv)."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data set; predict one of its splits.")] = None,
    split: Split = "test",
    images: Images = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="csv of name,x,y,width,height, one row per object, a frame is NAME:NUMBER; or a COCO file (json)."
        ),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Look for one object in each image; in films follow it.")
    ] = False,
    device: Device = "auto",
    backend: Backend = None,
    precision: Precision = None,
    lite_python: LitePython = None,
    flip_test: FlipTest = None,
) -> None:
    """Predict keypoints of a split as a table, or of images and videos as annotated copies and a table."""
    if (data is None) == (not pictures) or (data and (boxes or search)) or (boxes and search):
        raise InputError("give either images or --data, and only with images either --boxes or --search")
    from posekit.deploy.fast import fastest
    from posekit.inference.media import predict_media
    from posekit.inference.predictors import predict_dataset
    from posekit.inference.run_times import load_predictor
    from posekit.inference.run_times.request import Request
    from posekit.layouts import for_data, open_split
    from posekit.predictions import write_predictions
    from posekit.shipped import title

    request = Request(model, device, 16 if data or search else 1, backend, precision, lite_python, flip_test)
    predictor = load_predictor(fastest(request))
    print(f"{title(model)}: {predictor.run_time}")
    out = out or Path("predictions.csv" if data else "found")
    if data:
        dataset = open_split(for_data(predictor.recipe, data), data, split, images)
        write_predictions(out, predict_dataset(predictor, dataset))
        print(f"{out}: {len(dataset)} samples")
    else:
        with one_writer(out):
            predict_media(predictor, pictures or [], out, boxes, search)


def evaluate(
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder for predictions.csv and scores.json.")],
    data: Data = None,
    split: Split = "test",
    images: Images = None,
    device: Device = "auto",
    backend: Backend = None,
    precision: Precision = None,
    lite_python: LitePython = None,
    flip_test: FlipTest = None,
) -> None:
    """Predict a split and score it by every protocol."""
    from posekit.deploy.fast import fastest
    from posekit.evaluation.protocols import evaluate as run
    from posekit.inference.run_times import load_predictor
    from posekit.inference.run_times.request import Request
    from posekit.layouts import for_data, get_layout, open_split
    from posekit.shipped import title

    predictor = load_predictor(fastest(Request(model, device, 16, backend, precision, lite_python, flip_test)))
    print(f"{title(model)}: {predictor.run_time}")
    recipe = for_data(predictor.recipe, data)
    dataset = open_split(recipe, data, split, images)
    with one_writer(out):
        tables = run(predictor, dataset, get_layout(recipe.dataset).protocols, out)
    for protocol, table in tables.items():
        print_scores(protocol, table.rows, table.about)
    print(f"{out}: predictions.csv and scores.json")


def export(
    model: Checkpoint,
    out: Annotated[Path, typer.Option(help="File to write.")],
    format: Annotated[str, typer.Option(help="mindir, onnx, air or om.")] = "onnx",
    batch: Annotated[str, typer.Option(help="Batch size of the exported file: a number, or dynamic.")] = "1",
    soc: Soc = "Ascend310",
    precision: Annotated[str, typer.Option(help="fp32; or for onnx int8, calibrated on 64 training images.")] = "fp32",
    data: Annotated[
        Path | None, typer.Option(help="For int8: data set with those images; drawn ones if not given.")
    ] = None,
    images: Images = None,
) -> None:
    """Export a checkpoint to a file for other run times."""
    if batch != "dynamic" and not (batch.isdecimal() and int(batch) > 0):
        raise InputError(f"--batch {batch}: give a number from 1 on, or dynamic")
    from posekit.deploy.export import export_model, operations
    from posekit.runtime import set_up

    set_up("auto" if format == "air" else "cpu")
    export_model(model, format, out, None if batch == "dynamic" else int(batch), soc, precision, (data, images))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, batch {batch}")
    if format in ("mindir", "onnx"):
        counts = operations(out).most_common()
        print(f"{sum(count for _, count in counts)} operations: {', '.join(f'{n} {name}' for name, n in counts)}")


def parity(
    model: Checkpoint,
    data: Data = None,
    split: Split = "test",
    images: Images = None,
    first: First = None,
    out: Annotated[Path | None, typer.Option(help="Keep exported files and parity.json in this folder.")] = None,
    device: Device = "auto",
    lite_python: LitePython = None,
) -> None:
    """Compare every available run time with the checkpoint; exit code 1 if one in fp32 differs too much."""
    from posekit.deploy.parity import check, run
    from posekit.inference.run_times.request import Request

    with one_writer(out) if out else nullcontext():
        rows = run(Request(model, device, lite_python=lite_python), data, split, images, first, out)
    print_parity(rows)
    problems = check(rows)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def print_parity(rows: "list[Row]") -> None:
    """Print one table, with the plain protocol's PCK at its largest threshold; then the missing run times, and why."""
    from posekit.deploy.parity import ENTRY_LIMIT, HEATMAP_LIMITS

    *_, (protocol, scores) = rows[0].tables.items()
    *_, part = (name for name in scores if name.startswith("PCK"))
    shown = list(scores[part]) if len(scores[part]) <= WIDEST else ["Mean"]
    columns = ("run time", "heatmaps", "px median", "px 99 %", "tied", "entry", *map(escape, shown), "ms", "MB")
    table = Table(*columns, title="run times against the checkpoint", title_justify="left")
    for row in rows:
        if not row.missing:
            mark = "" if row.heatmaps <= HEATMAP_LIMITS[row.precision] else " !"
            apart = (
                f"{row.heatmaps:.1e}{mark}",
                f"{row.median:.3f}",
                f"{row.far:.3f}",
                str(row.tied),
                f"{row.entry:.3f}",
            )
            accuracy = (f"{row.tables[protocol][part][name]:.2f}" for name in shown)
            table.add_row(row.run_time, *apart, *accuracy, f"{row.milliseconds:.1f}", f"{row.megabytes:.2f}")
    limits = ", ".join(f"{name} {limit:g}" for name, limit in HEATMAP_LIMITS.items())
    table.caption = (
        f"heatmaps: largest difference / range, ! beyond {limits}; entry: largest difference in any table, in "
        f"points, without tied keypoints, limit in fp32 {ENTRY_LIMIT:g}; accuracy: protocol {protocol}, {part}; "
        "ms: per image, with decoding"
    )
    table.caption_justify = "left"
    Console(width=max(Console().width, 200)).print(table)
    for row in rows:
        if row.missing:
            print(f"{row.run_time}: {row.missing}")
