"""The learner's copies of the lessons in work/, which git ignores: `posekit lab` opens those.

Those in another language than English are in a folder of work/, work/zh.

work/.lessons keeps each lesson as it was copied, which tells what the learner has changed, and what has changed in the
lesson since.
"""

import json
from pathlib import Path

from posekit.course.cells import headings, notebook_text, source_of
from posekit.course.lessons import list_lessons
from posekit.course.results import NOT_A_NOTEBOOK, read_cells
from posekit.course.translation import language, localised_text
from posekit.errors import counted
from posekit.files import ROOT, home, read_text, write_text


def work_folder(root: Path = ROOT) -> Path:
    """The folder of the copies in this process's language; it is below `home`."""
    return home(root) / "work" / ("" if language() == "en" else language())


def copy_lessons(root: Path = ROOT) -> list[str]:
    """Copy the lessons to work/ where they aren't there, and refresh copies that the learner hasn't changed.

    A refreshed copy keeps the outputs of cells that stay the same. A copy that the learner has changed is never
    touched. Returns what to tell the learner, a line for each lesson that was updated.
    """
    notes = [_copy(lesson.path, work_folder(root)) for lesson in list_lessons(root)]
    told = [note for note in notes if note not in ("", "new")]
    if new := notes.count("new"):
        told.insert(0, f"{counted(new, 'lesson')} copied to {work_folder(root)}, where you can change what you like")
    return told


def _copy(lesson: Path, work: Path) -> str:
    """Bring one copy up to date where that loses nothing; returns what happened."""
    copy, base = work / lesson.name, work / ".lessons" / lesson.name
    text = localised_text(lesson, language())
    cells = json.loads(text)["cells"]
    if not copy.exists():
        write_text(base, text)
        write_text(copy, text)
        return "new"
    if not base.exists() or _texts(base) is None:
        if _texts(copy) == _texts_of(cells):
            write_text(base, text)
            return ""
        return f"{lesson.stem}: {copy} is not a copy of the lesson, and stays; rename it to get the lesson"
    if read_text(base) == text:
        return ""
    where = f" in: {', '.join(_changed_sections(base, json.loads(text)['cells']))}"
    if _texts(copy) != _texts(base):
        return f"{lesson.stem}: updated{where}. Your copy has your changes and stays; rename it to get the new lesson"
    write_text(copy, _with_outputs(text, read_cells(copy)))
    write_text(base, text)
    return f"{lesson.stem}: updated{where}"


def _texts(notebook: Path) -> list[tuple[str, str]] | None:
    """Type and source of each cell that isn't empty; None for a file that isn't a notebook."""
    try:
        return _texts_of(read_cells(notebook))
    except NOT_A_NOTEBOOK:
        return None


def _texts_of(cells: list[dict]) -> list[tuple[str, str]]:
    return [(cell["cell_type"], source_of(cell)) for cell in cells if source_of(cell).strip()]


def _changed_sections(before: Path, new: list[dict]) -> list[str]:
    """The headings of the sections in which cells are new, changed or gone."""
    old = read_cells(before)
    was, now = ({cell["id"]: source_of(cell) for cell in cells} for cells in (old, new))
    changed = [title for cell, title in zip(new, headings(new), strict=True) if was.get(cell["id"]) != source_of(cell)]
    gone = [title for cell, title in zip(old, headings(old), strict=True) if cell["id"] not in now]
    return list(dict.fromkeys(changed + gone)) or ["details"]


def _with_outputs(text: str, cells: list[dict]) -> str:
    """The lesson's text with the outputs of those of these cells that it has, too."""
    kept = {(cell.get("id"), source_of(cell)): cell for cell in cells if cell.get("outputs")}
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if ran := kept.get((cell["id"], source_of(cell))):
            cell.update(outputs=ran["outputs"], execution_count=ran["execution_count"])
    return notebook_text(notebook)
