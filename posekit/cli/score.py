"""`posekit score`, `compare` and `gallery`: judge a predictions table by the labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from posekit.cli.options import Images, Json, Predictions, Split, Threshold
from posekit.errors import InputError

if TYPE_CHECKING:
    from posekit.evaluation.compare import Line

WIDEST = 18  # columns of a table; of one with more, rows and columns are exchanged
score_app = typer.Typer(help="Score a predictions table by the labels; no network is run.", no_args_is_help=True)


@score_app.command("veri")
def score_veri(
    data: Annotated[Path, typer.Argument(help="Folder in the VeRi layout (labels suffice), or a label file (csv).")],
    predictions: Predictions,
    protocol: Annotated[str, typer.Option(help="published or pck.")] = "published",
    split: Split = "test",
    json: Json = None,
) -> None:
    """Score predictions of vehicles."""
    from posekit.evaluation.protocols import current_name, write_scores
    from posekit.layouts import score_file
    from posekit.layouts.veri import VERI

    table = score_file(VERI, data, predictions, protocol, split)
    print_scores(current_name(protocol), table.rows, table.about)
    if json:
        write_scores(json, table.rows.get("", table.rows))


@score_app.command("mpii")
def score_mpii(
    data: Annotated[Path, typer.Argument(help="Folder in the MPII layout (labels suffice), or a label file (h5).")],
    predictions: Annotated[Path, typer.Option(help="A pose csv; samples are named <imgname>:<row>.")],
    protocol: Annotated[str, typer.Option(help="published or pckh.")] = "published",
    split: Split = "test",
    json: Json = None,
    train_predictions: Annotated[Path | None, typer.Option(help="Another pose csv, of the train split.")] = None,
    train_samples: Annotated[int, typer.Option(min=1, help="Number of its first people to score.")] = 300,
) -> None:
    """Score predictions of people."""
    from posekit.evaluation.protocols import PUBLISHED, current_name, write_scores
    from posekit.evaluation.published import mpii_published_report
    from posekit.layouts import score_file
    from posekit.layouts.mpii import MPII

    if train_predictions and data.is_file():
        raise InputError(f"{data}: holds one split; give the folder that has annot, or no --train-predictions")
    protocol = current_name(protocol)
    table, training = score_file(MPII, data, predictions, protocol, split), {}
    if train_predictions:
        training = score_file(MPII, data, train_predictions, protocol, "train", train_samples).rows
    tables = table.rows | {f"Tra {name}": row for name, row in training.items()}
    if protocol == PUBLISHED:
        print(f"{mpii_published_report(table.rows, training)}({table.about})")
    else:
        print_scores(protocol, tables, table.about)
    if json:
        write_scores(json, tables)


@score_app.command("coco")
def score_coco(
    data: Annotated[Path, typer.Argument(help="COCO keypoint file, all of which counts, or a folder with some.")],
    predictions: Annotated[Path, typer.Option(help="A pose csv; samples are named <file name>:<annotation id>.")],
    protocol: Annotated[str, typer.Option(help="published (AP and AR over OKS) or pck.")] = "published",
    split: Annotated[str | None, typer.Option(help="Of a file that posekit divided: train, val or all.")] = None,
    json: Json = None,
    results: Annotated[Path | None, typer.Option(help="Write COCO's results file, for other programs, here.")] = None,
) -> None:
    """Score predictions of any object by COCO's protocol."""
    from posekit.evaluation.oks import results as in_coco
    from posekit.evaluation.protocols import current_name, write_scores
    from posekit.files import write_json
    from posekit.layouts import score_file
    from posekit.layouts.coco import COCO
    from posekit.predictions import read_predictions

    split = split or ("all" if data.is_file() else "test")
    table = score_file(COCO, data, predictions, protocol, split)
    print_scores(current_name(protocol), table.rows, table.about)
    if json:
        write_scores(json, table.rows)
    if results:
        labels = COCO.labels(data, split)
        write_json(results, in_coco(labels, read_predictions(predictions, labels.skeleton.num_keypoints)))
        print(f"{results}: {len(labels.names)} objects in COCO's results format")


