"""Where things are, and reading and writing files: errors become one line, nothing is ever left half-written."""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from posekit.bounds import DESCRIPTION_BYTES, ZIP_DIRECTORY_BYTES, check_size
from posekit.errors import InputError, in_words, shortened, shown, system_error
from posekit.filetypes import said_to_be

LONGEST_TEXT = 2**24  # bytes of a text file that is read at once


def expanded(path: str | Path) -> Path:
    """The path, a home directory in place of ~ or ~USER at its start. InputError if there is none."""
    text = os.path.expanduser(path)
    if text == "~" or re.match(r"~[^/\\]*[/\\]", text):
        raise InputError(f"{path}: no such home directory; write out the path, or ./{path} for a folder of that name")
    return Path(text)


def _find_root() -> Path:
    """Where the lessons are: $POSEKIT_ROOT; the clone that this package or the current folder is in; the package."""
    if named := os.environ.get("POSEKIT_ROOT"):
        return Path(os.path.realpath(expanded(named)))
    clone = WORKBOOK.parents[1]
    try:
        here = Path(os.path.abspath("x"))
    except FileNotFoundError:  # the current folder was removed
        here = clone
    places = (clone, *here.parents, WORKBOOK)
    return next((place for place in places if any(place.glob("notebooks/[0-9][0-9]_*.ipynb"))), clone)


WORKBOOK = Path(__file__).resolve().with_name("workbook")  # lessons, scripts and docs, where a wheel put them
ROOT = _find_root()


def home(root: Path = ROOT) -> Path:
    """The folder below which data and runs are written, if no other is named.

    $POSEKIT_HOME; else the clone `root`, or the current folder if the lessons came in a wheel, if that may be written
    to; else the user's own folder for posekit's data. InputError if that can't be made.
    """
    if named := _named_home():
        return named
    folder = Path.cwd() if root == WORKBOOK else root
    if (root / "notebooks").is_dir() and os.access(folder, os.W_OK):
        return folder
    return _own_folder()


def caches(root: Path = ROOT) -> Path:
    """The folder for what can be made again: cache/ of `home`; with a wheel, of the user's own folder."""
    return (_named_home() or (_own_folder() if root == WORKBOOK else home(root))) / "cache"


def _named_home() -> Path | None:
    named = os.environ.get("POSEKIT_HOME")
    return Path(os.path.realpath(expanded(named))) if named else None


def _own_folder() -> Path:
    folder = Path(platformdirs.user_data_dir("posekit", appauthor=False))
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    if not os.access(there, os.W_OK):
        raise InputError(f"{folder}: cannot be written; set POSEKIT_HOME to a folder for your data and runs")
    return folder


# Errors of the system


@contextmanager
def reading(path: object, remedy: str = "check the path") -> Iterator[None]:
    """Turn an error of the system into InputError, which names `path`, and `remedy` where the cause has no other."""
    try:
        yield
    except OSError as error:
        raise InputError(system_error(error, path, "read", remedy)) from error


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Turn an error of the system into InputError, which names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(system_error(error, path, "write")) from error


