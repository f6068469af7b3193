"""The effect of decoding alone: decode one network's heatmaps, or perfect heatmaps, with several codecs.

Heatmaps are decoded batch by batch and discarded, so memory doesn't grow with the data set.
"""

import numpy as np

from posekit.bars import progress_bar
from posekit.codecs import Codec, image_keypoints
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import evaluation_iterator
from posekit.geometry import crop_matrix, fit_box, transform_points
from posekit.inference.predictors import Predictor
from posekit.predictions import Predictions

_CHUNK = 16  # samples per batch of perfect heatmaps


def read_by_codecs(
    predictor: Predictor, dataset: PoseDataset, codecs: dict[str, Codec], progress: bool = True
) -> dict[str, Predictions]:
    """Predict every sample once and decode it with each codec; return predictions by codec name, in image pixels.

    The crop is always that of the predictor's recipe, so only the decoding differs.
    """
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in codecs}
    batches = evaluation_iterator(dataset, predictor.recipe, predictor.batch)
    total = -(-len(dataset) // predictor.batch)
    for images, matrices, count in progress_bar(
        batches, total=total, desc="predict", unit="batch", disable=not progress
    ):
        heatmaps = predictor.tested_heatmaps(images)
        for name, codec in codecs.items():
            points, scores = image_keypoints(codec, heatmaps, matrices)
            parts[name].append((points[:count], scores[:count]))
    return {name: _joined(dataset, part) for name, part in parts.items()}


def perfect_predictions(dataset: PoseDataset, codec: Codec) -> Predictions:
    """Encode and decode the true keypoints: the predictions of a perfect network, an upper bound for this codec.

    All keypoints with coordinates are used. Keypoints outside the crop are lost. No image is read.
    """
    known = dataset.visible | dataset.hidden
    parts = []
    for start in range(0, len(dataset), _CHUNK):
        rows = slice(start, start + _CHUNK)
        sizes = fit_box(dataset.box_size[rows], None if dataset.box is None else dataset.box[rows], codec.input_size)
        boxes = zip(dataset.center[rows], zip(*sizes, strict=True), strict=True)
        matrices = np.stack([crop_matrix(c, s, codec.input_size, intervals=codec.intervals) for c, s in boxes])
        heatmaps, _ = codec.encode(transform_points(matrices, dataset.keypoints[rows]), known[rows])
        parts.append(image_keypoints(codec, heatmaps, matrices))
    return _joined(dataset, parts)


def _joined(dataset: PoseDataset, parts: list[tuple[np.ndarray, np.ndarray]]) -> Predictions:
    keypoints, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Predictions(list(dataset.names), keypoints, scores)
