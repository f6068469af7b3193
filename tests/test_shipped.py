"""The networks that ship: their names in place of model files, half precision, the ONNX file made at first use."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from posekit import shipped
from posekit.cli.main import main
from posekit.deploy.fast import fastest
from posekit.errors import InputError
from posekit.files import sha256, write_json
from posekit.inference.run_times import Request, load_predictor
from posekit.inference.run_times.description import read_description
from posekit.layouts.veri import VERI
from posekit.predictions import read_predictions
from posekit.shipped import model_path, shipped_name, title

COMMAND = """
import sys
from pathlib import Path
import posekit.shipped
posekit.shipped.WEIGHTS = Path(sys.argv.pop(1))
from posekit.cli.main import main
try:
    main()
finally:
    print("MindSpore was imported:", "mindspore" in sys.modules)
"""


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped network of three bytes in place of the real ones; the current folder is an empty one."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "people.ckpt").write_bytes(b"abc")
    write_json(folder / "weights.json", {"people": {"about": "tiny", "sha256": sha256(folder / "people.ckpt")}})
    monkeypatch.setattr(shipped, "WEIGHTS", folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


@pytest.fixture(scope="module")
def tiny_weights(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tiny networks as they would ship."""
    from posekit.models.checkpoint import save_half

    folder, about = tmp_path_factory.mktemp("weights"), {}
    for name, network in (("people", "hourglass"), ("vehicles", "hrnet")):
        save_half(tiny_models[network], folder / f"{name}.ckpt")
        about[name] = {"about": f"tiny {network}", "sha256": sha256(folder / f"{name}.ckpt")}
    write_json(folder / "weights.json", about)
    return folder


