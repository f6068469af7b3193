"""The exercise of lesson 00: the mean distance between found and true keypoints."""

import math

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _keypoints(rng: np.random.Generator) -> Cases:
    """Found and true keypoints (K, 2) and visible (K,)."""
    found, true = np.array([[3.0, 4], [0, 0], [7, 1]]), np.array([[0.0, 0], [90, 90], [7, 3]])
    more = rng.uniform(0, 60, (2, 5, 2)).round(1)
    return [(found, true, np.array([True, False, True])), (*more, np.array([False, True, True, False, True]))]


def _distances(found, true):
    return np.array([math.dist(a, b) for a, b in zip(found, true, strict=True)])


def _mean(found, true, visible):
    return sum(d for d, shown in zip(_distances(found, true), visible, strict=True) if shown) / sum(visible)


EXERCISES = (
    Exercise(
        "00.1",
        "Mean error of the visible keypoints",
        "code",
        "mean_error",
        _keypoints,
        _mean,
        (
            Mistake(
                lambda f, t, v: _distances(f, t).mean(),
                "hidden keypoints are counted too: first select the visible rows with found[visible] and true[visible]",
            ),
            Mistake(
                lambda f, t, v: np.abs(f[v] - t[v]).sum(axis=1).mean(),
                "this adds |x| and |y|; the distance is the square root of the sum of squares",
            ),
            Mistake(
                lambda f, t, v: (_distances(f, t)[v] ** 2).mean(),
                "these are squared distances: take the square root before the mean",
            ),
            Mistake(
                lambda f, t, v: _distances(f, t)[v].sum(),
                "this is the sum: divide it by the number of visible keypoints",
            ),
            Mistake(
                lambda f, t, v: _distances(f, t)[v],
                "this is one distance per keypoint: return their mean",
            ),
        ),
        look="print the distances in your function; in the first case, the visible keypoints are 5 and 2 pixels off",
    ),
)
