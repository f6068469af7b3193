"""The evaluators of VeRi and MPII: as published with the originals, each quirk a switch, and the plain ones.

`veri_published_table` is that of PAMTRI and its MindSpore port (PoseEstNet/src/dataset/veri.py, `evaluate`),
`mpii_published_table` that of Stacked Hourglass (src/utils/inference.py, `MPIIEval`). `veri_walk` and `mpii_walk` go
from the published number to the plain one, a switch at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from posekit.errors import InputError
from posekit.evaluation.metrics import (
    Counts,
    Groups,
    Labels,
    Scores,
    distances,
    normalised_distances,
    pck_table,
    pooled,
    rates,
    tally,
)
from posekit.geometry import box_side
from posekit.predictions import Predictions
from posekit.skeletons import PERSON, VEHICLE

THRESHOLD = 0.5 * 0.25  # of √area: the published threshold times its SC_BIAS; 0.25 shifts no bit
GRID = np.arange(0, 0.5 + 0.01, 0.01) * 0.25
TEST_BATCH = 32  # of the published test loader
JOINT_COLUMNS = {"total": tuple(range(PERSON.num_keypoints)), **PERSON.groups}
NOT_IN_PCKH = ("pelvis", "thorax")


@dataclass(frozen=True)
class Quirks:
    """Where the vehicles' evaluator departs from what its text intends; each can be switched off by itself.

    unit_area: both corners of the box are one list, so every image's box has area 1, not its keypoints' area.
    norm_over_images: the norm of all images' √area replaces each image's own; with unit_area that is √N pixels.
    third_column: score minus visibility enters the distance as if it were a third coordinate in pixels.
    late_index: "Mean@0.1" is read at index 11 of a grid of 0.01, that is at 0.11.
    keypoint_means: a group is the plain mean of its keypoints' rates, however seldom one of them is visible.
    nan_unseen: a keypoint that is never visible makes its group and the means NaN instead of being left out.
    sorted_rows: row n of the predictions, sorted by name, is compared with row n of the label file. Off unless asked
        for: the shipped label files are sorted, and on others it only pairs predictions with wrong images.
    drop_remainder: the test loader's batch size; the last N mod batch images by name keep zeros. None counts them all.
    """

    unit_area: bool = True
    norm_over_images: bool = True
    third_column: bool = True
    late_index: bool = True
    keypoint_means: bool = True
    nan_unseen: bool = True
    sorted_rows: bool = False
    drop_remainder: int | None = None


AS_PUBLISHED = Quirks()
PLAIN = Quirks(
    unit_area=False, norm_over_images=False, third_column=False, late_index=False, keypoint_means=False,
    nan_unseen=False,
)  # fmt: skip


@dataclass(frozen=True)
class MpiiQuirks:
    """Where the people's evaluator departs from PCKh; each can be switched off by itself.

    scale_unit: `normalize`, which is 20 x scale in the published files, stands for the size of the head. Off, labels
        must have head boxes.
    all_joints: pelvis and thorax count.
    zero_missing: a joint whose x is 0 passes for missing, whatever its y.
    open_border: a joint exactly at the threshold is outside.
    """

    scale_unit: bool = True
    all_joints: bool = True
    zero_missing: bool = True
    open_border: bool = True


MPII_AS_PUBLISHED = MpiiQuirks()


class PeopleLabels(Labels, Protocol):
    """What PCKh needs besides; `MpiiLabels` and `PoseDataset` have it."""

    @property
    def head_size(self) -> np.ndarray | None: ...  # (N,) pixels, None where the labels have no head boxes


def veri_published_table(labels: Labels, predictions: Predictions, quirks: Quirks = AS_PUBLISHED) -> dict[str, float]:
    """The published evaluator's table, in percent: Wheel, Fender, …, WindshieldFront, Mean, Mean@0.1.

    A group is the plain mean of its keypoints' rates; Mean and Mean@0.1 weight each keypoint by its visible count, and
    a keypoint that is never visible makes them NaN, as published. Predictions may be in any order (the published code
    needs rows sorted by name). Predictions become float32 and true coordinates integers (towards 0), as published, so
    that a keypoint exactly on the threshold, which is inside, falls on the same side.
    Raises InputError when predictions and labels name different images.
    """
    order = sorted(labels.names) if quirks.sorted_rows else labels.names
    distance = _published_distances(labels, predictions.in_order(order), quirks)
    thresholds = (THRESHOLD, GRID[11 if quirks.late_index else 10])
    wide, tight = rates(distance, labels.visible, thresholds)  # (K,) each
    table = {name: _group_rate(wide, labels, keypoints, quirks) for name, keypoints in VEHICLE.groups.items()}
    return {**table, "Mean": _mean_rate(wide, labels, quirks), "Mean@0.1": _mean_rate(tight, labels, quirks)}


def _group_rate(rate: np.ndarray, labels: Labels, keypoints: tuple[int, ...], quirks: Quirks) -> float:
    """A group's figure from every keypoint's rate (K,)."""
    if not quirks.keypoint_means:
        return float(pooled(rate, labels.visible, keypoints))
    known = [k for k in keypoints if quirks.nan_unseen or not np.isnan(rate[k])]
    return float(sum(rate[k] for k in known) / len(known)) if known else float("nan")  # in the published code's order


def _mean_rate(rate: np.ndarray, labels: Labels, quirks: Quirks) -> float:
    """The rates (K,) weighted by how often each keypoint is visible."""
    if not quirks.nan_unseen:
        return float(pooled(rate, labels.visible))
    counts = labels.visible.sum(axis=0)
    return float((rate * (counts / counts.sum())).sum())


def _published_distances(labels: Labels, found: Predictions, quirks: Quirks) -> np.ndarray:
    """Distances (N, K) as the published evaluator normalises them; see `Quirks`. `found` is in the order to compare."""
    truth = np.trunc(np.asarray(labels.keypoints, np.float64))
    normaliser = np.ones(len(truth)) if quirks.unit_area else box_side(truth)
    if quirks.norm_over_images:
        normaliser = np.full(len(truth), np.linalg.norm(normaliser))
    points = np.dstack([found.keypoints, found.scores[..., None]]).astype(np.float32)  # (N, K, 3)
    if quirks.drop_remainder:
        by_name = np.argsort(np.array(found.names))
        points[by_name[len(by_name) - len(by_name) % quirks.drop_remainder :]] = 0
    if not quirks.third_column:
        return distances(truth, points[..., :2], normaliser)
    return distances(np.dstack([truth, labels.visible[..., None]]), points, normaliser)


def mpii_published_table(
    labels: PeopleLabels, predictions: Predictions, threshold: float = 0.5, quirks: MpiiQuirks = MPII_AS_PUBLISHED
) -> Scores:
    """The published evaluator's table, in percent: rows "all", "visible" and "not visible", columns "total" and the ten
    joint names.

    A joint counts unless its x is 0, which passes for missing, and is right when its distance divided by `normalize` is
    less than `threshold` (the border is outside). Where nothing counts the rate is NaN.
    Raises InputError when predictions and labels name different people.
    """
    unit = labels.unit if quirks.scale_unit else head_sizes(labels)
    distance = distances(labels.keypoints, predictions.in_order(labels.names).keypoints, unit)
    limit = np.nextafter(threshold, 0) if quirks.open_border else threshold
    table: Scores = {}
    for part, counted in _published_parts(labels, quirks).items():
        (right,) = rates(distance, counted, [limit])
        table[part] = {name: float(pooled(right, counted, joints)) for name, joints in JOINT_COLUMNS.items()}
    return table


def _published_parts(labels: Labels, quirks: MpiiQuirks = MPII_AS_PUBLISHED) -> dict[str, np.ndarray]:
    """The rows of the published report and what each counts, (N, 16) bool: joints whose x is 0 pass for missing."""
    counted = labels.visible.copy()
    if quirks.zero_missing:
        counted &= labels.keypoints[..., 0] != 0
    if not quirks.all_joints:
        counted[:, [PERSON.keypoints.index(joint) for joint in NOT_IN_PCKH]] = False
    return {"all": counted, "visible": counted & ~labels.hidden, "not visible": counted & labels.hidden}


def mpii_published_counts(labels: Labels) -> Counts:
    """How many joints each figure of `mpii_published_table` rests on: rows "all, count" and so on."""
    return {f"{part}, count": tally(counted, JOINT_COLUMNS) for part, counted in _published_parts(labels).items()}


def mpii_published_report(table: Scores, training: Scores | None = None, threshold: float = 0.5) -> str:
    """The rows of `mpii_published_table` and `mpii_published_counts` in the words of the published report.

    There are "Tra" lines when the rows of training people are given, too. Where nothing counts it says 0.0.
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


