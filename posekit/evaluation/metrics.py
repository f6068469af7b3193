"""Percentage of correct keypoints (PCK) by the plain protocols. Pure NumPy.

A protocol defines the normaliser (the distance that counts as 1), which keypoints count, and how rates are averaged.
`rates` turns normalised distances into rates; `published` has the published protocol of each data set.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from posekit.predictions import Predictions

Groups = dict[str, tuple[int, ...]]
# Row -> column -> percent.
Scores = dict[str, dict[str, float]]
Counts = Scores  # in whole numbers


class Labels(Protocol):
    """The labels that a metric needs; a layout's labels and `PoseDataset` have them."""

    @property
    def names(self) -> list[str]: ...
    @property
    def keypoints(self) -> np.ndarray: ...  # (N, K, 2) pixels
    @property
    def visible(self) -> np.ndarray: ...  # (N, K) bool, which keypoints count
    @property
    def hidden(self) -> np.ndarray: ...  # (N, K) bool, occluded, but with coordinates
    @property
    def unit(self) -> np.ndarray: ...  # (N,) the distance that counts as 1, pixels


def distances(truth: np.ndarray, found: np.ndarray, normaliser: np.ndarray) -> np.ndarray:
    """Compute the distance of each predicted keypoint from the true one, divided by its image's normaliser.

    `truth` and `found` are (N, K, D), `normaliser` is (N,); returns (N, K) float64. The distance is infinite for NaN in
    `found` and for a normaliser of 0.
    """
    truth = np.asarray(truth, np.float64)
    pixels = np.sqrt(sum(np.square(found[..., axis] - truth[..., axis]) for axis in range(truth.shape[-1])))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = pixels / np.asarray(normaliser, np.float64)[:, None]
    return np.where(np.isnan(distance), np.inf, distance)


def rates(distance: np.ndarray, counted: np.ndarray, thresholds: Iterable[float]) -> np.ndarray:
    """Compute the percentage of each keypoint's counted occurrences with a distance of at most each threshold.

    `distance` is (N, K), `counted` (N, K) bool; returns (thresholds, K), NaN for a keypoint that never counts. With a
    grid of thresholds this is the PCK curve of each keypoint.
    """
    thresholds = np.asarray(list(thresholds), np.float64)
    result = np.full((len(thresholds), distance.shape[1]), np.nan)
    for k in range(distance.shape[1]):
        ordered = np.sort(distance[counted[:, k], k])
        if len(ordered):
            result[:, k] = 100.0 * np.searchsorted(ordered, thresholds, side="right") / len(ordered)
    return result


def pooled(values: np.ndarray, counted: np.ndarray, keypoints: Sequence[int] | None = None) -> np.ndarray:
    """Average per-keypoint values (..., K), weighted by how often each keypoint counts; NaN if none counts.

    For rates, this is the rate over all counted occurrences of `keypoints` (None: all K).
    """
    index = list(range(counted.shape[1]) if keypoints is None else keypoints)
    weights = counted[:, index].sum(axis=0)
    total = np.where(weights > 0, values[..., index], 0) @ weights
    return total / weights.sum() if weights.sum() else np.full(np.shape(total), np.nan)


def areas_under_curve(distance: np.ndarray, counted: np.ndarray, limit: float) -> np.ndarray:
    """Average each keypoint's PCK curve over thresholds 0…limit, in percent: (N, K) → (K,), NaN if it never counts.

    The curve is a step function, so the integral is exact: an occurrence at distance d adds max(0, 1 - d / limit).
    """
    share = np.clip(1 - distance / limit, 0, None) * counted
    with np.errstate(invalid="ignore"):
        return 100.0 * share.sum(axis=0) / counted.sum(axis=0)


def pck_unit(labels: Labels) -> np.ndarray:
    """Return the normaliser of the plain protocols, (N,) pixels: the head size if labels have it, else `unit`."""
    heads = getattr(labels, "head_size", None)
    return labels.unit if heads is None else heads


def normalised_distances(labels: Labels, predictions: Predictions) -> np.ndarray:
    """Compute distances (N, K) in units of the plain protocol (see `pck_unit`), in the order of the labels."""
    return distances(labels.keypoints, predictions.in_order(labels.names).keypoints, pck_unit(labels))


def pck_table(
    distance: np.ndarray, counted: np.ndarray, groups: Groups, thresholds: Sequence[float], limit: float
) -> Scores:
    """Compute PCK at each threshold and the area under the curve up to `limit`: {"PCK@0.1": {group: percent, …}, …}.

    A group's value is the rate over all counted occurrences of its keypoints; "Mean" is that of all keypoints.
    """
    rows = {f"PCK@{t:g}": row for t, row in zip(thresholds, rates(distance, counted, thresholds), strict=True)}
    rows["AUC"] = areas_under_curve(distance, counted, limit)
    columns: dict[str, Sequence[int] | None] = {**groups, "Mean": None}
    return {
        name: {column: float(pooled(row, counted, keypoints)) for column, keypoints in columns.items()}
        for name, row in rows.items()
    }


def tally(counted: np.ndarray, columns: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Count the occurrences in `counted` (N, K) of each column's keypoints."""
    return {name: int(counted[:, list(keypoints)].sum()) for name, keypoints in columns.items()}


def markdown_table(rows: dict[str, dict[str, float]], corner: str = "Arch") -> str:
    """Format rows of percentages like the originals: `| Arch | Wheel | … |`, three decimals."""
    columns = list(next(iter(rows.values())))
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(f"{row[column]:.3f}" for column in columns)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
