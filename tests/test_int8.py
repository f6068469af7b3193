"""Int8: the exported file computes in 8 bits, says so, costs little, and is refused where nothing reads it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from posekit.datasets.pipeline import EvaluationBatches
from posekit.deploy.export import export_model
from posekit.errors import InputError
from posekit.evaluation.protocols import score
from posekit.files import write_json
from posekit.inference.predictors import predict_dataset
from posekit.inference.run_times import load_predictor
from posekit.inference.run_times.description import read_description
from posekit.inference.run_times.request import Request
from posekit.layouts import draw, get_layout, open_split
from posekit.recipes import get_recipe
from posekit.shipped import model_path, shipped


@pytest.fixture(scope="module", params=["people", "vehicles"])
def files(request, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network that ships in fp32 and in int8, and drawn data of its kind."""
    folder, model = tmp_path_factory.mktemp("int8"), model_path(request.param)
    draw(get_recipe(shipped()[request.param]["recipe"]), folder / "data", 32, 60)
    made = {"data": folder / "data", "checkpoint": model}
    for precision in ("fp32", "int8"):
        path = folder / f"{precision}.onnx"
        made[precision] = export_model(model, "onnx", path, None, precision=precision, calibration=(made["data"], None))
    return made


def test_weights_are_whole_numbers_of_their_filters_steps(files: dict[str, Path]):
    """Every convolution takes weights of 7 bits, and those are the fp32 file's, rounded to a filter's step."""
    graph = onnx.load(files["int8"]).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 20
    for node in convolutions:
        source, weight = (made_by[name] for name in node.input[:2])
        assert source.op_type == weight.op_type == "DequantizeLinear"
        whole, step = values[weight.input[0]], values[weight.input[1]]  # (O, I, k, k) int8, (O,)
        assert whole.dtype == np.int8 and np.abs(whole.astype(int)).max() <= 64 and step.shape == whole.shape[:1]


def test_it_is_nearly_the_same_network_and_less_than_half_as_large(files: dict[str, Path]):
    recipe = load_predictor(Request(files["fp32"], "cpu")).recipe
    dataset = open_split(recipe, files["data"], "test")
    assert read_description(files["int8"]).precision == "int8"
    assert files["int8"].stat().st_size < 0.5 * files["fp32"].stat().st_size
    tables, maps = {}, {}
    for precision in ("fp32", "int8"):
        for backend in ("onnxruntime", "openvino"):
            predictor = load_predictor(Request(files[precision], "cpu", 4, backend, precision))
            assert predictor.run_time == f"{backend} {precision}, CPU"
            maps[precision, backend] = predictor.heatmaps(EvaluationBatches(dataset, recipe, 8)[0][0])
            found = predict_dataset(predictor, dataset, progress=False)
            *_, table = score(get_layout(recipe.dataset).protocols, dataset, found).values()
            *_, part = (name for name in table.rows if name.startswith("PCK"))
            tables[precision, backend] = table.rows[part]["Mean"]
    for backend in ("onnxruntime", "openvino"):
        wanted = maps["fp32", backend]
        apart = np.abs(maps["int8", backend] - wanted).max() / np.ptp(wanted)
        assert 1e-4 < apart < 0.2, "rounded, and the same network"
        assert abs(tables["int8", backend] - tables["fp32", backend]) < 2  # points of 60 pictures


def test_without_data_it_is_calibrated_with_drawings(tiny_models: dict[str, Path], tmp_path: Path):
    export_model(tiny_models["hourglass"], "onnx", tmp_path / "a.onnx", precision="int8")
    assert load_predictor(Request(tmp_path / "a.onnx", "cpu")).run_time == "openvino int8, CPU"


def test_what_reads_no_int8_says_so(files: dict[str, Path], tmp_path: Path):
    with pytest.raises(InputError, match="computes in int8 here, not in fp32"):
        load_predictor(Request(files["int8"], "cpu", precision="fp32"))
    with pytest.raises(InputError, match="computes in fp32 or bf16 here|computes in bf16 or fp32 here"):
        load_predictor(Request(files["fp32"], "cpu", backend="openvino", precision="int8"))
    with pytest.raises(InputError, match="reads no int8"):
        load_predictor(Request(files["int8"], "cpu", backend="lite"))
    with pytest.raises(InputError, match="for onnx int8"):
        export_model(files["checkpoint"], "mindir", tmp_path / "a.mindir", precision="int8")
    assert not list(tmp_path.iterdir())


def test_the_precision_is_part_of_the_seal(files: dict[str, Path], tmp_path: Path):
    model = onnx.load(files["int8"])
    for said in ("fp32", "int4"):
        next(entry for entry in model.metadata_props if entry.key == "precision").value = said
        onnx.save(model, tmp_path / "changed.onnx")
        with pytest.raises(InputError, match="changed.onnx: (was changed|precision is fp32 or int8)"):
            read_description(tmp_path / "changed.onnx")


def test_data_without_training_images_is_one_message(files: dict[str, Path], tmp_path: Path):
    write_json(tmp_path / "empty.json", {"images": [], "annotations": [], "categories": []})
    with pytest.raises(InputError):
        calibration = (tmp_path / "empty.json", None)
        export_model(files["checkpoint"], "onnx", tmp_path / "a.onnx", precision="int8", calibration=calibration)
    assert not (tmp_path / "a.onnx").exists()
