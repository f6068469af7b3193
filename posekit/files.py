"""Where the repository is, and writing files so that nothing is ever left half-written."""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posekit.bounds import DESCRIPTION_BYTES, ZIP_DIRECTORY_BYTES, check_size
from posekit.errors import InputError
from posekit.filetypes import said_to_be

ROOT = Path(os.environ.get("POSEKIT_ROOT") or Path(__file__).parents[1]).resolve()  # of the repository


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path of the same name in a new folder beside `path`; its file moves to `path` when the block succeeds.

    When the block fails (a full disk, Ctrl-C) the folder and all that writers left in it are removed and `path` is
    untouched; an OSError that names no other file gets `path` as its file name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem[:40]}-") as folder:
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
        check_size(path, DESCRIPTION_BYTES)
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); {remedy}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; {remedy}")
    return value


def read_bytes(path: Path, most: int) -> bytes:
    """The file's bytes; InputError when there are more than `most`, or none can be read."""
    try:
        check_size(path, most)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); check the path and its permissions") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(path: Path, kind: str, error: Exception | str, remedy: str, own: tuple[str, ...] = ()) -> InputError:
    """The error for a file that isn't a readable `kind`: with what it is instead, or else its reader's words.

    `own` are answers of `said_to_be` that mean `kind` itself, so the file is damaged.
    """
    said = said_to_be(path)
    if said and said not in own:
        reason, _, cure = said.partition("; ")
        return InputError(f"{path}: not a readable {kind} (it is {reason}); {cure or remedy}")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if not line.startswith("Exception from")), type(error).__name__)
    return InputError(f"{path}: not a readable {kind} ({reason[:200]}); {remedy}")


_PLAIN = re.compile(r"[0-9A-Za-z@_.:/\\-]+")  # the paths that MindSpore's exporters and Ascend's converter take


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
        shutil.copyfile(path, copy)
        yield copy


@contextmanager
def plain_output(path: Path) -> Iterator[Path]:
    """Yield a path to which any library writes; what is there when the block succeeds becomes the file `path`."""
    if is_plain(path):
        yield path
        return
    with _plain_folder() as folder:
        made = folder / f"file{path.suffix}"
        try:
            yield made
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(folder.parent)) from error
        with made.open("rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)


@contextmanager
def _plain_folder() -> Iterator[Path]:
    """A temporary folder whose path any library takes."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", os.getcwd(), os.path.expanduser("~")):
        if is_plain(place) and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="posekit-", dir=place) as folder:
                yield Path(folder)
            return
    raise InputError(
        f"{tempfile.gettempdir()}: MindSpore takes only paths of ASCII letters, digits and @_.-; set TMPDIR to such a "
        "folder"
    )


def open_zip(path: Path, most: int) -> zipfile.ZipFile:
    """Open a zip file; BadZipFile when its members take more than `most` bytes unpacked, or its directory too many."""
    with path.open("rb") as file:
        file.seek(-min(2**16, file.seek(0, os.SEEK_END)), os.SEEK_END)
        end = file.read()
    place = end.rfind(b"PK\x05\x06")  # the record that tells how large the directory is
    if place >= 0 and int.from_bytes(end[place + 12 : place + 16], "little") > ZIP_DIRECTORY_BYTES:
        raise zipfile.BadZipFile("its directory is too large")
    archive = zipfile.ZipFile(path)
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > most:
        archive.close()
        raise zipfile.BadZipFile(f"it would unpack to {unpacked:,} bytes, from {path.stat().st_size:,}")
    return archive
