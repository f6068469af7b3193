"""The command's ordinary ways, from data to exported model, on the tiny recipe."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from posekit.cli.main import main
from posekit.deploy.fast import fastest
from posekit.inference.predictors import predict_dataset
from posekit.inference.run_times import Request, load_predictor
from posekit.layouts import open_split
from posekit.layouts.veri import read_labels
from posekit.predictions import read_predictions

COLUMNS = ["Wheel", "Fender", "Back", "Front", "WindshieldBack", "WindshieldFront", "Mean", "Mean@0.1"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Runs `posekit ARGUMENTS` in this process; returns standard output."""

    def command(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["posekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        return capsys.readouterr().out

    return command


@pytest.mark.slow
def test_help_is_quick_and_names_every_command():
    """Without importing MindSpore."""
    code = "import sys; from posekit.cli.main import app; from typer.testing import CliRunner; "
    code += "print(CliRunner().invoke(app, ['--help']).output); assert 'mindspore' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    for command in ("train", "predict", "evaluate", "export", "reid", "score", "data", "course", "doctor"):
        assert command in done.stdout


@pytest.mark.slow
def test_train_writes_a_run(run, tiny_vehicles: Path, tmp_path: Path):
    (tmp_path / "one.toml").write_text("epochs = 5\nbatch = 12\n")
    out = run("train", "poseestnet-tiny", "--data", tiny_vehicles, "--out", tmp_path / "run", "--device", "cpu",
              "--config", tmp_path / "one.toml", "--set", "epochs=1")  # fmt: skip
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (recipe["epochs"], recipe["batch"]) == (1, 12)  # --set has the last word
    assert "CPU:0 (asked for" in out and "best PCK@0.1" in out and (tmp_path / "run" / "best.ckpt").is_file()


def test_evaluate_predict_and_score_agree(run, tiny_run: Path, tiny_vehicles: Path, tmp_path: Path):
    model, out = tiny_run / "best.ckpt", tmp_path / "evaluated"
    assert "Mean@0.1" in run("evaluate", model, "--data", tiny_vehicles, "--out", out, "--device", "cpu")
    scores = json.loads((out / "scores.json").read_text())
    run("predict", model, "--data", tiny_vehicles, "--out", tmp_path / "p.csv", "--device", "cpu")
    assert (tmp_path / "p.csv").read_bytes() == (out / "predictions.csv").read_bytes()
    table = read_predictions(tmp_path / "p.csv", 36)
    assert table.names == read_labels(tiny_vehicles / "annot" / "label_test.csv").names
    for protocol, rows in (("seed", scores["seed"][""]), ("pck", scores["pck"])):
        path = tmp_path / f"{protocol}.json"
        run("score", "veri", tiny_vehicles, "--predictions", tmp_path / "p.csv", "--protocol", protocol, "--json", path)
        assert json.loads(path.read_text()) == rows
    assert list(scores["seed"][""]) == COLUMNS


def test_scoring_takes_rows_in_any_order(run, tiny_vehicles: Path, tiny_run: Path, tmp_path: Path):
    run("predict", tiny_run / "best.ckpt", "--data", tiny_vehicles, "--out", tmp_path / "a.csv", "--device", "cpu")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join(reversed(lines)) + "\n")
    found = [
        run(
            "score",
            "veri",
            tiny_vehicles,
            "--predictions",
            tmp_path / f"{name}.csv",
            "--json",
            tmp_path / f"{name}.json",
        )
        for name in "ab"
    ]
    assert found[0] == found[1] and (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


@pytest.mark.parametrize("kind", ["mindir", "onnx"])
def test_an_exported_model_predicts_pictures(run, tiny_run: Path, tiny_vehicles: Path, tmp_path: Path, kind):
    model, out = tmp_path / f"model.{kind}", tmp_path / "out"
    assert "MB" in run("export", tiny_run / "best.ckpt", "--format", kind, "--out", model)
    dataset = open_split(load_predictor(Request(model, "cpu")).recipe, tiny_vehicles, "test")
    pictures = [dataset.where(row) for row in (0, 5)]
    run("predict", model, *pictures, "--out", out, "--device", "cpu")
    for picture in pictures:
        drawn, plain = cv2.imread(str(out / f"{Path(picture).stem}.png")), cv2.imread(picture)
        assert drawn.shape[0] % plain.shape[0] == 0 and drawn.shape[1] % plain.shape[1] == 0
    alone = read_predictions(out / "predictions.csv", 36)
    split = predict_dataset(load_predictor(fastest(Request(model, "cpu"))), dataset, progress=False)
    assert alone.names == [split.names[row] for row in (0, 5)]
    apart = abs(alone.keypoints - split.keypoints[[0, 5]]).max()
    assert apart < 0.01  # pixels: the csv has 3 decimals


def test_check_reports_on_a_data_set(run, tiny_vehicles: Path, tmp_path: Path):
    data = Path(shutil.copytree(tiny_vehicles, tmp_path / "data"))
    out = run("data", "check", "veri", data, "--strict")
    assert "24" in out and "12" in out and (data / "annot" / "image_test.json").is_file()
