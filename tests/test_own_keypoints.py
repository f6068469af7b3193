"""Data with a skeleton of its own through every command: train, evaluate, predict, export, parity, the 310's stages."""

import json
from pathlib import Path

import numpy as np
import pytest
from coco_files import content, write
from typer.testing import CliRunner

from posekit.cli.main import app
from posekit.layouts import COCO
from posekit.models.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


def goes_the_whole_way(file: Path, out: Path) -> None:
    said = run("train", "hourglass-tiny", "--data", file, "--out", out / "run", "--device", "cpu")
    assert "flip pairs" in said
    model, labels = out / "run/best.ckpt", COCO.labels(file, "all")
    assert read_checkpoint(model)[0].skeleton == labels.skeleton
    run("train", "hourglass-tiny", "--data", file, "--out", out / "run", "--device", "cpu", "--resume")
    run("evaluate", model, "--data", file, "--split", "all", "--out", out / "evaluated")
    scores = json.loads((out / "evaluated/scores.json").read_text())
    alone = ["--predictions", out / "evaluated/predictions.csv", "--json", out / "alone.json"]
    run("score", "coco", file, *alone)
    assert json.loads((out / "alone.json").read_text()) == scores["published"]
    run("compare", out / "evaluated/predictions.csv", "--labels", file, "--split", "all")
    run("gallery", file, "--predictions", out / "evaluated/predictions.csv", "--split", "all", "--out", out / "g.html")
    run("export", model, "--out", out / "model.onnx")
    run("predict", out / "model.onnx", "--data", file, "--split", "all", "--out", out / "p.csv")  # the data's skeleton
    found = np.loadtxt(out / "p.csv", delimiter=",", usecols=range(1, 1 + 3 * labels.skeleton.num_keypoints), ndmin=2)
    assert len(found) == len(labels.names)
    from posekit.deploy.parity import check
    from posekit.deploy.parity import run as parity
    from posekit.inference.run_times.request import Request

    assert not check(parity(Request(model, "cpu"), file, "all"))
    run("infer310", "preprocess", model, "--data", file, "--split", "all", "--out", out / "stages")
    run("infer310", "convert", model, "--out", out / "stages", "--backend", "onnxruntime")
    run("infer310", "infer", "--out", out / "stages")
    run("infer310", "postprocess", "--out", out / "stages")
    staged = json.loads((out / "stages/scores.json").read_text())
    for protocol, table in scores.items():
        for name, row in table.items():
            assert staged[protocol][name] == pytest.approx(row, abs=0.05), protocol


def test_a_small_file_goes_the_whole_way(tmp_path: Path) -> None:
    goes_the_whole_way(write(tmp_path / "labels.json", content(8), tmp_path / "images"), tmp_path)


@pytest.mark.parametrize(
    "name", ["skeletons/ap10k", "skeletons/fly", "skeletons/macaque", "skeletons/zebra", "coco_people"]
)
def test_photographs_go_the_whole_way(name: str, photos: Path, tmp_path: Path) -> None:
    (file,) = (photos / name).glob("*.json")
    goes_the_whole_way(file, tmp_path)
