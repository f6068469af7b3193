"""Find what students handed in: notebooks in a folder, each student's in a folder of their own or as one file."""

import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from posekit.course.cells import checks_in, source_of
from posekit.errors import InputError, in_words, shortened
from posekit.files import read_text, reading, sha256
from posekit.filetypes import said_to_be

LARGEST = 50 * 2**20  # bytes of a notebook; its outputs are most of them
_WHOLE = 2_000  # characters of a student's name: cut names could be those of two students


@dataclass(frozen=True)
class Submission:
    """A file that a student handed in.

    sources: exercise → what the student's cells of it hold, one after the other. problem: why the file has none.
    """

    student: str
    path: Path
    sources: dict[str, str]
    problem: str = ""


def find_submissions(folder: Path, known: Collection[str]) -> list[Submission]:
    """Read all students' notebooks, with the exercises that are known; InputError if there are none.

    A student is a folder in `folder`, with notebooks at any depth, or a file in it. Links aren't followed, and hidden
    names are left out.
    """
    with reading(folder):
        entries = sorted((entry for entry in os.scandir(folder) if not _skipped(entry)), key=lambda entry: entry.name)
    found = []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            paths = _notebooks(Path(entry.path))
            student = plain(entry.name, _WHOLE)
            found += [_read(student, path, known) for path in paths]
            found += [] if paths else [Submission(student, Path(entry.path), {}, _no_notebook(Path(entry.path)))]
        else:
            path = Path(entry.path)
            found.append(_read(plain(path.stem, _WHOLE), path, known))
    if not found:
        raise InputError(f"{folder}: nothing handed in there; give the folder of the students' notebooks")
    return found


def plain(text: str, longest: int = 120) -> str:
    """The text in one line, with nothing that a terminal obeys or that UTF-8 lacks."""
    return shortened(text.encode("utf-8", "backslashreplace").decode(), longest)


def _skipped(entry: os.DirEntry) -> bool:
    """Hidden entries, links, pipes and devices."""
    usual = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    return entry.name.startswith(".") or not usual


def _notebooks(folder: Path) -> list[Path]:
    found = []
    for place, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        with os.scandir(place) as entries:
            usual = [e for e in entries if not _skipped(e) and e.is_file()]
        found += [Path(e.path) for e in usual if e.name.lower().endswith(".ipynb")]
    return sorted(found)


def _no_notebook(folder: Path) -> str:
    other = next((name for _, _, names in os.walk(folder) for name in sorted(names)), None)
    return "no notebook in the folder" + (f", but {plain(other)}" if other else "")


def _read(student: str, path: Path, known: Collection[str]) -> Submission:
    try:
        cells = _cells(path)
    except (ValueError, RecursionError, InputError) as error:
        said = said_to_be(path)
        reason = said if said not in (None, "a JSON document") else in_words(error).removeprefix(f"{path}: ")
        return Submission(student, path, {}, f"not a notebook ({plain(reason)})")
    sources = _sources(cells, known)
    return Submission(student, path, sources, "" if sources else "no cell of an exercise")


def _sources(cells: list[dict], known: Collection[str]) -> dict[str, str]:
    """Exercise → the source of its cells, which its name in their metadata tells.

    Students also write below that cell, and editors lose metadata: the last of the cells before the exercise's check
    that define its answer counts, too.
    """
    found: dict[str, list[str]] = {}
    others: list[str] = []  # since the last cell of an exercise, or the last check
    for cell in cells:
        name, source = cell["metadata"].get("exercise"), source_of(cell)
        if isinstance(name, str) and name in known:
            found.setdefault(name, []).append(source)
            others = []
            continue
        others.append(source)
        for exercise, answer in checks_in(cell):
            defines = re.compile(rf"^def {answer}\(|^{answer} *=(?!=)", re.MULTILINE)
            if exercise in known and answer and (own := [other for other in others if defines.search(other)]):
                found.setdefault(exercise, []).append(own[-1])
            others = []
    return {name: "\n".join(sources) for name, sources in found.items()}


def _cells(path: Path) -> list[dict]:
    """The code cells of a notebook that anybody may have written. ValueError if it isn't one."""
    value = json.loads(read_text(path, longest=LARGEST))
    cells = value.get("cells") if isinstance(value, dict) else None
    if not isinstance(cells, list):
        raise ValueError("it has no cells")
    for cell in cells:
        source = cell.get("source") if isinstance(cell, dict) else None
        lines = source if isinstance(source, list) else [source]
        if not all(isinstance(line, str) for line in lines) or not isinstance(cell.get("metadata"), dict):
            raise ValueError("a cell has no source or no metadata")
        if not isinstance(cell["metadata"].get("tags", []), list):
            raise ValueError("a cell's tags are no list")
    return [cell for cell in cells if cell.get("cell_type") == "code"]


def same_files(submissions: Collection[Submission]) -> dict[str, list[str]]:
    """Student → the other students who handed in a file of the same bytes."""
    owners: dict[str, set[str]] = {}
    for each in submissions:
        owners.setdefault(sha256(each.path), set()).add(each.student)
    same: dict[str, set[str]] = {}
    for students in owners.values():
        for student in students if len(students) > 1 else ():
            same.setdefault(student, set()).update(students - {student})
    return {student: sorted(others) for student, others in same.items()}
