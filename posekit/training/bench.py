"""`posekit bench`: how fast each part of the line is on this machine, and what limits a training step."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.table import Table

from posekit.recipes import Recipe
from posekit.skeletons import SKELETONS


def bench(recipe: Recipe, data: Path | None, device: str, repeats: int = 20) -> Table:
    """Time a batch of every part, the median of `repeats`; images a second are for that part alone."""
    rows = [
        ("data pipeline", _pipeline(recipe, data, repeats)),
        *_network(recipe, device, repeats),
        *_codec(recipe, repeats),
    ]
    table = Table("part", "ms a batch", "images/s", title=f"{recipe.name}, batch {recipe.batch}", title_justify="left")
    for name, seconds in rows:
        table.add_row(name, f"{1e3 * seconds:.1f}", f"{recipe.batch / seconds:.0f}")
    return table


def _median(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one call that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _pipeline(recipe: Recipe, data: Path | None, repeats: int) -> float:
    """Seconds a batch of reading, augmenting and encoding with nothing else to do, read ahead by the worker threads."""
    from posekit.datasets.pipeline import training_iterator
    from posekit.layouts import open_split

    dataset = open_split(recipe, data, "train")
    batches = training_iterator(dataset, recipe, 1)
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _, _ in zip(range(repeats), batches, strict=False))
    return (time.perf_counter() - start) / count


def _network(recipe: Recipe, device: str, repeats: int) -> list[tuple[str, float]]:
    """Seconds a batch of an update and of the forward pass."""
    from mindspore import Tensor

    from posekit.models import build
    from posekit.inference.predictors import network_predictor
    from posekit.runtime import set_up
    from posekit.training.step import make_step

    set_up(device, recipe.seed)
    network = build(recipe)
    step = make_step(network, recipe, 1000)
    step.set_train(True)
    images = np.random.default_rng(0).random((recipe.batch, 3, recipe.input_size, recipe.input_size), np.float32)
    shape = (recipe.batch, SKELETONS[recipe.skeleton].num_keypoints)
    heatmaps = np.zeros((*shape, recipe.heatmap_size, recipe.heatmap_size), np.float32)
    batch = [Tensor(array) for array in (images, heatmaps, np.ones(shape, np.float32))]
    update = _median(lambda: step(*batch).asnumpy(), repeats)
    forward = network_predictor(network, recipe, recipe.batch)
    return [("training step", update), ("forward", _median(lambda: forward.run(images), repeats))]


def _codec(recipe: Recipe, repeats: int) -> list[tuple[str, float]]:
    """Seconds a batch of encoding and decoding."""
    shape = (recipe.batch, SKELETONS[recipe.skeleton].num_keypoints)
    keypoints = np.random.default_rng(0).uniform(0, recipe.input_size, (*shape, 2))
    heatmaps, _ = recipe.codec.encode(keypoints, np.ones(shape, bool))
    encode = _median(lambda: recipe.codec.encode(keypoints, np.ones(shape, bool)), repeats)
    return [("encode", encode), ("decode", _median(lambda: recipe.codec.decode(heatmaps), repeats))]
