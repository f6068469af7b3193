"""Exported files give the network's heatmaps and keypoints, and carry its recipe."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import fresh

from posekit.deploy.export import export_model, operations
from posekit.errors import InputError
from posekit.inference.predictors import Predictor, predict_dataset
from posekit.inference.run_times import Request, load_predictor
from posekit.inference.run_times.description import write_description
from posekit.layouts import open_split
from posekit.recipes import get_recipe
from posekit.settings import to_json

FORMATS = ("mindir", "onnx")
RECIPES = {"hrnet": "poseestnet-tiny", "hourglass": "hourglass-tiny"}
NETWORKS = tuple(RECIPES)
# Ascend has each of these, by MindSpore's pages on operators and CANN's on ONNX.
ONNX_OPERATIONS = {"Conv", "BatchNormalization", "Relu", "Add", "MaxPool", "Resize"}
MINDIR_OPERATIONS = {"Conv2D", "BiasAdd", "BatchNorm", "ReLU", "Add", "MaxPool", "ResizeNearestNeighbor"}


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny network as each format, at batch 5, which no data set's size divides."""
    folder = tmp_path_factory.mktemp("exported")
    return {kind: export_model(tiny_run / "best.ckpt", kind, folder / f"model.{kind}", batch=5) for kind in FORMATS}


@pytest.fixture(scope="module")
def any_batch(
    tiny_models: dict[str, Path], tiny_onnx: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """Both networks as each format, for any number of images."""
    folder = tmp_path_factory.mktemp("any")
    files = {(network, "onnx"): path for network, path in tiny_onnx.items()}
    for network, path in tiny_models.items():
        files[network, "mindir"] = export_model(path, "mindir", folder / f"{network}.mindir", batch=None)
    return files


@pytest.fixture(scope="module")
def live(tiny_run: Path) -> Predictor:
    return load_predictor(Request(tiny_run / "best.ckpt", "cpu"))


def opened(path: Path, batch: int = 16) -> Predictor:
    """What is left of rounding to 16 bits: OpenVINO would choose it on some processors."""
    return load_predictor(Request(path, "cpu", batch, precision="fp32"))


@pytest.mark.parametrize("kind", FORMATS)
def test_heatmaps_are_the_networks(exported, live, kind):
    images = np.random.default_rng(0).standard_normal((7, 3, 64, 64)).astype(np.float32)
    wanted = live.heatmaps(images)
    found = opened(exported[kind]).heatmaps(images)
    assert found.shape == (7, 36, 16, 16)
    assert np.abs(found - wanted).max() <= 1e-4 * np.ptp(wanted)


@pytest.mark.parametrize("kind", FORMATS)
def test_keypoints_are_the_networks(exported, live, tiny_vehicles, kind):
    """The same places, except where the two highest cells of a map differ by less than the heatmaps may."""
    dataset = open_split(live.recipe, tiny_vehicles, "test")
    wanted = predict_dataset(live, dataset, progress=False)
    found = predict_dataset(opened(exported[kind]), dataset, progress=False)
    assert found.names == wanted.names
    apart = np.abs(found.keypoints - wanted.keypoints).max(-1) > 1e-3 * dataset.box_size[:, None]
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    assert apart.mean() < 0.01


@pytest.mark.parametrize("network", NETWORKS)
def test_an_onnx_file_for_any_number_of_images(tiny_models, any_batch, network):
    """In ONNX Runtime, without posekit; the last image of 32 is as right as the first."""
    live = load_predictor(Request(tiny_models[network], "cpu", batch=8))
    images = np.random.default_rng(0).standard_normal((32, 3, 64, 64)).astype(np.float32)
    wanted = live.heatmaps(images)
    path = any_batch[network, "onnx"]
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]
    assert session.get_outputs()[0].shape[0] == "batch"
    for count in (1, 3, 32):
        found = session.run(None, {"images": images[-count:]})[0]
        assert np.abs(found - wanted[-count:]).max() <= 1e-4 * np.ptp(wanted)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_mindir_file_for_any_number_of_images(tiny_models, any_batch, network):
    images = np.random.default_rng(0).standard_normal((5, 3, 64, 64)).astype(np.float32)
    wanted = load_predictor(Request(tiny_models[network], "cpu", batch=5)).heatmaps(images)
    for batch in (1, 5):
        found = opened(any_batch[network, "mindir"], batch).heatmaps(images)
        assert np.abs(found - wanted).max() <= 1e-4 * np.ptp(wanted)