@pytest.fixture
def tiny_shipped(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tiny_weights` in place of the real ones, an empty cache, an empty current folder; returns that."""
    monkeypatch.setattr(shipped, "WEIGHTS", tiny_weights)
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a posekit command in this process and returns what it prints."""

    def command(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["posekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        assert not stopped.value.code, printed.err
        return printed.out + printed.err

    return command


def start(weights: Path, *arguments: object) -> subprocess.Popen:
    """A posekit command in a process of its own."""
    command = [sys.executable, "-c", COMMAND, str(weights), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def ended(process: subprocess.Popen) -> str:
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def onnx_files(here: Path) -> list[Path]:
    return sorted((here.parent / "home/cache/onnx").glob("*"))


def test_a_name_is_its_checked_file(names: Path):
    assert model_path("people") == model_path(Path("people")) == names / "people.ckpt"
    assert shipped_name(names / "people.ckpt") == "people" and title(names / "people.ckpt") == "people (tiny)"
    assert model_path("x/people") == Path("x/people") and title(Path("x/people.ckpt")) == "x/people.ckpt"
    assert shipped_name(Path("x/people.ckpt")) is None
    (names / "people.ckpt").write_bytes(b"abd")
    with pytest.raises(InputError, match="checksum differs"):
        model_path("people")


def test_a_misspelled_name_says_which_there_are(names: Path):
    with pytest.raises(InputError, match="person: no such model file; give one, or people"):
        model_path("person")


def test_a_file_of_that_name_comes_first_and_a_folder_does_not(names: Path):
    Path("people").mkdir()
    assert model_path("people") == names / "people.ckpt"
    Path("people").rmdir()
    Path("people").write_text("")
    assert model_path("people") == Path("people")


@pytest.mark.parametrize("name", shipped.shipped())
def test_what_ships_is_small_learned_from_drawings_only_and_is_what_its_manifest_says(name: str):
    from posekit.models.checkpoint import load_network

    about, path = shipped.shipped()[name], model_path(name)
    recipe = load_network(path).recipe
    assert path.stat().st_size <= 3 * 2**20
    assert (recipe.name, recipe.trained_on) == (about["recipe"], about["trained_on"]) and recipe.sure > 0
    assert about["trained_on"] == "drawings" and about["seed"] == recipe.seed and recipe.name in about["about"]
    pck = f"PCK@{recipe.validation_threshold:g}"
    assert abs(about["scores"][pck] - about["scores"][f"{pck} in float32"]) < 0.1
    assert title(path).startswith(f"{name} (")


def test_half_precision_halves_the_file_and_rounds_only_convolutions(tiny_run: Path, tmp_path: Path):
    from posekit.models.checkpoint import NOTES, read_checkpoint, save_half

    save_half(tiny_run / "best.ckpt", tmp_path / "half.ckpt")
    (recipe, whole), (again, half) = (read_checkpoint(p) for p in (tiny_run / "best.ckpt", tmp_path / "half.ckpt"))
    assert again == recipe and list(half) == list(whole)
    for name in whole.keys() - set(NOTES):
        one, other = whole[name].asnumpy(), half[name].asnumpy()
        assert one.dtype == other.dtype == np.float32
        wanted = one.astype(np.float16).astype(np.float32) if one.ndim > 1 else one
        np.testing.assert_array_equal(other, wanted, name)
    values = {name: value.asnumpy() for name, value in whole.items() if name not in NOTES}
    saved = sum(value.nbytes // 2 for value in values.values() if value.ndim > 1)
    assert abs((tiny_run / "best.ckpt").stat().st_size - saved - (tmp_path / "half.ckpt").stat().st_size) < 2_000


def test_half_precision_costs_less_than_a_tenth_of_a_point(tiny_run: Path, tmp_path: Path):
    from posekit.models.checkpoint import load_network, save_half
    from posekit.training.loop import validate

    save_half(tiny_run / "best.ckpt", tmp_path / "half.ckpt")
    VERI.draw(tmp_path / "data", 1, 300, seed=3)
    models = [load_network(path) for path in (tiny_run / "best.ckpt", tmp_path / "half.ckpt")]
    test = VERI.read(tmp_path / "data", "test", None)
    whole, half = (validate(model.network, model.recipe, test)[0] for model in models)
    assert abs(whole - half) < 0.1 and whole > 10


@pytest.mark.slow
def test_the_second_prediction_goes_without_mindspore(tiny_weights: Path, tiny_shipped: Path, tiny_vehicles: Path):
    picture = next(tiny_vehicles.rglob("*.jpg"))
    tables = []
    for said in ("True", "False"):
        printed = ended(start(tiny_weights, "predict", "vehicles", picture))
        assert printed.endswith(f"MindSpore was imported: {said}\n")
        assert re.search(r"vehicles \(tiny hrnet\): (openvino|onnxruntime) ", printed)
        assert "drawn pictures only" in printed
        assert ("vehicles: making its ONNX file" in printed) == (said == "True")
        tables.append(Path("found/predictions.csv").read_bytes())
    assert tables[0] == tables[1] and Path("found", f"{picture.stem}.png").is_file()
    assert len(onnx_files(tiny_shipped)) == 1


@pytest.mark.slow
def test_two_first_uses_at_once_both_succeed(tiny_weights: Path, tiny_shipped: Path, tiny_vehicles: Path):
    picture = next(tiny_vehicles.rglob("*.jpg"))
    for printed in map(ended, [start(tiny_weights, "predict", "people", picture, "--out", out) for out in "ab"]):
        assert re.search("openvino|onnxruntime", printed)
    assert Path("a/predictions.csv").read_bytes() == Path("b/predictions.csv").read_bytes()
    assert [path.suffix for path in onnx_files(tiny_shipped)] == [".onnx"]


def test_the_onnx_file_is_the_same_network(tiny_shipped: Path):
    images = np.random.default_rng(0).random((3, 3, 64, 64), np.float32)
    request = Request(model_path("people"), "cpu", batch=3, precision="fp32")
    fast, whole = load_predictor(fastest(request)), load_predictor(request)
    assert fast.run_time in ("openvino fp32, CPU", "onnxruntime fp32, CPU") and whole.run_time == "mindspore fp32"
    np.testing.assert_allclose(fast.heatmaps(images), whole.heatmaps(images), atol=1e-5)


def test_a_damaged_onnx_file_is_made_again(tiny_shipped: Path):
    fastest(Request(model_path("people"), "cpu"))
    (file,) = onnx_files(tiny_shipped)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="export the model again"):
        read_description(file)
    assert fastest(Request(model_path("people"), "cpu")).model == file
    assert read_description(file).recipe.network == "hourglass"


def test_other_weights_get_another_onnx_file(tiny_weights: Path, tiny_shipped: Path, tmp_path: Path, monkeypatch):
    first = fastest(Request(model_path("people"), "cpu")).model
    other = tmp_path / "other"
    other.mkdir()
    (other / "people.ckpt").write_bytes((tiny_weights / "vehicles.ckpt").read_bytes())
    write_json(other / "weights.json", {"people": {"about": "other", "sha256": sha256(other / "people.ckpt")}})
    monkeypatch.setattr(shipped, "WEIGHTS", other)
    assert fastest(Request(model_path("people"), "cpu")).model != first and len(onnx_files(tiny_shipped)) == 2


def test_only_shipped_networks_and_fitting_run_times_are_replaced(tiny_shipped: Path, tiny_models: dict[str, Path]):
    for request in (Request(tiny_models["hrnet"], "cpu"), Request(model_path("people"), "cpu", backend="mindspore")):
        assert fastest(request) is request
    assert onnx_files(tiny_shipped) == []


def test_without_a_place_for_the_onnx_file_the_checkpoint_runs(tiny_shipped: Path, monkeypatch, capsys):
    Path("file").write_text("")
    monkeypatch.setenv("POSEKIT_HOME", str(Path("file/home").absolute()))
    request = Request(model_path("people"), "cpu")
    assert fastest(request) is request
    assert "MindSpore runs the checkpoint" in capsys.readouterr().err


def test_names_stand_for_files_in_other_commands(tiny_shipped: Path, tiny_vehicles: Path, run):
    printed = run("evaluate", "vehicles", "--data", tiny_vehicles, "--out", "scores")
    assert len(re.findall(r"vehicles \(tiny hrnet\): (?:openvino|onnxruntime)", printed)) == 1 and "Mean@0.1" in printed
    run("predict", "vehicles", "--data", tiny_vehicles)
    assert len(read_predictions(Path("predictions.csv"), 36).names) == 12
    assert "batch 1" in run("export", "people", "--out", "people.onnx")
    assert "mindspore fp32" in run("predict", "vehicles", "--backend", "mindspore", "--data", tiny_vehicles)
    run("convert", "vehicles", "vehicles.safetensors", "--to", "hrnet-pose")
    assert Path("vehicles.safetensors").is_file()
