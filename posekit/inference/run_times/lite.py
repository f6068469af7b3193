"""MindSpore Lite, the run time of an Ascend 310, driven through `lite_worker.py` in the Python that has it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from posekit.errors import InputError, shown
from posekit.files import ROOT, atomic_path
from posekit.inference.predictors import Predictor
from posekit.inference.run_times.description import check_shapes, read_description, write_description
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.plain_paths import plain_input, plain_output
from posekit.runtime import cores, split_device
from posekit.skeletons import get_skeleton

_WORKER = Path(__file__).with_name("lite_worker.py")


class Worker:
    """A process that runs one model file; called with images (batch, 3, H, W) float32, it returns heatmaps."""

    def __init__(self, python: Path, path: Path, settings: dict, model: Path) -> None:
        """path: the file to run; `model` is what errors call it."""
        arguments = [str(python), str(_WORKER), "run", str(path), json.dumps(settings)]
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin and self._process.stdout
        self._images, self._heatmaps = self._process.stdin, self._process.stdout
        self.shape = _answer(self._heatmaps.readline(), model)["shape"]
        self._model = model

    def __call__(self, images: np.ndarray) -> np.ndarray:
        try:
            self._images.write(np.ascontiguousarray(images, np.float32).tobytes())
            self._images.flush()
        except BrokenPipeError:
            pass  # the answer below is then missing, too
        size = 4 * int(np.prod(self.shape))
        data = self._heatmaps.read(size)
        if len(data) < size:
            raise InputError(f"{self._model}: MindSpore Lite stopped (exit code {self._process.wait()}); run it again")
        return np.frombuffer(data, np.float32).reshape(self.shape)

    def __del__(self) -> None:
        if process := getattr(self, "_process", None):
            process.stdin.close()  # the worker ends with its input
            process.stdout.close()
            process.wait()


def open_lite(request: Request) -> Predictor:
    """An ONNX file, or what `convert_lite` made of it, on MindSpore Lite: on the CPU, or the Ascend of `device`."""
    target, device_id = _target(request.device)
    precision = request.only(*("fp32",) if target == "cpu" else ("fp16", "fp32"))
    if read_description(request.model).precision == "int8":
        raise InputError(f"{request.model}: MindSpore Lite reads no int8 of this kind; export it in fp32")
    python = find_python(request.lite_python)
    with tempfile.TemporaryDirectory() as folder:
        model = request.model
        if model.suffix == ".onnx":
            model = Path(folder, "model.mindir")
            convert_lite(request, model)
        about = read_description(model)
        batch, recipe = about.batch or request.batch, about.recipe
        settings = {"shape": [batch, *recipe.input_shape], "target": target}
        settings |= {"device_id": device_id, "precision": precision, "threads": len(cores())}
        with plain_input(model) as path:
            worker = Worker(python, path, settings, request.model)
    check_shapes(request.model, about, settings["shape"], worker.shape)
    return Predictor(recipe, get_skeleton(recipe.skeleton), worker, batch, f"{precision}, {target}")


def convert_lite(request: Request, out: Path) -> None:
    """Write an ONNX file as Lite's own MINDIR, its description beside it, for the device's kind of processor."""
    target, _ = _target(request.device)
    python = find_python(request.lite_python)
    about = read_description(request.model)
    batch, recipe = about.batch or request.batch, about.recipe
    settings = {"shape": [batch, *recipe.input_shape], "target": target}
    with atomic_path(out) as temporary:
        with plain_input(request.model) as source, plain_output(temporary) as made:
            arguments = [str(python), str(_WORKER), "convert", str(source), str(made), json.dumps(settings)]
            done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            _answer(done.stdout, request.model)
        write_description(out, recipe, batch, "fp32" if target == "cpu" else "fp16", "lite", temporary)


def _target(device: str) -> tuple[str, int]:
    name, device_id = split_device(device)
    if name == "gpu":
        raise InputError(f"device {device}: MindSpore Lite runs on cpu or ascend")
    return ("ascend" if name == "ascend" else "cpu"), device_id


def _answer(line: bytes, model: Path) -> dict:
    """A worker's line of JSON; InputError with the error that it tells, or when there is none."""
    try:
        answer = json.loads(line) if line.strip() else {"error": "it ended without an answer"}
    except ValueError:
        answer = {"error": f"it answered {shown(line)}"}
    if "error" in answer:
        raise InputError(f"{model}: MindSpore Lite refuses it ({answer['error']}); export the model again as ONNX")
    return answer


def find_python(given: Path | None = None) -> Path:
    """The Python that has MindSpore Lite: the given one, else $POSEKIT_LITE_PYTHON, .lite/ in the repository (what
    scripts/lite.sh makes), this one, or python3.7 on the path. Raises MissingRunTime.
    """
    named = given or os.environ.get("POSEKIT_LITE_PYTHON")
    places = (named,) if named else (ROOT / ".lite" / "bin" / "python", sys.executable, shutil.which("python3.7"))
    for place in places:
        if place and _has_lite(str(place)):
            return Path(place)
    where = f"{named} has no MindSpore Lite" if named else "MindSpore Lite is not here"
    raise MissingRunTime(f"{where}; bash scripts/lite.sh installs it for Python 3.7, or name a Python by --lite-python")


@cache
def _has_lite(python: str) -> bool:
    program = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mindspore_lite') is None)"
    try:
        return subprocess.run([python, "-c", program], capture_output=True).returncode == 0
    except OSError:
        return False
