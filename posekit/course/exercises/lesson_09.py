"""Exercises of lesson 09, on keypoints of one's own."""

import math

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _pictures(rng: np.random.Generator) -> Cases:
    by_hand = (
        np.array([[0.9, 0.7], [0.1, 0.2], [0.4, 0.6], [0.3, 0.1], [0.8, 0.9]]),
        np.array([False, True, *[False] * 3]),
    )
    return [(*by_hand, 2), (rng.random((20, 4)), rng.random(20) < 0.4, 5)]


def _next(scores, labelled, count):
    means = [(sum(row) / len(row), number) for number, row in enumerate(scores.tolist()) if not labelled[number]]
    return [number for _, number in sorted(means)[:count]]


def _objects(rng: np.random.Generator) -> Cases:
    truth, found = np.array([[10.0, 10], [20, 10], [0, 0]]), np.array([[13.0, 14], [20, 10], [50, 50]])
    by_hand = truth, found, np.array([True, True, False]), 400.0, np.array([0.1, 0.2, 0.1])
    truth = rng.uniform(0, 100, (6, 2))
    drawn = truth + rng.normal(0, 5, truth.shape), np.array([True] * 4 + [False] * 2)
    return [by_hand, (truth, *drawn, float(rng.uniform(900, 4000)), rng.uniform(0.05, 0.2, 6))]


def _oks(truth, found, labelled, area, k):
    total = 0.0
    for here, there, constant in zip(truth[labelled], found[labelled], k[labelled], strict=True):
        total += math.exp(-(math.dist(here, there) ** 2) / (2 * area * constant**2))
    return total / int(labelled.sum())


def _squared(truth, found):
    return ((truth - found) ** 2).sum(axis=1)  # d², (K,)


EXERCISES = (
    Exercise(
        "09.1",
        "Count the pairs",
        "predict",
        "pairs",
        truth=lambda: 2,
        mistakes=(
            Mistake(3, "a mirror doesn't exchange top and bottom: the handle has no partner"),
            Mistake(6, "that is the number of keypoints; how many of them change places in a mirror?"),
            Mistake(4, "that many keypoints have a partner; two of them make one pair"),
            Mistake(1, "the rim and the base each have a left and a right end"),
        ),
        look="which keypoints change places in a mirror?",
    ),
    Exercise(
        "09.2",
        "What to label next",
        "code",
        "next_to_label",
        _pictures,
        _next,
        (
            Mistake(
                lambda s, d, n: np.argsort(s.mean(1))[:n], "some of those are labelled already: leave them out first"
            ),
            Mistake(
                lambda s, d, n: np.argsort(s[~d].mean(1))[:n],
                "these number the *remaining* pictures: turn them into rows of `scores` (`np.flatnonzero(~labelled)`)",
            ),
            Mistake(
                lambda s, d, n: np.flatnonzero(~d)[np.argsort(-s[~d].mean(1))[:n]],
                "these are the surest pictures; return the least sure ones",
            ),
            Mistake(
                lambda s, d, n: np.flatnonzero(~d)[np.argsort(s[~d].min(1))[:n]],
                "this sorts by the worst keypoint; take the mean of all",
            ),
            Mistake(
                lambda s, d, n: np.sort(np.flatnonzero(~d)[np.argsort(s[~d].mean(1))[:n]]),
                "these are the right pictures, in the wrong order: the least sure comes first",
            ),
        ),
        look="the first case gives rows 3 and 2",
    ),
    Exercise(
        "09.3",
        "One constant away",
        "predict",
        "similarity",
        truth=lambda: math.exp(-0.5),
        mistakes=(
            Mistake(math.exp(-1), "the 2 in 2 s² k² is missing"),
            Mistake(0.5, "the similarity falls like a Gaussian, not along a straight line"),
            Mistake(1, "that is for a keypoint that is exactly right, with d = 0"),
            Mistake(0, "no distance gives exactly 0; put d = s·k into the formula"),
        ),
        tolerance=0.005,
        look="put d = s·k into the formula",
    ),
    Exercise(
        "09.4",
        "OKS",
        "code",
        "oks",
        _objects,
        _oks,
        (
            Mistake(
                lambda t, f, v, a, k: np.exp(-_squared(t, f) / (2 * a * k**2)).mean(),
                "keypoints that aren't labelled don't count",
            ),
            Mistake(
                lambda t, f, v, a, k: np.exp(-np.sqrt(_squared(t, f)) / (2 * a * k))[v].mean(),
                "d is squared, and so is k",
            ),
            Mistake(
                lambda t, f, v, a, k: np.exp(-_squared(t, f) / (2 * a**2 * k**2))[v].mean(), "s² is the area itself"
            ),
            Mistake(
                lambda t, f, v, a, k: np.exp(-_squared(t, f) / (a * k**2))[v].mean(), "the 2 in 2 s² k² is missing"
            ),
            Mistake(
                lambda t, f, v, a, k: np.exp(-_squared(t, f) / (2 * a * k**2))[v].sum(),
                "OKS is the mean over the labelled keypoints, not the sum",
            ),
        ),
        look="what is d for the first keypoint?",
    ),
    Exercise(
        "09.5",
        "Keypoints for your own object",
        "open",
        rubric=(
            "Has six to ten names, each with one sentence that lets somebody else click the same place.",
            'Avoids places such as "the middle of the side"; names left and right so that posekit finds the pairs.',
            "Says what to do when a keypoint is covered, outside the picture, or can't be told from its partner.",
            "Has a dozen labelled pictures, three of them labelled twice, with the mean distance between both labels.",
            "Compares that distance with the network's error, and doesn't expect the network to be better.",
        ),
    ),
)
