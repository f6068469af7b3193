"""Exercises of lesson 01, on data: mirroring, heatmaps, crops."""

import math

import numpy as np

from posekit.course.exercises.spec import Cases, Exercise, Mistake


def _labels(rng: np.random.Generator) -> Cases:
    """Keypoints (K, 2), visible (K,), an image's width and flip pairs."""
    first = np.array([[0.0, 5], [4, 6], [9, 7]]), np.array([True, True, False]), 10, [[0, 2]]
    width = int(rng.integers(50, 90))
    visible = np.array([True, False, True, False, True])
    return [first, (rng.uniform(0, width - 1, (5, 2)).round(1), visible, width, [[3, 0], [2, 1]])]


def _mirrored(keypoints, visible, width, pairs):
    partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    rows = [partner.get(k, k) for k in range(len(keypoints))]
    return np.array([[width - 1 - keypoints[k][0], keypoints[k][1]] for k in rows]), np.array(
        [visible[k] for k in rows]
    )


def _moved(keypoints, width):
    return np.stack([width - 1 - keypoints[:, 0], keypoints[:, 1]], axis=1)


def _views_swapped(keypoints, visible, width, pairs):
    moved = _moved(keypoints, width)
    for a, b in pairs:
        moved[a], moved[b] = moved[b], moved[a]
    return moved, _mirrored(keypoints, visible, width, pairs)[1]


def _places(rng: np.random.Generator) -> Cases:
    """x, y in cells, the number of cells and sigma."""
    x, y = rng.uniform(4, 9, 2).round(2)
    return [(5, 2, 8, 1.0), (7.3, 15.0, 24, 2.0), (float(x), float(y), 16, 1.5)]


def _gaussian(x, y, cells, sigma):
    square = [[(column - x) ** 2 + (row - y) ** 2 for column in range(cells)] for row in range(cells)]
    return np.array([[math.exp(-value / (2 * sigma * sigma)) for value in row] for row in square])


def _boxes(rng: np.random.Generator) -> Cases:
    """Keypoints (K, 2) in image pixels, the box's centre (2,) and side, the input's side."""
    first = np.array([[100.0, 50], [60, 90]]), np.array([100.0, 50]), 80.0, 256
    return [first, (rng.uniform(0, 300, (3, 2)).round(1), rng.uniform(90, 200, 2).round(1), 160.0, 96)]


def _in_input(keypoints, center, box_size, input_size):
    corner = [middle - box_size / 2 for middle in center]  # the box's top left
    share = [[(value - low) / box_size for value, low in zip(point, corner, strict=True)] for point in keypoints]
    return np.array(share) * input_size


_MIRROR = Exercise(
    "01.2",
    "Mirror the labels",
    "code",
    "mirror",
    _labels,
    _mirrored,
    (
        Mistake(
            lambda k, v, w, p: _mirrored(k, v, w + 1, p),
            "column 0 of 10 becomes column 9, not 10: x → width - 1 - x",
        ),
        Mistake(
            lambda k, v, w, p: (_moved(k, w), v),
            "the points are moved, but the two rows of each pair must also change places: left is now right",
        ),
        Mistake(
            lambda k, v, w, p: (_mirrored(k, v, w, p)[0], v),
            "the keypoints are right; exchange `visible` in the same way",
        ),
        Mistake(
            _views_swapped,
            "`k[a], k[b] = k[b], k[a]` copies one row over the other, as rows of an array are views; "
            "`k[[a, b]] = k[[b, a]]` exchanges them",
        ),
    ),
    look="try it on paper with two points, one pair and an image 10 pixels wide",
)

_HEATMAP = Exercise(
    "01.3",
    "Draw a heatmap",
    "code",
    "heatmap",
    _places,
    _gaussian,
    (
        Mistake(
            lambda x, y, n, s: _gaussian(y, x, n, s),
            "x and y are exchanged: an array's first index is the row, which is y",
        ),
        Mistake(
            lambda x, y, n, s: _gaussian(round(x), round(y), n, s),
            "your peak is on a whole cell: don't round x and y, only the cells have whole coordinates",
        ),
        Mistake(lambda x, y, n, s: _gaussian(x, y, n, s / math.sqrt(2)), "too narrow: divide d² by 2σ², not by σ²"),
        Mistake(
            lambda x, y, n, s: _gaussian(x, y, n, s) / (2 * math.pi * s * s),
            "the peak should be 1: a target isn't a probability density, so don't multiply exp by a factor",
        ),
        Mistake(
            lambda x, y, n, s: np.exp(-np.sqrt(-2 * s * s * np.log(_gaussian(x, y, n, s))) / (2 * s * s)),
            "d must be squared: (column - x)² + (row - y)² is already d², so don't take its root",
        ),
    ),
    look="look at the numbers: `pd.DataFrame(heatmap(3, 2, 8, 1)).round(2)`",
)

_TO_INPUT = Exercise(
    "01.4",
    "From the image to the input",
    "code",
    "to_input",
    _boxes,
    _in_input,
    (
        Mistake(
            lambda k, c, b, n: (k - c) * n / b,
            "your box's centre comes to (0, 0); it should come to the middle of the input",
        ),
        Mistake(
            lambda k, c, b, n: (k - c) * b / n + n / 2,
            "the scale is upside down: a box of 80 pixels is enlarged to an input of 256, × 256 / 80",
        ),
        Mistake(
            lambda k, c, b, n: k * n / b,
            "the scale is right; subtract the box's center before scaling",
        ),
        Mistake(
            lambda k, c, b, n: (k - c) * n / b + b / 2,
            "add half of the *input* at the end: after scaling, lengths are in input pixels",
        ),
    ),
    look="the box's centre must become (input_size / 2, input_size / 2), its top left corner (0, 0)",
)

EXERCISES = (
    Exercise(
        "01.1",
        "How far off is the brightest cell?",
        "predict",
        "mean_error",
        truth=lambda: 4 * (math.sqrt(2) + math.asinh(1)) / 6,  # of a point to the middle of a square with side 4
        mistakes=(
            Mistake(0.38, "that is in cells; a cell is 4 input pixels wide"),
            Mistake(1.0, "that is the mean along one axis; the error has both an x and a y"),
            Mistake(math.sqrt(2), "that combines the mean errors in x and y; the mean distance is a little more"),
            Mistake(2.0, "that is the largest error along one axis; the question is about the mean distance"),
            Mistake(2 * math.sqrt(2), "that is the largest distance, from a cell's middle to its corner"),
        ),
        tolerance=0.03,
        look="draw a cell of 4 × 4 pixels; how far is a point in it from the middle, on average?",
    ),
    _MIRROR,
    _HEATMAP,
    _TO_INPUT,
    Exercise(
        "01.5",
        "Three hard images",
        "open",
        rubric=(
            "names three images by row or name, and they differ in *what* makes them hard",
            "gives the cause as something the labels or pixels show: few visible keypoints, size, blur, light, "
            "direction, something in front",
            "says for each how often such images occur, from a picture of sections 4, 5 or 10, not from memory",
            "proposes a change of the data or the augmentation that would help, and says how to measure whether it did",
        ),
    ),
)
