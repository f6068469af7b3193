"""Write a drawn data set: check the request, make a folder that appears once complete, draw in several processes."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import cv2
from tqdm import tqdm

from posekit.errors import InputError
from posekit.runtime import cores

Row = TypeVar("Row")


def check_request(out: Path, train: int, test: int, seed: int, most: int) -> None:
    """Raise InputError if a count is outside 0..`most`, the seed negative, or `out` not empty or the current folder."""
    for name, count in (("train", train), ("test", test)):
        if not 0 <= count <= most:
            raise InputError(f"--{name} {count}: must be between 0 and {most}; choose another number")
    if seed < 0:
        raise InputError(f"--seed {seed}: must not be negative; choose another number")
    if out.resolve() == Path.cwd():
        raise InputError(f"{out}: is the folder you are in; name a new folder")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out}: exists already; name a new folder or remove this one")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `out`; rename it to `out` if the block succeeds, remove it if it fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        yield building
        building.chmod(0o755)
        os.replace(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def draw_all(draw: Callable[[int], Row], count: int, split: str, workers: int | None) -> list[Row]:
    """Call `draw` for 0..count-1 in `workers` processes (None: one per core); return the results in order.

    `draw` must be importable by a new process: a function of a module, or `functools.partial` of one.
    """
    workers = workers or len(cores())
    progress = partial(tqdm, total=count, desc=f"drawing {split}", unit="img", disable=None)
    if workers == 1 or count < 4:
        return list(progress(map(draw, range(count))))
    # OpenCV's own threads would only slow down the other processes.
    with ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        return list(progress(pool.map(draw, range(count), chunksize=8)))
