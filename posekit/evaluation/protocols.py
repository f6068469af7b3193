"""A model's or a file's accuracy under every protocol of its data set."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posekit.layouts import mpii, veri
from posekit.errors import InputError
from posekit.files import write_json
from posekit.evaluation.metrics import Counts, Labels, Scores, mpii_pckh, mpii_pckh_counts, veri_pck
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.evaluation.published import mpii_seed_counts, mpii_seed_table, veri_seed_table
from posekit.skeletons import PERSON, VEHICLE, Skeleton
from posekit.tables import check_unique

if TYPE_CHECKING:
    from posekit.inference.predictors import Predictor


@dataclass(frozen=True)
class Protocol:
    """A way to score: the table of labels and predictions, in words what counts and what a distance of 1 is, and how
    many keypoints its figures rest on, where the protocol says so."""

    table: Callable[[Labels, Predictions], Scores]
    about: Callable[[Labels], str]
    counts: Callable[[Labels], Counts] = lambda labels: {}


@dataclass(frozen=True)
class Layout:
    """Where a kind of data set keeps the labels of a split, how they are read, what they are labels of, and the usual
    threshold of the plain protocol."""

    label_path: Callable[[Path, str], Path]
    read_labels: Callable[[Path], Labels]
    skeleton: Skeleton
    threshold: float
    suffix: str  # of label files


@dataclass(frozen=True)
class Rows:
    """Some rows of a label file: what a metric needs of them."""

    names: list[str]
    keypoints: np.ndarray
    visible: np.ndarray
    hidden: np.ndarray
    unit: np.ndarray
    head_size: np.ndarray | None


@dataclass(frozen=True)
class Table:
    """One protocol's figures and counts, and in words what they measure."""

    rows: Scores
    about: str


def _veri_seed(labels: Labels, predictions: Predictions) -> Scores:
    return {"": veri_seed_table(labels, predictions)}


def _about_pckh(labels: Labels) -> str:
    joints = "14 joints, without pelvis and thorax"
    if labels.head_size is not None:
        return f"1 is 0.6 of the head box's diagonal; {joints}"
    return (
        "1 is `normalize`, which is 20 x scale: the label files lack the head boxes that PCKh divides by, so compare "
        f"with PCKh elsewhere only roughly (`posekit data add-heads` adds them); {joints}"
    )


def _always(text: str) -> Callable[[Labels], str]:
    return lambda labels: text


PROTOCOLS = {
    "veri": {
        "seed": Protocol(
            _veri_seed,
            _always("the published table: within an eighth of √(number of images) pixels; visible keypoints"),
        ),
        "pck": Protocol(veri_pck, _always("1 is √area of the image's own keypoint box; visible keypoints")),
    },
    "mpii": {
        "seed": Protocol(
            mpii_seed_table,
            _always(
                "the published report: within half of `normalize`, which is 20 x scale and no head size; 16 joints, "
                "those covered, too"
            ),
            mpii_seed_counts,
        ),
        "pckh": Protocol(mpii_pckh, _about_pckh, mpii_pckh_counts),
    },
}
LAYOUTS = {
    "veri": Layout(veri.label_path, veri.read_labels, VEHICLE, 0.1, ".csv"),
    "mpii": Layout(mpii.label_path, mpii.read_labels, PERSON, 0.5, ".h5"),
}


def kind_of(data: Path) -> str:
    """The kind of a label file, by its suffix, or of a folder, by the label files in its annot."""
    suffixes = {data.suffix} if data.is_file() else {path.suffix for path in (data / "annot").glob("*")}
    kinds = [kind for kind, layout in LAYOUTS.items() if layout.suffix in suffixes]
    if len(kinds) != 1:
        wanted = ", ".join(f"{layout.suffix} ({kind})" for kind, layout in LAYOUTS.items())
        raise InputError(f"{data}: no label file and no folder with labels in annot; give one of {wanted}, or a folder")
    return kinds[0]


def read_split(data: Path, split: str) -> tuple[Layout, Labels]:
    """The labels of a label file, or of a split of a folder in a published layout; images need not be there."""
    kind = kind_of(data)
    return LAYOUTS[kind], _read_labels(kind, data, split)


def _read_labels(kind: str, data: Path, split: str) -> Labels:
    """A sample that is labelled twice would count twice: InputError."""
    path = data if data.is_file() else LAYOUTS[kind].label_path(data, split)
    labels = LAYOUTS[kind].read_labels(path)
    check_unique(path, labels.names)
    return labels


def score(kind: str, labels: Labels, predictions: Predictions) -> dict[str, Table]:
    """Every protocol's table, without counts, for predictions of a data set of that kind."""
    return {
        name: Table(protocol.table(labels, predictions), protocol.about(labels))
        for name, protocol in PROTOCOLS[kind].items()
    }


def score_file(kind: str, data: Path, predictions: Path, protocol: str, split: str, first: int | None = None) -> Table:
    """One protocol's table and counts for a predictions file, from labels alone.

    `data` is a folder in the layout or a label file. With `first`, only the split's first rows count; predictions of
    later rows may be there or not.
    """
    if protocol not in PROTOCOLS[kind]:
        raise InputError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS[kind])}")
    layout = LAYOUTS[kind]
    labels = _read_labels(kind, data, split)
    found = read_predictions(predictions, layout.skeleton.num_keypoints)
    if first is not None:
        found = _without(found, labels.names[first:])
        labels = _first_rows(labels, first)
    chosen = PROTOCOLS[kind][protocol]
    return Table({**chosen.table(labels, found), **chosen.counts(labels)}, chosen.about(labels))


def _first_rows(labels: Labels, count: int) -> Rows:
    columns = (getattr(labels, field.name, None) for field in fields(Rows))
    return Rows(*(None if column is None else column[:count] for column in columns))


def _without(predictions: Predictions, names: list[str]) -> Predictions:
    """The predictions of other samples than `names`."""
    surplus = set(names)
    keep = [row for row, name in enumerate(predictions.names) if name not in surplus]
    return Predictions([predictions.names[row] for row in keep], predictions.keypoints[keep], predictions.scores[keep])


def write_scores(path: Path, scores: object) -> None:
    """Write tables as JSON, null for what is no number (a rate of nothing)."""
    write_json(path, _strict(scores))


def _strict(value: object) -> object:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def evaluate(
    predictor: "Predictor", data: Path | None, split: str, out: Path, images: Path | None = None
) -> dict[str, Table]:
    """Predict a split and score it; returns each protocol's table. Writes what `score_into` writes."""
    from posekit.inference.predictors import predict_dataset
    from posekit.layouts import open_split

    dataset = open_split(predictor.recipe, data, split, images)
    return score_into(out, predictor.recipe.dataset, dataset, predict_dataset(predictor, dataset))


def score_into(out: Path, kind: str, labels: Labels, predictions: Predictions) -> dict[str, Table]:
    """Every protocol's table; writes out/predictions.csv and out/scores.json.

    The csv is what is scored, so `posekit score` gives the same digits.
    """
    table = out / "predictions.csv"
    write_predictions(table, predictions)
    scores = score(kind, labels, read_predictions(table, predictions.keypoints.shape[1]))
    write_scores(out / "scores.json", {name: table.rows for name, table in scores.items()})
    return scores
