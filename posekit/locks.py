"""One writer per folder, or per file: a lock file that names the process that writes there."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from posekit.errors import InputError, shortened
from posekit.files import writing

LOCK = ".lock"  # the file's name
_BEAT = 10  # seconds after which the process that holds a lock touches its file again
_GONE = 60  # seconds without a touch after which a process on another host counts as gone


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Keep the folder, made if need be, to this process until the block ends; InputError names the one that has it.

    The system ends the lock of a process that has ended, however that came. Some network file systems keep locks to one
    host, others have none: there, whether the file is still touched tells.
    """
    made = not folder.exists()
    try:
        with _held(folder / LOCK, folder, "folder"):
            yield
    finally:
        if made:
            with suppress(OSError):  # it has content
                folder.rmdir()


@contextmanager
def one_writer_of(file: Path) -> Iterator[None]:
    """Keep one file to this process, as `one_writer` does with a folder; the lock file is beside it."""
    with _held(file.with_name(f".{file.name}{LOCK}"), file, "file"):
        yield


@contextmanager
def _held(path: Path, what: Path, kind: str) -> Iterator[None]:
    """Hold the lock file `path`, of `what`, a folder or a file."""
    with writing(what):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path, what, kind)
    ended = threading.Event()
    beat = threading.Thread(target=_touch, args=(path, ended), daemon=True)
    try:
        with writing(what):
            _sign(descriptor)
        beat.start()
        yield
    finally:
        ended.set()
        _remove(descriptor, path)


def _open_locked(path: Path, what: Path, kind: str) -> int:
    """A descriptor of the lock file, locked; InputError if another process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked, holder = _lock(descriptor), _holder(descriptor)
        if locked is False or _writes(holder, os.fstat(descriptor).st_mtime, locked):
            os.close(descriptor)
            raise _taken(what, kind, holder)
        if _is_same(descriptor, path):
            return descriptor
        os.close(descriptor)  # another process has just removed the file: its lock holds nobody off


def _lock(descriptor: int) -> bool | None:
    """Lock the file; whether that worked, None where its file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 2**20, os.SEEK_SET)  # others can't read the byte that is locked
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _holder(descriptor: int) -> dict:
    """Who has signed the lock file: process, host, since; empty if nobody has."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        holder = json.loads(os.read(descriptor, 1000))
    except (ValueError, RecursionError):
        return {}
    known = isinstance(holder, dict) and isinstance(holder.get("process"), int) and holder["process"] > 0
    return holder if known else {}


def _sign(descriptor: int) -> None:
    me = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.truncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(me).encode())


def _writes(holder: dict, touched: float, locked: bool | None) -> bool:
    """Whether the process that signed a lock file, which was last touched then, still writes."""
    here = holder.get("host") == socket.gethostname()
    if not holder or (locked and here) or time.time() - touched > _GONE:
        return False
    return not here or _runs(holder["process"])


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True


def _taken(what: Path, kind: str, holder: dict) -> InputError:
    names = {name: shortened(str(holder.get(name))) for name in ("process", "host", "since")}
    who = "process {process} on {host} has been writing there since {since}".format(**names)
    who = who if holder else "another process writes there"
    return InputError(f"{what}: {who}; wait until it ends, or choose another {kind}")


def _touch(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_BEAT):
        with suppress(OSError):
            os.utime(path)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(descriptor: int, path: Path) -> None:
    """Remove the lock file and end the lock."""
    own = _is_same(descriptor, path)
    if sys.platform == "win32":  # where an open file can't be removed
        os.close(descriptor)
    if own:
        with suppress(OSError):
            os.unlink(path)
    if sys.platform != "win32":
        os.close(descriptor)
