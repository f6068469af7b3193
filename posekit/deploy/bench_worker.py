"""A process of `posekit bench --all`: one library with one network, so that no library disturbs another.

    python -m posekit.deploy.bench_worker LIBRARY WORK RECIPE MODEL

For every line that it reads it does the work once more and answers with the seconds, as JSON. Its first answer, how
long the preparation took and what was counted, comes by itself.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posekit.recipes import Recipe, get_recipe
from posekit.skeletons import get_skeleton

if TYPE_CHECKING:
    from torch import nn

BATCH = 4  # images of a training step
LEARNING_RATE = 1e-4


def prepare(library: str, work: str, recipe: Recipe, model: Path) -> tuple[Callable[[], object], int]:
    """The work as a function, and how many images it is for; `model` is a checkpoint, or the ONNX file to run."""
    if work == "step":
        return {"mindspore": _mindspore_step, "torch": _torch_step}[library](recipe), BATCH
    images = np.random.default_rng(0).standard_normal((1, *recipe.input_shape), np.float32)
    run = _torch_forward(recipe) if library == "torch" else _forward(library, work, model)
    return lambda: recipe.codec.decode(run(images)), 1


def _batch(recipe: Recipe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (B, 3, H, W), heatmaps (B, K, h, w) and weights (B, K)."""
    rng, shape = np.random.default_rng(0), (BATCH, get_skeleton(str(recipe.skeleton)).num_keypoints)
    images = rng.standard_normal((BATCH, *recipe.input_shape), np.float32)
    return images, rng.random((*shape, *recipe.heatmap_shape), np.float32), np.ones(shape, np.float32)


def _mindspore_step(recipe: Recipe) -> Callable[[], object]:
    from mindspore import Tensor

    from posekit.models import build
    from posekit.runtime import set_up
    from posekit.training.step import averaged_network, make_step

    set_up("cpu", recipe.seed)
    skeleton = get_skeleton(str(recipe.skeleton))
    network = build(recipe, skeleton)
    step = make_step(network, recipe, 1000, averaged_network(network, recipe, skeleton) if recipe.ema else None)
    step.set_train(True)
    step.prepare(_batch(recipe))
    batch = [Tensor(array) for array in _batch(recipe)]
    return lambda: step(*batch).asnumpy()


def _torch_step(recipe: Recipe) -> Callable[[], object]:
    import torch

    network = _torch_network(recipe).train()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    images, heatmaps, _ = map(torch.from_numpy, _batch(recipe))

    def step() -> float:
        optimizer.zero_grad()
        found = network(images)
        stages = found if isinstance(found, list) else [found]
        loss = sum((((maps - heatmaps) ** 2).mean() for maps in stages), torch.zeros(()))
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def _torch_network(recipe: Recipe) -> "nn.Module":
    from posekit.training.torch_networks import HRNet, StackedHourglass

    keypoints = get_skeleton(str(recipe.skeleton)).num_keypoints
    if recipe.network == "hrnet":
        return HRNet(keypoints, recipe.width, recipe.stage_modules, recipe.branch_blocks)
    return StackedHourglass(keypoints, recipe.stacks, recipe.width, recipe.depth)


def _torch_forward(recipe: Recipe) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    network = _torch_network(recipe).eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found = network(torch.from_numpy(images))
        return (found[-1] if isinstance(found, list) else found).numpy()

    return run


def _forward(library: str, precision: str, model: Path) -> Callable[[np.ndarray], np.ndarray]:
    from posekit.inference.run_times import load_predictor
    from posekit.inference.run_times.request import Request

    return load_predictor(Request(model, "cpu", 1, library, precision)).run


def main(library: str, work: str, name: str, model: str) -> None:
    """Prepare, then time the work once for every line."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    start = time.perf_counter()
    call, images = prepare(library, work, get_recipe(name), Path(model))
    call()
    print(json.dumps({"ready": time.perf_counter() - start, "images": images}), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        call()
        print(json.dumps((time.perf_counter() - start) / images), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