def compare(
    first: Annotated[Path, typer.Argument(help="A pose csv.")],
    labels: Annotated[Path, typer.Option(help="Folder in a published layout (labels suffice), or a label file.")],
    second: Annotated[Path | None, typer.Argument(help="Another pose csv of the same samples.")] = None,
    split: Split = "test",
    threshold: Threshold = None,
    draws: Annotated[int, typer.Option(min=100, help="Resamples of the images.")] = 2000,
    json: Json = None,
) -> None:
    """Print confidence intervals of one table's PCK, or of two tables and their difference, by part of the data set."""
    from posekit.evaluation.compare import compare as run
    from posekit.evaluation.protocols import write_scores
    from posekit.layouts import layout_of
    from posekit.predictions import read_predictions

    layout = layout_of(labels)
    rows = layout.labels(labels, split)
    limit = layout.threshold if threshold is None else threshold
    tables = [read_predictions(path, rows.skeleton.num_keypoints) for path in (first, second) if path]
    lines = run(rows, rows.skeleton, limit, *tables, draws=draws)
    _print_lines(lines, f"PCK@{limit:g}, percent [95 % interval over {draws} resamples of the images]")
    if json:
        write_scores(json, [line.as_dict() for line in lines])


def _print_lines(lines: "list[Line]", title: str) -> None:
    """Print one row per part; differences whose interval excludes 0 are bold."""
    two = lines[0].second is not None
    table = Table("", "", "keypoints", *(("A", "B", "A - B") if two else ("PCK",)), title=title, title_justify="left")
    shown = ""
    for line in lines:
        if line.division != shown:
            table.add_section()
        difference = line.difference
        figures = [escape(str(estimate)) for estimate in (line.first, line.second, difference) if estimate]
        if difference:
            figures[2] = f"[{'bold' if difference.sure else 'dim'}]{figures[2]}"
        division = escape(line.division) if line.division != shown else ""
        table.add_row(division, escape(line.part), f"{line.count:,}", *figures)
        shown = line.division
    Console(width=max(Console().width, 140)).print(table)


def gallery(
    data: Annotated[Path, typer.Argument(help="Folder in a published layout.")],
    predictions: Predictions,
    out: Annotated[Path, typer.Option(help="The HTML page to write.")],
    split: Split = "test",
    images: Images = None,
    threshold: Threshold = None,
    count: Annotated[int, typer.Option(min=1, help="Pictures per section.")] = 8,
) -> None:
    """Write the worst and most surprising cases of a table to one HTML page."""
    from posekit.figures.gallery import write_gallery
    from posekit.layouts import layout_of
    from posekit.predictions import read_predictions

    layout = layout_of(data)
    dataset = layout.read(data, split, images)
    found = read_predictions(predictions, dataset.skeleton.num_keypoints)
    limit = layout.threshold if threshold is None else threshold
    print(f"{out}: {write_gallery(out, dataset, found, limit, count)} pictures")


def print_scores(protocol: str, rows: dict[str, dict[str, float]], about: str) -> None:
    """Print a protocol's table: rates in percent, counts as integers; at least 140 columns wide, to avoid cuts."""
    if len(next(iter(rows.values()))) > WIDEST:
        rows = {column: {name: row[column] for name, row in rows.items()} for column in next(iter(rows.values()))}
    columns = list(next(iter(rows.values())))
    table = Table("", *map(escape, columns), title=f"protocol {protocol}, percent", title_justify="left")
    table.caption, table.caption_justify = f"{protocol}: {about}", "left"
    for name, row in rows.items():
        figures = (f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in row.values())
        table.add_row(escape(name), *figures)
    Console(width=max(Console().width, 140)).print(table)
