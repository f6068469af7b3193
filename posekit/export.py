"""Checkpoints out to MINDIR and ONNX, with their recipe, so that the file is enough to predict."""

import dataclasses
import errno
import os
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
from mindspore import Tensor, nn

from posekit.errors import InputError
from posekit.files import atomic_path, quiet_logs, write_json
from posekit.models.checkpoint import load_network
from posekit.recipes import Recipe, to_json

FORMATS = ("mindir", "onnx")


class LastStage(nn.Cell):
    """The network as it is used: images in, the heatmaps of its last stage out."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, K, h, w)"""
        return self.network(images)[-1]


def export_model(model: Path, file_format: str, out: Path, batch: int = 1) -> Path:
    """Write a checkpoint as MINDIR (with `<out>.json` beside it) or ONNX (recipe in its metadata), at a fixed batch."""
    if file_format not in FORMATS:
        raise InputError(f"unknown format {file_format!r}; choose one of {', '.join(FORMATS)}")
    if out.suffix != f".{file_format}":
        raise InputError(f"{out}: a {file_format} file must end in .{file_format}")
    recipe, network = load_network(model)
    images = Tensor(np.zeros((batch, 3, recipe.input_size, recipe.input_size), np.float32))
    cell = LastStage(network)
    cell.set_train(False)
    with atomic_path(out) as temporary:
        if file_format == "mindir":
            # MindSpore takes a name without suffix.
            ms.export(cell, images, file_name=str(temporary.with_suffix("")), file_format="MINDIR")
            write_json(out.with_suffix(".mindir.json"), {"recipe": dataclasses.asdict(recipe), "batch": batch})
        else:
            _export_onnx(cell, images, temporary, recipe)
    return out


def _export_onnx(cell: nn.Cell, images: Tensor, path: Path, recipe: Recipe) -> None:
    with quiet_logs():
        ms.onnx.export(cell, images, file_name=str(path), input_names=["images"], output_names=["heatmaps"])
    if not path.exists():  # MindSpore logs a failed write, removes the file and goes on
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, {"recipe": to_json(recipe)})
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))