@pytest.mark.parametrize("network", NETWORKS)
def test_only_operations_that_ascend_has(any_batch, network):
    counts = {kind: operations(any_batch[network, kind]) for kind in FORMATS}
    assert counts["onnx"].keys() <= ONNX_OPERATIONS and counts["mindir"].keys() <= MINDIR_OPERATIONS
    cells = [type(cell).__name__ for _, cell in fresh(get_recipe(RECIPES[network])).cells_and_names()]
    assert counts["onnx"]["Conv"] == counts["mindir"]["Conv2D"] == cells.count("Conv2d")
    assert counts["onnx"]["BatchNormalization"] == counts["mindir"]["BatchNorm"] == cells.count("BatchNorm2d")
    assert counts["onnx"]["Resize"] == counts["mindir"]["ResizeNearestNeighbor"] == cells.count("UpsampleNearest")


def test_resizing_says_that_it_is_nearest(any_batch):
    """ONNX's default is that, too, but MindSpore Lite takes a Resize without a mode for a linear one."""
    nodes = [node for node in onnx.load(str(any_batch["hourglass", "onnx"])).graph.node if node.op_type == "Resize"]
    for node in nodes:
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        assert attributes["mode"] == b"nearest" and len(node.input) == 3  # no sizes


@pytest.mark.parametrize("kind", FORMATS)
def test_the_recipe_travels(exported, live, kind):
    predictor = opened(exported[kind])
    assert predictor.recipe == live.recipe and predictor.batch == 5


def test_the_onnx_file_is_valid_and_stands_alone(exported):
    """Any ONNX Runtime can run it without posekit, from what the file itself says."""
    onnx.checker.check_model(onnx.load(str(exported["onnx"])), full_check=True)
    session = onnxruntime.InferenceSession(str(exported["onnx"]), providers=["CPUExecutionProvider"])
    (source,), (sink,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.shape) == ("images", [5, 3, 64, 64])
    assert (sink.name, sink.shape) == ("heatmaps", [5, 36, 16, 16])
    recipe = json.loads(session.get_modelmeta().custom_metadata_map["recipe"])
    assert recipe["name"] == "poseestnet-tiny" and recipe["skeleton"] == "vehicle36"


def test_a_mindir_needs_what_lies_beside_it(exported, tmp_path: Path):
    (tmp_path / "a.mindir").write_bytes(exported["mindir"].read_bytes())
    with pytest.raises(InputError, match="a.mindir: its a.mindir.json is missing; copy it along"):
        load_predictor(Request(tmp_path / "a.mindir", "cpu"))
    (tmp_path / "a.mindir.json").write_text('{"batch": 5}')
    with pytest.raises(InputError, match="a.mindir.json: not a readable description"):
        load_predictor(Request(tmp_path / "a.mindir", "cpu"))


@pytest.mark.parametrize("backend", ["mindir", "onnxruntime", "openvino"])
def test_damaged_files_are_refused(exported, tmp_path: Path, backend):
    kind, name = ("mindir", "MINDIR") if backend == "mindir" else ("onnx", "ONNX file")
    damaged = tmp_path / f"a.{kind}"
    damaged.write_bytes(exported[kind].read_bytes()[:3000])
    (tmp_path / "a.mindir.json").write_bytes(exported["mindir"].with_suffix(".mindir.json").read_bytes())
    with pytest.raises(InputError, match=f"a.{kind}: not a readable {name}") as caught:
        load_predictor(Request(damaged, "cpu", backend=backend))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", ["mindir", "onnxruntime", "openvino"])
