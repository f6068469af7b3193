"""Predict keypoints in boxes: crop each box, run the network, map the keypoints back to the image."""

import numpy as np

from posekit.codecs import image_keypoints
from posekit.datasets.dataset import BOX_MARGIN, Sample
from posekit.datasets.pipeline import Crop, crop, normalise
from posekit.inference.predictors import Predictor
from posekit.recipes import Recipe
from posekit.skeletons import Skeleton


def whole(image: np.ndarray) -> np.ndarray:
    """Return the box (4,) of the whole image (H, W, 3): x and y of its top left corner, width, height; in pixels."""
    return np.array([0, 0, *image.shape[1::-1]], np.float32)


def crop_box(image: np.ndarray, box: np.ndarray, recipe: Recipe, skeleton: Skeleton) -> Crop:
    """Crop a box (4,) out of an image (H, W, 3) uint8 RGB as network input for `recipe`; the crop has no labels."""
    none = np.zeros((skeleton.num_keypoints, 2), np.float32)
    corner, size = box[:2], box[2:]
    side = float(size.max()) * BOX_MARGIN
    return crop(Sample(image, none, none[:, 0] > 0, corner + size / 2, side, skeleton), recipe)


def predict_crops(predictor: Predictor, crops: list[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """Predict keypoints (N, K, 2), in pixels of the images that the crops were cut from, and scores (N, K)."""
    recipe = predictor.recipe
    heatmaps = predictor.tested_heatmaps(normalise(np.stack([cut.image for cut in crops]), recipe))
    return image_keypoints(recipe.codec, heatmaps, np.stack([cut.matrix for cut in crops]))
