"""The parity gate: what it lets pass, what it stops, and that both networks pass it."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mpii_files import write_mpii

from posekit.cli.main import main
from posekit.deploy import parity
from posekit.deploy.parity import Row, check, largest_difference, ties
from posekit.inference.run_times import Request
from posekit.models.checkpoint import load_network, save_checkpoint


@pytest.fixture(scope="module")
def data(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set for each network."""
    return {"hrnet": tiny_vehicles, "hourglass": write_mpii(tmp_path_factory.mktemp("people"))}


def maps(**cells: float) -> np.ndarray:
    """A map (1, 1, 5, 6), 0 but for cells named as yx."""
    made = np.zeros((1, 1, 5, 6))
    for name, value in cells.items():
        made[0, 0, int(name[1]), int(name[2])] = value
    return made


@pytest.mark.parametrize(
    "wanted, found, tied",
    [
        (maps(c22=1, c34=0.5), maps(c22=1, c34=0.5), False),
        (maps(c22=1, c34=0.9995), maps(c22=0.9999, c34=1), True),  # the highest cells changed places
        (maps(c22=1, c34=0.9), maps(c22=0.9, c34=1), False),  # they were not equal
        (maps(c22=1, c21=0.5, c23=0.5001), maps(c22=1, c21=0.5001, c23=0.5), True),  # neighbours in x
        (maps(c22=1, c12=0.5, c32=0.5001), maps(c22=1, c12=0.5001, c32=0.5), True),  # and in y
        (maps(c22=1, c21=0.5, c23=0.6), maps(c22=1, c21=0.6, c23=0.5), False),
        (maps(c05=1, c04=0.9995), maps(c05=1, c04=1.0), True),  # at the border the cell is its own neighbour
        (maps() - 1e-4, maps() - 1e-4 + maps(c22=2e-4), True),  # nothing found, or nearly nothing
    ],
)
def test_ties(wanted, found, tied):
    assert ties(wanted, found, tolerance=1e-3).tolist() == [[tied]]


def test_ties_are_told_for_each_keypoint():
    wanted = np.concatenate([maps(c22=1, c34=0.9995), maps(c22=1)], axis=1)
    found = np.concatenate([maps(c22=0.9995, c34=1), maps(c34=1)], axis=1)
    assert ties(wanted, found, 1e-3).tolist() == [[True, False]]


def test_the_largest_difference_of_two_tables():
    one = {"seed": {"": {"Wheel": 50.0, "Mean": 40.0}}, "pck": {"PCK@0.1": {"Mean": math.nan}}}
    other = {"seed": {"": {"Wheel": 50.2, "Mean": 39.5}}, "pck": {"PCK@0.1": {"Mean": math.nan}}}
    assert largest_difference(one, one) == 0 and largest_difference(one, other) == 0.5
    assert largest_difference(one, {**other, "pck": {"PCK@0.1": {"Mean": 3.0}}}) == math.inf


def test_the_gate_stops_fp32_only():
    good = Row("lite fp32, cpu", "fp32", heatmaps=9e-5, entry=0.049)
    assert check([good, Row("x", "fp32", missing="is not here"), Row("om", "fp16", heatmaps=0.5, entry=9.0)]) == []
    assert check([replace(good, heatmaps=1.2e-4)]) == [
        "lite fp32, cpu: heatmaps differ by 1.2e-04 of their range, 0.0001 is the limit"
    ]
    assert check([replace(good, entry=0.051)]) == [
        "lite fp32, cpu: an entry of a table differs by 0.051 points, 0.05 is the limit"
    ]
    assert len(check([replace(good, heatmaps=math.nan, entry=math.nan)])) == 2


@pytest.mark.parametrize("network", ["hrnet", "hourglass"])
def test_every_run_time_that_is_here_passes(network, tiny_models, data, tmp_path: Path):
    rows = parity.run(Request(tiny_models[network], "cpu"), data[network], first=7, out=tmp_path / "out")
    assert check(rows) == []
    here = {row.run_time: row for row in rows if not row.missing}
    exact = {"mindspore fp32", "mindir fp32", "onnxruntime fp32, CPU", "openvino fp32, CPU"}
    assert exact <= set(here) and all(row.heatmaps < 1e-5 for row in rows if row.precision == "fp32")
    assert (
        "lite fp32, cpu" in here
        or "bash scripts/lite.sh" in next(r for r in rows if r.precision == "fp32" and r.missing).missing
    )
    assert {row.precision for row in here.values()} == {"fp32", "fp16", "bf16", "int8"}, (
        "simulated where nothing computes so"
    )
    for row in here.values():
        assert row.milliseconds > 0 and row.megabytes > 0.01 and row.tables.keys() == rows[0].tables.keys()
        assert row.median <= row.far and (row.precision == "fp32" or row.heatmaps > 1e-4)
    stored = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert [row["run_time"] for row in stored] == [row.run_time for row in rows]
    assert {"mindir", "onnx"} <= {path.suffix[1:] for path in (tmp_path / "out").iterdir()}


def test_another_network_is_stopped(tiny_models, data, tmp_path: Path, monkeypatch, capsys):
    """The ONNX file is made of weights that are 1 % larger in one convolution."""
    model = load_network(tiny_models["hrnet"])
    recipe, network = model.recipe, model.network
    weight = next(iter(network.trainable_params()))
    weight.set_data(weight * 1.01)
    save_checkpoint(tmp_path / "other.ckpt", network, recipe, 1, 1)
    real = parity.export_model

    def export(model: Path, kind: str, path: Path, batch: int, **_: object) -> Path:
        return real(tmp_path / "other.ckpt" if kind == "onnx" else model, kind, path, batch)

    monkeypatch.setattr(parity, "export_model", export)
    monkeypatch.setattr(parity, "_RUN_TIMES", (("mindir", "fp32"), ("openvino", "fp32")))
    command = ["posekit", "parity", tiny_models["hrnet"], "--data", data["hrnet"], "--first", "5", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in command])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    wrong = {line.split(":")[0] for line in lines if "of their range" in line and "is the limit" in line}
    assert wrong == {"openvino fp32, CPU"}
