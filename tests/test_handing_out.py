"""Editions, the learner's copies in work/, and their progress."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lesson_files import write_lesson

from posekit.course.copies import copy_lessons
from posekit.course.editions import write_edition
from posekit.course.lessons import list_lessons
from posekit.course.progress import read_progress
from posekit.errors import InputError
from posekit.files import ROOT


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two lessons; their exercises are 02.1, 02.2 and 03.1."""
    monkeypatch.delenv("POSEKIT_HOME", raising=False)
    cells = "count = None", "check('02.1', count)", "check('02.1', solved)", "n = 0", 'check("02.2", n)'
    write_lesson(tmp_path, "02_a", "steps = 3", *cells)
    write_lesson(tmp_path, "03_b", "steps = 3", "def f():\n    ...", "check('03.1', f)")
    change(tmp_path / "notebooks" / "02_a.ipynb", 2, metadata={"exercise": "02.1", "tags": ["exercise"]})
    for number, tag in ((3, "check"), (4, "solution"), (6, "check")):
        change(tmp_path / "notebooks" / "02_a.ipynb", number, metadata={"tags": [tag]})
    change(tmp_path / "notebooks" / "03_b.ipynb", 3, metadata={"tags": ["check"]})
    return tmp_path


def change(path: Path, number: int, **values: object) -> None:
    """Change a cell of a notebook's file."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[number].update(values)
    nbformat.write(notebook, path)


def names(cells: list[dict], use: type[ast.expr_context]) -> set[str]:
    """The names that code cells define (Store) or use (Load)."""
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    trees = [ast.parse(re.sub(r"^%.*", "", source, flags=re.M)) for source in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = ast.FunctionDef | ast.ClassDef | ast.ExceptHandler
    others = {node.name for node in nodes if isinstance(node, named)} | {n.arg for n in nodes if isinstance(n, ast.arg)}
    return (others if use is ast.Store else set()) | {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, use)
    }


def printing(text: str) -> list:
    """A cell's outputs when it has printed the text."""
    return [nbformat.v4.new_output("stream", text=text)]


def test_the_first_start_copies_the_lessons_and_the_next_changes_nothing(root: Path) -> None:
    (note,) = copy_lessons(root)
    assert note.startswith(f"2 lessons copied to {root / 'work'}")
    for name in ("02_a.ipynb", "03_b.ipynb"):
        assert (root / "work" / name).read_bytes() == (root / "notebooks" / name).read_bytes()
    before = (root / "work" / "02_a.ipynb").stat().st_mtime_ns
    assert copy_lessons(root) == [] and (root / "work" / "02_a.ipynb").stat().st_mtime_ns == before


def test_an_updated_lesson_replaces_a_copy_that_was_only_run(root: Path) -> None:
    """Running stores outputs; those of cells that stay the same are kept. JupyterLab may add an empty cell."""
    copy_lessons(root)
    work, lesson = root / "work" / "02_a.ipynb", root / "notebooks" / "02_a.ipynb"
    for number in (2, 3):
        change(work, number, outputs=printing(f"[ok] {number}\n"), execution_count=number)
    notebook = nbformat.read(work, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(""))
    nbformat.write(notebook, work)
    change(lesson, 2, source="count = 'better'")
    assert copy_lessons(root) == ["02_a: updated in: Lesson 02_a"]
    cells = nbformat.read(work, as_version=4).cells
    assert cells[2].source == "count = 'better'" and cells[2].outputs == []
    assert cells[3].outputs[0].text == "[ok] 3\n" and cells[3].execution_count == 3
    assert copy_lessons(root) == []


