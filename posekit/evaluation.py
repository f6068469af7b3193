"""A model's or a file's accuracy under every protocol of its data set."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from posekit.datasets import mpii, veri
from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.files import write_json
from posekit.metrics import (
    Counts,
    Labels,
    Scores,
    mpii_pckh,
    mpii_pckh_counts,
    mpii_seed_counts,
    mpii_seed_table,
    veri_pck,
    veri_seed_table,
)
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.skeletons import PERSON, VEHICLE


@dataclass(frozen=True)
class Protocol:
    """A way to score: the table of labels and predictions, in words what counts and what a distance of 1 is, and how
    many keypoints its figures rest on, where the protocol says so."""

    table: Callable[[Labels, Predictions], Scores]
    about: str
    counts: Callable[[Labels], Counts] = lambda labels: {}


@dataclass(frozen=True)
class Layout:
    """Where a kind of data set keeps the labels of a split, how they are read, and how many keypoints they have."""

    label_path: Callable[[Path, str], Path]
    read_labels: Callable[[Path], Labels]
    num_keypoints: int


@dataclass(frozen=True)
class Rows:
    """Some rows of a label file: what a metric needs of them."""

    names: list[str]
    keypoints: np.ndarray
    visible: np.ndarray
    hidden: np.ndarray
    unit: np.ndarray


def _veri_seed(labels: Labels, predictions: Predictions) -> Scores:
    return {"": veri_seed_table(labels, predictions)}


PROTOCOLS = {
    "veri": {
        "seed": Protocol(
            _veri_seed, "the published table: within an eighth of √(number of images) pixels; visible keypoints"
        ),
        "pck": Protocol(veri_pck, "1 is √area of the image's own keypoint box; visible keypoints"),
    },
    "mpii": {
        "seed": Protocol(
            mpii_seed_table,
            "the published report: within half of `normalize`, which is 20 x scale and no head size; 16 joints, those "
            "covered, too",
            mpii_seed_counts,
        ),
        "pckh": Protocol(
            mpii_pckh,
            "1 is `normalize`, which is 20 x scale: the label files lack the head boxes that PCKh divides by, so "
            "compare with PCKh elsewhere only roughly; 14 joints, without pelvis and thorax",
            mpii_pckh_counts,
        ),
    },
}
LAYOUTS = {
    "veri": Layout(veri.label_path, veri.read_labels, VEHICLE.num_keypoints),
    "mpii": Layout(mpii.label_path, mpii.read_labels, PERSON.num_keypoints),
}


def score(kind: str, labels: Labels, predictions: Predictions) -> dict[str, Scores]:
    """Every protocol's table for predictions of a data set of that kind."""
    return {name: protocol.table(labels, predictions) for name, protocol in PROTOCOLS[kind].items()}


def score_file(kind: str, data: Path, predictions: Path, protocol: str, split: str, first: int | None = None) -> Scores:
    """One protocol's table and counts for a predictions file, from labels alone.

    `data` is a folder in the layout or a label file. With `first`, only the split's first rows count; predictions of
    later rows may be there or not.
    """
    if protocol not in PROTOCOLS[kind]:
        raise InputError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS[kind])}")
    layout = LAYOUTS[kind]
    labels = layout.read_labels(data if data.is_file() else layout.label_path(data, split))
    found = read_predictions(predictions, layout.num_keypoints)
    if first is not None:
        found = _without(found, labels.names[first:])
        labels = Rows(*(getattr(labels, field.name)[:first] for field in fields(Rows)))
    chosen = PROTOCOLS[kind][protocol]
    return {**chosen.table(labels, found), **chosen.counts(labels)}


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
    return None if isinstance(value, float) and not math.isfinite(value) else value


def evaluate(
    model: Path, data: Path | None, split: str, out: Path, device: str, flip_test: bool | None, images: Path | None
) -> tuple[str, dict[str, Scores]]:
    """Predict a split with a model file and score it; returns the data set's kind and each protocol's table.

    Writes out/predictions.csv and out/scores.json. The csv is what is scored, so `posekit score` gives the same digits.
    """
    from posekit.predictors import load_predictor, predict_dataset
    from posekit.splits import open_split

    predictor = load_predictor(model, device, flip_test=flip_test)
    kind = predictor.recipe.dataset
    dataset: PoseDataset = open_split(predictor.recipe, data, split, images)
    table = out / "predictions.csv"
    write_predictions(table, predict_dataset(predictor, dataset))
    scores = score(kind, dataset, read_predictions(table, dataset.skeleton.num_keypoints))
    write_scores(out / "scores.json", scores)
    return kind, scores
