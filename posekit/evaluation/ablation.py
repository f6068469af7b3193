"""What decoding alone changes: the heatmaps of one network read by several codecs, and perfect heatmaps, the ceiling.

Heatmaps are decoded batch by batch and dropped, so that memory does not grow with the data set.
"""

import numpy as np

from posekit.codecs import Codec, image_keypoints
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import evaluation_iterator
from posekit.geometry import crop_matrix, transform_points
from posekit.inference.predictors import Predictor
from posekit.predictions import Predictions

_CHUNK = 16  # samples whose heatmaps are held at once


def read_by_codecs(predictor: Predictor, dataset: PoseDataset, codecs: dict[str, Codec]) -> dict[str, Predictions]:
    """Predict every sample once and decode it by each codec; predictions by the codecs' names, in pixels of each image.

    The crop is the predictor's recipe's, so a codec changes how its heatmaps are read and nothing else.
    """
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in codecs}
    for images, matrices, count in evaluation_iterator(dataset, predictor.recipe, predictor.batch):
        heatmaps = predictor.tested_heatmaps(images)
        for name, codec in codecs.items():
            points, scores = image_keypoints(codec, heatmaps, matrices)
            parts[name].append((points[:count], scores[:count]))
    return {name: _joined(dataset, part) for name, part in parts.items()}


def perfect_predictions(dataset: PoseDataset, codec: Codec) -> Predictions:
    """What a perfect network would give: the targets of all keypoints that have coordinates, decoded again.

    No network with this codec and input size can do better. Keypoints outside the crop are lost. Reads no image.
    """
    known = dataset.visible | dataset.hidden
    parts = []
    for start in range(0, len(dataset), _CHUNK):
        rows = slice(start, start + _CHUNK)
        boxes = zip(dataset.center[rows], dataset.box_size[rows], strict=True)
        matrices = np.stack([crop_matrix(c, s, codec.input_size, intervals=codec.intervals) for c, s in boxes])
        heatmaps, _ = codec.encode(transform_points(matrices, dataset.keypoints[rows]), known[rows])
        parts.append(image_keypoints(codec, heatmaps, matrices))
    return _joined(dataset, parts)


def _joined(dataset: PoseDataset, parts: list[tuple[np.ndarray, np.ndarray]]) -> Predictions:
    keypoints, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Predictions(list(dataset.names), keypoints, scores)
