"""Percentage of correct keypoints (PCK) under each protocol. Pure NumPy.

A protocol is three choices: the distance that stands for 1 (the normaliser), the keypoints that count, and how rates
are averaged. `rates` turns normalised distances into rates; `veri_pck` and `mpii_pckh` are the plain protocols.
`veri_seed_table` is the evaluator that PAMTRI and its MindSpore port published (PoseEstNet/src/dataset/veri.py,
`evaluate`), whose departures from the plain one are named switches in `Quirks`; `mpii_seed_table` is the Stacked
Hourglass's (src/utils/inference.py, `MPIIEval`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from posekit.geometry import box_side
from posekit.predictions import Predictions
from posekit.skeletons import PERSON, VEHICLE

Groups = dict[str, tuple[int, ...]]
# Rows of columns, in percent.
Scores = dict[str, dict[str, float]]
Counts = dict[str, dict[str, int]]

SEED_THRESHOLD = 0.5 * 0.25  # of √area: the seed's threshold times its SC_BIAS
SEED_GRID = np.arange(0, 0.5 + 0.01, 0.01) * 0.25


class Labels(Protocol):
    """What a metric needs of labels; `VeriLabels`, `MpiiLabels` and `PoseDataset` have it."""

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


@dataclass(frozen=True)
class Quirks:
    """Where the seed's evaluator departs from what its text intends; each can be switched off by itself.

    unit_area: both corners of the box are one list, so every image's box has area 1, not its keypoints' area.
    norm_over_images: the norm of all images' √area replaces each image's own; with unit_area that is √N pixels.
    third_column: score minus visibility enters the distance as if it were a third coordinate in pixels.
    late_index: "Mean@0.1" is read at index 11 of a grid of 0.01, that is at 0.11.
    drop_remainder: the test loader's batch size; the last N mod batch images by name keep zeros. None counts them all.
    """

    unit_area: bool = True
    norm_over_images: bool = True
    third_column: bool = True
    late_index: bool = True
    drop_remainder: int | None = None


SEED = Quirks()
PLAIN = Quirks(unit_area=False, norm_over_images=False, third_column=False, late_index=False)


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


def normalised_distances(labels: Labels, predictions: Predictions) -> np.ndarray:
    """Distances (N, K) in the labels' own units and order.

    The unit of VeRi is √area of the image's keypoint box (around all keypoints, hidden ones too, since they lie on the
    object; its sides are max - min), that of MPII `normalize`, 20 times the person's scale.
    """
    return distances(labels.keypoints, predictions.in_order(labels.names).keypoints, labels.unit)


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


def veri_pck(
    labels: Labels,
    predictions: Predictions,
    thresholds: Sequence[float] = (0.025, 0.05, 0.1),
    limit: float = 0.1,
    groups: Groups = VEHICLE.groups,
) -> Scores:
    """The plain protocol, in percent: visible keypoints within a share of √area of the image's own keypoint box.

    Scores are ignored; predictions may be in any order. Rows "PCK@<threshold>" and "AUC" (thresholds 0 to `limit`),
    columns the groups and "Mean". Raises InputError when predictions and labels name different images.
    """
    return pck_table(normalised_distances(labels, predictions), labels.visible, groups, thresholds, limit)


def veri_seed_table(labels: Labels, predictions: Predictions, quirks: Quirks = SEED) -> dict[str, float]:
    """The published evaluator's table, in percent: Wheel, Fender, …, WindshieldFront, Mean, Mean@0.1.

    A group is the plain mean of its keypoints' rates; Mean and Mean@0.1 weight each keypoint by its visible count, and
    a keypoint that is never visible makes them NaN, as published. Predictions may be in any order (the seed needs rows
    sorted by name). The seed holds predictions as float32 and true coordinates as integers, and so does this.
    Raises InputError when predictions and labels name different images.
    """
    distance = _seed_distances(labels, predictions.in_order(labels.names), quirks)
    thresholds = (SEED_THRESHOLD, SEED_GRID[11 if quirks.late_index else 10])
    wide, tight = rates(distance, labels.visible, thresholds)  # (K,) each
    counts = labels.visible.sum(axis=0)
    weights = counts / counts.sum()
    table = {name: float(wide[list(keypoints)].mean()) for name, keypoints in VEHICLE.groups.items()}
    return {**table, "Mean": float((wide * weights).sum()), "Mean@0.1": float((tight * weights).sum())}


def _seed_distances(labels: Labels, found: Predictions, quirks: Quirks) -> np.ndarray:
    """Distances (N, K) as the seed's evaluator normalises them; see `Quirks`."""
    truth = np.trunc(np.asarray(labels.keypoints, np.float64))
    normaliser = np.ones(len(truth)) if quirks.unit_area else box_side(truth)
    if quirks.norm_over_images:
        normaliser = np.full(len(truth), np.linalg.norm(normaliser))
    points = np.dstack([found.keypoints, found.scores[..., None]]).astype(np.float32)  # (N, K, 3)
    if quirks.drop_remainder:
        by_name = np.argsort(np.array(labels.names))
        points[by_name[len(by_name) - len(by_name) % quirks.drop_remainder :]] = 0
    if not quirks.third_column:
        return distances(truth, points[..., :2], normaliser)
    return distances(np.dstack([truth, labels.visible[..., None]]), points, normaliser)


