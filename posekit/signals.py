"""Handle Ctrl-C and SIGTERM although MindSpore takes them over, and end ranks that wait for one that is gone."""

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

_actions: dict[int, ctypes.Array] = {}  # the C handlers that ctrl_c has installed
_waiting: list[int] | None = None  # signals held back until `uninterrupted` ends, or noted by `ctrl_c`
_uninterrupted_since: float | None = None  # when `uninterrupted` began inside a `ctrl_c` that notes
_PATIENCE = 10  # seconds that the last update may take


@contextmanager
def ctrl_c(noted: bool = False) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM raise KeyboardInterrupt, or note them for `interrupted`; in the main thread only.

    MindSpore takes both signals over: once a graph has run, Ctrl-C sends the process SIGTERM; a data pipeline that
    starts installs its own SIGTERM handler, which ends the process at once. `restore_handlers` undoes that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM)}
    outer = dict(_actions)
    global _waiting
    _waiting = [] if noted else _waiting
    for number in before:
        ignored = number == signal.SIGINT and before[number] == signal.SIG_IGN  # as in a shell's background jobs
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
    """Inside the block, a signal also ends a process that waits for ranks that are gone.

    When another host is gone, MindSpore sends this process SIGTERM but stays in AllReduce, where Python never calls its
    handlers. A thread that the signal's byte wakes through a pipe ends the process instead.
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
    """End this process if, after a signal, the `uninterrupted` block doesn't end; return when the pipe closes."""
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
            print("the other ranks do not answer; ended without saving; continue with --resume", flush=True)
            os._exit(128 + signal.SIGTERM)


def _interrupt(number: int, frame: object) -> None:
    """Handle a signal inside `ctrl_c`."""
    if _waiting is None:
        raise KeyboardInterrupt
    _waiting.append(number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back what `ctrl_c` would raise until the block has ended without another error."""
    global _waiting, _uninterrupted_since
    if _waiting is not None:  # `ctrl_c` only notes signals
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
    """Whether Ctrl-C or SIGTERM has arrived inside a `ctrl_c` that notes them."""
    return bool(_waiting)


def restore_handlers() -> None:
    """Install the handlers of `ctrl_c` again, from any thread; `signal.signal` works in the main thread only."""
    for number, action in list(_actions.items()):
        ctypes.CDLL(None).sigaction(number, action, None)
