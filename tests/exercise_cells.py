"""The cells of the lessons' exercises, for tests."""

import json
import re
from pathlib import Path

from posekit.files import ROOT

CALL = re.compile(r"^(check|rubric)\(\"(\w+\.\d+)\"(?:, (\w+))?\)$", re.M)


def lesson_path(lesson: str) -> Path:
    """The notebook of a lesson, "02"."""
    (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    return path


def read_cells(path: Path) -> list[dict]:
    """The notebook's cells, each source as one text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def calls(cell: dict) -> list[tuple[str, str, str]]:
    """What a code cell calls of `check` and `rubric`: (function, exercise, argument)."""
    return CALL.findall(cell["source"]) if cell["cell_type"] == "code" else []


def student_cell(cells: list[dict], name: str) -> dict:
    """The cell where the student answers."""
    (cell,) = (cell for cell in cells if cell["metadata"].get("exercise") == name)
    return cell


def solution_source(cells: list[dict], name: str, answer: str) -> str:
    """The solution's definitions, without the call of its check."""
    (cell,) = (c for c in cells if "solution" in tags(c) and ("check", name, f"{answer}_solution") in calls(c))
    return CALL.sub("", cell["source"])


def solved(notebook: dict, exercises: list) -> dict:
    """A copy of the notebook where each student's cell has the solution, under the student's name."""
    copy = json.loads(json.dumps(notebook))
    cells = [{**cell, "source": "".join(cell["source"])} for cell in copy["cells"]]
    for exercise in exercises:
        if exercise.kind != "open":
            source = solution_source(cells, exercise.name, exercise.answer)
            place = cells.index(student_cell(cells, exercise.name))
            copy["cells"][place]["source"] = re.sub(rf"\b{exercise.answer}_solution\b", exercise.answer, source).strip()
    return copy
