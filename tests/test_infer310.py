"""The way to an Ascend 310: stages that hand over by files, and the table of `posekit evaluate` at the end."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from mpii_files import write_mpii

from posekit.datasets.pipeline import EvaluationBatches
from posekit.deploy import infer310
from posekit.deploy.export import export_model
from posekit.deploy.parity import largest_difference
from posekit.errors import InputError
from posekit.evaluation.protocols import evaluate
from posekit.inference.predictors import Predictor
from posekit.inference.run_times import Request, lite, load_predictor
from posekit.inference.run_times.description import write_description
from posekit.inference.run_times.request import MissingRunTime
from posekit.layouts import get_layout, open_split

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set for each network."""
    return {"hrnet": tiny_vehicles, "hourglass": write_mpii(tmp_path_factory.mktemp("people"), test=7)}


def tables(scores: dict) -> dict:
    return {protocol: table.rows for protocol, table in scores.items()}


def evaluated(predictor: Predictor, data: Path, folder: Path) -> dict:
    """What `posekit evaluate` gives, written to `folder`/evaluated."""
    recipe = predictor.recipe
    protocols = get_layout(recipe.dataset).protocols
    return tables(evaluate(predictor, open_split(recipe, data, "test"), protocols, folder / "evaluated"))


@pytest.mark.parametrize("network", ["hrnet", "hourglass"])
def test_the_stages_give_the_table_of_evaluate(tiny_models, data, tmp_path: Path, network):
    """For an ONNX file of batch 5, which divides neither data set; between the stages the folder moves."""
    model = export_model(tiny_models[network], "onnx", tmp_path / "model.onnx", 5)
    predictor = load_predictor(Request(model, "cpu", backend="onnxruntime"))
    wanted = evaluated(predictor, data[network], tmp_path)
    count = infer310.preprocess(model, data[network], "test", None, tmp_path / "a")
    infer310.convert(Request(model, backend="onnxruntime"), tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    model.unlink()
    times = infer310.infer(Request(tmp_path / "b", "cpu"))
    assert times["run_time"] == "onnxruntime fp32, CPU" and times["milliseconds"] > 0
    assert times["images"] == 2 * count, "mirrored ones, too"
    (tmp_path / "b" / "model.onnx").unlink()
    assert largest_difference(tables(infer310.postprocess(tmp_path / "b")), wanted) == 0
    for name in ("predictions.csv", "scores.json"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "evaluated" / name).read_bytes()


def test_the_binary_files_are_the_networks_input(tiny_models, tiny_vehicles: Path, tmp_path: Path):
    recipe = load_predictor(Request(tiny_models["hrnet"], "cpu")).recipe
    infer310.preprocess(tiny_models["hrnet"], tiny_vehicles, "test", None, tmp_path)
    images, matrices, _ = EvaluationBatches(open_split(recipe, tiny_vehicles, "test"), recipe, 12)[0]
    for number in (0, 11):
        plain = np.fromfile(tmp_path / "images" / f"{number:06}.bin", np.float32).reshape(3, 64, 64)
        mirrored = np.fromfile(tmp_path / "flipped" / f"{number:06}.bin", np.float32).reshape(3, 64, 64)
        np.testing.assert_array_equal(plain, images[number])
        np.testing.assert_array_equal(mirrored, images[number][:, :, ::-1])
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npz")["matrices"], matrices)


def test_what_a_stage_misses(tiny_models, tiny_onnx, tiny_vehicles: Path, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="recipe.json: cannot read .*; run the stage preprocess first"):
        infer310.postprocess(out)
    with pytest.raises(InputError, match="model.json: cannot read .*; run the stage convert first"):
        infer310.infer(Request(out, "cpu"))
    infer310.convert(Request(tiny_onnx["hrnet"], backend="onnxruntime"), out)
    with pytest.raises(InputError, match="images: holds no .bin files; run the stage preprocess first"):
        infer310.infer(Request(out, "cpu"))
    infer310.preprocess(tiny_models["hrnet"], tiny_vehicles, "test", None, out)
    infer310.infer(Request(out, "cpu"))
    maps = out / "heatmaps" / "000003.bin"
    maps.write_bytes(maps.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"000003.bin: 36860 bytes are not the 36864 of \(36, 16, 16\) float32"):
        infer310.postprocess(out)
    maps.unlink()
    with pytest.raises(InputError, match="000003.bin: cannot read .*; run the stage infer again"):
        infer310.postprocess(out)
    (out / "labels.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="labels.npz: cannot read .*; run the stage preprocess again"):
        infer310.postprocess(out)
    with pytest.raises(InputError, match="hrnet.onnx: is for any number of images, an .om file for one number"):
        infer310.convert(Request(tiny_onnx["hrnet"], backend="om"), out)


def test_inputs_of_another_recipe_are_refused(tiny_onnx, tiny_vehicles: Path, tmp_path: Path):
    """Where all shapes agree, a table would come out, a wrong one."""
    infer310.preprocess(tiny_onnx["hrnet"], tiny_vehicles, "test", None, tmp_path)
    infer310.convert(Request(tiny_onnx["hrnet"], backend="onnxruntime"), tmp_path)
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    (tmp_path / "preprocess.sha256").unlink()  # as of an earlier version: recipe.json may be changed
    (tmp_path / "recipe.json").write_text(json.dumps(recipe | {"seed": 5, "mean": [0.0, 0.0, 0.0]}))
    with pytest.raises(
        InputError, match=r"a model with mean \(0.0, 0.0, 0.0\), this one has .* the stage preprocess with"
    ):
        infer310.infer(Request(tmp_path, "cpu"))
    (tmp_path / "recipe.json").write_text(json.dumps(recipe | {"seed": 5}))
    assert infer310.infer(Request(tmp_path, "cpu"))["images"] == 24, "how it was trained does not matter"


@pytest.fixture(scope="module")
def stages(tiny_models, tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all stages but the last have run."""
    out = tmp_path_factory.mktemp("stages") / "我的 (x)"
    infer310.preprocess(tiny_models["hrnet"], tiny_vehicles, "test", None, out, first=3)
    infer310.convert(Request(tiny_models["hrnet"], backend="onnxruntime"), out)
    infer310.infer(Request(out, "cpu"))
    return out


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="a tool of Linux")
def test_the_lists_are_sha256sums(stages: Path):
    for name, count in (("preprocess", 2 * 3 + 2), ("infer", 2 * 3)):
        done = subprocess.run(["sha256sum", "-c", f"{name}.sha256"], cwd=stages, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count(": OK") == count


HANDED_OVER = ("images/000001.bin", "flipped/000000.bin", "recipe.json", "labels.npz", "model.onnx", "model.json")
HANDED_OVER += ("heatmaps/000002.bin", "heatmaps_flipped/000001.bin", "preprocess.sha256", "infer.sha256")


@pytest.mark.parametrize("name", HANDED_OVER)
def test_a_changed_byte_in_any_file_is_found_or_changes_nothing(name: str, stages: Path, tmp_path: Path):
    wanted, rng = tables(infer310.postprocess(stages)), np.random.default_rng(0)
    whole, out, refusals = (stages / name).read_bytes(), tmp_path / "out", 0
    for place in rng.integers(0, len(whole), 4):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(stages, out)
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        (out / name).write_bytes(changed)
        try:
            if name.startswith(("images", "flipped", "model")):
                infer310.infer(Request(out, "cpu"), progress=False)
            assert largest_difference(tables(infer310.postprocess(out)), wanted) == 0
        except InputError as error:
            assert str(out) in str(error) and "\n" not in str(error)
            refusals += 1
    assert refusals >= (1 if name.endswith(".sha256") else 3)  # postprocess doesn't need the images' checksums


@pytest.mark.parametrize("name", ["images/000001.bin", "flipped/000002.bin"])
def test_an_input_that_is_listed_and_missing_is_named(name: str, stages: Path, tmp_path: Path):
    out = Path(shutil.copytree(stages, tmp_path / "out"))
    (out / name).unlink()
    with pytest.raises(InputError, match=f"{name}: cannot read .*; run the stage preprocess again"):
        infer310.infer(Request(out, "cpu"), progress=False)
    (out / "preprocess.sha256").unlink()
    assert infer310.infer(Request(out, "cpu"), progress=False)["images"] == 5, "without the list, what is there"


def test_files_without_a_list_are_checked_by_their_values(stages: Path, tmp_path: Path):
    """As another program writes them, on a board."""
    out = Path(shutil.copytree(stages, tmp_path / "out"))
    wanted = tables(infer310.postprocess(out))
    (out / "infer.sha256").unlink()
    assert largest_difference(tables(infer310.postprocess(out)), wanted) == 0
    maps = np.fromfile(out / "heatmaps" / "000001.bin", np.float32)
    maps[5] = np.nan
    maps.tofile(out / "heatmaps" / "000001.bin")
    with pytest.raises(InputError, match="000001.bin: holds NaN or infinite values; run the stage infer again"):
        infer310.postprocess(out)


BAD_LABELS = {
    "names are missing": (lambda it: it.pop("names"), "names"),
    "keypoints are missing": (lambda it: it.pop("keypoints"), "keypoints is missing"),
    "fewer matrices": (lambda it: it.update(matrices=it["matrices"][:2]), r"'matrices' has the shape \(2, 2, 3\)"),
    "other keypoints": (lambda it: it.update(keypoints=it["keypoints"][:, :16]), "'keypoints' has the shape"),
    "NaN": (lambda it: it.update(matrices=it["matrices"] * np.nan), "matrices hold NaN or infinite values"),
    "objects": (lambda it: it.update(names=np.array([1, "a", None], object)), "another size than its header says"),
    "another array": (lambda it: it.update(more=np.ones(3)), "'more' has the shape"),
    "text": (lambda it: it.update(unit=np.array(["1", "2", "3"])), "'unit' is <U1"),
}


@pytest.mark.parametrize("what", BAD_LABELS)
def test_labels_are_checked(what: str, stages: Path, tmp_path: Path):
    change, message = BAD_LABELS[what]
    out = Path(shutil.copytree(stages, tmp_path / "out"))
    (out / "preprocess.sha256").unlink()
    with np.load(out / "labels.npz") as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(out / "labels.npz", **arrays)
    with pytest.raises(InputError, match=f"labels.npz: cannot read .*({message}).*run the stage preprocess again"):
        infer310.postprocess(out)


def test_sizes_in_labels_are_looked_at_first(stages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("posekit.deploy.stage_files.LABELS_BYTES", 2**20)
    out = Path(shutil.copytree(stages, tmp_path / "out"))
    (out / "preprocess.sha256").unlink()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 2, 3)})
    for data, message in ((header.getvalue(), "another size than its header says"), (bytes(2**21), "would unpack to")):
        with zipfile.ZipFile(out / "labels.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("matrices.npy", data)
        with pytest.raises(InputError, match=f"labels.npz: cannot read .*{message}"):
            infer310.postprocess(out)


@pytest.mark.parametrize(
    "values", [{}, {"file": "../model.onnx", "run_time": "onnxruntime"}, {"file": 5, "run_time": "om"}, {"file": "a"}]
)
def test_the_model_is_one_in_the_folder(values: dict, stages: Path, tmp_path: Path):
    (tmp_path / "model.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="model.json: names no file here with a run time; run the stage convert first"):
        infer310.infer(Request(tmp_path, "cpu"))


def test_the_run_time_is_the_files(tiny_models, tmp_path: Path):
    mindir = export_model(tiny_models["hourglass"], "mindir", tmp_path / "a.mindir", 1)
    infer310.convert(Request(mindir, "cpu"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "model.json").read_text()) == {"file": "model.mindir", "run_time": "mindir"}
    write_description(mindir, load_predictor(Request(mindir, "cpu")).recipe, 1, "fp32", "lite")
    infer310.convert(Request(mindir, "cpu"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "model.json").read_text())["run_time"] == "lite"
    om = tmp_path / "a.om"
    om.write_bytes(b"om")
    shutil.copyfile(tmp_path / "a.mindir.json", tmp_path / "a.om.json")
    infer310.convert(Request(om, "ascend:0"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "model.json").read_text()) == {"file": "model.om", "run_time": "om"}
    om.unlink()
    with pytest.raises(InputError, match="a.om: no such model file"):
        infer310.convert(Request(om, "cpu"), tmp_path / "out")


def test_without_atc_the_command_is_in_the_folder(tiny_models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(InputError, match="atc is not on the path; .* model.onnx and the command, model.atc.sh"):
        infer310.convert(Request(tiny_models["hrnet"], "cpu", backend="om"), tmp_path, "Ascend310P3")
    assert "atc --model=model.onnx --framework=5 --output=model --soc_version=Ascend310P3" in (
        tmp_path / "model.atc.sh"
    ).read_text().splitlines()  # fmt: skip
    assert (tmp_path / "model.om.json").is_file()


@pytest.fixture
def script(tmp_path: Path):
    """Runs scripts/infer_310.sh with this Python's posekit on the path."""
    tools = tmp_path / "tools"
    tools.mkdir()
    command = tools / "posekit"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m posekit.cli "$@"\n')
    command.chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
        words = ["bash", str(ROOT / "scripts" / "infer_310.sh"), *map(str, arguments)]
        settings = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(words, env=settings, capture_output=True, text=True)

    return run


@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell script")
def test_the_script_goes_the_whole_way_through_lite(script, tiny_models, tiny_vehicles: Path, tmp_path: Path):
    """On MindSpore Lite where its Python is, else, stated explicitly, on ONNX Runtime."""
    try:
        lite.find_python()
        chosen, run_time = {}, "lite fp32, cpu"
    except MissingRunTime:
        chosen, run_time = {"RUN_TIME": "onnxruntime"}, "onnxruntime fp32, CPU"
    model, out = tiny_models["hrnet"], tmp_path / "out"
    done = script(model, tiny_vehicles, "y", "CPU", OUT=str(out), **chosen)
    assert done.returncode == 0, done.stderr
    assert f"{run_time}: " in done.stdout and "ms per image, mean of 24" in done.stdout and "Mean@0.1" in done.stdout
    wanted = evaluated(load_predictor(Request(model, "cpu")), tiny_vehicles, tmp_path)
    found = json.loads((out / "scores.json").read_text())
    assert largest_difference(found, wanted) <= 0.05


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell script")
@pytest.mark.parametrize("arguments", [[], ["m.ckpt", "data", "maybe", "CPU"], ["m.ckpt", "data", "y", "GPU"]])
def test_the_script_says_how_it_is_used(script, arguments):
    done = script(*arguments)
    assert done.returncode == 2 and "MODEL DATA NEED_PREPROCESS DEVICE_TARGET [DEVICE_ID]" in done.stderr
