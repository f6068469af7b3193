"""What the course's bar says of a lesson that runs: its code cells, its bars, and how long nothing has changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from posekit import bars
from posekit.course.watching import Watch, executed_cells

CELLS = [
    {"cell_type": "markdown", "id": "title", "metadata": {}},
    {"cell_type": "code", "id": "given", "metadata": {"tags": ["parameters"]}},
    {"cell_type": "markdown", "id": "words", "metadata": {}},
    {"cell_type": "code", "id": "slow", "metadata": {}},
    {"cell_type": "code", "id": "last", "metadata": {}},
]


class Step:
    """A lesson that runs in a made-up time: its log, its bars, and the watch."""

    def __init__(self, folder: Path, expected: dict[str, float], parameters: dict) -> None:
        self.now, self.log, self.status = 1000.0, folder / "a.log", folder / "a.status"
        self.log.write_text("")
        self.new_watch = lambda: Watch(executed_cells(CELLS, parameters), self.log, self.status, expected)

    def cell(self, number: int, word: str = "Executing") -> None:
        with self.log.open("a") as log:
            log.write(f"some output\n{word} Cell {number}{'-' * 39}\n")

    def wait(self, seconds: float) -> str:
        """Look every 0.2 seconds, as the course does; return what is said at the end."""
        for _ in range(round(5 * seconds)):
            self.now += 0.2
            said = self.watch.look()
        return said


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Step]:
    def make(expected: dict[str, float] | None = None, **parameters: object) -> Step:
        step = Step(tmp_path, expected or {}, parameters)
        monkeypatch.setattr("time.time", lambda: step.now)
        monkeypatch.setenv(bars.STATUS, str(step.status))
        step.watch = step.new_watch()
        return step

    return make


def test_only_code_cells_count(step: Callable[..., Step]):
    """Papermill executes five cells and the parameters that it adds; four of these six are code."""
    run = step(recipe="a")
    seen = []
    for number in range(1, 7):
        run.cell(number)
        run.wait(0.2)
        seen.append((run.watch.done, run.watch.total))
        run.cell(number, "Ending")
    assert run.wait(0.2) == "saving"
    assert seen == [(0, 4), (0, 4), (1, 4), (2, 4), (2, 4), (3, 4)] and run.watch.done == 4


def test_without_parameters_nothing_is_added(step: Callable[..., Step]):
    assert step().watch.total == 3


def test_a_bar_is_shown_until_the_next_cell(step: Callable[..., Step]):
    run = step()
    run.cell(4)
    assert run.wait(1) == ""
    bars.tell("predict 3/12 batch, 9 s left")
    assert run.wait(1) == "predict 3/12 batch, 9 s left"
    run.cell(5)
    assert run.wait(1) == ""
    run.status.write_text('{"text": "half wri')
    assert run.wait(1) == ""


def test_what_does_not_move_says_how_long_it_takes(step: Callable[..., Step]):
    run = step()
    run.cell(4)
    run.wait(1)
    bars.tell("compiling the update", 40)
    assert run.wait(12) == "compiling the update 12 s of about 40 s"
    assert run.wait(65) == "compiling the update 1:17 min of about 40 s"
    assert run.wait(10) == ""  # too late to be believed


def test_a_cell_that_was_slow_before_says_so(step: Callable[..., Step]):
    run = step({"slow": 15.0, "last": 2.0})
    run.cell(4)
    assert run.wait(7) == "7 s of about 15 s"
    run.cell(5)
    assert run.wait(3) == ""


def test_how_long_nothing_changed(step: Callable[..., Step]):
    run = step()
    run.cell(2)
    run.wait(3)
    run.cell(4)
    run.wait(2)
    for number in range(20):
        bars.tell(f"predict {number}/20")
        run.wait(4)
    bars.tell("predict 20/20")
    run.wait(7)
    run.cell(5)
    run.wait(1)
    assert (round(run.watch.still.seconds), run.watch.still.cell) == (7, 2)


def test_an_announced_wait_moves_until_its_end(step: Callable[..., Step]):
    run = step()
    run.cell(4)
    run.wait(1)
    bars.tell("compiling", 20)
    run.wait(39)
    assert run.watch.still.seconds < 2
    run.wait(14)
    assert run.watch.still.seconds > 11


def test_a_bar_tells_what_it_shows(step: Callable[..., Step], monkeypatch: pytest.MonkeyPatch):
    run = step()
    monkeypatch.setattr("tqdm.std.time", lambda: run.now)
    said = []
    with bars.progress_bar(total=40, desc="epoch 2/4", unit="step") as bar:
        for _ in range(30):
            run.now += 2
            bar.set_postfix(loss="0.1", refresh=False)
            bar.update()
            said.append(json.loads(run.status.read_text())["text"])
    assert said[-1] == "epoch 2/4, 30/40 step, 20 s left, loss=0.1"
    assert list(bars.progress_bar(range(3), disable=True)) == [0, 1, 2]
    assert json.loads(run.status.read_text())["text"].startswith("epoch 2/4, "), "a bar that is off says nothing"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (200, "3:20 min"), (7500, "2:05 h")])
def test_times_in_short(seconds: float, words: str):
    assert bars.left(seconds) == words
