"""Percentage of correct keypoints (PCK) under the plain protocols. Pure NumPy.

A protocol is three choices: the distance that stands for 1 (the normaliser), the keypoints that count, and how rates
are averaged. `rates` turns normalised distances into rates; `published` has the protocols of each published data set.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from posekit.predictions import Predictions

Groups = dict[str, tuple[int, ...]]
# Rows of columns, in percent.
Scores = dict[str, dict[str, float]]
Counts = Scores  # of whole numbers


class Labels(Protocol):
    """What a metric needs of labels; a layout's labels and `PoseDataset` have it."""

    @property
    def names(self) -> list[str]: ...
    @property
    def keypoints(self) -> np.ndarray: ...  # (N, K, 2) pixels
    @property
    def visible(self) -> np.ndarray: ...  # (N, K) bool, what counts
    @property
    def hidden(self) -> np.ndarray: ...  # (N, K) bool, covered, but with coordinates
    @property
    def unit(self) -> np.ndarray: ...  # (N,) pixels that stand for 1


def distances(truth: np.ndarray, found: np.ndarray, normaliser: np.ndarray) -> np.ndarray:
    """Distance of each found keypoint from the true one, in units of its image's normaliser.

    `truth` and `found` are (N, K, D), `normaliser` (N,); returns (N, K) float64. A NaN in `found` is infinitely far
    away, and so is everything where the normaliser is 0.
    """
    truth = np.asarray(truth, np.float64)
    pixels = np.sqrt(sum(np.square(found[..., axis] - truth[..., axis]) for axis in range(truth.shape[-1])))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = pixels / np.asarray(normaliser, np.float64)[:, None]
    return np.where(np.isnan(distance), np.inf, distance)


def rates(distance: np.ndarray, counted: np.ndarray, thresholds: Iterable[float]) -> np.ndarray:
    """Percentage of each keypoint's counted occurrences within each threshold (the border is inside).

    `distance` (N, K), `counted` (N, K) bool; returns (thresholds, K), NaN for a keypoint that never counts. With a grid
    of thresholds this is the PCK curve of each keypoint.
    """
    thresholds = np.asarray(list(thresholds), np.float64)
    result = np.full((len(thresholds), distance.shape[1]), np.nan)
    for k in range(distance.shape[1]):
        ordered = np.sort(distance[counted[:, k], k])
        if len(ordered):
            result[:, k] = 100.0 * np.searchsorted(ordered, thresholds, side="right") / len(ordered)
    return result


def pooled(values: np.ndarray, counted: np.ndarray, keypoints: Sequence[int] | None = None) -> np.ndarray:
    """Mean of per-keypoint values (..., K) weighted by how often each keypoint counts; NaN when none does.

    For rates this is the rate over all counted occurrences of `keypoints` (all K when None).
    """
    index = list(range(counted.shape[1]) if keypoints is None else keypoints)
    weights = counted[:, index].sum(axis=0)
    total = np.where(weights > 0, values[..., index], 0) @ weights
    return total / weights.sum() if weights.sum() else np.full(np.shape(total), np.nan)


def areas_under_curve(distance: np.ndarray, counted: np.ndarray, limit: float) -> np.ndarray:
    """Mean of each keypoint's PCK curve over thresholds 0…limit, in percent: (N, K) → (K,), NaN where none counts.

    The curve is a staircase, so the integral is exact: an occurrence at distance d contributes max(0, 1 - d / limit).
    """
    share = np.clip(1 - distance / limit, 0, None) * counted
    with np.errstate(invalid="ignore"):
        return 100.0 * share.sum(axis=0) / counted.sum(axis=0)


def pck_unit(labels: Labels) -> np.ndarray:
    """(N,) pixels that stand for 1 in the plain protocols: `unit`, or the size of the head where labels have it."""
    heads = getattr(labels, "head_size", None)
    return labels.unit if heads is None else heads


def normalised_distances(labels: Labels, predictions: Predictions) -> np.ndarray:
    """Distances (N, K) in the plain protocol's units and the labels' order.

    Which unit that is the labels say: see `pck_unit` and each layout.
    """
    return distances(labels.keypoints, predictions.in_order(labels.names).keypoints, pck_unit(labels))


def pck_table(
    distance: np.ndarray, counted: np.ndarray, groups: Groups, thresholds: Sequence[float], limit: float
) -> Scores:
    """PCK at each threshold and the area under the curve up to `limit`: {"PCK@0.1": {group: percent, "Mean": …}, …}.

    A group's figure is the rate over all counted occurrences of its keypoints; Mean is that over all keypoints.
    """
    rows = {f"PCK@{t:g}": row for t, row in zip(thresholds, rates(distance, counted, thresholds), strict=True)}
    rows["AUC"] = areas_under_curve(distance, counted, limit)
    columns: dict[str, Sequence[int] | None] = {**groups, "Mean": None}
    return {
        name: {column: float(pooled(row, counted, keypoints)) for column, keypoints in columns.items()}
        for name, row in rows.items()
    }


def tally(counted: np.ndarray, columns: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """How many of counted (N, K) each column's keypoints have."""
    return {name: int(counted[:, list(keypoints)].sum()) for name, keypoints in columns.items()}


def markdown_table(rows: dict[str, dict[str, float]], corner: str = "Arch") -> str:
    """Rows of percentages as the originals print them: `| Arch | Wheel | … |`, three decimals."""
    columns = list(next(iter(rows.values())))
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(f"{row[column]:.3f}" for column in columns)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
