"""What a running lesson does now: the cell that papermill's log names, and what its progress bars say."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from posekit.bars import left
from posekit.course.cells import has_tag

_LINE = re.compile(r"^(Executing|Ending) Cell (\d+)-+$", re.MULTILINE)
SLOW = 3  # seconds; a cell that takes longer says how long, once measured: on half as fast a machine it takes 6
_START = 8  # seconds that papermill and the kernel take to start
_LATE = 2  # times as long as expected; then the clock is no longer progress


def executed_cells(cells: Sequence[dict], parameters: Mapping[str, object]) -> list[dict]:
    """The cells that papermill executes: those of the lesson, and one with the parameters behind the tagged one."""
    if not parameters:
        return list(cells)
    tagged = [i for i, cell in enumerate(cells) if has_tag(cell, "parameters")]
    place = tagged[0] + 1 if tagged else 0
    return [*cells[:place], {"cell_type": "code", "id": "", "metadata": {}}, *cells[place:]]


@dataclass
class Still:
    """The longest time in which nothing changed on the screen, and the code cell that ran then, as in In [5]."""

    seconds: float = 0.0
    cell: int = 0


class Watch:
    """Follow one execution of a lesson."""

    def __init__(self, cells: Sequence[dict], log: Path, status: Path, expected: Mapping[str, float]) -> None:
        """cells: the executed ones; status: the file that `posekit.bars` writes; expected: seconds by cell id."""
        self._cells, self._log, self._status, self._expected = cells, log, status, expected
        self._read, self._rest = 0, ""
        self._running = 0  # number of the cell, from 1
        self._began = self._changed = time.time()
        self._text = ""
        self.still = Still()

    total = property(lambda self: self._code(len(self._cells)))
    done = property(lambda self: self._code(self._running - 1))

    def _code(self, count: int) -> int:
        return sum(cell["cell_type"] == "code" for cell in self._cells[: max(count, 0)])

    def look(self) -> str:
        """Read what is new; return what is being done, in words, and note how long nothing has changed."""
        self._follow_log()
        now = time.time()
        text = self._doing(now)
        shown = f"{self.done} {text}"
        if shown != self._text:
            self._text, self._changed = shown, now
        elif now - self._changed > self.still.seconds:
            self.still = Still(round(now - self._changed, 1), self.done + 1)
        return text

    def _follow_log(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        lines = (self._rest + new.decode("utf-8", "replace")).split("\n")
        self._rest = lines.pop()
        for line in lines:
            if found := _LINE.match(line.rstrip()):
                began = found[1] == "Executing"
                self._running, self._began = int(found[2]) + (not began), time.time()

    def _doing(self, now: float) -> str:
        if not self._running:
            return _clock("starting Python", now - self._began, _START)
        said = self._said()
        if said and (said["seconds"] is None or now - said["since"] < _LATE * said["seconds"]):
            return _clock(said["text"], now - said["since"], said["seconds"])
        if self._running > len(self._cells):
            return "saving"
        cell = self._cells[self._running - 1]
        seconds = self._expected.get(cell.get("id", ""))
        return _clock("", now - self._began, seconds if seconds and seconds >= SLOW else None)

    def _said(self) -> dict | None:
        """What a bar of the present cell wrote last."""
        try:
            said = json.loads(self._status.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # nothing yet, or it is being written
            return None
        return said if said["since"] >= self._began else None


def _clock(text: str, passed: float, seconds: float | None) -> str:
    """The text, and how much of the expected time has passed, while that is still to be believed."""
    if seconds is None or passed > _LATE * seconds:
        return text
    return f"{text} {left(passed)} of about {left(seconds)}".strip()
