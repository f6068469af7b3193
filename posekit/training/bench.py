"""`posekit bench`: time data pipeline, network and codec, to see which of them limits training on this machine."""

import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mindspore import Tensor
from rich.table import Table

from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import training_iterator
from posekit.geometry import sides
from posekit.inference.predictors import network_predictor
from posekit.layouts import open_split
from posekit.models import build
from posekit.recipes import Recipe
from posekit.runtime import set_up
from posekit.skeletons import Skeleton
from posekit.training.step import averaged_network, make_step


def bench(recipe: Recipe, data: Path | None, device: str, repeats: int = 20) -> Table:
    """Time each part alone over `repeats` batches; return a table of ms per batch and images per second."""
    dataset = open_split(recipe, data, "train")
    rows = [
        ("data pipeline", _pipeline(recipe, dataset, repeats)),
        *_network(recipe, dataset.skeleton, device, repeats),
        *zip(("encode", "decode"), codec_times(recipe, dataset.skeleton, repeats), strict=True),
    ]
    table = Table("part", "ms per batch", "images/s", title_justify="left")
    table.title = f"{recipe.name}, batch {recipe.batch}"
    for name, seconds in rows:
        table.add_row(name, f"{1e3 * seconds:.1f}", f"{recipe.batch / seconds:.0f}")
    return table


def _median(work: Callable[[], object], repeats: int) -> float:
    """Return the median seconds per call, after one call that is not counted."""
    work()
    return float(np.median(timeit.repeat(work, number=1, repeat=repeats)))


def _pipeline(recipe: Recipe, dataset: PoseDataset, repeats: int) -> float:
    """Return the seconds per batch that the worker threads take to read, augment and encode."""
    batches = training_iterator(dataset, recipe, 1)
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _, _ in zip(range(repeats), batches, strict=False))
    return (time.perf_counter() - start) / count


def _network(recipe: Recipe, skeleton: Skeleton, device: str, repeats: int) -> list[tuple[str, float]]:
    """Return the seconds per batch of a training step and of the forward pass."""
    set_up(device, recipe.seed)
    network = build(recipe, skeleton)
    averaged = averaged_network(network, recipe, skeleton) if recipe.ema else None
    step = make_step(network, recipe, 1000, averaged)
    step.set_train(True)
    images = np.random.default_rng(0).random((recipe.batch, *recipe.input_shape), np.float32)
    shape = (recipe.batch, skeleton.num_keypoints)
    heatmaps = np.zeros((*shape, *recipe.heatmap_shape), np.float32)
    batch = [Tensor(array) for array in (images, heatmaps, np.ones(shape, np.float32))]
    update = _median(lambda: step(*batch).asnumpy(), repeats)
    forward = network_predictor(network, recipe, skeleton, recipe.batch)
    return [("training step", update), ("forward", _median(lambda: forward.run(images), repeats))]


def codec_times(recipe: Recipe, skeleton: Skeleton, repeats: int) -> tuple[float, float]:
    """Return the seconds per batch of encoding and of decoding."""
    shape = (recipe.batch, skeleton.num_keypoints)
    keypoints = np.random.default_rng(0).uniform(0, sides(recipe.input_size), (*shape, 2))
    heatmaps, _ = recipe.codec.encode(keypoints, np.ones(shape, bool))
    encode = _median(lambda: recipe.codec.encode(keypoints, np.ones(shape, bool)), repeats)
    return encode, _median(lambda: recipe.codec.decode(heatmaps), repeats)
