"""Exercises of lesson 06c, on the errors of a network."""

import math

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _maps(rng: np.random.Generator) -> Cases:
    return [(rng.random((4, 3, 5)).round(3), [1, 0, 2, 3]), (rng.random((5, 4, 4)).round(3), [3, 1, 4, 0, 2])]


def _turned_back(heatmaps, flip_order):
    columns = heatmaps.shape[2]
    back = np.zeros(heatmaps.shape)
    for k, partner in enumerate(flip_order):
        for x in range(columns):
            back[k, :, x] = heatmaps[partner, :, columns - 1 - x]
    return back


def _errors(rng: np.random.Generator) -> Cases:
    """Return four objects that you can check by hand, with 3 misses, 2 of them swaps; and random ones."""
    truth = np.array([[[0.0, 0], [10, 0], [5, 5]]] * 4)  # the first two are partners, the third has none
    found = truth + [[[0.5, 0], [0, 0], [0, 0]]]
    found[1] = truth[1, [1, 0, 2]]  # both swapped
    found[2, 0] = (50, 50)  # missed, not swapped
    found[3, :2] = (10, 0)  # the first is a swap, the second is right
    counted = np.array([[True] * 3, [True, False, True], [True] * 3, [True] * 3])
    return [(truth, found, counted, np.full(4, 10.0), 0.1, [1, 0, 2]), _drawn_errors(rng)]


def _drawn_errors(rng: np.random.Generator):
    order = [2, 3, 0, 1, 4]
    truth = rng.uniform(0, 60, (30, 5, 2))
    near, far = rng.normal(0, 1, truth.shape), rng.uniform(0, 60, truth.shape)
    kind = rng.choice(3, (30, 5), p=[0.5, 0.3, 0.2])[..., None]  # right, swapped, anywhere
    found = np.where(kind == 0, truth + near, np.where(kind == 1, truth[:, order] + near, far))
    return truth, found, rng.random((30, 5)) < 0.8, rng.uniform(20, 60, 30), 0.1, order


def _swaps(truth, found, counted, unit, threshold, flip_order):
    misses = swapped = 0
    for image, limit in enumerate(unit * threshold):
        for k, partner in enumerate(flip_order):
            if counted[image, k] and math.dist(found[image, k], truth[image, k]) > limit:
                misses += 1
                swapped += math.dist(found[image, k], truth[image, partner]) <= limit
    return 100 * swapped / misses


def _masks(truth, found, unit, threshold, flip_order):
    limit = (unit * threshold)[:, None]
    missed = np.linalg.norm(found - truth, axis=2) > limit
    return missed, np.linalg.norm(found - truth[:, flip_order], axis=2) <= limit


def _hidden_too(truth, found, counted, unit, threshold, flip_order):
    missed, at_partner = _masks(truth, found, unit, threshold, flip_order)
    return 100 * (missed & at_partner).sum() / missed.sum()


def _of_counted(truth, found, counted, unit, threshold, flip_order):
    missed, at_partner = _masks(truth, found, unit, threshold, flip_order)
    return 100 * (counted & missed & at_partner).sum() / counted.sum()


def _right_ones_too(truth, found, counted, unit, threshold, flip_order):
    missed, at_partner = _masks(truth, found, unit, threshold, flip_order)
    return 100 * (counted & at_partner).sum() / (counted & missed).sum()


def _in_pixels(truth, found, counted, unit, threshold, flip_order):
    return _swaps(truth, found, counted, np.ones_like(unit), threshold, flip_order)


EXERCISES = (
    Exercise(
        "06c.1",
        "Read a heatmap",
        "predict",
        "place",
        truth=lambda: 21,
        mistakes=(
            Mistake(20, "that is the highest cell, as `none` decodes it; now move towards the higher neighbour"),
            Mistake(19, "you moved towards the lower neighbour: the higher one is on the right, 0.7 against 0.6"),
            Mistake(5.25, "that is in cells; multiply by the 4 pixels that a cell covers"),
            Mistake(22, "you moved by half a cell; `quarter` moves by a quarter"),
        ),
        look="which cell is highest, which of its neighbours is higher, and how many pixels wide is a cell?",
    ),
    Exercise(
        "06c.2",
        "Turn the maps back",
        "code",
        "turned_back",
        _maps,
        _turned_back,
        (
            Mistake(
                lambda m, f: m[..., ::-1],
                "left and right still have each other's maps: use `flip_order`",
            ),
            Mistake(
                lambda m, f: m[f],
                "left and right are exchanged, but the maps are still mirrored: reverse the columns",
            ),
            Mistake(
                lambda m, f: m[f][:, ::-1],
                "that turns the maps upside down: reverse the last axis instead",
            ),
            Mistake(lambda m, f: m[f][:, ::-1, ::-1], "you reversed the rows, too; reverse only the last axis"),
        ),
        look="map k of the result is the map of its partner, `flip_order[k]`, mirrored",
    ),
    Exercise(
        "06c.3",
        "Left/right swaps",
        "code",
        "swaps",
        _errors,
        _swaps,
        (
            Mistake(_hidden_too, "keypoints that don't count are among your misses or swaps; use `counted`"),
            Mistake(_of_counted, "divide by the number of misses, not by that of all counted keypoints"),
            Mistake(
                _right_ones_too,
                "a keypoint can be near both places: a swap must be *missed*, and near its partner's",
            ),
            Mistake(_in_pixels, "the limit is threshold × `unit`, the reference length of each object"),
            Mistake(lambda *a: _swaps(*a) / 100, "that is a share; multiply by 100 for a percentage"),
        ),
        look="the first case has 3 misses, 2 of them swaps; print both masks and compare",
    ),
    Exercise(
        "06c.4",
        "Half the score",
        "predict",
        "what_changes",
        truth=lambda: "c",
        mistakes=(
            Mistake("a", "the ranking doesn't change: the scores keep their order, so every pair is ranked as before"),
            Mistake("b", "the order stays the same, but of the same keypoints a score now says 0.4 instead of 0.8"),
            Mistake("d", "as many keypoints are right as before, but at half the score: the difference changes"),
        ),
        look="which of the two depends only on the order of the scores?",
    ),
    Exercise(
        "06c.5",
        "From failures to a remedy",
        "open",
        rubric=(
            "Sorts at least a dozen failures by causes that you can see in the picture (cut off, covered, left/right "
            "swap, unusual view, wrong label), with a count for each.",
            "Checks one cause with a number from this lesson: kinds of error, a part of the test set, robustness.",
            "Proposes a remedy for the most common cause: which data, which field of the recipe, or which decoding.",
            "Says what to measure to see whether it helped, on which images, and which gain could still be chance.",
            "Names failures that can't be fixed: what isn't in the picture, and labels that contradict each other.",
        ),
    ),
)