PCKH_GROUPS = {name: joints for name, joints in PERSON.groups.items() if name not in ("pelvis", "thorax")}


def _pckh_counted(labels: Labels) -> np.ndarray:
    """(N, 16) bool: what `mpii_pckh` counts."""
    return labels.visible & np.isin(np.arange(PERSON.num_keypoints), sum(PCKH_GROUPS.values(), ()))


def mpii_pckh(
    labels: Labels, predictions: Predictions, thresholds: Sequence[float] = (0.1, 0.2, 0.5), limit: float = 0.5
) -> Scores:
    """PCK of the 14 joints that other work counts, in percent: all but pelvis and thorax, covered ones too.

    Rows "PCK@<threshold>" and "AUC" (thresholds 0 to `limit`), columns the groups and "Mean", the rate over all counted
    joints. The choice of joints is that of HRNet's evaluator (lib/dataset/mpii.py, `evaluate`), the unit is not:
    `normalize` of the label files is 20 x scale, while PCKh divides by 0.6 of the head box's diagonal, which the files
    lack. Raises InputError when predictions and labels name different people.
    """
    distance = normalised_distances(labels, predictions)
    return pck_table(distance, _pckh_counted(labels), PCKH_GROUPS, thresholds, limit)


def mpii_pckh_counts(labels: Labels) -> Counts:
    """How many joints each column of `mpii_pckh` rests on, as the row "count"."""
    return {"count": _tally(_pckh_counted(labels), {**PCKH_GROUPS, "Mean": range(PERSON.num_keypoints)})}


def _tally(counted: np.ndarray, columns: dict[str, Sequence[int]]) -> dict[str, int]:
    return {name: int(counted[:, list(keypoints)].sum()) for name, keypoints in columns.items()}


SEED_COLUMNS = {"total": tuple(range(PERSON.num_keypoints)), **PERSON.groups}


def _seed_parts(labels: Labels) -> dict[str, np.ndarray]:
    """The rows of the seed's report and what each counts, (N, 16) bool: joints whose x is 0 pass for missing."""
    counted = labels.visible & (labels.keypoints[..., 0] != 0)
    return {"all": counted, "visible": counted & ~labels.hidden, "not visible": counted & labels.hidden}


def mpii_seed_table(labels: Labels, predictions: Predictions, threshold: float = 0.5) -> Scores:
    """The published evaluator's table, in percent: rows "all", "visible" and "not visible", columns "total" and the ten
    joint names.

    A joint counts unless its x is 0, which the seed takes for missing, and is right when its distance is less than
    `threshold` times `normalize` (the border is outside). Where nothing counts the rate is NaN.
    Raises InputError when predictions and labels name different people.
    """
    distance = normalised_distances(labels, predictions)
    below = np.nextafter(threshold, 0)
    table: Scores = {}
    for part, counted in _seed_parts(labels).items():
        (right,) = rates(distance, counted, [below])
        table[part] = {name: float(pooled(right, counted, joints)) for name, joints in SEED_COLUMNS.items()}
    return table


def mpii_seed_counts(labels: Labels) -> Counts:
    """How many joints each figure of `mpii_seed_table` rests on: rows "all, count" and so on."""
    return {f"{part}, count": _tally(counted, SEED_COLUMNS) for part, counted in _seed_parts(labels).items()}


def mpii_seed_report(table: Scores, training: Scores | None = None, threshold: float = 0.5) -> str:
    """The rows of `mpii_seed_table` and `mpii_seed_counts` in the words the seed prints.

    There are "Tra" lines when the rows of training people are given, too. Where nothing counts the seed says 0.0.
    """
    lines = []
    for part in ("all", "visible", "not visible"):
        lines.append(f"{part} :")
        for joint in table[part]:
            for label, rows in (("Val", table), ("Tra", training)):
                if rows:
                    count = int(rows[f"{part}, count"][joint])
                    right = round(rows[part][joint] * count / 100) if count else 0
                    share = round(right / max(count, 1), 3)
                    lines.append(f"{label} PCK @, {threshold} , {joint} : {share} , count: {count}")
        lines += ["", ""]
    return "\n".join(lines)


def markdown_table(rows: dict[str, dict[str, float]], corner: str = "Arch") -> str:
    """Rows of percentages as the seed prints them: `| Arch | Wheel | … |`, three decimals."""
    columns = list(next(iter(rows.values())))
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(f"{row[column]:.3f}" for column in columns)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
