"""The images and videos that a user names, or that are in a folder: which can be read, and what they are called."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path

from posekit.datasets.images import form_of, one_line
from posekit.datasets.sources import as_compared, listed
from posekit.errors import InputError, shortened
from posekit.filetypes import said_to_be
from posekit.predictions import check_names

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv")
RAW = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw")
BY_CONTENT = ("JPEG", "PNG", "WebP")  # known by their first bytes, whatever the file is called
LONGEST_STEM = 200  # bytes of a copy's name before its suffix; file systems allow 255 in all
NAMED = 10  # file names per reason in a message about what is skipped


@dataclass(frozen=True)
class Input:
    """An image or a video; `folder` is the one that it was found in, None if the user named it.

    name: what it is called in the table; copy: the file name of its annotated copy.
    """

    path: Path
    folder: Path | None
    video: bool
    name: str = ""
    copy: str = ""


@dataclass(frozen=True)
class Skipped:
    """What is in folders and isn't predicted: the names by folder and reason, and how many entries a folder has."""

    names: dict[Path, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    entries: Counter[Path] = field(default_factory=Counter)

    def handle(self, given: Input, error: InputError) -> None:
        """Skip a file of a folder for an error; raise that of a file that the user named."""
        if given.folder is None:
            raise error
        reason = str(error).removeprefix(f"{one_line(given.path)}: ")
        self.names[given.folder][reason].append(given.path.name)

    def line(self, folder: Path) -> str:
        """How many of a folder's entries are skipped, which, and why."""
        reasons = self.names[folder]
        parts = []
        for reason, names in reasons.items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            parts.append(f"{', '.join(map(shortened, names[:NAMED]))}{more} ({reason.replace('; ', ', ')})")
        return f"{sum(map(len, reasons.values()))} of {self.entries[folder]} skipped: {'; '.join(parts)}"


def find_inputs(sources: list[Path]) -> tuple[list[Input], Skipped]:
    """What to predict, in the order given, a folder's files by name; and what is skipped.

    Names are distinct, as are the copies' (also where the file system overlooks case): two images of one name get
    their folders', copies of one stem their suffixes as well. Folders in a folder aren't entered.
    Raises InputError for a file that the user named and that can't be read by its kind, for a folder without anything
    to read, and for names that no table can hold.
    """
    skipped, found = Skipped(), {}
    for source in sources:
        for given in _in_folder(source, skipped) if source.is_dir() else [_named(source)]:
            found.setdefault(os.path.abspath(given.path), given)
    inputs = list(found.values())
    check_names(given.path.name for given in inputs)
    names = _distinct(inputs, _names, str)
    copies = _distinct(inputs, _copies, as_compared)
    return [replace(given, name=names[i], copy=copies[i]) for i, given in enumerate(inputs)], skipped


def _named(path: Path) -> Input:
    known = path.suffix.lower() in IMAGES + VIDEOS
    reason = _why_not(path) if path.exists() and not known else None
    if reason:
        raise InputError(f"{one_line(path)}: is {reason}")
    return Input(path, None, _is_video(path))


def _in_folder(folder: Path, skipped: Skipped) -> list[Input]:
    found = []
    for name in sorted(listed(folder)):
        skipped.entries[folder] += 1
        given = Input(folder / name, folder, _is_video(folder / name))
        reason = _why_not(given.path)
        if reason:
            skipped.handle(given, InputError(reason))
        else:
            found.append(given)
    if not found:
        there = skipped.line(folder) if skipped.entries[folder] else "it is empty"
        raise InputError(f"{one_line(folder)}: holds no images and no videos: {there}; check the path")
    return found


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in VIDEOS or (suffix not in IMAGES + RAW and "film" in (said_to_be(path) or ""))


def _why_not(path: Path) -> str | None:
    """Why a path isn't worth an attempt to read it; None if it is."""
    if path.is_dir():
        return "a folder, which isn't entered"
    if path.is_symlink() and not path.exists():
        return "a link to a file that isn't there"
    if not path.is_file():
        return said_to_be(path) or "not a file"
    if path.suffix.lower() in IMAGES or _is_video(path) or _form(path) in BY_CONTENT:
        return None
    if path.suffix.lower() in RAW:
        return "a camera's raw file; develop it to JPEG"
    said = said_to_be(path) or ""
    return f"{said}; convert it to JPEG or PNG" if "image" in said else said or "not an image or a video"


def _form(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return form_of(stream.read(32))
    except OSError:
        return None


def _distinct(inputs: list[Input], names: Callable[[Input], list[str]], key: Callable[[str], str]) -> list[str]:
    """A name for each input: of its `names` the first that no other has at the same place, and that is free.

    Names are alike if their `key` is. Where all are, as of files whose names differ in case alone, numbers are added.
    """
    choices = [names(given) for given in inputs]
    often = Counter((place, key(name)) for some in choices for place, name in enumerate(some))
    taken: dict[str, str] = {}
    for some in choices:
        own = [name for place, name in enumerate(some) if often[place, key(name)] == 1]
        stem, suffix = os.path.splitext(some[0])
        numbered = (f"{stem}-{number}{suffix}" for number in count(2))
        chosen = next(name for name in chain(own, some[:1], numbered) if key(name) not in taken)
        taken[key(chosen)] = chosen
    return list(taken.values())


def _tails(path: Path) -> Iterator[tuple[str, ...]]:
    """The last part of a path, the last two, and so on."""
    parts = Path(os.path.abspath(path)).parts[1:]
    return (parts[-length:] for length in range(1, len(parts) + 1))


def _names(given: Input) -> list[str]:
    return ["/".join(tail) for tail in _tails(given.path)]


def _copies(given: Input) -> list[str]:
    stems = [given.path.stem, *("-".join(tail) for tail in _tails(given.path))]
    cut = (os.fsencode(stem)[:LONGEST_STEM].decode("utf-8", "ignore") for stem in stems)
    return [stem + (".mp4" if given.video else ".png") for stem in cut]
