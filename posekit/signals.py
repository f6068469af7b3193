"""Ctrl-C and SIGTERM in a process in which MindSpore takes them over, and ranks that wait for one that is gone."""

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

_actions: dict[int, ctypes.Array] = {}  # the C handlers that ctrl_c has installed
_waiting: list[int] | None = None  # signals that wait for `uninterrupted` to end, or that `ctrl_c` has noted
_uninterrupted_since: float | None = None  # when `uninterrupted` began inside a `ctrl_c` that notes
_PATIENCE = 10  # seconds for an update, once it is to be the last one


@contextmanager
def ctrl_c(noted: bool = False) -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise KeyboardInterrupt, or are noted for `interrupted`, if this is the main thread.

    MindSpore takes both signals over: a graph that has run answers Ctrl-C by sending its own process SIGTERM, a data
    pipeline that starts sets its own handler of that, and the process ends on the spot. `restore_handlers` undoes it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM)}
    outer = dict(_actions)
    global _waiting
    _waiting = [] if noted else _waiting
    for number in before:
        ignored = number == signal.SIGINT and before[number] == signal.SIG_IGN  # as a shell's background jobs have it
        signal.signal(number, signal.SIG_IGN if ignored else _interrupt)
        if os.name != "posix":
            continue
        _actions[number] = ctypes.create_string_buffer(1024)  # larger than any struct sigaction
        ctypes.CDLL(None).sigaction(number, None, _actions[number])
    try:
        with _not_left_alone() if noted else nullcontext():
            yield
    finally:
        _waiting = None if noted else _waiting
        _actions.clear()
        _actions.update(outer)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _not_left_alone() -> Iterator[None]:
    """Inside, a signal also ends a process that waits for other ranks, in vain.

    When another host is gone MindSpore sends this process SIGTERM and stays in AllReduce, where no handler of Python's
    is called; but the signal's byte in a pipe wakes a thread.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write)


def _watch(read: int) -> None:
    """End this process when a signal has come and what is `uninterrupted` does not end; return when the pipe does."""
    signalled = None
    while True:
        ready, _, _ = select.select([read], [], [], 1)
        if ready and not os.read(read, 1):
            os.close(read)
            return
        now = time.monotonic()
        signalled = signalled or (now if ready else None)
        since = _uninterrupted_since
        if signalled and since and now - max(signalled, since) > _PATIENCE:
            print("the other ranks do not answer: ended without saving; go on with --resume", flush=True)
            os._exit(128 + signal.SIGTERM)


def _interrupt(number: int, frame: object) -> None:
    """The handler inside `ctrl_c`."""
    if _waiting is None:
        raise KeyboardInterrupt
    _waiting.append(number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside, what `ctrl_c` would raise waits until the block has ended without another error."""
    global _waiting, _uninterrupted_since
    if _waiting is not None:  # `ctrl_c` notes it anyway
        _uninterrupted_since = time.monotonic()
        try:
            yield
        finally:
            _uninterrupted_since = None
        return
    _waiting = []
    try:
        yield
    finally:
        waiting, _waiting = _waiting, None
    if waiting:
        raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether Ctrl-C or SIGTERM has come inside a `ctrl_c` that notes them."""
    return bool(_waiting)


def restore_handlers() -> None:
    """Inside `ctrl_c`, from any thread: install its handlers again. `signal.signal` works in the main thread only."""
    for number, action in list(_actions.items()):
        ctypes.CDLL(None).sigaction(number, action, None)
