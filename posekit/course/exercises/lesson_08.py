"""Exercises of lesson 08, on segments and what a score is worth."""

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _quads(rng: np.random.Generator) -> Cases:
    square = np.array([(0, 0), (8, 0), (8, 8), (0, 8)])
    arrowhead, straight = np.array([(0, 0), (8, 0), (2, 2), (0, 8)]), np.array([(0, 0), (4, 0), (8, 0), (4, 8)])
    known = [square, square[::-1], square[[0, 2, 1, 3]], arrowhead, arrowhead[[2, 3, 0, 1]], straight]
    return [(quad.copy(),) for quad in known] + [(rng.integers(0, 40, (4, 2)),) for _ in range(30)]


def _convex(corners):
    """Whether the diagonals cross inside both."""
    a, b, c, d = corners.astype(int)
    return _apart(a, c, b, d) and _apart(b, d, a, c)


def _apart(start, end, one, other):
    """Whether the two points are on different sides of the line."""
    (x, y), sides = end - start, []
    for point in (one, other):
        sides.append(x * (point[1] - start[1]) - y * (point[0] - start[0]))
    return bool(sides[0] * sides[1] < 0)


def _turns(corners):
    edges = np.roll(corners, -1, axis=0) - corners
    following = np.roll(edges, -1, axis=0)
    return edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]  # (4,)


def _curves(rng: np.random.Generator) -> Cases:
    kept = np.sort(rng.choice(100, 21, replace=False))[::-1].astype(float)
    known = (np.array([0, 0.2, 0.4, 0.6]), np.array([95.0, 90, 70, 10]), 70)
    return [known, (np.linspace(0, 1, 21), kept, float(kept[12]) - 0.5), (np.linspace(0, 1, 21), kept, float(kept[7]))]


def _highest(grid, kept, share):
    best = None
    for threshold, percent in zip(grid, kept, strict=True):
        if percent >= share:
            best = float(threshold)
    return best


EXERCISES = (
    Exercise(
        "08.1",
        "Which way do you turn?",
        "predict",
        "turn",
        truth=lambda: "a",
        mistakes=(
            Mistake("b", "that is right if y points up; in a picture y points *down*: sketch the three points"),
            Mistake("c", "the cross product is 64, not 0, so you do turn"),
        ),
        look="sketch the three points, with y pointing down",
    ),
    Exercise(
        "08.2",
        "A convex quad",
        "code",
        "convex_quad",
        _quads,
        _convex,
        (
            Mistake(
                lambda c: bool((_turns(c) > 0).all()),
                "this accepts only clockwise quads; counter-clockwise ones are convex, too",
            ),
            Mistake(
                lambda c: bool((_turns(c) < 0).all()),
                "this accepts only counter-clockwise quads; clockwise ones are convex, too",
            ),
            Mistake(
                lambda c: bool((_turns(c) >= 0).all() or (_turns(c) <= 0).all()),
                "a quad with a corner on a straight line doesn't count as convex: use > and <, not >= and <=",
            ),
            Mistake(
                lambda c: bool((_turns(c)[:3] > 0).all() or (_turns(c)[:3] < 0).all()),
                "that checks three turns; the fourth is from the last edge to the first",
            ),
            Mistake(
                lambda c: bool(_turns(c).sum() != 0),
                "the sum can hide a turn the other way: look at the sign of each turn",
            ),
            Mistake(
                lambda c: bool((_turns(c) == _turns(c)[0]).all()), "compare the signs of the turns, not their values"
            ),
        ),
        look="print the four cross products of this quad",
    ),
    Exercise(
        "08.3",
        "After the power cut",
        "predict",
        "left_to_compute",
        truth=lambda: 24,
        mistakes=(
            Mistake(56, "images that are complete on disk aren't computed again"),
            Mistake(8, "`test` isn't complete: its third batch hadn't been written when the power failed"),
            Mistake(16, "that is what is missing in `test`; `query` hadn't been started"),
            Mistake(40, "two batches of 16 were complete, not one"),
        ),
        look="what had been written when the power failed?",
    ),
    Exercise(
        "08.4",
        "The highest threshold",
        "code",
        "highest_threshold",
        _curves,
        _highest,
        (
            Mistake(lambda g, k, s: float(g[k > s].max()), "at least 70 % includes 70 % itself: use >="),
            Mistake(lambda g, k, s: float(g[k >= s].min()), "that is the lowest such threshold; take the highest"),
            Mistake(
                lambda g, k, s: int(np.flatnonzero(k >= s)[-1]),
                "that is the index of the threshold in `grid`: return its value",
            ),
            Mistake(
                lambda g, k, s: float(g[k <= s].min()),
                "that one may keep too few: it must keep at least `share` percent",
            ),
            Mistake(lambda g, k, s: float(k[k >= s].min()), "that is the percentage kept: return the threshold"),
        ),
        look="the first case gives 0.4",
    ),
    Exercise(
        "08.5",
        "Make the score mean visibility",
        "open",
        rubric=(
            "States a question and a guess before the training: what will `supervise_missing=true` do to the scores of "
            "visible keypoints, and to those of hidden ones?",
            "Changes only this field, and trains both networks with the same seed for the same number of epochs.",
            "Compares the two networks with the numbers of section 5: how often the visible keypoint of a pair scores "
            "higher, and the curves of the gate with and without the turn.",
            "Says what it costs: PCK of the visible keypoints, with its interval.",
            "Says which of the two gates to use with the second network, and why.",
        ),
    ),
)
