"""ONNX files on ONNX Runtime (CPU, CUDA, CANN) and on OpenVINO (CPU)."""

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from posekit.errors import InputError
from posekit.files import unreadable
from posekit.inference.predictors import Predictor
from posekit.inference.run_times.description import AGAIN, KINDS, Description, guarded, read_onnx
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.runtime import cores, split_device
from posekit.skeletons import get_skeleton

if TYPE_CHECKING:
    import onnxruntime
    import openvino

_PROVIDERS = {"ascend": "CANNExecutionProvider", "gpu": "CUDAExecutionProvider"}
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # OpenVINO's name of what it computes in, beside 8 bits
ROUNDED = ("fp16", "bf16")  # what a CPU's ONNX Runtime only simulates
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
    about, data = read_onnx(request.model)
    precision = request.only(*_those_of(about, precisions[kind]))
    session = _session(request, data, kind, precision)
    if name in _PROVIDERS and session.get_providers()[0] != _PROVIDERS[name]:
        raise MissingRunTime(f"{_PROVIDERS[name]} does not start here; check its driver and libraries")
    simulated = " simulated" if kind is None and precision in ROUNDED else ""
    words = f"{precision}{simulated}, {session.get_providers()[0].removesuffix('ExecutionProvider')}"
    name = session.get_inputs()[0].name
    return _predictor(request, about, lambda values: session.run(None, {name: values})[0], words)


def _those_of(about: Description, precisions: tuple[str, ...]) -> tuple[str, ...]:
    """The precisions in which a run time computes a file: its own, if that is int8."""
    return ("int8",) if about.precision == "int8" else precisions


def _predictor(
    request: Request, about: Description, run: Callable[[np.ndarray], np.ndarray], run_time: str
) -> Predictor:
    recipe = about.recipe
    batch, run = about.batch or request.batch, guarded(request.model, run)
    return Predictor(recipe, get_skeleton(recipe.skeleton), run, batch, run_time)


def _session(request: Request, data: bytes, kind: str | None, precision: str) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if request.threads or len(cores()) < (os.cpu_count() or 1):  # its default, a thread per core, ignores this limit
        options.intra_op_num_threads = request.threads or len(cores())
    try:
        if kind is None and precision in ROUNDED:
            from posekit.inference.run_times.rounding import rounded

            data = rounded(data, precision)
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        providers = _providers(kind, split_device(request.device)[1], precision)
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise unreadable(request.model, KINDS[".onnx"], error, AGAIN) from error


def _providers(kind: str | None, device_id: int, precision: str) -> list:
    """The accelerator's provider with its precision stated, then the CPU's."""
    if kind is None:
        return ["CPUExecutionProvider"]
    # By default neither computes in fp32: CUDA's convolutions use TF32, CANN uses fp16.
    mode = "force_fp16" if precision == "fp16" else "must_keep_origin_dtype"
    stated = {"gpu": {"use_tf32": "0"}, "ascend": {"precision_mode": mode}}[kind]
    return [(_PROVIDERS[kind], {"device_id": str(device_id), **stated}), "CPUExecutionProvider"]


@cache
def _openvino_core() -> "openvino.Core":
    """OpenVINO's core, one for the process: each sets up a stack for signals, and of several the wrong one is left."""
    import openvino

    return openvino.Core()


def open_openvino(request: Request) -> Predictor:
    """An ONNX file on OpenVINO, on the CPU: in bf16 where the processor computes in it, else in fp32, unless said."""
    if find_spec("openvino") is None:
        raise MissingRunTime("openvino is not installed; pip install openvino")
    if split_device(request.device)[0] not in ("auto", "cpu"):
        raise InputError(f"device {request.device}: openvino runs on the CPU here; use --backend onnxruntime")
    core = _openvino_core()
    fast = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    about, data = read_onnx(request.model)
    precision = request.only(*_those_of(about, ("bf16", "fp32") if fast else ("fp32", "bf16")))
    if precision == "bf16" and not fast:  # OpenVINO would accept it and compute in fp32
        raise MissingRunTime("this processor does not compute in bf16 (AMX or AVX512-BF16); use --precision fp32")
    hints: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
    if request.threads:
        hints["INFERENCE_NUM_THREADS"] = request.threads
    try:
        model = core.read_model(data, b"")
        model.reshape([about.batch or request.batch, *about.recipe.input_shape])
        compiled = core.compile_model(model, "CPU", hints)
    except Exception as error:  # RuntimeError and more
        raise unreadable(request.model, KINDS[".onnx"], error, AGAIN) from error
    return _predictor(request, about, lambda values: np.array(compiled(values)[0]), f"{precision}, CPU")