@pytest.mark.parametrize("change, wanted", [({"input_size": 96, "heatmap_size": 24}, "3×96×96"), ({}, "16×16×16")])
def test_a_file_of_another_recipe_or_size_is_refused(exported, live, tmp_path: Path, backend, change, wanted):
    other = replace(live.recipe, **change) if change else get_recipe("hourglass-tiny")
    if backend == "mindir":
        path = Path(shutil.copy(exported["mindir"], tmp_path))
        write_description(path, other, 5)
    else:
        graph = onnx.load(str(exported["onnx"]))
        onnx.helper.set_model_props(graph, {"recipe": to_json(other)})
        path = tmp_path / "model.onnx"
        onnx.save(graph, str(path))
    message = f"makes 3×64×64 -> 36×16×16, but its recipe {other.name} says .*{wanted}.*; export the checkpoint again"
    with pytest.raises(InputError, match=message):
        load_predictor(Request(path, "cpu", backend=backend))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_onnx_file_of_somebody_else_carries_no_recipe(exported, tmp_path: Path, backend):
    graph = onnx.load(str(exported["onnx"]))
    del graph.metadata_props[:]
    onnx.save(graph, str(tmp_path / "other.onnx"))
    with pytest.raises(InputError, match="other.onnx: carries no recipe; export it with posekit export"):
        load_predictor(Request(tmp_path / "other.onnx", "cpu", backend=backend))


def test_what_cannot_be_exported(tiny_run: Path, tmp_path: Path):
    with pytest.raises(InputError, match="unknown format 'tflite'; choose one of mindir, onnx, air, om"):
        export_model(tiny_run / "best.ckpt", "tflite", tmp_path / "a.tflite")
    with pytest.raises(InputError, match="a.onnx: a mindir file must end in .mindir"):
        export_model(tiny_run / "best.ckpt", "mindir", tmp_path / "a.onnx")
    with pytest.raises(InputError, match="a.om: a file for Ascend is made for one shape; give --batch a number"):
        export_model(tiny_run / "best.ckpt", "om", tmp_path / "a.om", batch=None)
    with pytest.raises(InputError, match="recipe.json: not a readable checkpoint"):
        export_model(tiny_run / "recipe.json", "onnx", tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


# For Ascend

ATC = "atc --model=model.onnx --framework=5 --output=model --soc_version=Ascend310P3"
LITE = (
    "converter_lite --fmk=ONNX --saveType=MINDIR --modelFile=model.onnx --outputFile=model-lite "
    "--inputShape=images:2,3,64,64 --optimize=ascend_oriented"
)


@pytest.mark.parametrize("kind, missing", [("om", "atc is not on the path"), ("air", "only MindSpore on an Ascend")])
def test_without_ascends_tools_the_commands_are_written(tiny_run: Path, tmp_path: Path, monkeypatch, kind, missing):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(InputError, match=f"model.{kind}: {missing}.*model.onnx.*model.atc.sh") as caught:
        export_model(tiny_run / "best.ckpt", kind, tmp_path / f"model.{kind}", 2, "Ascend310P3")
    assert "\n" not in str(caught.value)
    lines = (tmp_path / "model.atc.sh").read_text().splitlines()
    assert ATC in lines and f"# {LITE}" in lines
    assert subprocess.run(["bash", "-n", tmp_path / "model.atc.sh"]).returncode == 0
    assert opened(tmp_path / "model.onnx").batch == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".json") == ["model.atc.sh", "model.onnx"]


STAND_IN = """#!/usr/bin/env bash
# Stands for CANN's atc: copies its input.
for word in "$@"; do
    case "$word" in --model=*) model="${word#*=}" ;; --output=*) output="${word#*=}" ;; esac
done
printf '%s\\n' "$*" >"$(dirname "$0")/called"
[[ "$FAILS" == yes ]] && { echo 'E10001: no such soc'; exit 1; }
cp "$model" "$output.om"
"""


def test_atc_is_run_where_it_is(tiny_run: Path, tmp_path: Path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "atc").write_text(STAND_IN)
    (tools / "atc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAILS", "no")
    made = export_model(tiny_run / "best.ckpt", "om", tmp_path / "model.om", 2)
    assert made.read_bytes() == (tmp_path / "model.onnx").read_bytes()
    assert (
        "--framework=5" in (tools / "called").read_text()
        and "--soc_version=Ascend310\n" in (tools / "called").read_text()
    )
    described = json.loads((tmp_path / "model.om.json").read_text())
    assert (described["recipe"]["name"], described["batch"]) == ("poseestnet-tiny", 2)
    made.unlink()
    monkeypatch.setenv("FAILS", "yes")
    with pytest.raises(InputError, match=r"model.om: atc failed \(E10001: no such soc\); model.atc.sh holds"):
        export_model(tiny_run / "best.ckpt", "om", tmp_path / "model.om", 2)
    assert not made.exists()
