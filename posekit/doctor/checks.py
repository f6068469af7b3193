"""The checks of `posekit doctor` for every machine: packages, OpenCV, Jupyter, the device, speed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from posekit.errors import InputError
from posekit.files import ROOT, WORKBOOK

FASTER = 30.0  # how much faster HRNet-W32 must be than with oneDNN left alone where that picks its slow kernels

# Runs in a process of its own: oneDNN's limit can be set only once, and before the first operation.
_FORWARD = """
import json, time
from posekit.runtime import set_up
device = set_up("cpu")
import mindspore as ms, numpy as np
from posekit.models import build
from posekit.recipes import get_recipe
from posekit.skeletons import get_skeleton
recipe = get_recipe("poseestnet")
network = build(recipe, get_skeleton(recipe.skeleton)).set_train(False)
images = ms.Tensor(np.zeros((1, 3, 256, 256), np.float32))
seconds = []
for _ in range(RUNS):
    start = time.perf_counter()
    network(images)[0].asnumpy()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds[1:]), "onednn": device.onednn}))  # the first compiles
"""

_OPENVINO = """
import json, time
LIMIT
import numpy as np, openvino, openvino.opset13 as ops
x = openvino.opset13.parameter([1, 64, 64, 64], np.float32)
y = x
for _ in range(8):
    y = ops.convolution(y, np.ones((64, 64, 3, 3), np.float32) / 576, [1, 1], [1, 1], [1, 1], [1, 1])
model = openvino.Core().compile_model(openvino.Model([y], [x]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
image = np.zeros((1, 64, 64, 64), np.float32)
seconds = []
for _ in range(30):
    start = time.perf_counter()
    model(image)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds)}))
"""


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis; `remedy` says what to do when it is not ok, `needed` whether that is a failure."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def packages_check() -> Check:
    """Check that every pinned package is installed in its version; headless OpenCV counts as OpenCV."""
    wrong = []
    pins = [line.split(";")[0].strip() for line in requires("posekit") or [] if "extra ==" not in line]
    for name, _, wanted in (pin.partition("==") for pin in pins):
        present = _version(name) or (_version("opencv-python-headless") if name == "opencv-python" else None)
        if present != wanted:
            wrong.append(f"{name} {present or 'missing'} (needs {wanted})")
    detail = f"{len(pins)} as pinned" if not wrong else "; ".join(wrong)
    remedy = (
        "pip install --force-reinstall posekit's wheel" if ROOT == WORKBOOK else "pip install -e . in the repository"
    )
    return Check("packages", not wrong, detail, remedy)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def opencv_check() -> Check:
    """Check that OpenCV can be imported: it may lack libraries of the system."""
    try:
        import cv2
    except ImportError as error:
        remedy = "install the system's libGL, or replace opencv-python by opencv-python-headless of the same version"
        return Check("OpenCV", False, str(error), remedy)
    return Check("OpenCV", True, cv2.__version__)


def kernel_check() -> Check:
    """Check that Jupyter has a kernel named python3, which the lessons ask for."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        where = KernelSpecManager().get_kernel_spec("python3").resource_dir
    except NoSuchKernel:
        return Check("Jupyter kernel", False, "no kernel named python3", "python -m ipykernel install --sys-prefix")
    return Check("Jupyter kernel", True, where)


def device_check(device: str) -> Check:
    """Check that MindSpore can compute on the device: auto, cpu, gpu or ascend."""
    from posekit.runtime import set_up

    try:
        return Check("device", True, str(set_up(device)))
    except (InputError, ImportError) as error:
        return Check("device", False, str(error), "install the packages as the README says, or use --device cpu")


def speed_checks() -> Iterator[Check]:
    """Measure HRNet-W32 with posekit's setting of oneDNN and without, and whether OpenVINO keeps its speed."""
    ours = _measure(_FORWARD.replace("RUNS", "4"))
    text = f"HRNet-W32 at 256×256 {ours['seconds']:.2f} s per image; oneDNN {ours['onednn']}"
    if not ours["onednn"].startswith("limited"):
        yield Check("convolutions", ours["seconds"] < 3, text, "see which kernels run with ONEDNN_VERBOSE=1")
        return
    alone = _measure(_FORWARD.replace("RUNS", "2"), POSEKIT_ONEDNN="untouched")
    ratio = alone["seconds"] / ours["seconds"]
    text += f"; left alone {alone['seconds']:.1f} s: {ratio:.0f} times faster"
    yield Check("convolutions", ratio >= FASTER, text, "update posekit: this processor needs another limit")
    free = _measure(_OPENVINO.replace("LIMIT", ""))["seconds"]
    beside = _measure(_OPENVINO.replace("LIMIT", "from posekit.runtime import set_up; set_up('cpu')"))["seconds"]
    text = f"{1e3 * beside:.2f} ms with MindSpore set up in the same process, {1e3 * free:.2f} ms alone"
    yield Check("OpenVINO", beside < 1.3 * free, text, "unset ONEDNN_MAX_CPU_ISA: it slows every oneDNN")


def _measure(program: str, **environment: str) -> dict:
    """Run a program in a fresh interpreter; its last line is JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise InputError(f"the speed check failed: {done.stderr.strip().splitlines()[-1]}; run posekit doctor again")
    return json.loads(done.stdout.strip().splitlines()[-1])
