"""Write a drawn data set: check the request, and draw in several processes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from posekit.bars import progress_bar
from posekit.errors import InputError
from posekit.files import write_json
from posekit.processes import shared_map
from posekit.runtime import cores

Row = TypeVar("Row")
DRAWN = "drawn.json"  # in a data set that posekit has drawn, so that models can say what they have seen


def mark_drawn(folder: Path, **how: int | str) -> None:
    """Write into a data set that it was drawn, and how: the counts, the seed, and more where it isn't plain."""
    write_json(folder / DRAWN, {"drawn by": "posekit", **how})


def check_request(out: Path, train: int, test: int, seed: int, most: int) -> None:
    """Raise InputError if a count is outside 0..`most`, the seed negative, or `out` not empty or the current folder."""
    for name, count in (("train", train), ("test", test)):
        if not 0 <= count <= most:
            raise InputError(f"--{name} {count}: must be between 0 and {most}; choose another number")
    if seed < 0:
        raise InputError(f"--seed {seed}: must not be negative; choose another number")
    if os.path.realpath(out) == os.getcwd():
        raise InputError(f"{out}: is the folder you are in; name a new folder")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out}: exists already; name a new folder or remove this one")


def draw_all(draw: Callable[[int], Row], count: int, split: str, workers: int | None) -> list[Row]:
    """Call `draw` for 0..count-1 in `workers` processes (None: one per core); return the results in order.

    `draw` must be importable by a new process: a function of a module, or `functools.partial` of one.
    """
    workers = 1 if count < 4 else workers or len(cores())
    with shared_map(workers) as spread:
        return list(
            progress_bar(spread(draw, range(count), chunksize=8), total=count, desc=f"drawing {split}", unit="img")
        )
