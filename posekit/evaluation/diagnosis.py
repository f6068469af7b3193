"""What kind of error a keypoint has, and what its score is worth.

The kinds follow Ronchi & Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (ICCV 2017), who
call them jitter, inversion and miss; their swap, a keypoint of somebody else, needs labels of several people at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata

from posekit.evaluation.compare import DRAWS, Estimate, estimate_rates
from posekit.evaluation.metrics import Labels, distances, pck_unit
from posekit.skeletons import Skeleton

KINDS = ("right", "near miss", "left/right swapped", "hidden", "missed")
NEAR = 2.0  # thresholds within which a wrong keypoint is a near miss


def error_kinds(labels: Labels, points: np.ndarray, skeleton: Skeleton, threshold: float) -> np.ndarray:
    """The index in KINDS of every keypoint (N, K), -1 where none counts; points (N, K, 2) in pixels.

    The first that fits: *right* within `threshold` units of its place; *left/right swapped* within it of the mirror
    partner's place; *near miss* within NEAR thresholds of its own; *hidden* when something covers it; *missed*.
    """
    unit, order = pck_unit(labels), list(skeleton.flip_order)
    own = distances(labels.keypoints, points, unit)
    known = (labels.visible | labels.hidden)[:, order] & (np.array(order) != np.arange(len(order)))
    partner = np.where(known, distances(labels.keypoints[:, order], points, unit), np.inf)
    fits = [own <= threshold, partner <= threshold, own <= NEAR * threshold, labels.hidden]
    kind = np.select(fits, [KINDS.index(k) for k in ("right", "left/right swapped", "near miss", "hidden")], 4)
    return np.where(labels.visible, kind, -1)


@dataclass(frozen=True)
class Reliability:
    """Bins of equally many keypoints, by rising score."""

    score: np.ndarray  # (B,) mean of the bin
    rate: list[Estimate]  # of right keypoints, in percent
    count: np.ndarray  # (B,)

    @property
    def error(self) -> float:
        """Mean distance of score and rate over all keypoints, in percent: the expected calibration error (ECE)."""
        rates = np.array([rate.value for rate in self.rate])
        return float(np.abs(100 * self.score - rates) @ self.count / self.count.sum())


def reliability(
    scores: np.ndarray, right: np.ndarray, counted: np.ndarray, images: Sequence[str], bins: int = 8, draws: int = DRAWS
) -> Reliability:
    """How often keypoints of a score are right; scores, right and counted are (N, K), images (N,).

    A score that is a probability lies on the diagonal: of the keypoints with score 0.8, four in five are right.
    """
    edges = np.quantile(scores[counted], np.linspace(0, 1, bins + 1)[1:-1])
    which = np.where(counted, np.searchsorted(edges, scores, side="right"), -1)
    parts = {i: which == i for i in range(bins) if (which == i).any()}
    rates = estimate_rates(right, parts, images, draws)
    return Reliability(
        np.array([scores[part].mean() for part in parts.values()]),
        [rates[i] for i in parts],
        np.array([part.sum() for part in parts.values()]),
    )


def ranking(scores: np.ndarray, right: np.ndarray) -> float:
    """Probability that a right keypoint has a higher score than a wrong one (the area under the ROC curve).

    scores and right are (M,); NaN when all are right or all wrong.
    """
    good = int(right.sum())
    bad = len(right) - good
    if not good or not bad:
        return float("nan")
    return float((rankdata(scores)[right].sum() - good * (good + 1) / 2) / (good * bad))


def calibration(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rising curve that turns scores (M,) into probabilities of being right, fitted to right (M,): for np.interp.

    Isotonic regression (Zadrozny & Elkan, KDD 2002): the best curve that never falls, and no other assumption.
    """
    order = np.argsort(scores, kind="stable")
    fitted = isotonic_regression(right[order].astype(float)).x
    return scores[order], fitted
