"""`posekit score`: score a predictions table from labels alone."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from posekit.errors import InputError

score_app = typer.Typer(help="Score a predictions table from labels alone.", no_args_is_help=True)


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
    print_scores(protocol, rows, PROTOCOLS["veri"][protocol].about)
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
        print_scores(protocol, tables, about)
    if json:
        write_scores(json, tables)


def print_scores(protocol: str, rows: dict[str, dict[str, float]], about: str) -> None:
    """The protocol's table, rates in percent and counts as they are; without a terminal it is not cut to a width."""
    columns = list(next(iter(rows.values())))
    table = Table("", *columns, title=f"protocol {protocol}, percent", title_justify="left")
    table.caption, table.caption_justify = f"{protocol}: {about}", "left"
    for name, row in rows.items():
        table.add_row(name, *(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in row.values()))
    Console(width=max(Console().width, 140)).print(table)
