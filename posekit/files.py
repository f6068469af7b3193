"""Where the repository is, and writing files so that nothing is ever left half-written."""

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posekit.errors import InputError

ROOT = Path(os.environ.get("POSEKIT_ROOT") or Path(__file__).parents[1]).resolve()  # of the repository


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path of the same name in a new folder beside `path`; its file moves to `path` when the block succeeds.

    When the block fails (a full disk, Ctrl-C) the folder and all that writers left in it are removed and `path` is
    untouched; an OSError that names no other file gets `path` as its file name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        temporary = Path(folder, path.name)
        try:
            yield temporary
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError as error:
            if error.filename is None or str(error.filename).startswith(folder):
                raise OSError(error.errno, error.strerror or str(error), str(path)) from error
            raise


def remove_left_overs(folder: Path) -> None:
    """Remove the folders that `atomic_path` left in `folder` when its process was killed."""
    for path in folder.glob(".*-*"):
        if re.fullmatch(r"\..+-[a-z0-9_]{8}", path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep Python loggers silent: for libraries that log an error before they raise it."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path, remedy: str) -> dict:
    """The object in a JSON file; InputError, with `remedy` at its end, when there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); {remedy}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; {remedy}")
    return value
