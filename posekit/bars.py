"""Progress bars: they move in a terminal and a notebook; in a file or a queue's log they write a line now and then.

A course reads what the bars of its lessons say from the file that the environment variable POSEKIT_STATUS names.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

SECONDS = 10  # between two lines of a log
STATUS = "POSEKIT_STATUS"


def tell(text: str, seconds: float | None = None) -> None:
    """Tell the course, if one runs this lesson, what is being done, and how many seconds it takes if nothing moves."""
    if place := os.environ.get(STATUS):
        with suppress(OSError):  # a full disk is no reason to stop
            said = {"text": text, "seconds": seconds, "since": time.time()}
            Path(place).write_text(json.dumps(said), encoding="utf-8")


def left(seconds: float) -> str:
    """A time in short: 45 s, 3:20 min, 2:05 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    high, low, unit = (whole // 60, whole % 60, "min") if whole < 3600 else (whole // 3600, whole % 3600 // 60, "h")
    return f"{high}:{low:02d} {unit}"


class Bar(tqdm):
    """A bar of tqdm's that also tells a course what it shows, more often than it writes lines into a log."""

    _told = 0.0  # when it did so last

    def display(self, *args: Any, **kwargs: Any) -> Any:
        """Show the bar, as tqdm does."""
        self._tell()
        return super().display(*args, **kwargs)

    def update(self, n: float | None = 1) -> bool | None:
        """Move the bar on, as tqdm does."""
        shown = super().update(n)
        if not self.disable and time.time() > self._told + 0.5:
            self._tell()
        return shown

    def _tell(self) -> None:
        tell(self.words())
        self._told = time.time()

    def words(self) -> str:
        """What the bar shows, without the bar: epoch 2/4, 12/40 step, 20 s left, loss=0.1."""
        now = self.format_dict
        total, rate, name = now["total"], now["rate"], (now["prefix"] or "").rstrip(": ")
        parts = [name, f"{now['n']}{f'/{total}' if total else ''} {now['unit']}"]
        if total and rate and now["n"] < total:
            parts.append(f"{left((total - now['n']) / rate)} left")
        return ", ".join(part for part in (*parts, now["postfix"]) if part)


class _Lines:
    """A text stream for a bar, which turns what the bar would redraw into lines on standard error."""

    encoding = "ascii"  # the log's may be any
    last = ""

    def write(self, text: str) -> None:
        """Write the text as a line, unless it only moves the cursor or repeats the last one."""
        if (line := text.strip()) not in ("", self.last):
            print(line, file=sys.stderr, flush=True)
            self.last = line

    def flush(self) -> None:
        """`write` has done it."""


def progress_bar(iterable: Iterable | None = None, **options: Any) -> Bar:
    """A bar of tqdm's. Without a terminal it writes a line at once, one every SECONDS at most, and one at the end."""
    if "ipykernel" in sys.modules or sys.stderr.isatty():
        return Bar(iterable, **options)
    return Bar(iterable, file=_Lines(), mininterval=SECONDS, maxinterval=SECONDS, miniters=1, ncols=100, **options)


def close_all() -> None:
    """End every bar that is shown, so that a message has a line of its own."""
    for bar in list(getattr(Bar, "_instances", ())):
        bar.close()
