"""Pictures of a bright square, and a network that finds its corners; for tests of the widget for one's own picture."""

from dataclasses import replace

import numpy as np

from posekit.datasets.dataset import Sample
from posekit.inference.predictors import Predictor
from posekit.recipes import get_recipe
from posekit.skeletons import make_skeleton

SIZE = (320, 240)  # of a picture, width and height
RECIPE = replace(
    get_recipe("hourglass-tiny"), flip_test=False, trained_on="drawings", sure=0.5
)  # 64 pixels in, 16 cells out
CORNERS = make_skeleton("square", ["top_left", "top_right", "bottom_left", "bottom_right"])
SCORES = (0.9, 0.8, 0.7, 0.1)


def find_corners(images: np.ndarray) -> np.ndarray:
    """Heatmaps (N, 4, 16, 16) with a peak of SCORES in each corner of what is bright; 0 where nothing is."""
    maps = np.zeros((len(images), 4, 16, 16), np.float32)
    for image, found in zip(images, maps, strict=True):
        ys, xs = np.nonzero(image[0] > 0.7)
        if len(xs):
            places = ((x, y) for y in (ys.min(), ys.max()) for x in (xs.min(), xs.max()))
            for k, (x, y) in enumerate(places):
                found[k, min(15, round(y / 4)), min(15, round(x / 4))] = SCORES[k]
    return maps


PREDICTOR = Predictor(RECIPE, CORNERS, find_corners, 4)


def square(x: int, y: int, side: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 60, np.uint8)
    image[y : y + side, x : x + side] = 255
    return image


def first_sample() -> Sample:
    """A square of 60 pixels whose corner is at (100, 80); its box is from (90, 70) to (170, 150)."""
    none = np.zeros((4, 2), np.float32)
    return Sample(square(100, 80, 60), none, none[:, 0] > 0, np.array([130, 110], np.float32), 80 * 1.25, CORNERS)
