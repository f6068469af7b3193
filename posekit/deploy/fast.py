"""The ONNX files of the shipped networks, which run faster than their checkpoints and without MindSpore."""

import hashlib
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from posekit import __version__
from posekit.deploy.choice import choose
from posekit.errors import InputError
from posekit.files import caches, sha256
from posekit.inference.run_times.description import read_description
from posekit.inference.run_times.onnx_files import accelerator
from posekit.inference.run_times.request import Request
from posekit.runtime import chosen_device, split_device
from posekit.shipped import shipped_name

_READERS = ("openvino", "onnxruntime", "lite")  # the run times for ONNX files


def fastest(request: Request) -> Request:
    """The request, made as fast as it can be here: with an ONNX file, and its fastest run time.

    A shipped network's ONNX file replaces its checkpoint where a run time for it computes: on the CPU, on accelerators
    that ONNX Runtime can use, and where `backend` names such a run time. Without a place to keep the file the
    checkpoint stays, which standard error says. On the CPU the run time is chosen by measurement, see `choice`.
    """
    on_cpu = split_device(request.device)[0] in ("auto", "cpu")
    wanted = request.backend in _READERS or (not request.backend and (on_cpu or accelerator(request.device)))
    if wanted and shipped_name(request.model):
        request = _in_onnx(request)
    chosen_for = on_cpu and not request.backend and request.model.suffix == ".onnx" and request.model.is_file()
    return choose(request) if chosen_for and not accelerator(request.device) else request


def _in_onnx(request: Request) -> Request:
    """The request with the network's ONNX file, in int8 if that is asked for."""
    try:
        return replace(request, model=onnx_file(request.model, "int8" if request.precision == "int8" else "fp32"))
    except InputError as error:
        if request.backend:
            raise
        print(f"posekit: {error}; MindSpore runs the checkpoint, more slowly", file=sys.stderr)
        return request


def onnx_file(model: Path, precision: str = "fp32") -> Path:
    """The ONNX file of a checkpoint, in fp32 or int8, for any number of images, from the folder of `caches`.

    It is made where it isn't there.

    Its name depends on the checkpoint's bytes and on the versions of what makes it. It appears whole or not at all, so
    that two processes may make it at once; a damaged one is made again.
    """
    made_by = sha256(model), __version__, *map(version, ("mindspore", "onnx", "onnxruntime"))
    key = hashlib.sha256(" ".join(made_by).encode()).hexdigest()
    path = caches() / "onnx" / f"{model.stem}-{key[:16]}{precision.removeprefix('fp32')}.onnx"
    if not _whole(path):
        from posekit.deploy.export import export_model  # here, since MindSpore takes seconds to import

        print(f"{model.stem}: making its ONNX file, which takes some seconds, this time only")
        chosen_device("cpu")
        export_model(model, "onnx", path, None, precision=precision)
    return path


def _whole(path: Path) -> bool:
    try:
        return path.is_file() and bool(read_description(path))
    except InputError:
        return False
