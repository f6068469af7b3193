"""The ONNX files of the shipped networks, which run faster than their checkpoints and without MindSpore."""

import hashlib
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from posekit import __version__
from posekit.errors import InputError
from posekit.files import caches, sha256
from posekit.inference.run_times.description import read_description
from posekit.inference.run_times.onnx_files import accelerator
from posekit.inference.run_times.request import Request
from posekit.runtime import chosen_device, split_device
from posekit.shipped import shipped_name

_READERS = ("openvino", "onnxruntime", "lite")  # the run times for ONNX files


def fastest(request: Request) -> Request:
    """The request, in which a shipped network's ONNX file replaces its checkpoint where a run time for it computes.

    That is on the CPU, on accelerators that ONNX Runtime can use, and where `backend` names such a run time. Without a
    place to keep the file the checkpoint stays, which standard error says.
    """
    on_cpu = split_device(request.device)[0] in ("auto", "cpu")
    wanted = request.backend in _READERS or (not request.backend and (on_cpu or accelerator(request.device)))
    if not wanted or not shipped_name(request.model):
        return request
    try:
        return replace(request, model=onnx_file(request.model))
    except InputError as error:
        if request.backend:
            raise
        print(f"posekit: {error}; MindSpore runs the checkpoint, more slowly", file=sys.stderr)
        return request


def onnx_file(model: Path) -> Path:
    """The ONNX file of a checkpoint for any number of images, from the folder of `caches`; made where it isn't there.

    Its name depends on the checkpoint's bytes and on the versions of what makes it. It appears whole or not at all, so
    that two processes may make it at once; a damaged one is made again.
    """
    made_by = sha256(model), __version__, version("mindspore"), version("onnx")
    key = hashlib.sha256(" ".join(made_by).encode()).hexdigest()
    path = caches() / "onnx" / f"{model.stem}-{key[:16]}.onnx"
    if not _whole(path):
        from posekit.deploy.export import export_model  # here, since MindSpore takes seconds to import

        print(f"{model.stem}: making its ONNX file, which takes some seconds, this time only")
        chosen_device("cpu")
        export_model(model, "onnx", path, None)
    return path


def _whole(path: Path) -> bool:
    try:
        return path.is_file() and bool(read_description(path))
    except InputError:
        return False
