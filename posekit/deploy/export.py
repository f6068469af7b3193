"""Checkpoints out to MINDIR, ONNX, AIR and OM, with their recipe, so that the file is enough to predict."""

import errno
import os
from collections import Counter
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
from mindspore import Tensor, nn
from mindspore.train.mind_ir_pb2 import ModelProto
from onnx import numpy_helper, shape_inference

from posekit.bounds import BATCH, MODEL_BYTES
from posekit.deploy.ascend import SOC, convert_om, write_commands
from posekit.errors import InputError
from posekit.files import atomic_path, quiet_logs, read_bytes
from posekit.inference.run_times.description import seal, write_description
from posekit.models.checkpoint import load_network
from posekit.plain_paths import plain_output
from posekit.recipes import Recipe
from posekit.runtime import chosen_device

FORMATS = ("mindir", "onnx", "air", "om")
Calibration = tuple[Path | None, Path | None]  # a data set and where its images are; None: drawn; beside the labels
# What MindSpore's graph has beside operations: reading weights, tuples, order.
_BOOKKEEPING = {"Constant", "Depend", "Load", "MakeTuple", "TupleGetItem", "UpdateState"}


class LastStage(nn.Cell):
    """The network as it is used: from images to the heatmaps of its last stage."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, K, h, w)"""
        return self.network(images)[-1]


def export_model(
    model: Path,
    file_format: str,
    out: Path,
    batch: int | None = 1,
    soc: str = SOC,
    precision: str = "fp32",
    calibration: Calibration = (None, None),
) -> Path:
    """Write a checkpoint in another format, for `batch` images at a time or, with None, for any number.

    An ONNX file may be in int8, calibrated with `calibration`: a data set and where its images are, see `deploy.int8`.
    The recipe and a checksum are in an ONNX file's metadata, and in `<out>.json` beside the others. AIR and OM, for the
    Ascend named `soc`, take Ascend's software: without it, the ONNX file and the commands that convert it are written
    beside `out`, and InputError says so.
    """
    if file_format not in FORMATS:
        raise InputError(f"unknown format {file_format!r}; choose one of {', '.join(FORMATS)}")
    if out.suffix != f".{file_format}":
        raise InputError(f"{out}: a {file_format} file must end in .{file_format}")
    if batch is not None and not BATCH[0] <= batch <= BATCH[1]:
        raise InputError(f"{out}: batch is a number from {BATCH[0]} to {BATCH[1]:,}, not {batch:,}")
    if batch is None and file_format in ("air", "om"):
        raise InputError(f"{out}: a file for Ascend is made for one shape; give --batch a number")
    if precision not in ("fp32", "int8") or (precision == "int8" and file_format != "onnx"):
        raise InputError(f"{out}: precision is fp32, or for onnx int8, not {precision}; change it")
    loaded = load_network(model)
    recipe, cell = loaded.recipe, LastStage(loaded.network)
    cell.set_train(False)
    if file_format == "mindir":
        _export_graph(cell, out, recipe, batch)
    elif file_format == "onnx":
        _export_onnx(cell, out, recipe, batch, calibration if precision == "int8" else None)
    else:
        assert batch is not None  # as checked above
        _export_ascend(cell, out, recipe, batch, soc)
    return out


def _export_ascend(cell: nn.Cell, out: Path, recipe: Recipe, batch: int, soc: str) -> None:
    if out.suffix == ".air" and chosen_device().target == "Ascend":
        return _export_graph(cell, out, recipe, batch)
    graph = out.with_suffix(".onnx")
    _export_onnx(cell, graph, recipe, batch)
    commands = write_commands(graph, batch, recipe.input_size, soc)
    if out.suffix == ".air":
        raise InputError(
            f"{out}: only MindSpore on an Ascend writes AIR, and finds none here; "
            f"{graph.name} is written, and {commands.name} makes an .om file of it where CANN is"
        )
    convert_om(graph, out, recipe, batch, soc)


def _export_graph(cell: nn.Cell, out: Path, recipe: Recipe, batch: int | None) -> None:
    """MINDIR or AIR, by the suffix of `out`."""
    images = Tensor(shape=(batch, *recipe.input_shape), dtype=ms.float32)
    if batch is not None:
        images = Tensor(np.zeros((batch, *recipe.input_shape), np.float32))
    syntax = ms.get_context("jit_syntax_level")
    try:
        with atomic_path(out) as temporary:
            with plain_output(temporary) as made:  # MindSpore takes a name without suffix
                ms.export(cell, images, file_name=str(made.with_suffix("")), file_format=out.suffix[1:].upper())
            write_description(out, recipe, batch, made=temporary)
    finally:  # an export that fails leaves the strict level, at which loss scaling does not compile
        ms.set_context(jit_syntax_level=syntax)


def _export_onnx(
    cell: nn.Cell, out: Path, recipe: Recipe, batch: int | None, calibration: Calibration | None = None
) -> None:
    """In int8 with `calibration`."""
    images = Tensor(np.zeros((1, *recipe.input_shape), np.float32))
    with atomic_path(out) as temporary, plain_output(temporary) as made:
        with quiet_logs():
            ms.onnx.export(cell, images, file_name=str(made), input_names=["images"], output_names=["heatmaps"])
        if not made.exists():  # MindSpore logs a failed write, removes the file and continues
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        model = onnx.load(str(made))
        _free_resizes(model)
        _set_batch(model, None)
        if calibration:
            from posekit.deploy.int8 import calibration_images, quantised

            with calibration_images(recipe, *calibration) as training:
                model = quantised(model, recipe, training)
        _set_batch(model, batch)
        seal(model, recipe, "int8" if calibration else "fp32")
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(made))


def _set_batch(model: onnx.ModelProto, batch: int | None) -> None:
    """Let the model take and give `batch` images at a time, or any number."""
    for value in (*model.graph.input, *model.graph.output):
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.dim_param = "batch"
        if batch is not None:
            dimension.dim_value = batch


def _free_resizes(model: onnx.ModelProto) -> None:
    """Give every Resize factors instead of sizes, which hold the batch, and set its mode to `nearest`.

    MindSpore leaves the mode out. That means nearest, but MindSpore Lite 2.0 takes it for linear.
    """
    graph = model.graph
    inferred = shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in values}
    sizes = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Resize"]:
        source, _, scales, size = node.input
        target = numpy_helper.to_array(sizes[size].attribute[0].t)
        factors = (target / np.array(shapes[source])).astype(np.float32)  # (4,): 1, 1, s, s
        weights[scales].CopyFrom(numpy_helper.from_array(factors, scales))
        del node.input[3]
        node.attribute.append(onnx.helper.make_attribute("mode", "nearest"))
    used = {name for node in graph.node for name in node.input}
    for name in sizes.keys() - used:
        graph.node.remove(sizes[name])


def operations(path: Path) -> Counter[str]:
    """How often each operation is in an ONNX or MINDIR file."""
    data = read_bytes(path, MODEL_BYTES)
    if path.suffix == ".onnx":
        return Counter(node.op_type for node in onnx.load_model_from_string(data).graph.node)
    model = ModelProto()
    model.ParseFromString(data)
    names = (node.op_type.removeprefix("REF::").split(":")[0] for node in model.graph.node)
    return Counter(name for name in names if name not in _BOOKKEEPING)