# Writing


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path of the same name in a new folder beside `path`; its file moves to `path` when the block succeeds.

    When the block fails (a full disk, Ctrl-C) the folder and all that writers left in it are removed and `path` is
    untouched. An error of the system that names no other file becomes InputError, as does a device or a pipe.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # root would replace /dev/null, for every program
        raise InputError(f"{path}: is a device or a pipe; give the name of a file")
    with _beside(path) as folder:
        temporary = Path(folder, path.name)
        try:
            with _lenient_chmod():
                yield temporary
                _give_usual_mode(temporary)
            replace_file(temporary, path)
        except OSError as error:
            name = str(error.filename or path)
            if name == str(path) or name.startswith(str(folder)):
                raise InputError(system_error(error, path, "write")) from error
            raise


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` to write in; it becomes `out` when the block succeeds and vanishes when it fails."""
    mounted = os.path.ismount(out)  # then nothing can take its place, and it gets the content
    with _beside(out / "content" if mounted else out) as folder:
        building = folder / (out.name or "content")
        with writing(out):
            building.mkdir()
        yield building
        with writing(out):
            if mounted:
                for path in building.iterdir():
                    os.rename(path, out / path.name)
            else:
                os.replace(building, out)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, for its owner only, which vanishes at the end."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.stem[:20]}-"  # short: a name may have 255 bytes
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=prefix, ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def _give_usual_mode(path: Path) -> None:
    """Give the file the mode that new files get here, by the umask or the folder's access list, whoever wrote it."""
    probe = path.with_name(".mode")
    os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE(probe.stat().st_mode)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        os.chmod(path, mode)


@contextmanager
def _if_supported() -> Iterator[None]:
    """End the block where the file system lacks what it does."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            raise


@contextmanager
def _lenient_chmod() -> Iterator[None]:
    """Let writers carry on where a file system refuses chmod: MindSpore changes the modes of all its files."""
    chmod = os.chmod

    def attempt(*arguments: Any, **options: Any) -> None:
        with _if_supported():
            chmod(*arguments, **options)

    os.chmod = attempt
    try:
        yield
    finally:
        os.chmod = chmod


def replace_file(new: Path, path: Path) -> None:
    """Let the file `new` take the place of `path`, also on file systems where no file may take another's place."""
    try:
        os.replace(new, path)
    except OSError:
        if not path.is_file():
            raise
        before = new.with_name(".before")
        os.rename(path, before)
        try:
            os.rename(new, path)
        except OSError:
            os.rename(before, path)
            raise
        before.unlink()


def flush_to_disk(path: Path) -> None:
    """Wait until the file is on the disk, which may say only now that it is full; not where a file system can't."""
    with path.open("rb") as file, _if_supported():
        os.fsync(file.fileno())


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


# Reading


def read_text(path: Path, remedy: str = "check the path", longest: int = LONGEST_TEXT) -> str:
    """The text in a file, in UTF-8 or, with a byte order mark, UTF-16; lines end in \\n however they end in the file.

    InputError, with `remedy` at its end, if it can't be read or has more than `longest` bytes.
    """
    with reading(path, remedy), path.open("rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise InputError(f"{path}: more than {longest:,} bytes; {remedy}")
    encoding = "UTF-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "UTF-8"
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not {encoding} text; save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str, **options: Any) -> object:
    """The value of a JSON text. ValueError or RecursionError if it isn't JSON, or names something twice."""
    return json.loads(text, object_pairs_hook=_distinct, **options)


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(name for name in names if names.count(name) > 1))} is there twice")
    return value


def _not_json(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def read_json(path: Path, remedy: str, longest: int = DESCRIPTION_BYTES) -> dict:
    """The object in a JSON file of up to `longest` bytes; InputError, with `remedy` at its end, if it can't be read."""
    text = read_text(path, remedy, longest)
    try:
        value = parse_json(text, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({in_words(error)}); {remedy}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; {remedy}")
    return value


def read_bytes(path: Path, most: int) -> bytes:
    """The file's bytes; InputError when there are more than `most`, or none can be read."""
    with reading(path):
        check_size(path, most)
        return path.read_bytes()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with reading(path), path.open("rb") as file:
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
    return InputError(f"{path}: not a readable {kind} ({shortened(reason, 200)}); {remedy}")


def open_zip(path: Path, most: int) -> zipfile.ZipFile:
    """Open a zip file; BadZipFile when its members take more than `most` bytes unpacked, or its directory too many."""
    with path.open("rb") as file:
        file.seek(-min(2**16, file.seek(0, os.SEEK_END)), os.SEEK_END)
        end = file.read()
    place = end.rfind(b"PK\x05\x06")  # the record that tells how large the directory is
    if place < 0:
        raise zipfile.BadZipFile("its end is missing, as after half a download")
    if int.from_bytes(end[place + 12 : place + 16], "little") > ZIP_DIRECTORY_BYTES:
        raise zipfile.BadZipFile("its directory is too large")
    archive = zipfile.ZipFile(path)
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > most:
        archive.close()
        raise zipfile.BadZipFile(f"it would unpack to {unpacked:,} bytes, from {path.stat().st_size:,}")
    return archive
