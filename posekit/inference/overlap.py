"""Two threads beside the caller's: one reads what comes next, one writes what is done, while the network computes."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

MOST = 4  # items that wait, so that memory is bounded

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The items in order; the next ones are made by a thread. What it raises is raised here."""
    end: Any = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, end) for _ in range(MOST))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item


@contextmanager
def behind() -> Iterator[Callable[..., None]]:
    """Yield a function that has other functions called by a thread, in order; all have ended when the block ends.

    What they raise is raised by a later call of it, or at the block's end. After an error the rest isn't called.
    """
    pool, waiting = ThreadPoolExecutor(1), deque[Future]()

    def submit(work: Callable, *arguments: Any) -> None:
        waiting.append(pool.submit(work, *arguments))
        if len(waiting) > MOST:
            waiting.popleft().result()

    try:
        yield submit
        for future in waiting:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)
