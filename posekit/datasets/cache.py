"""A cache of crops: of each image the part that a training can show, no finer than the network's input.

A cache is a folder `caches()/crops/SETTINGS/IMAGES` with crops.bin, JPEGs one after the other, and crops.npy, which
says where each is and how it lies in its image. Its name is made of labels, settings and image files, so one that no
longer fits has another name. It appears when it is complete and never changes; any number of processes map it.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from posekit.bars import progress_bar
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.images import Picture, decode_reduced, form_of
from posekit.datasets.pipeline import ROTATION_LIMITS
from posekit.errors import InputError
from posekit.files import caches, flush_to_disk, new_folder, reading, remove_left_overs, writing
from posekit.geometry import compose, enlarging, fit_box, reduction, sides
from posekit.locks import one_writer
from posekit.recipes import Recipe
from posekit.runtime import cores

VERSION = 1
QUALITY = 95  # of the JPEGs
ROW = np.dtype(
    [
        ("start", "<u8"),  # in crops.bin
        ("bytes", "<u8"),
        ("size", "<u4", 2),  # width and height of the whole image
        ("whole", "?"),  # it is the image's own file, not a part of the image
        ("enlarging", "<f8", (2, 3)),  # map from the crop's pixels to the image's
    ]
)


def cached(dataset: PoseDataset, recipe: Recipe, root: Path | None = None) -> PoseDataset:
    """The data set, which reads from its cache for trainings with this recipe, if there is one."""
    folder = cache_folder(dataset, recipe, root)
    return _opened(dataset, folder) if _is_whole(folder) else dataset


def cache_folder(dataset: PoseDataset, recipe: Recipe, root: Path | None = None) -> Path:
    """Where the cache of a data set is for trainings with this recipe, below `root`, whether it is made or not."""
    boxes = b"" if dataset.box is None else dataset.box.tobytes()
    settings = json.dumps(
        [
            VERSION, QUALITY, dataset.digest(), hashlib.sha256(boxes).hexdigest(), dataset.upright,
            recipe.input_size, recipe.intervals, recipe.shrinking, _reach(recipe),
        ]
    )  # fmt: skip
    images = "\n".join(dataset.stamp(row) for row in range(len(dataset)))
    names = (hashlib.sha256(text.encode()).hexdigest()[:20] for text in (settings, images))
    return (root or caches() / "crops").joinpath(*names)


def make_cache(dataset: PoseDataset, recipe: Recipe, root: Path | None = None) -> Path:
    """Make the cache of a data set for trainings with this recipe, unless it is there; returns its folder.

    Caches of the same labels and settings but of other image files, which have changed since, are removed. Raises
    InputError for an image that can't be read, and while another process makes the cache.
    """
    folder = cache_folder(dataset, recipe, root)
    with one_writer(folder.parent):
        remove_left_overs(folder.parent)
        for other in folder.parent.iterdir():
            if other.is_dir() and not (other == folder and _is_whole(folder)):
                (other / "crops.npy").unlink(missing_ok=True)  # first: without it the rest is no cache
                shutil.rmtree(other, ignore_errors=True)
        if not _is_whole(folder):
            with new_folder(folder) as building, writing(folder):
                _write(dataset, recipe, building)
    return folder


def _is_whole(folder: Path) -> bool:
    return (folder / "crops.npy").is_file()


def _opened(dataset: PoseDataset, folder: Path) -> PoseDataset:
    """The data set, reading from the cache in `folder`."""
    remedy = f"remove {folder}, then run posekit data cache again"
    damaged = InputError(f"{folder}: the cache of crops is damaged; {remedy}")
    try:
        with reading(folder, remedy):
            rows = np.load(folder / "crops.npy", allow_pickle=False)
            content = np.memmap(folder / "crops.bin", np.uint8, "r")
    except (ValueError, EOFError) as error:  # not NumPy's format; nothing in it
        raise damaged from error
    if rows.dtype != ROW or len(rows) != len(dataset) or rows[-1]["start"] + rows[-1]["bytes"] != len(content):
        raise damaged
    starts, ends, sizes = rows["start"].tolist(), (rows["start"] + rows["bytes"]).tolist(), rows["size"].tolist()

    def picture(index: int, times: int) -> Picture:
        data = content[starts[index] : ends[index]].tobytes()
        where = f"{folder / 'crops.bin'}: crop {index}"
        if rows["whole"][index]:
            return decode_reduced(data, where, dataset.upright, times)
        return Picture(decode_reduced(data, where).pixels, tuple(sizes[index]), rows["enlarging"][index])

    return replace(dataset, cached=picture)


def _write(dataset: PoseDataset, recipe: Recipe, folder: Path) -> None:
    rows, start = np.zeros(len(dataset), ROW), 0
    with (folder / "crops.bin").open("wb") as file:
        for index, (content, *row) in enumerate(_parts(dataset, recipe)):
            file.write(content)
            rows[index] = (start, len(content), *row)
            start += len(content)
    np.save(folder / "crops.npy", rows, allow_pickle=False)
    for path in folder.iterdir():
        flush_to_disk(path)


def _parts(dataset: PoseDataset, recipe: Recipe) -> Iterator[tuple]:
    """What `_part` makes of each row, in order, by a thread for each core; at most 256 wait."""
    with ThreadPoolExecutor(len(cores())) as pool, progress_bar(total=len(dataset), unit="crop", desc="cache") as bar:
        for first in range(0, len(dataset), 256):
            rows = range(first, min(first + 256, len(dataset)))
            for made in pool.map(lambda row: _part(dataset, row, recipe), rows):
                bar.update()
                yield made


def _part(dataset: PoseDataset, index: int, recipe: Recipe) -> tuple[bytes, tuple[int, int], bool, np.ndarray]:
    """The part of an image that a training can show, as JPEG; the image's size; whether it is its file; the map."""
    smallest, largest, _ = _reach(recipe)
    box = fit_box(dataset.box_size[index], None if dataset.box is None else dataset.box[index], recipe.input_size)
    shrinks = box[0] / (sides(recipe.input_size)[0] - recipe.intervals)
    means = recipe.shrinking == "means"
    step = max(1.0, shrinks * smallest) if means else 1.0  # image pixels a pixel: as in the finest crop
    sample = dataset.sample(index, reduction(step))
    size = sample.size or (0, 0)
    lies = enlarging(1) if sample.enlarging is None else sample.enlarging
    times = lies[0, 0]
    reach = _farthest(box, recipe) + step * (1 + 2 * reduction(shrinks * largest / step))  # means and their neighbours
    last = sample.image.shape[1::-1]
    left, top = np.clip(np.floor((sample.center + 0.5 - reach) / times), 0, np.array(last) - 1).astype(int)
    right, bottom = np.clip(np.ceil((sample.center + 0.5 + reach) / times), [left + 1, top + 1], last).astype(int)
    if step == 1 and (left, top, right, bottom) == (0, 0, *last):
        content = dataset.read_bytes(index)
        if form_of(content) == "JPEG":
            return content, size, True, lies
    part = sample.image[top:bottom, left:right]
    height, width = (int(np.ceil(side * times / step)) for side in part.shape[:2])
    x, y = part.shape[1] / width, part.shape[0] / height
    if step > 1:
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    inside = np.array([[x, 0, left + (x - 1) / 2], [0, y, top + (y - 1) / 2]])
    content = simplejpeg.encode_jpeg(np.ascontiguousarray(part), QUALITY, "RGB", "420")
    return content, size, False, compose(lies, inside)


def _reach(recipe: Recipe) -> tuple[float, float, float]:
    """The smallest and the largest scale of a box, and its largest rotation, in degrees."""
    turn = ROTATION_LIMITS[recipe.augment_shape] * recipe.rotation_factor if recipe.rotation_probability else 0
    return 1 - recipe.scale_factor, 1 + recipe.scale_factor, turn


def _farthest(box: tuple[float, float], recipe: Recipe) -> np.ndarray:
    """How far to the sides, and up and down, the corners of a box reach from its center at most, in image pixels."""
    _, largest, turn = _reach(recipe)
    width, height = box
    to_corner = np.arctan2([height, width], [width, height])  # the turn that brings a corner to a side, or to the top
    turns = np.minimum(to_corner, np.deg2rad(turn))
    return largest / 2 * (np.array([width, height]) * np.cos(turns) + np.array([height, width]) * np.sin(turns))
