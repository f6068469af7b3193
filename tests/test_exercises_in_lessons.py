"""The lessons run with their exercises: untouched, and with the solutions in the students' cells.

Untouched lessons come from an executed quick course of the same cells, where one is; else they are run here.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import nbclient
import pytest
from exercise_cells import calls, lesson_path, read_cells, solved, tags
from nbformat.v4 import new_code_cell, new_notebook
from rich.console import Console

from posekit.course import exercises
from posekit.course.execution import execute
from posekit.course.lessons import Step, plan
from posekit.files import ROOT, home

SHORT = {"04": {"recipe": "poseestnet-tiny"}, "09": {"changes": "epochs=3"}}  # where solutions are tried
LESSONS = sorted({exercise.name.split(".")[0] for exercise in exercises.all_exercises()})


def first_step(lesson: str, folder: Path) -> Step:
    """The lesson's first step of a quick course in `folder`."""
    return next(step for step in plan("quick", [], {}, ROOT, folder) if step.lesson.path == lesson_path(lesson))


def run_lesson(step: Step, folder: Path) -> list[dict]:
    """The cells of the lesson, executed."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = {"name": step.name, "status": "waiting"}
    execute([step], [entry], folder, ROOT, 1, lambda _: None, Console(file=open(os.devnull, "w")))
    assert entry["status"] == "done", entry.get("error")
    return read_cells(folder / f"{step.name}.ipynb")


def sources(path: Path) -> list[tuple[str, str]]:
    """The code cells but for the parameters."""
    cells = [cell for cell in read_cells(path) if cell["cell_type"] == "code"]
    return [(c["id"], c["source"]) for c in cells if not {"parameters", "injected-parameters"} & set(tags(c))]


def executed_course(step: Step) -> list[dict] | None:
    """The lesson's cells as the latest quick course left them, if those are today's and ran to the end."""
    for manifest in sorted((home() / "runs").glob("*-quick/manifest.json"), reverse=True):
        notebook = manifest.parent / f"{step.name}.ipynb"
        done = [entry["name"] for entry in json.loads(manifest.read_text())["lessons"] if entry["status"] == "done"]
        if step.name in done and notebook.exists() and sources(notebook) == sources(step.lesson.path):
            return read_cells(notebook)
    return None


def verdicts(cells: list[dict]) -> dict[tuple[str, str], str]:
    """(exercise, checked name) → the status that its cell printed."""
    found = {}
    for cell in cells:
        for function, exercise, name in calls(cell):
            if function == "check":
                text = "".join("".join(output.get("text", "")) for output in cell["outputs"])
                (found[exercise, name],) = [line.split("]")[0] + "]" for line in text.splitlines() if line[:1] == "["]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_an_untouched_lesson_solves_nothing(lesson: str, tmp_path: Path) -> None:
    """Every check of the student's says [not yet], and every solution's [ok]."""
    step = first_step(lesson, tmp_path)
    cells = executed_course(step) or run_lesson(step, tmp_path)
    checked = [exercise for exercise in exercises.lesson_exercises(lesson) if exercise.kind != "open"]
    wanted = {(exercise.name, exercise.answer): "[not yet]" for exercise in checked}
    wanted |= {(exercise.name, f"{exercise.answer}_solution"): "[ok]" for exercise in checked}
    assert verdicts(cells) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_solved_lesson_is_right_everywhere(lesson: str, tmp_path: Path) -> None:
    """With the solutions in the students' cells every check says [ok]."""
    step, notebook = first_step(lesson, tmp_path), json.loads(lesson_path(lesson).read_text(encoding="utf-8"))
    copy = tmp_path / "notebooks" / step.lesson.path.name
    copy.parent.mkdir()
    copy.write_text(json.dumps(solved(notebook, exercises.lesson_exercises(lesson))), encoding="utf-8")
    parameters = step.parameters | SHORT.get(lesson, {})
    cells = run_lesson(replace(step, lesson=replace(step.lesson, path=copy), parameters=parameters), tmp_path)
    found = verdicts(cells)
    assert found and set(found.values()) == {"[ok]"}


@pytest.mark.slow
def test_an_error_in_a_kernel_names_the_line_of_the_cell() -> None:
    sources = [
        "import numpy as np\nfrom posekit.course.exercises import check",
        "def pool(maps):\n    half = maps[:, ::2]\n    return np.concatenate([half, half[0]])",
        'check("03.4", pool)',
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    said = notebook.cells[-1]["outputs"][0]["text"]
    assert said.startswith("[error] ValueError: all the input arrays")
    assert said.endswith(" in line 3: return np.concatenate([half, half[0]])\n")
