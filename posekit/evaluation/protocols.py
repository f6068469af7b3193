"""A model's or a file's accuracy under every protocol of its data set."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.evaluation.metrics import Counts, Labels, Scores
from posekit.files import write_json
from posekit.inference.predictors import Predictor, predict_dataset
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.skeletons import Skeleton

PUBLISHED = "published"  # the protocol by which the originals' tables were made
SEED = "seed"  # its name in earlier versions


@dataclass(frozen=True)
class Protocol:
    """A way to score.

    table: the figures of labels, those of its layout, and predictions; about: in words what counts and what a distance
    of 1 is, perhaps depending on the labels; counts: how many keypoints its figures rest on, if the protocol says so.
    """

    table: Callable[[Any, Predictions], Scores]
    about: str | Callable[[Any], str]
    counts: Callable[[Any], Counts] = lambda labels: {}

    def apply(self, labels: Labels, predictions: Predictions) -> "Table":
        """The figures, without counts."""
        about = self.about if isinstance(self.about, str) else self.about(labels)
        return Table(self.table(labels, predictions), about)


@dataclass(frozen=True)
class Rows:
    """Some rows of a label file: what a metric needs of them."""

    names: list[str]
    keypoints: np.ndarray
    visible: np.ndarray
    hidden: np.ndarray
    unit: np.ndarray
    skeleton: Skeleton
    head_size: np.ndarray | None = None
    truth: dict[str, Any] | None = None


_PER_ROW = ("names", "keypoints", "visible", "hidden", "unit", "head_size")  # of the fields of Rows


@dataclass(frozen=True)
class Table:
    """One protocol's figures and counts, and in words what they measure."""

    rows: Scores
    about: str


def current_name(name: str) -> str:
    """A protocol's name, or the name in use where earlier versions had another."""
    return PUBLISHED if name == SEED else name


def score(protocols: Mapping[str, Protocol], labels: Labels, predictions: Predictions) -> dict[str, Table]:
    """Every protocol's table, without counts."""
    return {name: protocol.apply(labels, predictions) for name, protocol in protocols.items()}


def get_protocol(protocols: Mapping[str, Protocol], name: str) -> Protocol:
    """The protocol of that name; InputError lists the names there are."""
    if current_name(name) not in protocols:
        raise InputError(f"unknown protocol {name!r}; choose one of {', '.join(protocols)}")
    return protocols[current_name(name)]


def first_rows(labels: Labels, predictions: Predictions, count: int) -> tuple[Rows, Predictions]:
    """The first `count` rows, and the predictions without those of the other rows."""
    columns = ((field.name, getattr(labels, field.name, None)) for field in fields(Rows))
    surplus = set(labels.names[count:])
    keep = [row for row, name in enumerate(predictions.names) if name not in surplus]
    return (
        Rows(
            **{name: column[:count] if name in _PER_ROW else column for name, column in columns if column is not None}
        ),
        Predictions([predictions.names[row] for row in keep], predictions.keypoints[keep], predictions.scores[keep]),
    )


def write_scores(path: Path, scores: object) -> None:
    """Write tables as JSON, null for NaN (nothing was counted)."""
    write_json(path, _strict(scores))


def _strict(value: object) -> object:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def evaluate(
    predictor: Predictor, dataset: PoseDataset, protocols: Mapping[str, Protocol], out: Path
) -> dict[str, Table]:
    """Predict a split and score it; returns each protocol's table. Writes what `score_into` writes."""
    return score_into(out, protocols, dataset, predict_dataset(predictor, dataset))


def score_into(
    out: Path, protocols: Mapping[str, Protocol], labels: Labels, predictions: Predictions
) -> dict[str, Table]:
    """Every protocol's table; writes out/predictions.csv and out/scores.json.

    The csv is what is scored, so `posekit score` gives the same digits.
    """
    table = out / "predictions.csv"
    write_predictions(table, predictions)
    scores = score(protocols, labels, read_predictions(table, predictions.keypoints.shape[1]))
    rows = {name: table.rows for name, table in scores.items()}
    write_scores(out / "scores.json", rows | {SEED: rows[PUBLISHED]})  # for programs that read it by the old name
    return scores


def largest_difference(found: dict[str, Scores], wanted: dict[str, Scores]) -> float:
    """Of two sets of tables, in points; an entry that is a number in one of them only is infinitely far away."""
    pairs = [
        (value, found[protocol][name][column])
        for protocol, rows in wanted.items()
        for name, row in rows.items()
        for column, value in row.items()
    ]
    one, other = np.array(pairs, float).T
    apart = np.abs(one - other)[~(np.isnan(one) & np.isnan(other))]
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0))
