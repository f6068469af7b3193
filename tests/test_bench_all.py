"""`posekit bench --all` with the tiny recipes."""

import io
import re

import pytest
from rich.console import Console

from posekit.deploy import bench_all as module


@pytest.mark.slow
def test_each_library_has_its_time_and_its_ratio(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(module, "bench_input", lambda: "input")
    monkeypatch.setattr(module, "_starts", lambda: "starts")
    monkeypatch.setattr(module, "_rest", lambda recipes: "rest")
    printed = io.StringIO()
    module.bench_all(Console(file=printed, width=160), ["hourglass-tiny"], rounds=3)
    text = printed.getvalue()
    rows = [re.findall(r"[^│]+", line) for line in text.splitlines() if line.startswith("│")]
    found = {(row[0].strip(), row[1].strip()): [cell.strip() for cell in row[2:]] for row in rows}
    assert {("mindspore", "step"), ("torch", "step"), ("torch", "fp32"), ("mindspore", "fp32")} <= found.keys()
    assert {(name, how) for name in ("openvino", "onnxruntime") for how in ("fp32", "int8")} <= found.keys()
    assert found["torch", "step"][2] == found["torch", "fp32"][2] == "1.00"
    assert float(found["mindspore", "step"][0]) > 0 < float(found["mindspore", "step"][2])
    shares = {key: float(cells[1]) for key, cells in found.items() if key[0] == "convolution"}
    assert 0 < sum(shares.values()) < 100, "oneDNN says what convolutions take of a step"
