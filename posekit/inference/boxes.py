"""Predict keypoints in boxes: crop each box, run the network, map the keypoints back to the image."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from posekit.bounds import COCO_BYTES, LARGEST_SIDE
from posekit.codecs import image_keypoints
from posekit.datasets.dataset import BOX_MARGIN, Sample
from posekit.datasets.pipeline import Crop, crop, normalise
from posekit.errors import InputError, in_words, shortened
from posekit.files import read_json
from posekit.filetypes import wrong_kind
from posekit.inference.predictors import Predictor
from posekit.recipes import Recipe
from posekit.skeletons import Skeleton
from posekit.tables import line_of, read_named_numbers

_HEADER = ({"name", "image", "file", "file_name"}, {"x", "left"}, {"y", "top"}, {"width", "w"}, {"height", "h"})
AT_ONCE = 16  # batches of crops in memory; an image may have thousands of boxes


class Places(Protocol):
    """Where the objects of an image are."""

    given: bool  # whether somebody said so

    def take(self, name: str, image: np.ndarray) -> list[np.ndarray]:
        """The boxes (4,) in an image (H, W, 3), which is asked for once: left, top, width and height in pixels."""
        ...


class Whole:
    """The whole of each image is one object."""

    given = False

    def take(self, name: str, image: np.ndarray) -> list[np.ndarray]:
        """The box (4,) of the whole image."""
        return [whole(image)]


class Boxes:
    """Boxes from a csv, one row per object: name,x,y,width,height in pixels; x, y is the top left corner.

    Or from a COCO file: of every annotation that has a box and isn't a crowd.
    """

    given = True

    def __init__(self, path: Path, images: list[str], videos: list[str]) -> None:
        """Raise InputError for a box whose size is out of range, or whose name is no image and no frame of a video."""
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise wrong_kind(path, "give a csv file") or InputError(f"{path}: not a file; give a csv file")
        self.path = path
        self.left: dict[str, list[np.ndarray]] = {}  # boxes not taken yet, by image or frame
        pictures, films, known = set(images), set(videos), set()
        if path.suffix.lower() == ".json":
            names, values = _in_coco(path, pictures)
        else:
            names, values = read_named_numbers(path, 5, "one row per object: name,x,y,width,height", _HEADER)
        for name, box in zip(names, values, strict=True):
            place = len(self.left.get(name, ()))
            video, _, number = name.rpartition(":")
            if name not in pictures and not (video in films and number.isdecimal()):
                raise self._error(
                    name, place, f"{shortened(name)} is not among the images; {_how_to_name(name, images)}"
                )
            if box[2:].min() <= 0:
                raise self._error(name, place, "width and height must be above 0; fix the row")
            if not 1 <= box[2:].max() <= LARGEST_SIDE:
                size = f"{box[2]:g} × {box[3]:g} pixels"
                raise self._error(name, place, f"a box of {size}; its longer side must be from 1 to {LARGEST_SIDE:,}")
            if (name, *box) in known:
                raise self._error(name, place, "the same box as in a row before it; remove the row")
            known.add((name, *box))
            self.left.setdefault(name, []).append(box.astype(np.float32))

    def take(self, name: str, image: np.ndarray) -> list[np.ndarray]:
        """Return the boxes (4,) of an image (H, W, 3), once; raise InputError if one is entirely outside the image."""
        height, width = image.shape[:2]
        boxes = self.left.pop(name, [])
        for place, (x, y, w, h) in enumerate(boxes):
            if x >= width or y >= height or x + w <= 0 or y + h <= 0:
                raise self._error(
                    name, place, f"the box is outside the image of {width} × {height} pixels; fix the row"
                )
        return boxes

    def _error(self, name: str, place: int, problem: str) -> InputError:
        if self.path.suffix.lower() == ".json":
            return InputError(f"{self.path}: box {place + 1} of {shortened(name)}: {problem}")
        return InputError(f"{self.path}: row {line_of(self.path, name, place)}: {problem}")


def _in_coco(path: Path, pictures: set[str]) -> tuple[list[str], np.ndarray]:
    """File names and boxes (N, 4) of a COCO file's annotations, of those images that are predicted."""
    cure = "give a COCO file, with images and annotations, or a csv"
    content = read_json(path, cure, COCO_BYTES)
    try:
        files = {image["id"]: image["file_name"].rpartition("/")[2] for image in content["images"]}
        found = [(files[it["image_id"]], it["bbox"]) for it in content["annotations"] if not it.get("iscrowd")]
        kept = [(name, list(map(float, box))) for name, box in found if name in pictures]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a COCO file with boxes ({in_words(error)}); {cure}") from error
    for name, box in kept:
        if len(box) != 4 or not np.isfinite(box).all():
            raise InputError(f"{path}: {shortened(name)}: bbox is not left, top, width, height; fix or remove it")
    if not kept:
        raise InputError(f"{path}: none of its {len(found)} boxes is in the images given; give the images it lists")
    return [name for name, _ in kept], np.array([box for _, box in kept])


def _how_to_name(name: str, images: list[str]) -> str:
    several = [image for image in images if image.endswith(f"/{name}")]
    if several:
        return f"name it {' or '.join(map(shortened, several[:3]))}"
    return "name an image as its file, a frame as video.mp4:0"


def whole(image: np.ndarray) -> np.ndarray:
    """Return the box (4,) of the whole image (H, W, 3): x and y of its top left corner, width, height; in pixels."""
    return np.array([0, 0, *image.shape[1::-1]], np.float32)


def crop_box(image: np.ndarray, box: np.ndarray, recipe: Recipe, skeleton: Skeleton) -> Crop:
    """Crop a box (4,) out of an image (H, W, 3) uint8 RGB as network input for `recipe`; the crop has no labels."""
    none = np.zeros((skeleton.num_keypoints, 2), np.float32)
    corner, size = box[:2], box[2:]
    side, visible = float(size.max()) * BOX_MARGIN, none[:, 0] > 0
    return crop(Sample(image, none, visible, corner + size / 2, side, skeleton, size * BOX_MARGIN), recipe)


def box_of(sample: Sample) -> np.ndarray:
    """Return the box (4,) of a sample: that from which `crop_box` cuts the same crop."""
    size = np.array([sample.box_size] * 2 if sample.box is None else sample.box) / BOX_MARGIN
    return np.concatenate([sample.center - size / 2, size]).astype(np.float32)


def predict_box(predictor: Predictor, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predict the keypoints (K, 2), in image pixels, and scores (K,) of what is in a box (4,) of an image (H, W, 3)."""
    keypoints, scores = predict_crops(predictor, [crop_box(image, box, predictor.recipe, predictor.skeleton)])
    return keypoints[0], scores[0]


def predict_crops(predictor: Predictor, crops: Iterable[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """Predict keypoints (N, K, 2), in pixels of the images that the crops were cut from, and scores (N, K).

    The crops are consumed and predicted in groups of AT_ONCE batches.
    """
    recipe, number = predictor.recipe, predictor.skeleton.num_keypoints
    keypoints, scores = [np.zeros((0, number, 2))], [np.zeros((0, number))]
    crops = iter(crops)
    while group := list(islice(crops, AT_ONCE * predictor.batch)):
        heatmaps = predictor.tested_heatmaps(normalise(np.stack([cut.image for cut in group]), recipe))
        found = image_keypoints(recipe.codec, heatmaps, np.stack([cut.matrix for cut in group]))
        keypoints.append(found[0])
        scores.append(found[1])
    return np.concatenate(keypoints), np.concatenate(scores)
