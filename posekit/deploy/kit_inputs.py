"""A kit's inputs: encoded pictures with the map from each to the network's input, or inputs cut out and normalised."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from posekit.bars import progress_bar
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.images import decode_image, one_line, read_file
from posekit.datasets.pipeline import EvaluationBatches
from posekit.deploy import board_infer, infer310
from posekit.deploy.stage_files import Reader, Writer
from posekit.errors import InputError
from posekit.files import write_text
from posekit.inference.boxes import crop_box, whole
from posekit.inference.inputs import find_inputs
from posekit.layouts import open_split
from posekit.recipes import Recipe
from posekit.settings import to_json
from posekit.skeletons import get_skeleton

INPUTS = ("raw", "preprocessed")


@dataclass(frozen=True)
class Source:
    """What a kit is to run: a split of a data set (the embedded one if `data` is None), or the pictures in `images`.

    images: with `data`, where its images are. first: only so many samples. inputs: raw or preprocessed.
    """

    data: Path | None = None
    split: str = "test"
    images: Path | None = None
    first: int | None = None
    inputs: str = "raw"

    @property
    def own_pictures(self) -> bool:
        """Whether these are pictures without labels."""
        return self.data is None and self.images is not None


def samples_of(
    kit: Path, model: Path, recipe: Recipe, source: Source, settings: dict, progress: bool
) -> Iterator[dict]:
    """Write the inputs; yields name, file and map of each sample. settings: of kit.json."""
    if source.own_pictures:
        assert source.images is not None
        write_text(kit / "recipe.json", f"{to_json(recipe)}\n")
        yield from _pictures(kit, recipe, source.images, source.first, settings)
        return
    dataset = open_split(recipe, source.data, source.split, source.images).first(source.first)
    if source.inputs == "preprocessed":
        infer310.preprocess(model, source.data, source.split, source.images, kit, source.first, progress)
        matrices = Reader(kit, "preprocess").read_labels("labels.npz", dataset.skeleton.num_keypoints)["matrices"]
        for number, name in enumerate(dataset.names):
            yield {"name": name, "file": f"images/{number:06}.bin", "matrix": matrices[number].tolist()}
        return
    matrices = []
    for sample in _encoded(kit, dataset, recipe, settings, progress):
        matrices.append(sample["matrix"])
        yield sample
    files = Writer(kit, "preprocess")
    infer310.write_labels(files, dataset, np.array(matrices), recipe)
    files.finish()


def _encoded(kit: Path, dataset: PoseDataset, recipe: Recipe, settings: dict, progress: bool) -> Iterator[dict]:
    """Write the encoded images of a data set, one that several samples show only once."""
    batches, written = EvaluationBatches(dataset, recipe, 1), {}  # files' names by their SHA-256
    for number in progress_bar(range(len(dataset)), desc="pack", unit="image", disable=not progress):
        values, matrices, _ = batches[number]
        data = dataset.read_bytes(number)
        digest = hashlib.sha256(data).hexdigest()
        if digest not in written:
            written[digest] = _write_picture(kit, number, data, dataset.image(number))
        sample = {"name": dataset.names[number], "file": written[digest], "matrix": matrices[0].tolist()}
        yield _with_crop(kit, number, sample, board_infer.pixels_of(values, settings), settings)


def _with_crop(kit: Path, number: int, sample: dict, wanted: np.ndarray, settings: dict) -> dict:
    """The sample, and, unless infer.py cuts the crop `wanted` (H, W, 3) out of the picture, that crop in a file."""
    picture = np.asarray(board_infer.read_picture(kit / sample["file"], False))
    width, height = settings["input_size"]
    found = board_infer.warp(picture, sample["matrix"], width, height, settings["means"])
    if np.array_equal(found, wanted):
        return sample
    path = kit / "cut" / f"{number:06}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(wanted).save(path)
    return sample | {"cut": path.relative_to(kit).as_posix()}


def _pictures(kit: Path, recipe: Recipe, folder: Path, first: int | None, settings: dict) -> Iterator[dict]:
    """Write the pictures of a folder, each as a whole an object; of those that can't be read, the first is an error."""
    found, skeleton = [given for given in find_inputs([folder])[0] if not given.video], get_skeleton(recipe.skeleton)
    if not found:
        raise InputError(f"{folder}: holds no images; give a folder of pictures")
    for number, given in enumerate(found[:first]):
        data = read_file(given.path)
        image = decode_image(data, one_line(given.path), upright=True)
        cut = crop_box(image, whole(image), recipe, skeleton)
        file = _write_picture(kit, number, data, image)
        sample = {"name": given.name, "file": file, "matrix": cut.matrix.tolist()}
        yield _with_crop(kit, number, sample, cut.image, settings)


def _write_picture(kit: Path, number: int, data: bytes, image: np.ndarray) -> str:
    """Write an image's own file if Pillow, which reads it on the board, finds the same pixels in it, else a PNG."""
    suffix = ".jpg" if data.startswith(b"\xff\xd8") else ".png"
    if not _reads_alike(data, image):
        stream, suffix = io.BytesIO(), ".png"
        Image.fromarray(image).save(stream, "PNG")
        data = stream.getvalue()
    path = kit / "raw" / f"{number:06}{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path.relative_to(kit).as_posix()


def _reads_alike(data: bytes, image: np.ndarray) -> bool:
    """Whether it is a JPEG or PNG that Pillow decodes, in RGB, to these pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            return np.array_equal(np.asarray(opened.convert("RGB")), image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
