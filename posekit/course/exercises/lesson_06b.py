"""Exercises of lesson 06b, on published numbers."""

import math

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _predictions(rng: np.random.Generator) -> Cases:
    return [_drawn(rng, images) for images in (100, 64)]


def _drawn(rng: np.random.Generator, images: int):
    truth = rng.uniform(20, 80, (images, 6, 2))  # (N, K, 2) pixels
    found = truth + rng.normal(0, 1.5, truth.shape)
    return truth, found, rng.uniform(0.5, 1, (images, 6)), rng.random((images, 6)) < 0.7


def _published(truth, found, scores, visible, third=True, limit=None, counted=None):
    right = total = 0
    limit = math.sqrt(len(truth)) / 8 if limit is None else limit
    for image in range(truth.shape[0]):
        for k in range(truth.shape[1]):
            if counted is None and not visible[image, k]:
                continue
            away = [*(found[image, k] - truth[image, k]), scores[image, k] - visible[image, k] if third else 0]
            total += 1
            right += math.hypot(*away) <= limit
    return 100 * right / total


def _places(rng: np.random.Generator) -> Cases:
    return [
        (np.array([[3.0, 4.0], [3.25, 4.25], [2.6875, 7.3125], [1.75, 5.9375]]), 0.4),
        (rng.random((60, 2)) * 24, 0.3),
    ]


def _ceiling(places, limit):
    right = 0
    for x, y in places:
        right += math.hypot(x - math.floor(x + 0.5), y - math.floor(y + 0.5)) <= limit
    return 100 * right / len(places)


def _nearer(places, limit, cell=np.rint):
    return 100 * float((np.linalg.norm(places - cell(places), axis=1) <= limit).mean())


EXERCISES = (
    Exercise(
        "06b.1",
        "The ceiling, by hand",
        "predict",
        "found_by_rounding",
        truth=lambda: 100 * math.pi / 4,
        mistakes=(
            Mistake(
                100,
                "that holds along one axis, but a *corner* of the cell is 0.71 cells away from its centre",
            ),
            Mistake(50, "compare areas: how much of the cell is within half a cell of its centre?"),
            Mistake(70.7, "0.707 cells is how far a corner is from the centre; compare areas, not lengths"),
        ),
        tolerance=0.005,
        look="draw a cell and, around its centre, a circle with a radius of half a cell",
    ),
    Exercise(
        "06b.2",
        "Round, then score",
        "code",
        "ceiling",
        _places,
        _ceiling,
        (
            Mistake(
                lambda p, t: _nearer(p, t, np.floor),
                "round to find the nearest cell; `astype(int)` cuts off the decimals",
            ),
            Mistake(
                lambda p, t: 100 * (np.abs(p - np.rint(p)).max(axis=1) <= t).mean(),
                "x and y may each be within the limit and the distance not: take the root of the sum of squares",
            ),
            Mistake(
                lambda p, t: 100 * (np.abs(p - np.rint(p)) <= t).mean(),
                "you count x and y as two keypoints: compute one distance for each row",
            ),
            Mistake(lambda p, t: _nearer(p, t) / 100, "that is a share of 1; multiply by 100"),
            Mistake(lambda p, t: 100 - _nearer(p, t), "that is the percentage that is lost; return the rest"),
        ),
        look="compute the first case by hand: of its four keypoints, all but the third are within 0.4 cells",
    ),
    Exercise(
        "06b.3",
        "A quarter of the images",
        "predict",
        "pixels_of_256",
        truth=lambda: 2,
        mistakes=(
            Mistake(4, "that is the threshold with all 1,024 images"),
            Mistake(1, "a quarter of the images halves the root: √256 is 16"),
            Mistake(32, "that is an eighth of the number of images; take its *root* first"),
        ),
        look="√256 is 16",
    ),
    Exercise(
        "06b.4",
        "An evaluator with two quirks",
        "code",
        "published_pck",
        _predictions,
        _published,
        (
            Mistake(
                lambda t, f, s, v: _published(t, f, s, v, third=False),
                "that is the distance in x and y; this evaluator adds a third coordinate, score − visible",
            ),
            Mistake(
                lambda t, f, s, v: _published(t, f, s + v, v),
                "the third coordinate is the score *minus* visibility, which is 1 here",
            ),
            Mistake(
                lambda t, f, s, v: _published(t, f, s, v, limit=len(t) / 8),
                "the threshold is an eighth of the *root* of the number of images",
            ),
            Mistake(
                lambda t, f, s, v: _published(t, f, s, v, limit=math.sqrt(v.size) / 8),
                "N is the number of images, `len(truth)`, not that of keypoints",
            ),
            Mistake(
                lambda t, f, s, v: _published(t, f, s, v, counted="all"),
                "hidden keypoints don't count: select by `visible`",
            ),
            Mistake(lambda t, f, s, v: _published(t, f, s, v) / 100, "that is a share of 1; multiply by 100"),
        ),
        look="with N = 100 the threshold is 1.25 pixels",
    ),
    Exercise(
        "06b.5",
        "Can these be compared?",
        "open",
        rubric=(
            "Names for both figures: the threshold, the reference length, which keypoints count, how they are "
            "averaged, the images and their split, and how the checkpoint was chosen.",
            "Says for each whether it is in the text, in the code or nowhere, and where exactly.",
            "Finds at least one difference, or shows that there is none; says how it changes the figure, up or down.",
            "Gives the ceiling of the stricter figure, or says how one would compute it.",
            "Ends with a sentence that could be published: comparable, comparable after a change, or not comparable.",
        ),
    ),
)
