"""Work shared by processes, or done by this one where a machine has no room for others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import cv2

from posekit.errors import InputError
from posekit.signals import ctrl_c, uninterrupted


@contextmanager
def shared_map(workers: int) -> Iterator[Callable[..., Iterator]]:
    """Yield a `map` whose work `workers` processes share; its function must be importable by a new process.

    It is Python's own `map` for one worker, and where the system has no semaphores, as without /dev/shm.
    """
    try:
        # OpenCV's own threads would only get in the way of the other processes.
        pool = ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) if workers > 1 else None
    except (OSError, ImportError, NotImplementedError):
        pool = None
    if pool is None:
        yield lambda function, *iterables, chunksize=1: map(function, *iterables)
        return

    def spread(function: Callable, *iterables: Any, chunksize: int = 1) -> Iterator:
        with ctrl_c(), uninterrupted():  # Ctrl-C while processes start would leave them half told what to do
            return pool.map(function, *iterables, chunksize=chunksize)

    try:
        with pool:
            yield spread
    except BrokenProcessPool as error:
        raise InputError(
            "a process that shared the work was killed, perhaps because memory ran out; close other programs and try "
            "again"
        ) from error