# The plain protocols


def veri_pck(
    labels: Labels,
    predictions: Predictions,
    thresholds: Sequence[float] = (0.025, 0.05, 0.1),
    limit: float = 0.1,
    groups: Groups = VEHICLE.groups,
) -> Scores:
    """The plain protocol, in percent: visible keypoints within a share of √area of the image's own keypoint box.

    The box is that around all keypoints, hidden ones too, since they are on the object; its sides are max - min.
    Scores are ignored; predictions may be in any order. Rows "PCK@<threshold>" and "AUC" (thresholds 0 to `limit`),
    columns the groups and "Mean". Raises InputError when predictions and labels name different images.
    """
    return pck_table(normalised_distances(labels, predictions), labels.visible, groups, thresholds, limit)


PCKH_GROUPS = {name: joints for name, joints in PERSON.groups.items() if name not in ("pelvis", "thorax")}


def _pckh_counted(labels: Labels) -> np.ndarray:
    """(N, 16) bool: what `mpii_pckh` counts."""
    return labels.visible & np.isin(np.arange(PERSON.num_keypoints), sum(PCKH_GROUPS.values(), ()))


def head_sizes(labels: PeopleLabels) -> np.ndarray:
    """(N,) pixels by which PCKh divides: 0.6 of the head box's diagonal; InputError where labels have no head boxes."""
    if labels.head_size is None:
        raise InputError("the labels have no head boxes; `posekit data add-heads` adds them from MPII's annotation")
    return labels.head_size


