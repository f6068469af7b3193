"""Progress bars without a terminal: lines that a log can keep."""

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from posekit.bars import progress_bar

PACKAGE = Path(__file__).parents[1] / "posekit"


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that only this moves."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


@pytest.mark.parametrize("seconds", [0.02, 0.12, 1.0, 9.9, 25.0])
def test_a_line_every_ten_seconds_at_most(seconds: float, wait, capfd: pytest.CaptureFixture):
    """Of 2,460 steps, as CASES.md has them; each step writes a message, too."""
    steps = 2460
    with progress_bar(total=steps, unit="step", desc="poseestnet-tiny") as bar:
        first = capfd.readouterr().err
        for step in range(steps):
            wait(seconds)
            bar.set_postfix(loss=f"{1 / (step + 1):.3f}", refresh=False)
            bar.update()
            bar.write(f"step {step}")
    out, err = capfd.readouterr()
    assert re.fullmatch(r"poseestnet-tiny:   0%\| +\| 0/2460 \[00:00<\?, \?step/s\]\n", first), "at once"
    lines = err.splitlines()
    assert len(lines) <= steps * seconds / 10 + 1 and len(lines) >= min(steps, steps * seconds / 20)
    assert out.splitlines() == [f"step {step}" for step in range(steps)]
    assert all(re.fullmatch(r"poseestnet-tiny: [ \d]{3}%\|[# 0-9]+\| \d+/2460 \[.*loss=.*\]", line) for line in lines)
    assert "100%" in lines[-1] and "2460/2460" in lines[-1] and err.isascii() and "\r" not in err


@pytest.mark.parametrize("total", [10, None])
def test_over_an_iterable(total: int | None, wait, capfd: pytest.CaptureFixture):
    for _ in progress_bar(iter(range(10)), total=total, desc="frames"):
        wait(4)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 5, lines  # at 0, 12, 24 and 36 seconds, and at the end
    assert all(line.startswith("frames") for line in lines) and "10" in lines[-1]


def test_a_bar_that_is_off_says_nothing(capfd: pytest.CaptureFixture):
    assert list(progress_bar(range(3), disable=True)) == [0, 1, 2]
    assert capfd.readouterr().err == ""


def test_a_terminal_has_a_moving_bar(wait, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for _ in progress_bar(range(5)):
        wait(1)
    assert capsys.readouterr().err.count("\r") == 7  # the last once more


def test_there_is_no_other_bar():
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert path.name == "bars.py" or not any(str(module).startswith("tqdm") for module in modules), path
