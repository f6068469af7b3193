"""The evaluators that were published with the seeds, with a named switch for each of their departures.

`veri_seed_table` is that of PAMTRI and its MindSpore port (PoseEstNet/src/dataset/veri.py, `evaluate`),
`mpii_seed_table` the Stacked Hourglass's (src/utils/inference.py, `MPIIEval`). `WALKS` go from the published number to
the plain one, a switch at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from posekit.geometry import box_side
from posekit.evaluation.metrics import Counts, Labels, Scores, distances, head_sizes, pooled, rates, tally
from posekit.predictions import Predictions
from posekit.skeletons import PERSON, VEHICLE

SEED_THRESHOLD = 0.5 * 0.25  # of √area: the seed's threshold times its SC_BIAS
SEED_GRID = np.arange(0, 0.5 + 0.01, 0.01) * 0.25
SEED_BATCH = 32  # of the seed's test loader
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


SEED = Quirks()
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


MPII_SEED = MpiiQuirks()


def veri_seed_table(labels: Labels, predictions: Predictions, quirks: Quirks = SEED) -> dict[str, float]:
    """The published evaluator's table, in percent: Wheel, Fender, …, WindshieldFront, Mean, Mean@0.1.

    A group is the plain mean of its keypoints' rates; Mean and Mean@0.1 weight each keypoint by its visible count, and
    a keypoint that is never visible makes them NaN, as published. Predictions may be in any order (the seed needs rows
    sorted by name). The seed holds predictions as float32 and true coordinates as integers, and so does this.
    Raises InputError when predictions and labels name different images.
    """
    order = sorted(labels.names) if quirks.sorted_rows else labels.names
    distance = _seed_distances(labels, predictions.in_order(order), quirks)
    thresholds = (SEED_THRESHOLD, SEED_GRID[11 if quirks.late_index else 10])
    wide, tight = rates(distance, labels.visible, thresholds)  # (K,) each
    table = {name: _group_rate(wide, labels, keypoints, quirks) for name, keypoints in VEHICLE.groups.items()}
    return {**table, "Mean": _mean_rate(wide, labels, quirks), "Mean@0.1": _mean_rate(tight, labels, quirks)}


def _group_rate(rate: np.ndarray, labels: Labels, keypoints: tuple[int, ...], quirks: Quirks) -> float:
    """A group's figure from every keypoint's rate (K,)."""
    if not quirks.keypoint_means:
        return float(pooled(rate, labels.visible, keypoints))
    known = [k for k in keypoints if quirks.nan_unseen or not np.isnan(rate[k])]
    return float(rate[known].mean()) if known else float("nan")


def _mean_rate(rate: np.ndarray, labels: Labels, quirks: Quirks) -> float:
    """The rates (K,) weighted by how often each keypoint is visible."""
    if not quirks.nan_unseen:
        return float(pooled(rate, labels.visible))
    counts = labels.visible.sum(axis=0)
    return float((rate * (counts / counts.sum())).sum())


def _seed_distances(labels: Labels, found: Predictions, quirks: Quirks) -> np.ndarray:
    """Distances (N, K) as the seed's evaluator normalises them; see `Quirks`. `found` is in the order to compare."""
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


def mpii_seed_table(
    labels: Labels, predictions: Predictions, threshold: float = 0.5, quirks: MpiiQuirks = MPII_SEED
) -> Scores:
    """The published evaluator's table, in percent: rows "all", "visible" and "not visible", columns "total" and the ten
    joint names.

    A joint counts unless its x is 0, which the seed takes for missing, and is right when its distance is less than
    `threshold` times `normalize` (the border is outside). Where nothing counts the rate is NaN.
    Raises InputError when predictions and labels name different people.
    """
    unit = labels.unit if quirks.scale_unit else head_sizes(labels)
    distance = distances(labels.keypoints, predictions.in_order(labels.names).keypoints, unit)
    limit = np.nextafter(threshold, 0) if quirks.open_border else threshold
    table: Scores = {}
    for part, counted in _seed_parts(labels, quirks).items():
        (right,) = rates(distance, counted, [limit])
        table[part] = {name: float(pooled(right, counted, joints)) for name, joints in JOINT_COLUMNS.items()}
    return table