def test_a_copy_that_the_learner_changed_is_never_overwritten(root: Path) -> None:
    copy_lessons(root)
    work, lesson = root / "work" / "02_a.ipynb", root / "notebooks" / "02_a.ipynb"
    change(work, 2, source="count = 3")
    mine = work.read_bytes()
    assert copy_lessons(root) == []  # the lesson is as it was
    notebook = nbformat.read(lesson, as_version=4)
    notebook.cells[4:4] = [nbformat.v4.new_markdown_cell("## More"), nbformat.v4.new_code_cell("1")]
    del notebook.cells[-1]
    nbformat.write(notebook, lesson)
    for _ in range(2):
        (note,) = copy_lessons(root)
        assert note.startswith("02_a: updated in: More, Lesson 02_a. Your copy has your changes and stays")
        assert work.read_bytes() == mine
    work.rename(work.with_name("mine.ipynb"))
    assert copy_lessons(root)[0].startswith("1 lesson copied")
    assert work.read_bytes() == lesson.read_bytes() and work.with_name("mine.ipynb").read_bytes() == mine


def test_a_file_of_the_learners_own_or_a_damaged_one_stays(root: Path) -> None:
    copy_lessons(root)
    shutil.rmtree(root / "work" / ".lessons")
    work = root / "work" / "03_b.ipynb"
    work.write_text("{")
    assert copy_lessons(root) == [f"03_b: {work} is not a copy of the lesson, and stays; rename it to get the lesson"]
    change(root / "notebooks" / "03_b.ipynb", 2, source="new")
    change(root / "notebooks" / "02_a.ipynb", 2, source="new")
    assert copy_lessons(root)[0] == "02_a: updated in: Lesson 02_a"  # an untouched copy is known again
    assert work.read_text() == "{"


def test_a_damaged_record_of_the_lessons_does_not_stop_the_lab(root: Path) -> None:
    copy_lessons(root)
    base = root / "work" / ".lessons" / "02_a.ipynb"
    base.write_text("{")
    assert copy_lessons(root) == [] and base.read_bytes() == (root / "notebooks" / "02_a.ipynb").read_bytes()


