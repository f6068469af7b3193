"""Find one object in a picture by the network itself: squares of many sizes and places, then crops around it.

A network of this kind answers wherever it looks; its scores say how well the object fits the square. So the square with
the best scores is a start, and the box around its keypoints a better one, until that no longer moves.
"""

import itertools
from dataclasses import replace

import numpy as np

from posekit.inference.boxes import crop_box, predict_crops, whole
from posekit.inference.predictors import Predictor

SIZES = (1.0, 0.75, 0.55, 0.4, 0.28)  # of the squares' sides, as shares of the picture's longer side
STEP = 0.4  # from one square to the next, as a share of its side
STARTS = 3  # the best squares, from which it is followed
ROUNDS = 5  # at most, until the box settles
SETTLED = 0.9  # intersection over union of two boxes that are the same
AROUND = 1.1  # how much larger than the box around its keypoints an object is


class Search:
    """Finds the object of one picture after the other; in films it begins where the object was."""

    given = False  # nobody said where the object is

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = replace(predictor, recipe=replace(predictor.recipe, flip_test=False))  # half the work
        self.last: np.ndarray | None = None  # (4,) where the object was in the frame before
        self.usual = 0.0  # score of the object when it was last searched for
        self.film = ""

    def take(self, name: str, image: np.ndarray) -> list[np.ndarray]:
        """The box of the object in an image or, named FILM:NUMBER, in a frame, where it is followed."""
        film, _, number = name.rpartition(":")
        follow = number.isdecimal() and film == self.film
        self.film = film
        return [self.find(image, follow)]

    def find(self, image: np.ndarray, follow: bool = False) -> np.ndarray:
        """The box (4,) of the object in an image (H, W, 3): x and y of its top left corner, width, height; in pixels.

        With `follow`, from where it was in the image before, unless its score fell to half.
        """
        if follow and self.last is not None:
            box, score = self._settle(image, self.last)
            if score >= self.usual / 2:
                self.last = box
                return box
        squares = self._squares(image)
        _, scores = self._predict(image, squares)
        starts = np.argsort(-scores.mean(axis=1), kind="stable")[:STARTS]
        found = [self._settle(image, squares[start]) for start in starts]
        self.last, self.usual = max(found, key=lambda it: it[1])
        return self.last

    def _squares(self, image: np.ndarray) -> list[np.ndarray]:
        """Boxes (4,) of every size, evenly over the image; and the whole of it."""
        height, width = image.shape[:2]
        boxes = [whole(image)]
        for share in SIZES:
            side = share * max(height, width)
            places = itertools.product(*(_places(extent - side, STEP * side) for extent in (width, height)))
            boxes += [np.array([x, y, side, side], np.float32) for x, y in places]
        return boxes

    def _predict(self, image: np.ndarray, boxes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        crops = (crop_box(image, box, self.predictor.recipe, self.predictor.skeleton) for box in boxes)
        return predict_crops(self.predictor, crops)

    def _settle(self, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float]:
        """Follow the box around what is found until it stays; the one of the best mean score, and that score."""
        best, best_score = box, -np.inf
        for _ in range(ROUNDS):
            (keypoints,), (scores,) = self._predict(image, [box])
            if scores.mean() > best_score:
                best, best_score = box, float(scores.mean())
            moved = _around(keypoints, scores)
            if moved is None or _overlap(moved, box) > SETTLED:
                break
            box = moved
        return best, best_score


def _places(room: float, step: float) -> np.ndarray:
    """Where squares begin that have so much room, at most a step apart; in the middle where they have none."""
    return np.linspace(0, room, 1 + int(np.ceil(room / step))) if room > 0 else np.array([room / 2])


def _around(keypoints: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """The box (4,) around keypoints (K, 2) that are not far below the best; None if they span nothing."""
    sure = keypoints[scores >= 0.5 * np.quantile(scores, 0.8)]
    low, high = sure.min(axis=0), sure.max(axis=0)
    size = AROUND * (high - low)
    if size.max() < 2:
        return None
    return np.concatenate([(low + high - size) / 2, np.maximum(size, 1)]).astype(np.float32)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,), as the squares that are cut out."""
    sides = max(a[2:]), max(b[2:])
    between = np.abs((a[:2] + a[2:] / 2) - (b[:2] + b[2:] / 2))
    common = np.prod(np.clip((sides[0] + sides[1]) / 2 - between, 0, min(sides)))
    return float(common / (sides[0] ** 2 + sides[1] ** 2 - common))
