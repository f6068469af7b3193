"""A data set in MultiTaskNet's layout whose pictures say themselves what is in them, and a network that reads it.

Each picture is one grey level; the oracle looks that up and answers heatmaps of the keypoints that belong to it.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from posekit.codecs import Codec
from posekit.inference.predictors import Predictor
from posekit.recipes import Recipe, get_recipe
from posekit.skeletons import VEHICLE

TINY: Recipe = replace(get_recipe("poseestnet-tiny"), flip_test=False)
LEVELS = tuple(range(20, 240, 20))  # a picture's grey level: what it shows
NAMES = {level: f"{level:04d}_c001_{level}.png" for level in LEVELS}


def image_size(level: int) -> tuple[int, int]:
    """Width and height of the picture of a level."""
    return 80 + level % 70, 60 + level % 90


def cells(level: int) -> np.ndarray:
    """Keypoints (36, 2) in cells of the 16×16 heatmap: whole cells, so that decoding gives them back exactly."""
    return np.random.default_rng(level).integers(3, 13, (36, 2)).astype(float)


def keypoints(level: int) -> np.ndarray:
    """The same (36, 2) in pixels of the picture, by PAMTRI's box: 1.25 times the longer side about the middle."""
    width, height = image_size(level)
    return (cells(level) / 16 - 0.5) * 1.25 * max(width, height) + np.array([width, height]) / 2


def peaks(level: int) -> np.ndarray:
    """Scores (36,), of three decimals."""
    return np.random.default_rng(level + 1).integers(100, 1000, 36) / 1000


def oracle(batch: int = 4, seen: list[int] | None = None) -> Predictor:
    """A network that answers the keypoints of the pictures above; `seen` collects their levels."""
    recipe = replace(TINY, offset="none")
    codec = Codec(64, 16, 1.5, "exact")

    def run(images: np.ndarray) -> np.ndarray:
        middle = images[:, 0, 32, 32] * recipe.std[0] + recipe.mean[0]
        levels = [min(LEVELS, key=lambda level: abs(level - 255 * value)) for value in middle]
        if seen is not None:
            seen.extend(levels)
        maps = codec.encode(np.stack([cells(level) for level in levels]) * 4, np.ones((len(levels), 36)))[0]
        return maps * np.stack([peaks(level) for level in levels])[..., None, None]

    return Predictor(recipe, VEHICLE, run, batch)


def write_data(folder: Path, rows: dict[str, list[int]]) -> Path:
    """A folder in MultiTaskNet's layout: split → the levels of its rows."""
    for split, levels in rows.items():
        (folder / f"image_{split}").mkdir(parents=True, exist_ok=True)
        for level in set(levels):
            width, height = image_size(level)
            picture = np.full((height, width, 3), level, np.uint8)
            cv2.imwrite(str(folder / f"image_{split}" / NAMES[level]), picture)
        lines = [f"{NAMES[level]},{level},3,5" + ",0,0,1" * 36 + "\n" for level in levels]
        (folder / f"label_{split}.csv").write_text("".join(lines))
    return folder