@pytest.mark.slow
def test_git_sees_no_change_after_the_lessons_were_run(root: Path) -> None:
    """`posekit lab` with a jupyter that runs a lesson in place and saves it, as a learner does."""
    shutil.copy(ROOT / ".gitignore", root)

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "lessons")
    package = root.parent / "fake" / "jupyterlab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import sys, runpy\nnames = [w for w in sys.argv if w.startswith('--LabApp.default_url=/lab/tree/')]\n"
        "path = names[0].split('/lab/tree/')[1]\n"
        "sys.argv = ['nbconvert', '--to', 'notebook', '--inplace', '--execute', '--allow-errors', path]\n"
        "runpy.run_module('nbconvert', run_name='__main__')\n"
    )
    path = f"{package.parent}{os.pathsep}{os.environ.get('PYTHONPATH', ROOT)}"
    environment = {**os.environ, "POSEKIT_ROOT": str(root), "PYTHONPATH": path}
    command = [sys.executable, "-m", "posekit.cli", "lab"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "2 lessons copied" in done.stdout, done.stderr
    cells = nbformat.read(root / "work" / "02_a.ipynb", as_version=4).cells
    assert cells[3].outputs[0].ename == "NameError"  # it was run, there
    assert git("status", "--porcelain") == ""


def test_progress_reads_what_the_checks_have_printed(root: Path) -> None:
    assert read_progress(root).sentence == "0 of 3, next: 02, exercise 1"
    copy_lessons(root)
    work = root / "work" / "02_a.ipynb"
    change(work, 4, outputs=printing("[ok] the solution is\n"))
    change(work, 3, outputs=printing("[not yet] an [ok] is far\n"))
    assert read_progress(root).sentence == "0 of 3, next: 02, exercise 1"
    change(work, 6, outputs=printing("[ok] right in 3 cases\n"))
    assert read_progress(root).sentence == "1 of 3, next: 02, exercise 1"
    change(work, 3, outputs=printing("[ok] right\n"))
    assert read_progress(root).sentence == "2 of 3, next: 03, exercise 1"
    change(root / "work" / "03_b.ipynb", 3, outputs=printing("[ok] right\n"))
    assert read_progress(root).sentence == "3 of 3: all done"
    for damaged in ("", "[" * 100_000, '{"cells": [{"cell_type": "code", "source": "", "metadata": null}]}'):
        work.write_text(damaged)
        with pytest.raises(InputError, match="02_a.ipynb: not a notebook any more; rename it"):
            read_progress(root)


def test_what_an_answer_prints_before_its_check_does_no_harm_to_progress(root: Path) -> None:
    copy_lessons(root)
    warning = nbformat.v4.new_output("stream", name="stderr", text="RuntimeWarning: overflow\n")
    change(root / "work" / "02_a.ipynb", 3, outputs=[warning, *printing("x is 3\n[ok] right in 2 cases\n")])
    assert read_progress(root).sentence == "1 of 3, next: 02, exercise 2"


def test_editions_of_the_real_lessons_differ_in_the_solutions_only(tmp_path: Path) -> None:
    for kind in ("student", "teacher"):
        paths = write_edition(kind, tmp_path / kind)
        assert [path.name for path in paths] == [lesson.path.name for lesson in list_lessons()]
    solutions = 0
    for lesson in list_lessons():
        whole, student, teacher = (
            json.loads((folder / lesson.path.name).read_text(encoding="utf-8"))
            for folder in (ROOT / "notebooks", tmp_path / "student" / "notebooks", tmp_path / "teacher" / "notebooks")
        )
        assert teacher == whole
        cut = [cell for cell in whole["cells"] if cell not in student["cells"]]
        assert all("solution" in cell["metadata"]["tags"] for cell in cut)
        assert [cell for cell in whole["cells"] if cell not in cut] == student["cells"]
        assert names(cut, ast.Store) & names(student["cells"], ast.Load) <= names(student["cells"], ast.Store)
        nbformat.validate(nbformat.from_dict(student))
        solutions += len(cut)
    assert solutions >= 16


@pytest.mark.slow
def test_an_editions_first_page_says_how_to_start(tmp_path: Path, root: Path) -> None:
    """What it says works in the shell that it is typed in, also for the second command."""
    write_edition("student", tmp_path / "class", root=root)
    start = [
        line.strip() for line in (tmp_path / "class" / "README.md").read_text().splitlines() if line[:4] == " " * 4
    ]
    assert start == ['export POSEKIT_ROOT="$PWD"', "posekit lab"]
    script = "\n".join([start[0], f"{sys.executable} -m posekit.cli course progress"])
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path / "class", capture_output=True, text=True)
    assert done.stdout.endswith("0 of 3, next: 02, exercise 1\n"), done.stderr


def test_an_edition_is_not_written_over_another(tmp_path: Path, root: Path) -> None:
    write_edition("student", root / "out", root=root)
    with pytest.raises(InputError, match="out: cannot write"):
        write_edition("teacher", root / "out", root=root)
    assert len(nbformat.read(root / "out" / "notebooks" / "02_a.ipynb", as_version=4).cells) == 6
    with pytest.raises(InputError, match="edition 'pupil': choose student or teacher"):
        write_edition("pupil", root / "new", root=root)


@pytest.mark.slow
def test_an_edition_with_data_needs_nothing_from_elsewhere(tmp_path: Path, root: Path) -> None:
    """The data of the lessons' recipe and the networks that ship are found there, and nothing is made anew."""
    write_lesson(root, "04_c", "recipe = 'poseestnet-tiny'", "1")
    write_edition("student", tmp_path / "class", with_data=True, root=root)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "class").rglob("*") if path.is_file()}
    code = (
        "from posekit.layouts import embedded_data\nfrom posekit.recipes import get_recipe\n"
        "from posekit.shipped import model_path\nfrom posekit.deploy.fast import onnx_file\n"
        "for size in ('tiny', 'quick'): print(embedded_data(get_recipe(f'poseestnet-{size}')))\n"
        "for name in ('people', 'vehicles'): print(onnx_file(model_path(name)))"
    )
    environment = {**os.environ, "POSEKIT_ROOT": str(tmp_path / "class")}
    environment.pop("POSEKIT_HOME", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.startswith(str(tmp_path / "class")) for line in done.stdout.splitlines()] == [True] * 4
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "class").rglob("*") if path.is_file()} == files
