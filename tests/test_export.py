"""Exported files give the network's heatmaps and keypoints, and carry its recipe."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from posekit.errors import InputError
from posekit.export import export_model
from posekit.predictors import Predictor, load_predictor, predict_dataset
from posekit.splits import open_split

FORMATS = ("mindir", "onnx")


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny network as each format, at batch 5, which no data set's size divides."""
    folder = tmp_path_factory.mktemp("exported")
    return {kind: export_model(tiny_run / "best.ckpt", kind, folder / f"model.{kind}", batch=5) for kind in FORMATS}


@pytest.fixture(scope="module")
def live(tiny_run: Path) -> Predictor:
    return load_predictor(tiny_run / "best.ckpt", "cpu")


@pytest.mark.parametrize("kind", FORMATS)
def test_heatmaps_are_the_networks(exported, live, kind):
    images = np.random.default_rng(0).standard_normal((7, 3, 64, 64)).astype(np.float32)
    wanted = live.heatmaps(images)
    found = load_predictor(exported[kind], "cpu").heatmaps(images)
    assert found.shape == (7, 36, 16, 16)
    assert np.abs(found - wanted).max() <= 1e-4 * np.ptp(wanted)


@pytest.mark.parametrize("kind", FORMATS)
def test_keypoints_are_the_networks(exported, live, tiny_vehicles, kind):
    """The same places, except where the two highest cells of a map differ by less than the heatmaps may."""
    dataset = open_split(live.recipe, tiny_vehicles, "test")
    wanted = predict_dataset(live, dataset, progress=False)
    found = predict_dataset(load_predictor(exported[kind], "cpu"), dataset, progress=False)
    assert found.names == wanted.names
    apart = np.abs(found.keypoints - wanted.keypoints).max(-1) > 1e-3 * dataset.box_size[:, None]
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    assert apart.mean() < 0.01


@pytest.mark.parametrize("kind", FORMATS)
def test_the_recipe_travels(exported, live, kind):
    predictor = load_predictor(exported[kind], "cpu")
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
        load_predictor(tmp_path / "a.mindir", "cpu")


def test_damaged_files_are_refused(exported, tmp_path: Path):
    for kind in FORMATS:
        (tmp_path / f"a.{kind}").write_bytes(exported[kind].read_bytes()[:3000])
    (tmp_path / "a.mindir.json").write_bytes(exported["mindir"].with_suffix(".mindir.json").read_bytes())
    for kind, name in (("mindir", "MINDIR"), ("onnx", "ONNX file")):
        with pytest.raises(InputError, match=f"a.{kind}: not a readable {name}") as caught:
            load_predictor(tmp_path / f"a.{kind}", "cpu")
        assert "\n" not in str(caught.value)


def test_an_onnx_file_of_somebody_else_carries_no_recipe(exported, tmp_path: Path):
    graph = onnx.load(str(exported["onnx"]))
    del graph.metadata_props[:]
    onnx.save(graph, str(tmp_path / "other.onnx"))
    with pytest.raises(InputError, match="other.onnx: carries no recipe; export it with posekit export"):
        load_predictor(tmp_path / "other.onnx", "cpu")


def test_what_cannot_be_exported(tiny_run: Path, tmp_path: Path):
    with pytest.raises(InputError, match="unknown format 'tflite'; choose one of mindir, onnx"):
        export_model(tiny_run / "best.ckpt", "tflite", tmp_path / "a.tflite")
    with pytest.raises(InputError, match="a.onnx: a mindir file must end in .mindir"):
        export_model(tiny_run / "best.ckpt", "mindir", tmp_path / "a.onnx")
    with pytest.raises(InputError, match="recipe.json: not a readable checkpoint"):
        export_model(tiny_run / "recipe.json", "onnx", tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