def _seed_parts(labels: Labels, quirks: MpiiQuirks = MPII_SEED) -> dict[str, np.ndarray]:
    """The rows of the seed's report and what each counts, (N, 16) bool: joints whose x is 0 pass for missing."""
    counted = labels.visible.copy()
    if quirks.zero_missing:
        counted &= labels.keypoints[..., 0] != 0
    if not quirks.all_joints:
        counted[:, [PERSON.keypoints.index(joint) for joint in NOT_IN_PCKH]] = False
    return {"all": counted, "visible": counted & ~labels.hidden, "not visible": counted & labels.hidden}


def mpii_seed_counts(labels: Labels) -> Counts:
    """How many joints each figure of `mpii_seed_table` rests on: rows "all, count" and so on."""
    return {f"{part}, count": tally(counted, JOINT_COLUMNS) for part, counted in _seed_parts(labels).items()}


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


@dataclass(frozen=True)
class Step:
    """One switch of a walk: what is measured from here on, and why it had been otherwise."""

    name: str
    why: str
    change: dict[str, object]


Walk = list[tuple[Step, dict[str, float]]]  # each step with the figures after it, in percent, by threshold

VERI_STEPS = (
    Step("as published", "the evaluator as it shipped, behind a test loader with batches of 32", {}),
    Step("every image counts", "the loader dropped the last, incomplete batch: zeros", {"drop_remainder": None}),
    Step("two coordinates", "score minus visibility was a third coordinate of the distance", {"third_column": False}),
    Step("the tenth at 0.10", "index 11 of a grid that begins at 0 stands for 0.11", {"late_index": False}),
    Step("boxes have areas", "both corners of the box were one list, so its area was 1", {"unit_area": False}),
    Step("its own box each", "the norm went over all images, not over one", {"norm_over_images": False}),
)  # fmt: skip
MPII_STEPS = (
    Step("as published", "distances in `normalize`, which is 20 x scale: a tenth of the box for everyone", {}),
    Step("the border is inside", "a joint exactly at the threshold was wrong", {"open_border": False}),
    Step("x = 0 is a place", "a joint at the left border passed for missing", {"zero_missing": False}),
    Step("14 joints", "pelvis and thorax, which hardly move, count nowhere else", {"all_joints": False}),
    Step("the head's own size", "PCKh divides by 0.6 of the head box's diagonal", {"scale_unit": False}),
)  # fmt: skip


def veri_walk(labels: Labels, predictions: Predictions) -> Walk:
    """From the published Mean and Mean@0.1 to the plain PCK at the same shares of √area, 0.125 and 0.025."""
    quirks, walk = replace(SEED, drop_remainder=SEED_BATCH, nan_unseen=False), []
    for step in VERI_STEPS:
        quirks = replace(quirks, **step.change)
        table = veri_seed_table(labels, predictions, quirks)
        walk.append((step, {"Mean, PCK@0.125": table["Mean"], "Mean@0.1, PCK@0.025": table["Mean@0.1"]}))
    return walk


def mpii_walk(labels: Labels, predictions: Predictions) -> Walk:
    """From the published total to PCKh at 0.5 and at 0.1; the last step only where labels have head boxes."""
    quirks, walk = MPII_SEED, []
    for step in MPII_STEPS if labels.head_size is not None else MPII_STEPS[:-1]:
        quirks = replace(quirks, **step.change)
        tables = {f"total, {t:g}": mpii_seed_table(labels, predictions, t, quirks) for t in (0.5, 0.1)}
        walk.append((step, {name: table["all"]["total"] for name, table in tables.items()}))
    return walk


WALKS: dict[str, Callable[[Labels, Predictions], Walk]] = {"veri": veri_walk, "mpii": mpii_walk}
