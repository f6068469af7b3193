"""Int8 by post-training quantisation, with ONNX Runtime's tools: weights and maps in 8 bits, one scale for each map and
each filter, as QuantizeLinear and DequantizeLinear in the ONNX file (Jacob et al., arXiv:1712.05877).

ONNX Runtime and OpenVINO then compute convolutions in 8 bits. The scales come from the ranges of the maps of a few
training images.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import EvaluationBatches
from posekit.files import quiet_logs
from posekit.inference.run_times.rounding import folded
from posekit.layouts import draw, embedded_place, for_data, open_split
from posekit.recipes import Recipe

CALIBRATION = 64  # images


def quantised(model: onnx.ModelProto, recipe: Recipe, images: PoseDataset) -> onnx.ModelProto:
    """An ONNX model for any number of images, in int8, calibrated on these images.

    BatchNorm is folded into the convolutions before it. Weights have 7 bits: processors without VNNI add products of 8
    bits in pairs of 16, which would overflow.
    """
    with tempfile.TemporaryDirectory() as folder, quiet_logs():
        path = Path(folder, "int8.onnx")
        quantize_static(
            onnx.version_converter.convert_version(folded(model.SerializeToString()), 13),  # the first with an axis
            str(path),
            _Reader(images, recipe),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)


class _Reader(CalibrationDataReader):
    """One image (1, 3, H, W) after the other, as the network's input."""

    def __init__(self, images: PoseDataset, recipe: Recipe) -> None:
        batches = EvaluationBatches(images, recipe, 1)
        self._inputs = ({"images": batches[row][0]} for row in range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._inputs, None)


@contextmanager
def calibration_images(recipe: Recipe, data: Path | None, images: Path | None = None) -> Iterator[PoseDataset]:
    """Training images to calibrate with, evenly from those of `data`; without it, drawn for the recipe."""
    recipe = for_data(recipe, data)
    with tempfile.TemporaryDirectory() as folder:
        place = data or embedded_place(recipe)
        if not place.exists() and data is None:
            place = Path(folder, "drawn")
            draw(recipe, place, CALIBRATION, 1)
        training = open_split(recipe, place, "train", images)
        rows = np.unique(np.linspace(0, len(training) - 1, CALIBRATION).round().astype(int))
        yield training.take(rows)
