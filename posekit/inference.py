"""Predicting from the command: a split into a table, or pictures into annotated pictures and a table."""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from posekit.datasets.dataset import BOX_MARGIN, Sample, decode_image, read_file
from posekit.drawing import draw_pose
from posekit.errors import InputError
from posekit.files import atomic_path
from posekit.geometry import invert, transform_points
from posekit.pipeline import Crop, crop, normalise
from posekit.predictions import Predictions, write_predictions
from posekit.predictors import Predictor, load_predictor, predict_dataset
from posekit.recipes import Recipe
from posekit.splits import open_split


def predict_split(
    model: Path, data: Path, split: str, out: Path, device: str, flip_test: bool | None, images: Path | None
) -> None:
    """Write the predictions table of a data set's split to the csv `out`."""
    predictor = load_predictor(model, device, flip_test=flip_test)
    dataset = open_split(predictor.recipe, data, split, images)
    write_predictions(out, predict_dataset(predictor, dataset))
    print(f"{out}: {len(dataset)} samples")


def predict_pictures(model: Path, pictures: list[Path], out: Path, device: str, flip_test: bool | None) -> None:
    """Write each picture with its keypoints drawn, and predictions.csv, into the folder `out`."""
    if len({path.stem for path in pictures}) < len(pictures):
        raise InputError("two pictures have the same file name; predict them into separate folders")
    predictor = load_predictor(model, device, batch=1, flip_test=flip_test)
    with tqdm(pictures, desc="predict", unit="image", disable=len(pictures) < 2) as bar:
        found = [predict_image(predictor, _read_picture(path)) for path in bar]
    for path, (keypoints, scores) in zip(pictures, found, strict=True):
        drawn = draw_pose(_read_picture(path), keypoints, scores, predictor.recipe.keypoint_skeleton)
        encoded = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1]
        with atomic_path(out / f"{path.stem}.png") as temporary:
            temporary.write_bytes(encoded.tobytes())  # cv2.imwrite would be silent about a full disk
    keypoints, scores = (np.stack(part) for part in zip(*found, strict=True))
    names = [path.name for path in pictures]
    write_predictions(out / "predictions.csv", Predictions(names, keypoints, scores))
    print(f"{out}: {len(pictures)} pictures and predictions.csv")


def _read_picture(path: Path) -> np.ndarray:
    return decode_image(read_file(path), str(path))


def crop_whole(image: np.ndarray, recipe: Recipe) -> Crop:
    """What a network of `recipe` sees of one object that fills the image (H, W, 3) uint8 RGB; without keypoints."""
    size = np.array(image.shape[1::-1], np.float32)
    none = np.zeros((recipe.keypoint_skeleton.num_keypoints, 2), np.float32)
    sample = Sample(image, none, none[:, 0] > 0, size / 2, float(size.max()) * BOX_MARGIN)
    return crop(sample, recipe.input_size, recipe.keypoint_skeleton, None, recipe.intervals)


def predict_image(predictor: Predictor, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (K, 2) in pixels and scores (K,) of one object that fills the image (H, W, 3) uint8 RGB."""
    recipe = predictor.recipe
    cut = crop_whole(image, recipe)
    heatmaps = predictor.tested_heatmaps(normalise(cut.image[None], recipe))
    keypoints, scores = recipe.codec.decode(heatmaps)
    return transform_points(invert(cut.matrix), keypoints[0]), scores[0]
