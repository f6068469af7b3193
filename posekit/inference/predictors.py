"""From images to heatmaps with any run time, the flip test, and predictions for a data set.

Validation during training and all commands that predict use this module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from posekit.bars import progress_bar
from posekit.codecs import image_keypoints
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import evaluation_iterator
from posekit.graph_cache import compile_cached
from posekit.predictions import Predictions
from posekit.recipes import Recipe
from posekit.settings import graph_text
from posekit.signals import ctrl_c
from posekit.skeletons import Skeleton

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Predictor:
    """A network loaded into a run time.

    run: maps images (batch, 3, H, W) float32, normalised by the recipe, to the last stage's heatmaps (batch, K, h, w).
    It takes exactly `batch` images, because a graph is compiled for one shape.
    run_time: name and precision of the run time, for people to read.
    """

    recipe: Recipe
    skeleton: Skeleton
    run: Callable[[np.ndarray], np.ndarray]
    batch: int
    run_time: str = "fp32"

    def heatmaps(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) for any number of images (N, 3, H, W)."""
        parts = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            padding = np.repeat(part[-1:], self.batch - len(part), axis=0)
            parts.append(self.run(np.concatenate([part, padding]))[: len(part)])
        return np.concatenate(parts)

    def tested_heatmaps(self, images: np.ndarray) -> np.ndarray:
        """Like `heatmaps`, but averaged with those of the mirrored images if the recipe has a flip test."""
        heatmaps = self.heatmaps(images)
        if not self.recipe.flip_test:
            return heatmaps
        mirrored = self.heatmaps(np.ascontiguousarray(images[..., ::-1]))
        return flip_average(heatmaps, mirrored, self.skeleton, self.recipe.flip_shift)


def flip_average(heatmaps: np.ndarray, mirrored: np.ndarray, skeleton: Skeleton, shift: float) -> np.ndarray:
    """Average heatmaps (N, K, h, w) with those of the mirrored images, after mirroring these back."""
    return (heatmaps + mirror_heatmaps(mirrored, skeleton, shift)) * 0.5


def mirror_heatmaps(heatmaps: np.ndarray, skeleton: Skeleton, shift: float) -> np.ndarray:
    """Mirror heatmaps (N, K, h, w) of mirrored images back, swap left and right keypoints, and shift them right.

    Cell 0 is at pixel 0, so after mirroring a map is 1 - 1 / stride cells too far left. `shift`, in cells, corrects it:
    0.75 is exact at stride 4; PoseEstNet uses 1, Stacked Hourglass 0.
    """
    back = heatmaps[:, list(skeleton.flip_order), :, ::-1]
    whole = int(shift)
    part = shift - whole
    near = _moved_right(back, whole)
    return near if part == 0 else (1 - part) * near + part * _moved_right(back, whole + 1)


def _moved_right(heatmaps: np.ndarray, cells: int) -> np.ndarray:
    """Shift maps right by whole cells; the first columns keep their values, as in PoseEstNet."""
    if cells == 0:
        return heatmaps
    return np.concatenate([heatmaps[..., :cells], heatmaps[..., :-cells]], axis=-1)


def network_predictor(network: "nn.Cell", recipe: Recipe, skeleton: Skeleton, batch: int = 16) -> Predictor:
    """Wrap a MindSpore network in a predictor; it uses the network's current weights on each call."""
    import mindspore as ms

    compiled = False

    def run(images: np.ndarray) -> np.ndarray:
        nonlocal compiled
        network.set_train(False)
        tensor = ms.Tensor(images)
        if not compiled:
            compile_cached(network, graph_text(recipe), tensor)
            compiled = True
        return network(tensor)[-1].asnumpy().astype(np.float32, copy=False)  # half in mixed precision

    return Predictor(recipe, skeleton, run, batch)


def predict_dataset(
    predictor: Predictor,
    dataset: PoseDataset,
    progress: bool = True,
    visit: Callable[[slice, np.ndarray], object] = lambda rows, heatmaps: None,
) -> Predictions:
    """Predict all samples of a split, in its order; keypoints are in pixels of each image.

    visit: called for each batch with its rows and its heatmaps (n, K, h, w), after the flip test if the recipe has one.
    """
    batches = evaluation_iterator(dataset, predictor.recipe, predictor.batch)
    total, start, found = -(-len(dataset) // predictor.batch), 0, []
    with ctrl_c(), progress_bar(batches, total=total, desc="predict", unit="batch", disable=not progress) as bar:
        for images, matrices, count in bar:
            heatmaps = predictor.tested_heatmaps(images)[:count]
            visit(slice(start, start + count), heatmaps)
            found.append(image_keypoints(predictor.recipe.codec, heatmaps, matrices[:count]))
            start += count
    keypoints, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Predictions(list(dataset.names), keypoints, scores)
