"""Progress bars: they move in a terminal and a notebook; in a file or a queue's log they write a line now and then."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm as Bar

SECONDS = 10  # between two lines of a log


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
