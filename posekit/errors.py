"""The exceptions whose message the command prints, and what a message says about an error of the system.

Bad input exits with code 2, a stopped training with 75.
"""

import errno
import os

_REMEDIES = {  # remedy -> the causes that it cures
    "make room, or choose another place": "ENOSPC EDQUOT",
    "check the permissions, or choose another place": "EACCES EPERM",
    "choose a place that can be written to": "EROFS",
    "choose another name, or remove what is there": "EEXIST ENOTEMPTY",
    "choose a shorter name": "ENAMETOOLONG",
    "a part of this path is a file; check the path": "ENOTDIR",
    "this is a folder; give a file": "EISDIR",
    "links there lead to themselves; check the path": "ELOOP",
    "choose a place on one file system": "EXDEV",
    "close what uses it, or choose another place": "EBUSY ETXTBSY",
    "this file system can't do that; choose another place": "ENOTSUP EOPNOTSUPP ENOSYS",
    "raise the limit on file sizes (ulimit -f), or choose another file system": "EFBIG",
    "raise the limit on open files (ulimit -n)": "EMFILE ENFILE",
    "close other programs": "ENOMEM",
    "check the disk or the network drive": "EIO",
    "check the network drive and try again": "ESTALE ENOTCONN EHOSTDOWN EHOSTUNREACH",
}
_REMEDY = {getattr(errno, cause, 0): remedy for remedy, causes in _REMEDIES.items() for cause in causes.split()}


class InputError(Exception):
    """Something the user gave is unusable. The message is one line: what, where, what to do."""


class Stopped(InputError):
    """The user or a queue stopped a training, which has saved and can continue. The message is one line."""


def shortened(text: str, longest: int = 80) -> str:
    """A name for a message: in one line, unprintable characters as Python writes them, and cut where it is too long."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def counted(number: int, noun: str) -> str:
    """Return "1 image" or "2 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: object) -> str:
    """The value as Python writes it, for a message: in one line, and cut where it is long."""
    if isinstance(value, str) and len(value) > 80:
        return f"{value[:80]!r}… ({len(value):,} characters)"
    try:
        return shortened(" ".join(repr(value).splitlines()))
    except (ValueError, RecursionError):  # an int of thousands of digits; lists in lists in lists
        return f"something too large to show ({type(value).__name__})"


def in_words(error: BaseException) -> str:
    """What the error says, in one line: the system's own words, or the first line of a library's."""
    text = getattr(error, "strerror", None) or str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shortened(lines[0], 200) if lines else type(error).__name__


def system_error(error: OSError, path: object = None, doing: str = "", remedy: str = "") -> str:
    """The message for an error of the system: the file, the cause in the system's words, and what cures that cause.

    `path` is the file that the user named, by default the error's own; `doing` is read or write; `remedy` is for causes
    that have none of their own, as a file that doesn't exist.
    """
    name = error.filename if path is None else path
    where = f"{shortened(os.fsdecode(name), 300)}: " if isinstance(name, str | bytes | os.PathLike) else ""
    cause = f"cannot {doing} ({in_words(error)})" if doing else in_words(error)
    remedy = _REMEDY.get(error.errno) or remedy or ("check the path" if error.errno == errno.ENOENT else "")
    remedy = remedy.removesuffix(", or choose another place") if doing == "read" else remedy
    return f"{where}{cause}; {remedy}" if remedy else f"{where}{cause}"
