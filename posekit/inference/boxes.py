"""From a network and its data to keypoints in pixels: a data set's split, or boxes in an image."""

from pathlib import Path

import numpy as np

from posekit.datasets.dataset import BOX_MARGIN, Sample
from posekit.geometry import invert, transform_points
from posekit.datasets.pipeline import Crop, crop, normalise
from posekit.predictions import write_predictions
from posekit.inference.predictors import Predictor, predict_dataset
from posekit.recipes import Recipe
from posekit.layouts import open_split


def predict_split(predictor: Predictor, data: Path, split: str, out: Path, images: Path | None) -> None:
    """Write the predictions table of a data set's split to the csv `out`."""
    dataset = open_split(predictor.recipe, data, split, images)
    write_predictions(out, predict_dataset(predictor, dataset))
    print(f"{out}: {len(dataset)} samples")


def whole(image: np.ndarray) -> np.ndarray:
    """The box (4,) of an object that fills the image (H, W, 3): x, y of its corner, width and height in pixels."""
    return np.array([0, 0, *image.shape[1::-1]], np.float32)


def crop_box(image: np.ndarray, box: np.ndarray, recipe: Recipe) -> Crop:
    """What a network of `recipe` sees of the object in a box (4,) of the image (H, W, 3) uint8 RGB; no keypoints."""
    none = np.zeros((recipe.keypoint_skeleton.num_keypoints, 2), np.float32)
    corner, size = box[:2], box[2:]
    sample = Sample(image, none, none[:, 0] > 0, corner + size / 2, float(size.max()) * BOX_MARGIN)
    return crop(sample, recipe.input_size, recipe.keypoint_skeleton, None, recipe.intervals)


def crop_whole(image: np.ndarray, recipe: Recipe) -> Crop:
    """What a network of `recipe` sees of one object that fills the image (H, W, 3) uint8 RGB; without keypoints."""
    return crop_box(image, whole(image), recipe)


def predict_crops(predictor: Predictor, crops: list[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, K, 2) in pixels of the images that the crops are of, and scores (N, K)."""
    recipe = predictor.recipe
    heatmaps = predictor.tested_heatmaps(normalise(np.stack([cut.image for cut in crops]), recipe))
    keypoints, scores = recipe.codec.decode(heatmaps)
    return transform_points(invert(np.stack([cut.matrix for cut in crops])), keypoints), scores