def mpii_pckh(
    labels: PeopleLabels, predictions: Predictions, thresholds: Sequence[float] = (0.1, 0.2, 0.5), limit: float = 0.5
) -> Scores:
    """PCK of the 14 joints that other work counts, in percent: all but pelvis and thorax, covered ones too.

    Rows "PCK@<threshold>" and "AUC" (thresholds 0 to `limit`), columns the groups and "Mean", the rate over all counted
    joints. With head boxes in the labels this is PCKh as HRNet's evaluator has it (lib/dataset/mpii.py, `evaluate`);
    the published label files lack them, and then the unit is `normalize`, 20 x scale, which is no head size.
    Raises InputError when predictions and labels name different people.
    """
    distance = normalised_distances(labels, predictions)
    return pck_table(distance, _pckh_counted(labels), PCKH_GROUPS, thresholds, limit)


def mpii_pckh_counts(labels: Labels) -> Counts:
    """How many joints each column of `mpii_pckh` rests on, as the row "count"."""
    return {"count": tally(_pckh_counted(labels), {**PCKH_GROUPS, "Mean": range(PERSON.num_keypoints)})}


def about_pckh(labels: PeopleLabels) -> str:
    """In words what `mpii_pckh` counts and divides by for these labels."""
    joints = "14 joints, without pelvis and thorax"
    if labels.head_size is not None:
        return f"1 is 0.6 of the head box's diagonal; {joints}"
    return (
        "1 is `normalize`, which is 20 x scale: the label files lack the head boxes that PCKh divides by, so compare "
        f"with PCKh elsewhere only roughly (`posekit data add-heads` adds them); {joints}"
    )


# From the published figures to the plain ones


@dataclass(frozen=True)
class Step:
    """One switch of a walk: what is measured from here on, and what the code does before it."""

    name: str
    why: str
    change: dict[str, object]


Walk = list[tuple[Step, dict[str, float]]]  # each step with the figures after it, in percent, by threshold

VERI_STEPS = (
    Step("as published", "the evaluator as it shipped, after a test loader with batches of 32", {}),
    Step("all images", "the loader drops the last, incomplete batch: zeros", {"drop_remainder": None}),
    Step("only x and y", "score minus visibility is a third coordinate of the distance", {"third_column": False}),
    Step("0.1 at index 10", "index 11 of a grid that starts at 0 is the threshold 0.11", {"late_index": False}),
    Step("real box areas", "both corners of a box are the same list, so its area is 1", {"unit_area": False}),
    Step("each image's box", "the norm is taken over all images, not for each one", {"norm_over_images": False}),
)  # fmt: skip
MPII_STEPS = (
    Step("as published", "distances in `normalize`, which is 20 x scale: a tenth of everyone's box", {}),
    Step("border inside", "a joint exactly at the threshold counts as wrong", {"open_border": False}),
    Step("x = 0 is valid", "a joint at the left border of the image counts as missing", {"zero_missing": False}),
    Step("14 joints", "pelvis and thorax count; other evaluators leave them out", {"all_joints": False}),
    Step("size of the head", "`normalize` is used; PCKh has 0.6 of the head box's diagonal", {"scale_unit": False}),
)  # fmt: skip


def veri_walk(labels: Labels, predictions: Predictions) -> Walk:
    """From the published Mean and Mean@0.1 to the plain PCK at the same shares of √area, 0.125 and 0.025."""
    quirks, walk = replace(AS_PUBLISHED, drop_remainder=TEST_BATCH, nan_unseen=False), []
    for step in VERI_STEPS:
        quirks = replace(quirks, **step.change)
        table = veri_published_table(labels, predictions, quirks)
        walk.append((step, {"Mean, PCK@0.125": table["Mean"], "Mean@0.1, PCK@0.025": table["Mean@0.1"]}))
    return walk


def mpii_walk(labels: PeopleLabels, predictions: Predictions) -> Walk:
    """From the published total to PCKh at 0.5 and at 0.1; the last step only where labels have head boxes."""
    quirks, walk = MPII_AS_PUBLISHED, []
    for step in MPII_STEPS if labels.head_size is not None else MPII_STEPS[:-1]:
        quirks = replace(quirks, **step.change)
        tables = {f"total, {t:g}": mpii_published_table(labels, predictions, t, quirks) for t in (0.5, 0.1)}
        walk.append((step, {name: table["all"]["total"] for name, table in tables.items()}))
    return walk
