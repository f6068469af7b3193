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
    """Four objects that can be done by hand: 3 misses, 2 of them mix-ups; and drawn ones."""
    truth = np.array([[[0.0, 0], [10, 0], [5, 5]]] * 4)  # the first two are partners, the third has none
    found = truth + [[[0.5, 0], [0, 0], [0, 0]]]
    found[1] = truth[1, [1, 0, 2]]  # both exchanged
    found[2, 0] = (50, 50)  # missed, no mix-up
    found[3, :2] = (10, 0)  # the first is a mix-up, the second is right
    counted = np.array([[True] * 3, [True, False, True], [True] * 3, [True] * 3])
    return [(truth, found, counted, np.full(4, 10.0), 0.1, [1, 0, 2]), _drawn_errors(rng)]


def _drawn_errors(rng: np.random.Generator):
    order = [2, 3, 0, 1, 4]
    truth = rng.uniform(0, 60, (30, 5, 2))
    near, far = rng.normal(0, 1, truth.shape), rng.uniform(0, 60, truth.shape)
    kind = rng.choice(3, (30, 5), p=[0.5, 0.3, 0.2])[..., None]  # right, mix-up, anywhere
    found = np.where(kind == 0, truth + near, np.where(kind == 1, truth[:, order] + near, far))
    return truth, found, rng.random((30, 5)) < 0.8, rng.uniform(20, 60, 30), 0.1, order


def _mix_ups(truth, found, counted, unit, threshold, flip_order):
    misses = mixed = 0
    for image, limit in enumerate(unit * threshold):
        for k, partner in enumerate(flip_order):
            if counted[image, k] and math.dist(found[image, k], truth[image, k]) > limit:
                misses += 1
                mixed += math.dist(found[image, k], truth[image, partner]) <= limit
    return 100 * mixed / misses


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
    return _mix_ups(truth, found, counted, np.ones_like(unit), threshold, flip_order)


EXERCISES = (
    Exercise(
        "06c.1",
        "Read a heatmap",
        "predict",
        "place",
        truth=lambda: 21,
        mistakes=(
            Mistake(20, "that is the highest cell alone, as `none` reads it"),
            Mistake(19, "towards the *higher* neighbour: 0.7 on the right, 0.6 on the left"),
            Mistake(5.25, "that is in cells; a cell covers 4 pixels of the crop"),
            Mistake(22, "a quarter of a cell, not half of one"),
        ),
        look="which cell is highest, which of its neighbours is higher, and how many pixels is a cell?",
    ),
    Exercise(
        "06c.2",
        "Turn the maps back",
        "code",
        "turned_back",
        _maps,
        _turned_back,
        (
            Mistake(lambda m, f: m[..., ::-1], "mirrored, but what was left is still called right: use `flip_order`"),
            Mistake(
                lambda m, f: m[f],
                "left and right are exchanged, but the maps are still mirrored: turn the columns",
            ),
            Mistake(lambda m, f: m[f][:, ::-1], "that turns the maps upside down: columns are the last axis"),
            Mistake(lambda m, f: m[f][:, ::-1, ::-1], "rows must stay as they are: turn only the last axis around"),
        ),
        look="map k of the result is the mirrored map of its partner, `flip_order[k]`",
    ),
    Exercise(
        "06c.3",
        "Mix-ups of left and right",
        "code",
        "mix_ups",
        _errors,
        _mix_ups,
        (
            Mistake(_hidden_too, "hidden keypoints must not count, neither as misses nor as mix-ups"),
            Mistake(_of_counted, "divide by the number of misses, not by that of all counted keypoints"),
            Mistake(
                _right_ones_too, "a keypoint can be near both places: a mix-up must be *missed* and near its partner's"
            ),
            Mistake(_in_pixels, "the limit is threshold × reference length, `unit`, of each object"),
            Mistake(lambda *a: _mix_ups(*a) / 100, "that is a share; multiply by 100"),
        ),
        look="the first case has 3 misses, 2 of them mix-ups; print both masks and compare",
    ),
    Exercise(
        "06c.4",
        "Half the score",
        "predict",
        "what_changes",
        truth=lambda: "c",
        mistakes=(
            Mistake("a", "the order of the scores stays, so every pair is ranked as before"),
            Mistake("b", "the order stays, and 0.8 now says 0.4 about the same keypoints"),
            Mistake("d", "the same keypoints are right; what a score of 0.4 claims about them isn't the same"),
        ),
        look="which of the two depends on the order of the scores alone?",
    ),
    Exercise(
        "06c.5",
        "From failures to a remedy",
        "open",
        rubric=(
            "Sorts at least a dozen failures into causes that can be seen in the picture (cut off, covered, left and "
            "right, unusual view, a label that is wrong), with a count for each.",
            "Checks one cause with a number of this lesson: kinds of error, a part of the test set, robustness.",
            "Proposes a remedy for the commonest cause: which data, which recipe field, or which reading.",
            "Says what one would measure to see whether it helped, on which images, and which gain would be chance.",
            "Names failures that can't be mended: what isn't in the picture, and labels that disagree.",
        ),
    ),
)
