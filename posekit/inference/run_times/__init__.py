"""The run times: each opens a model file as a function from images to heatmaps. The file and the device suggest one."""

from dataclasses import replace

from posekit.errors import InputError
from posekit.inference.predictors import Predictor
from posekit.inference.run_times import graphs, lite, offline, onnx_files
from posekit.inference.run_times.request import PRECISIONS, Request

_OPENERS = {
    ("mindspore", ".ckpt"): graphs.open_checkpoint,
    ("mindir", ".mindir"): graphs.open_mindir,
    ("onnxruntime", ".onnx"): onnx_files.open_onnxruntime,
    ("openvino", ".onnx"): onnx_files.open_openvino,
    ("lite", ".onnx"): lite.open_lite,
    ("lite", ".mindir"): lite.open_lite,
    ("om", ".om"): offline.open_om,
}
BACKENDS = tuple(dict.fromkeys(backend for backend, _ in _OPENERS))


def load_predictor(request: Request) -> Predictor:
    """The predictor of a model file: .ckpt, .mindir, .onnx or .om.

    Raises InputError for a file that cannot be read or a run time that is not here.
    """
    model, backend, precision = request.model, request.backend, request.precision
    suffixes = list(dict.fromkeys(suffix for _, suffix in _OPENERS))
    if model.suffix not in suffixes:
        raise InputError(
            f"{model}: unknown kind of model file; give a {', '.join(suffixes)} file, or make a .ckpt of PyTorch's "
            "weights with posekit convert"
        )
    if backend is not None and backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if not model.is_file():
        raise InputError(f"{model}: no such model file; train one with posekit train, or check the path")
    chosen = backend or _default(request)
    if (chosen, model.suffix) not in _OPENERS:
        kinds = " or ".join(suffix for name, suffix in _OPENERS if name == chosen)
        raise InputError(f"{model}: {chosen} reads {kinds}; make such a file of the checkpoint with posekit export")
    predictor = _OPENERS[chosen, model.suffix](request)
    flip_test = predictor.recipe.flip_test if request.flip_test is None else request.flip_test
    recipe = replace(predictor.recipe, flip_test=flip_test)
    return replace(predictor, recipe=recipe, run_time=f"{chosen} {predictor.run_time}")


def _default(request: Request) -> str:
    """The first run time that reads the file; for ONNX, OpenVINO on a CPU and ONNX Runtime on an accelerator."""
    if request.model.suffix == ".onnx":
        return "onnxruntime" if onnx_files.accelerator(request.device) else "openvino"
    return next(backend for backend, suffix in _OPENERS if suffix == request.model.suffix)
