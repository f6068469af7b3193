"""Paths for libraries that take only ASCII letters, digits and @_.:/-: MindSpore's exporters, Ascend's converter."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posekit.errors import InputError, system_error

_PLAIN = re.compile(r"[0-9A-Za-z@_.:/\\-]+")


def is_plain(path: str | Path) -> bool:
    """Whether any library takes this path."""
    return _PLAIN.fullmatch(os.path.realpath(path)) is not None


@contextmanager
def plain_input(path: Path) -> Iterator[Path]:
    """Yield a path from which any library reads this file: `path` itself, or a copy where its name isn't plain."""
    if is_plain(path):
        yield path
        return
    with _plain_folder() as folder:
        copy = folder / f"file{path.suffix}"
        _copy(path, copy)
        yield copy


@contextmanager
def plain_output(path: Path) -> Iterator[Path]:
    """Yield a path to which any library writes; what is there when the block succeeds becomes the file `path`."""
    if is_plain(path):
        yield path
        return
    with _plain_folder() as folder:
        made = folder / f"file{path.suffix}"
        yield made
        _copy(made, path)


def _copy(source: Path, target: Path) -> None:
    """Copy the content; an error of the system names the file that it is about."""
    try:
        with source.open("rb") as given, target.open("wb") as made:
            shutil.copyfileobj(given, made)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(error.filename or target)) from error


@contextmanager
def _plain_folder() -> Iterator[Path]:
    """A temporary folder whose path any library takes; it vanishes at the end."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", os.getcwd(), os.path.expanduser("~")):
        if is_plain(place) and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="posekit-", dir=place) as folder:
                try:
                    yield Path(folder)
                except OSError as error:
                    if str(error.filename or folder).startswith(folder):
                        raise InputError(system_error(error, place, "write")) from error
                    raise
            return
    raise InputError(
        f"{tempfile.gettempdir()}: MindSpore takes only paths of ASCII letters, digits and @_.-; set TMPDIR to such a "
        "folder"
    )
