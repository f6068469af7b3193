"""Each run time by itself: which is chosen, what it computes in, what is said where it is missing."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from posekit.deploy.export import export_model
from posekit.errors import InputError
from posekit.inference.run_times import Request, lite, load_predictor, onnx_files
from posekit.inference.run_times.description import write_description
from posekit.inference.run_times.request import MissingRunTime
from posekit.inference.run_times.rounding import rounded

IMAGES = np.random.default_rng(0).standard_normal((3, 3, 64, 64)).astype(np.float32)


def reference(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": IMAGES})[0]


def test_the_file_chooses_the_run_time(tiny_onnx, tiny_models):
    assert load_predictor(Request(tiny_models["hrnet"], "cpu")).run_time == "mindspore fp32"
    assert load_predictor(Request(tiny_onnx["hrnet"], "cpu", precision="fp32")).run_time == "openvino fp32, CPU"
    named = load_predictor(Request(tiny_onnx["hrnet"], "cpu", backend="onnxruntime"))
    assert (named.run_time, named.batch) == ("onnxruntime fp32, CPU", 16)


def test_what_does_not_fit_is_refused(tiny_onnx, tiny_models, tmp_path: Path):
    model = tiny_onnx["hrnet"]
    for options, message in (
        ({"backend": "tensorrt"}, "unknown backend 'tensorrt'; choose one of mindspore, mindir, onnxruntime"),
        ({"precision": "int4"}, "unknown precision 'int4'; choose one of fp32, fp16, bf16, int8"),
        (
            {"backend": "mindspore"},
            "hrnet.onnx: mindspore reads .ckpt; make such a file of the checkpoint",
        ),
        ({"backend": "openvino", "precision": "fp16"}, "computes in .* here, not in fp16; change --precision"),
        ({"backend": "openvino", "device": "gpu"}, "openvino runs on the CPU here; use --backend onnxruntime"),
        ({"backend": "lite", "device": "gpu"}, "MindSpore Lite runs on cpu or ascend"),
    ):
        with pytest.raises(InputError, match=message):
            load_predictor(Request(model, **{"device": "cpu", **options}))
    with pytest.raises(InputError, match="best.ckpt: computes in fp32 here, not in bf16"):
        load_predictor(Request(tiny_models["hrnet"], "cpu", precision="bf16"))


# ONNX Runtime and OpenVINO


def test_an_accelerator_is_taken_where_onnxruntime_has_one(monkeypatch: pytest.MonkeyPatch):
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert [onnx_files.accelerator(device) for device in ("auto", "gpu:1", "cpu", "ascend")] == [
        "gpu",
        "gpu",
        None,
        None,
    ]
    providers.insert(0, "CANNExecutionProvider")
    assert onnx_files.accelerator("auto") == "ascend"


def test_an_accelerator_is_told_to_keep_fp32(tiny_onnx, monkeypatch: pytest.MonkeyPatch):
    """What ONNX Runtime is asked for; by its documentation, without a stated wish CUDA uses TF32 and CANN fp16."""
    asked = []

    def session(path, options, providers):
        asked.append(providers)
        return SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])

    both = ["CANNExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    for device, precision in (("gpu:1", None), ("ascend", None), ("ascend", "fp16")):
        with pytest.raises(MissingRunTime, match="does not start here; check its driver and libraries"):
            load_predictor(Request(tiny_onnx["hrnet"], device, precision=precision))
    assert [providers[0] for providers in asked] == [
        ("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"}),
        ("CANNExecutionProvider", {"device_id": "0", "precision_mode": "must_keep_origin_dtype"}),
        ("CANNExecutionProvider", {"device_id": "0", "precision_mode": "force_fp16"}),
    ]


def test_missing_run_times_say_what_to_install(tiny_onnx, tiny_models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("POSEKIT_LITE_PYTHON", raising=False)
    monkeypatch.setattr(lite, "_has_lite", lambda python: False)
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None if name == "openvino" else name)
    plain = Path(shutil.copy(tiny_onnx["hrnet"], tmp_path / "model.om"))
    write_description(plain, load_predictor(Request(tiny_models["hrnet"], "cpu")).recipe, 3, "fp16")
    for model, options, message in (
        (tiny_onnx["hrnet"], {"backend": "openvino"}, "openvino is not installed; pip install openvino"),
        (tiny_onnx["hrnet"], {"device": "gpu"}, "no CUDAExecutionProvider; pip install onnxruntime-gpu"),
        (tiny_onnx["hrnet"], {"device": "ascend"}, "no CANNExecutionProvider; pip install onnxruntime-cann"),
        (tiny_onnx["hrnet"], {"backend": "lite"}, "MindSpore Lite is not here; bash scripts/lite.sh installs it"),
        (plain, {}, "om needs ais_bench, which is not installed .*; where CANN is, install the wheels"),
    ):
        wanted = {"device": "cpu", "backend": "onnxruntime" if model.suffix == ".onnx" else None, **options}
        with pytest.raises(MissingRunTime, match=message):
            load_predictor(Request(model, **wanted))


def test_bf16_is_refused_where_openvino_would_silently_compute_in_fp32(tiny_onnx):
    import openvino

    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        found = load_predictor(Request(tiny_onnx["hrnet"], "cpu"))
        assert found.run_time == "openvino bf16, CPU"
        wanted = reference(tiny_onnx["hrnet"])
        apart = np.abs(found.heatmaps(IMAGES) - wanted).max() / np.ptp(wanted)
        assert 1e-4 < apart < 0.05
    else:
        assert load_predictor(Request(tiny_onnx["hrnet"], "cpu")).run_time == "openvino fp32, CPU"
        with pytest.raises(MissingRunTime, match="does not compute in bf16 .AMX or AVX512-BF16.; use --precision fp32"):
            load_predictor(Request(tiny_onnx["hrnet"], "cpu", precision="bf16"))


def narrow(values: np.ndarray, precision: str) -> np.ndarray:
    """Rounded to 16 bits by NumPy: fp16 by its type, bf16 by the upper half of the bits, ties to even."""
    if precision == "fp16":
        return values.astype(np.float16).astype(np.float32)
    bits = values.astype(np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_simulated_half_precision_rounds_weights_and_every_result(tmp_path: Path, precision):
    """y = (0.3 x + 0.1) + x, by hand."""
    weights = [
        numpy_helper.from_array(np.full((1, 1, 1, 1), 0.3, np.float32), "w"),
        numpy_helper.from_array(np.array([0.1], np.float32), "b"),
    ]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node("Add", ["c", "x"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 500]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=4), tmp_path / "a.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(rounded(tmp_path / "a.onnx", precision), options)
    x = np.linspace(-2, 2, 500, dtype=np.float32).reshape(1, 1, 1, 500)
    w, b, near = narrow(np.float32([0.3]), precision), narrow(np.float32([0.1]), precision), narrow(x, precision)
    wanted = narrow(narrow(w * near + b, precision) + near, precision)
    found = session.run(None, {"x": x})[0]
    assert np.mean(found == wanted) > 0.99  # a sum that lies between two 16-bit numbers may be fused or not
    assert np.abs(found - wanted).max() <= {"fp16": 2.0**-9, "bf16": 2.0**-6}[precision]
    assert np.abs(found - (0.3 * x + 0.1 + x)).max() > 1e-4


@pytest.mark.parametrize("network", ["hrnet", "hourglass"])
def test_half_precision_costs_what_its_digits_say(tiny_onnx, network):
    """fp16 has 11 bits, bf16 8: the cost goes with them."""
    wanted = reference(tiny_onnx[network])
    apart = {}
    for precision in ("fp16", "bf16"):
        found = load_predictor(Request(tiny_onnx[network], "cpu", backend="onnxruntime", precision=precision))
        assert found.run_time == f"onnxruntime {precision} simulated, CPU"
        apart[precision] = np.abs(found.heatmaps(IMAGES) - wanted).max() / np.ptp(wanted)
    assert 1e-4 < apart["fp16"] < 1e-2 and 3 < apart["bf16"] / apart["fp16"] < 30


# MindSpore Lite and OM


@pytest.fixture(scope="session")
def lite_python() -> Path:
    try:
        return lite.find_python()
    except MissingRunTime as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("network", ["hrnet", "hourglass"])
def test_mindspore_lite_gives_the_same_heatmaps(tiny_onnx, lite_python, network):
    found = load_predictor(Request(tiny_onnx[network], "cpu", 2, backend="lite", lite_python=lite_python))
    assert (found.run_time, found.batch) == ("lite fp32, cpu", 2)
    wanted = reference(tiny_onnx[network])
    assert np.abs(found.heatmaps(IMAGES) - wanted).max() <= 1e-4 * np.ptp(wanted)


def test_a_file_that_lite_converted_runs_alone(tiny_onnx, lite_python, tmp_path: Path):
    out = tmp_path / "converted.mindir"
    lite.convert_lite(Request(tiny_onnx["hrnet"], "cpu", batch=3, lite_python=lite_python), out)
    found = load_predictor(Request(out, "cpu", backend="lite", lite_python=lite_python))
    wanted = reference(tiny_onnx["hrnet"])
    assert found.batch == 3 and np.abs(found.heatmaps(IMAGES) - wanted).max() <= 1e-4 * np.ptp(wanted)
    found.run._process.kill()
    with pytest.raises(InputError, match="converted.mindir: MindSpore Lite stopped .exit code -9.; run it again"):
        found.heatmaps(IMAGES)


def test_lite_refuses_what_it_cannot_read(tiny_models, tiny_onnx, lite_python, tmp_path: Path):
    own = export_model(tiny_models["hrnet"], "mindir", tmp_path / "own.mindir", 1)
    with pytest.raises(InputError, match="own.mindir: MindSpore Lite refuses it .*; export the model again as ONNX"):
        load_predictor(Request(own, "cpu", backend="lite", lite_python=lite_python))
    (tmp_path / "cut.onnx").write_bytes(tiny_onnx["hrnet"].read_bytes()[:3000])
    with pytest.raises(InputError, match="cut.onnx: not a readable ONNX file"):
        load_predictor(Request(tmp_path / "cut.onnx", "cpu", backend="lite", lite_python=lite_python))


@pytest.mark.slow
def test_lite_is_looked_for_where_it_is_named(tmp_path: Path):
    with pytest.raises(MissingRunTime, match="none/python has no MindSpore Lite; bash scripts/lite.sh"):
        lite.find_python(tmp_path / "none" / "python")


def test_an_om_file_is_run_as_its_tool_is_documented(tiny_onnx, tiny_models, tmp_path: Path, monkeypatch):
    """A stand-in with the calls of ais_bench's documentation: InferSession(device_id, path), infer([array])."""
    model = Path(shutil.copy(tiny_onnx["hrnet"], tmp_path / "model.om"))
    recipe = load_predictor(Request(tiny_models["hrnet"], "cpu")).recipe
    write_description(model, recipe, 3, "fp16")
    opened = []

    class InferSession:
        def __init__(self, device_id: int, model_path: str) -> None:
            opened.append((device_id, model_path))
            self.session = onnxruntime.InferenceSession(Path(model_path).read_bytes())

        def get_inputs(self) -> list:
            return [SimpleNamespace(shape=[3, 3, 64, 64])]

        def get_outputs(self) -> list:
            return [SimpleNamespace(shape=[3, 36, 16, 16])]

        def infer(self, feeds: list) -> list:
            return self.session.run(None, {"images": feeds[0]})

    interface = ModuleType("ais_bench.infer.interface")
    interface.InferSession = InferSession
    for name, module in (("ais_bench", ModuleType("a")), ("ais_bench.infer", ModuleType("b"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "ais_bench.infer.interface", interface)
    found = load_predictor(Request(model, "ascend:2"))
    assert opened == [(2, str(model))] and found.run_time == "om fp16, Ascend" and found.batch == 3
    np.testing.assert_array_equal(found.heatmaps(IMAGES), reference(tiny_onnx["hrnet"]))
    write_description(model, replace(recipe, input_size=96, heatmap_size=24), 3, "fp16")
    with pytest.raises(InputError, match="model.om: makes 3×64×64 -> 36×16×16, but its recipe"):
        load_predictor(Request(model, "ascend:2"))


@pytest.mark.slow
def test_ctrl_c_after_several_models_on_openvino(tiny_onnx):
    """With Python's fault handler, which JupyterLab's kernels and pytest switch on, too."""
    program = (
        "import os, signal; from pathlib import Path; from posekit.inference.run_times import Request, load_predictor;"
        f"request = Request(Path({str(tiny_onnx['hrnet'])!r}), 'cpu', backend='openvino');"
        "first = load_predictor(request); second = load_predictor(request); del first; del second;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", program], capture_output=True, text=True)
    assert done.stderr.endswith("KeyboardInterrupt\n"), done.stderr
