"""`posekit bench --input` on small images."""

import pytest

from posekit.training import bench_input as module


def test_every_way_has_a_rate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FILES", 3)
    monkeypatch.setattr(module, "TIMES", 2)
    shapes = {"poseestnet-tiny": ((90, 60), (90.0,)), "hourglass-tiny": ((700, 500), (500.0,))}
    monkeypatch.setattr(module, "SHAPES", shapes)
    table = module.bench_input(rounds=1)
    columns = [list(column.cells) for column in table.columns]
    assert columns[:2] == [["poseestnet-tiny", "hourglass-tiny"], ["90 × 60", "700 × 500"]]
    for files, cache, bare in zip(*columns[2:], strict=True):
        for shown in (files, cache):
            rate, ratio = shown.rstrip(")").split(" (")
            assert float(ratio) == pytest.approx(float(rate) / float(bare), rel=0.1, abs=0.02)
