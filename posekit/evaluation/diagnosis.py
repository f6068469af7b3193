"""Kinds of keypoint errors, and how well scores predict whether a keypoint is right.

The kinds follow Ronchi & Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation (ICCV 2017), who
call them jitter, inversion and miss. Their swap, a keypoint of another person, needs labels of several people at once.
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
NEAR = 2.0  # a wrong keypoint within this many thresholds is a near miss


def error_kinds(labels: Labels, points: np.ndarray, skeleton: Skeleton, threshold: float) -> np.ndarray:
    """Classify each keypoint: its index in KINDS, (N, K), or -1 if it doesn't count; points (N, K, 2) in pixels.

    The first kind that fits: *right*, within `threshold` units of its true place; *left/right swapped*, within
    `threshold` of its mirror partner's place; *near miss*, within NEAR thresholds of its place; *hidden*, occluded;
    *missed*, all others.
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
    """Keypoints in bins of equal size, by increasing score."""

    score: np.ndarray  # (B,) mean score of the bin
    rate: list[Estimate]  # right keypoints in percent
    count: np.ndarray  # (B,)

    @property
    def error(self) -> float:
        """The expected calibration error (ECE): mean |score - rate| over all keypoints, in percent."""
        rates = np.array([rate.value for rate in self.rate])
        return float(np.abs(100 * self.score - rates) @ self.count / self.count.sum())


def reliability(
    scores: np.ndarray, right: np.ndarray, counted: np.ndarray, images: Sequence[str], bins: int = 8, draws: int = DRAWS
) -> Reliability:
    """Compute how often keypoints are right, by score; scores, right and counted are (N, K), images (N,).

    If scores are probabilities, score and rate agree: of the keypoints with score 0.8, four in five are right.
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
    """Return the probability that a right keypoint has a higher score than a wrong one: the area under the ROC curve.

    scores and right are (M,); NaN if all are right or all are wrong.
    """
    good = int(right.sum())
    bad = len(right) - good
    if not good or not bad:
        return float("nan")
    return float((rankdata(scores)[right].sum() - good * (good + 1) / 2) / (good * bad))


def sure_score(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the score from which at least half of the keypoints are right, by `calibration`; scores and right (M,).

    0 if they are at every score, and just above the highest score if they are at none.
    """
    x, y = calibration(scores, right)
    likely = np.flatnonzero(y >= 0.5)
    if not len(likely):
        return float(np.nextafter(x[-1], np.inf))
    return float(max(x[likely[0]], 0)) if likely[0] else 0.0


def calibration(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a curve from scores (M,) to the probability of being right, from right (M,); return x and y for np.interp.

    Isotonic regression (Zadrozny & Elkan, KDD 2002): the best-fitting curve that never decreases.
    """
    order = np.argsort(scores, kind="stable")
    fitted = isotonic_regression(right[order].astype(float)).x
    return scores[order], fitted
