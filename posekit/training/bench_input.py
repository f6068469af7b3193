"""`posekit bench --input`: images a second that the input reads at full size, from files and from the cache.

Beside them, what the same cores need just to decode the same files, so that machines can be compared. The images are
noise of many scales, as large as those that the recipes were made for, and JPEGs of the usual number of bytes.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from posekit.datasets import jpeg
from posekit.datasets.cache import cached, make_cache
from posekit.datasets.dataset import BOX_MARGIN, PoseDataset
from posekit.datasets.pipeline import training_iterator
from posekit.datasets.sources import readers
from posekit.recipes import Recipe, get_recipe
from posekit.runtime import cores
from posekit.skeletons import get_skeleton

FILES, TIMES = 64, 6  # images, and how often an epoch has each
# Width and height of the images, and sides of the boxes in turn, by recipe.
SHAPES = {
    "poseestnet": ((224, 168), (BOX_MARGIN * 224,)),
    "hourglass": ((1920, 1080), (340, 460, 690, 1000, 1460)),  # quantiles of the people in MPII's labels
}


def bench_input(rounds: int = 3) -> Table:
    """Time the input of the full-size recipes, each way in turn, `rounds` times; a table of medians."""
    table = Table("recipe", "images", "from files", "from cache", "bare decoding", title_justify="left")
    table.title = f"input, images/s on {len(cores())} cores (times bare decoding)"
    for name, (size, boxes) in SHAPES.items():
        with tempfile.TemporaryDirectory(prefix="posekit-") as folder:
            rates = _rates(get_recipe(name), size, boxes, Path(folder), rounds)
        bare = rates[-1]
        shown = [f"{rate:.0f} ({rate / bare:.2f})" for rate in rates[:-1]]
        table.add_row(name, "{} × {}".format(*size), *shown, f"{bare:.0f}")
    return table


def _rates(recipe: Recipe, size: tuple[int, int], boxes: tuple[float, ...], folder: Path, rounds: int) -> list[float]:
    """Images per second from files, from the cache and of bare decoding."""
    dataset = _dataset(recipe, size, boxes, folder)
    make_cache(dataset, recipe, folder / "cache")
    rows = np.tile(np.arange(FILES), TIMES)
    ways = [
        lambda: _read(dataset.take(rows), recipe),
        lambda: _read(cached(dataset, recipe, folder / "cache").take(rows), recipe),
        lambda: _decode(dataset, rows),
    ]
    seconds = [[seconds_of(way) for way in ways] for _ in range(rounds)]
    return (len(rows) / np.median(seconds, axis=0)).tolist()


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _read(dataset: PoseDataset, recipe: Recipe) -> None:
    for _ in training_iterator(dataset, recipe, 1):
        pass


def _decode(dataset: PoseDataset, rows: np.ndarray) -> None:
    with ThreadPoolExecutor(len(cores())) as pool:
        for _ in pool.map(lambda row: jpeg.pixels(dataset.read_bytes(row)).shape, rows.tolist()):
            pass


def _dataset(recipe: Recipe, size: tuple[int, int], boxes: tuple[float, ...], folder: Path) -> PoseDataset:
    """A data set of FILES images of that size in the folder, with boxes about their middle."""
    skeleton, rng, middle = get_skeleton(str(recipe.skeleton)), np.random.default_rng(0), np.array(size) / 2
    names = [f"{number}.jpg" for number in range(FILES)]
    for name in names:
        cv2.imwrite(str(folder / name), _image(size, rng), [cv2.IMWRITE_JPEG_QUALITY, 90])
    shape = (FILES, skeleton.num_keypoints)
    return PoseDataset(
        skeleton=skeleton, split="train", names=names,
        keypoints=middle + rng.uniform(-0.4, 0.4, (*shape, 2)) * min(size),
        visible=np.ones(shape, bool), hidden=np.zeros(shape, bool),
        center=np.tile(middle.astype(np.float32), (FILES, 1)), box_size=np.resize(boxes, FILES).astype(np.float32),
        unit=np.ones(FILES), **readers(folder, names)._asdict(),
    )  # fmt: skip


def _image(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of many scales, the finer the weaker, (H, W, 3) uint8."""
    width, height = size
    pixels = np.full((height, width, 3), 127.0, np.float32)
    for scale in (2, 4, 8, 16, 32, 64):
        coarse = rng.standard_normal((height // scale + 1, width // scale + 1, 3), np.float32)
        pixels += cv2.resize(coarse * 3 * scale**0.6, size)
    return np.clip(pixels, 0, 255).astype(np.uint8)
