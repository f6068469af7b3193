"""Images to heatmaps on each run time, the flip test, and the predictions table of a data set.

Training's validation and every command that predicts go through here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from posekit.bars import progress_bar
from posekit.codecs import image_keypoints
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import evaluation_iterator
from posekit.predictions import Predictions
from posekit.recipes import Recipe
from posekit.signals import ctrl_c
from posekit.skeletons import Skeleton

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Predictor:
    """A network on some run time.

    `run` maps images (batch, 3, S, S) float32, normalised as the recipe says, to heatmaps (batch, K, h, w) of the last
    stage; it accepts exactly `batch` images, since a graph is compiled for one shape. `run_time` says in words what
    computes, and how exactly.
    """

    recipe: Recipe
    skeleton: Skeleton
    run: Callable[[np.ndarray], np.ndarray]
    batch: int
    run_time: str = "fp32"

    def heatmaps(self, images: np.ndarray) -> np.ndarray:
        """Heatmaps (N, K, h, w) of any number of images (N, 3, S, S)."""
        parts = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            padding = np.repeat(part[-1:], self.batch - len(part), axis=0)
            parts.append(self.run(np.concatenate([part, padding]))[: len(part)])
        return np.concatenate(parts)

    def tested_heatmaps(self, images: np.ndarray) -> np.ndarray:
        """As `heatmaps`; averaged with those of the mirrored images where the recipe has a flip test."""
        heatmaps = self.heatmaps(images)
        if not self.recipe.flip_test:
            return heatmaps
        mirrored = self.heatmaps(np.ascontiguousarray(images[..., ::-1]))
        return flip_average(heatmaps, mirrored, self.skeleton, self.recipe.flip_shift)


def flip_average(heatmaps: np.ndarray, mirrored: np.ndarray, skeleton: Skeleton, shift: float) -> np.ndarray:
    """The mean of heatmaps (N, K, h, w) and of those of the mirrored images, turned back."""
    return (heatmaps + mirror_heatmaps(mirrored, skeleton, shift)) * 0.5


def mirror_heatmaps(heatmaps: np.ndarray, skeleton: Skeleton, shift: float) -> np.ndarray:
    """Heatmaps (N, K, h, w) of mirrored images as those of the unmirrored ones.

    Cell 0 stands for pixel 0, so a map turned back lies 1 - 1 / stride cells too far left. `shift` moves it right: by 1
    in PoseEstNet, by 0 in Stacked Hourglass, exactly by 0.75 at stride 4.
    """
    back = heatmaps[:, list(skeleton.flip_order), :, ::-1]
    whole = int(shift)
    part = shift - whole
    near = _moved_right(back, whole)
    return near if part == 0 else (1 - part) * near + part * _moved_right(back, whole + 1)


def _moved_right(heatmaps: np.ndarray, cells: int) -> np.ndarray:
    """Move maps right; the first columns stay as they are, as in the seed."""
    if cells == 0:
        return heatmaps
    return np.concatenate([heatmaps[..., :cells], heatmaps[..., :-cells]], axis=-1)


def network_predictor(network: "nn.Cell", recipe: Recipe, skeleton: Skeleton, batch: int = 16) -> Predictor:
    """A predictor around a live MindSpore network, in its present weights."""
    import mindspore as ms

    def run(images: np.ndarray) -> np.ndarray:
        network.set_train(False)
        return network(ms.Tensor(images))[-1].asnumpy().astype(np.float32, copy=False)  # half in mixed precision

    return Predictor(recipe, skeleton, run, batch)


def predict_dataset(
    predictor: Predictor,
    dataset: PoseDataset,
    progress: bool = True,
    visit: Callable[[slice, np.ndarray], object] = lambda rows, heatmaps: None,
) -> Predictions:
    """Predict every sample of the split, in its order, in pixels of each image.

    `visit` gets the rows of each batch and their heatmaps (n, K, h, w), averaged where the recipe has a flip test.
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
