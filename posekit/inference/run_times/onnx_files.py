"""ONNX files on ONNX Runtime (CPU, CUDA, CANN) and on OpenVINO (CPU)."""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from posekit.errors import InputError
from posekit.inference.predictors import Predictor
from posekit.inference.run_times.description import check_shapes, embedded_recipe, unreadable
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.runtime import cores, split_device
from posekit.skeletons import get_skeleton

if TYPE_CHECKING:
    import onnxruntime

_PROVIDERS = {"ascend": "CANNExecutionProvider", "gpu": "CUDAExecutionProvider"}
_PACKAGES = {"ascend": "onnxruntime-cann", "gpu": "onnxruntime-gpu"}


def accelerator(device: str) -> str | None:
    """ascend or gpu, where this ONNX Runtime has a provider for it and `device` allows it; else None."""
    name, _ = split_device(device)
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    present = onnxruntime.get_available_providers()
    return next((kind for kind, it in _PROVIDERS.items() if name in ("auto", kind) and it in present), None)


def open_onnxruntime(request: Request) -> Predictor:
    """An ONNX file on ONNX Runtime: the accelerator that `device` names, or the first there is, else the CPU.

    On the CPU, fp16 and bf16 are simulated: see `rounded`.
    """
    if find_spec("onnxruntime") is None:
        raise MissingRunTime("onnxruntime is not installed; pip install onnxruntime")
    name, _ = split_device(request.device)
    kind = accelerator(request.device)
    if name in _PROVIDERS and kind is None:
        raise MissingRunTime(f"this onnxruntime has no {_PROVIDERS[name]}; pip install {_PACKAGES[name]} in its place")
    precisions = {"gpu": ("fp32",), "ascend": ("fp32", "fp16"), None: ("fp32", "fp16", "bf16")}
    precision = request.only(*precisions[kind])
    session = _session(request, kind, precision)
    if name in _PROVIDERS and session.get_providers()[0] != _PROVIDERS[name]:
        raise MissingRunTime(f"{_PROVIDERS[name]} does not start here; check its driver and libraries")
    recipe = embedded_recipe(request.model, session.get_modelmeta().custom_metadata_map.get("recipe"))
    (images,), (heatmaps,) = session.get_inputs(), session.get_outputs()
    check_shapes(request.model, recipe, images.shape, heatmaps.shape)
    batch = images.shape[0] if isinstance(images.shape[0], int) else request.batch
    simulated = " simulated" if kind is None and precision != "fp32" else ""
    about = f"{precision}{simulated}, {session.get_providers()[0].removesuffix('ExecutionProvider')}"
    return Predictor(
        recipe, get_skeleton(recipe.skeleton), lambda values: session.run(None, {images.name: values})[0], batch, about
    )


def _session(request: Request, kind: str | None, precision: str) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if len(cores()) < (os.cpu_count() or 1):  # its own choice, one thread a core of the machine, overlooks such a limit
        options.intra_op_num_threads = len(cores())
    source: str | bytes = str(request.model)
    try:
        if kind is None and precision != "fp32":
            from posekit.inference.run_times.rounding import rounded

            source = rounded(request.model, precision)
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        providers = _providers(kind, split_device(request.device)[1], precision)
        return onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise unreadable(request.model, "ONNX file", error) from error


def _providers(kind: str | None, device_id: int, precision: str) -> list:
    """The accelerator's provider with its precision stated, then the CPU's."""
    if kind is None:
        return ["CPUExecutionProvider"]
    # Both would leave fp32 by themselves: CUDA's convolutions for TF32, CANN for fp16.
    mode = "must_keep_origin_dtype" if precision == "fp32" else "force_fp16"
    stated = {"gpu": {"use_tf32": "0"}, "ascend": {"precision_mode": mode}}[kind]
    return [(_PROVIDERS[kind], {"device_id": str(device_id), **stated}), "CPUExecutionProvider"]


def open_openvino(request: Request) -> Predictor:
    """An ONNX file on OpenVINO, on the CPU: in bf16 where the processor computes in it, else in fp32, unless said."""
    if find_spec("openvino") is None:
        raise MissingRunTime("openvino is not installed; pip install openvino")
    import openvino

    if split_device(request.device)[0] not in ("auto", "cpu"):
        raise InputError(f"device {request.device}: openvino runs on the CPU here; use --backend onnxruntime")
    core = openvino.Core()
    fast = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precision = request.only(*("bf16", "fp32") if fast else ("fp32", "bf16"))
    if precision == "bf16" and not fast:  # OpenVINO would take the wish and compute in fp32
        raise MissingRunTime("this processor does not compute in bf16 (AMX or AVX512-BF16); use --precision fp32")
    try:
        model = core.read_model(str(request.model))
        images, heatmaps = model.inputs[0].partial_shape, model.outputs[0].partial_shape
    except RuntimeError as error:
        raise unreadable(request.model, "ONNX file", error) from error
    known = model.has_rt_info(["framework", "recipe"])
    text = model.get_rt_info(["framework", "recipe"]).astype(str) if known else None
    recipe = embedded_recipe(request.model, text)
    images, heatmaps = ([-1 if d.is_dynamic else d.get_length() for d in shape] for shape in (images, heatmaps))
    check_shapes(request.model, recipe, images, heatmaps)
    batch = request.batch if images[0] == -1 else images[0]
    model.reshape([batch, *images[1:]])
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return Predictor(
        recipe, get_skeleton(recipe.skeleton), lambda values: np.array(compiled(values)[0]), batch, f"{precision}, CPU"
    )
