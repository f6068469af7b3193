"""Grading a class, some of whom mean harm: the table that they deserve, and nothing else changed."""

import csv
import hashlib
import os
import shutil
import socket
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from students import EXERCISES, GUESS, RIGHT, cell, hand_in, harmful, notebook
from test_places import installed, nobody  # noqa: F401
from typer.testing import CliRunner

from posekit.cli.main import app
from posekit.course import grading
from posekit.course.cells import has_tag, source_of
from posekit.course.exercises import Verdict, all_exercises
from posekit.course.grading import answers, grade, sandbox
from posekit.course.grading.table import Grades, Row, write_grades
from posekit.course.lessons import list_lessons
from posekit.course.results import read_cells
from posekit.errors import InputError


@pytest.fixture
def exercises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three exercises of `students` are the course's."""
    monkeypatch.setattr(grading, "all_exercises", lambda: EXERCISES)


@pytest.fixture(params=["bubblewrap", "namespaces"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind of sandbox, the only one that is found; skip where it doesn't work."""
    if request.param == "namespaces":
        find = sandbox._program
        monkeypatch.setattr(sandbox, "_program", lambda name: None if name == "bwrap" else find(name))
    try:
        with sandbox.open_sandbox([]) as found:
            if found.kind != request.param:
                pytest.skip("needs Debian's bubblewrap")
    except InputError as error:
        pytest.skip(str(error))
    return request.param


def digest(*folders: Path) -> str:
    """Of all names and contents below these folders."""
    found = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        found.update(os.fsencode(path) + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()


class Tags(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def left_over() -> list[str]:
    """Command lines of workers that still run."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [line.decode() for line in lines if b"grading/worker.py" in line]


@pytest.mark.slow
@pytest.mark.usefixtures("exercises")
def test_a_class_gets_the_table_it_deserves(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, folder, out = tmp_path / "home", tmp_path / "handed in", tmp_path / "out"
    for path in (home, folder, out):
        path.mkdir()
    (home / "secret").write_text("next week's exam")
    (out / "last year.csv").write_text("a,b")
    monkeypatch.setenv("HOME", str(home))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        bad = harmful(home / "secret", folder, out, server.getsockname()[1], os.path.realpath(sys.executable))
        deserved = hand_in(folder, bad)
        before, started = digest(home, folder, Path(np.__file__).parent), time.monotonic()
        grades = grade(folder, out, seed=3, seconds=6)
        assert time.monotonic() - started < 150  # of which those that never end take 4 times 6 s
        with pytest.raises(TimeoutError):
            server.accept()
    assert len(deserved) >= 30
    with open(out / "grades.csv", newline="", encoding="utf-8-sig") as file:
        rows = {row["student"].removeprefix("'"): row for row in csv.DictReader(file)}
    assert {name: tuple(row[e.name] for e in EXERCISES) for name, row in rows.items()} == deserved
    assert {name: int(row["right"]) for name, row in rows.items()} == {n: r.count("ok") for n, r in deserved.items()}
    assert grades.sandbox == kind
    assert digest(home, folder, Path(np.__file__).parent) == before
    assert (out / "last year.csv").read_text() == "a,b" and left_over() == []
    assert rows["no notebook"]["remarks"].startswith("no notebook.ipynb: not a notebook")
    assert rows["none"]["remarks"] == "none: no notebook in the folder"
    page = (out / "grades.html").read_text(encoding="utf-8")
    assert not {"script", "img", "onerror", "a", "b"} & Tags(page).found
    assert "&lt;script&gt;alert(1)" in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "square each value &lt;before&gt; you add" in page and "took longer than 6 s" in page


@pytest.mark.slow
@pytest.mark.usefixtures("exercises")
def test_commonest_hints_come_first(kind: str, tmp_path: Path) -> None:
    for i, source in enumerate(["return sum(values)"] * 3 + ["return None"] * 2 + ["return len(values[0])"]):
        text = notebook(cell("90.1", f"def total(values):\n    {source}"))
        (tmp_path / f"{i}.ipynb").write_text(text)
    hints = grade(tmp_path, tmp_path.with_name("out")).hints(EXERCISES[0])
    assert [count for count, _ in hints] == [3, 2, 1]
    assert hints[0][1] == "square each value <before> you add" and "`total` returns nothing (None)" in hints[1][1]
    assert "line 2: return len(values[0])" in hints[2][1]


@pytest.mark.slow
def test_solutions_of_all_lessons_are_right_in_the_sandbox(tmp_path: Path) -> None:
    """So each exercise's cell can be graded alone, with its preamble's imports only."""
    checked = {exercise.name: exercise for exercise in all_exercises() if exercise.kind != "open"}
    (tmp_path / "in").mkdir()
    for lesson in list_lessons():
        cells = []
        for each in read_cells(lesson.path):
            name = next((n for n, e in checked.items() if has_tag(each, "solution")
                         and f'check("{n}", {e.answer}_solution)' in source_of(each)), None)  # fmt: skip
            if name:
                code, answer = source_of(each).split("check(")[0], checked[name].answer
                cells.append(cell(name, f"{code}\n{answer} = {answer}_solution"))
        if cells:
            (tmp_path / "in" / lesson.path.name).write_text(notebook(*cells))
    with_unsafe = not any(shutil.which(name) for name in ("bwrap", "unshare"))
    grades = grade(tmp_path / "in", tmp_path / "out", unsafe=with_unsafe)
    graded = {name: verdict for row in grades.rows for name, verdict in row.verdicts.items()}
    assert {name: str(verdict) for name, verdict in graded.items() if verdict.status != "ok"} == {}
    assert set(graded) == set(checked)


@pytest.mark.slow
@pytest.mark.usefixtures("exercises")
def test_without_a_sandbox_it_refuses_unless_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ipynb").write_text(notebook(cell("90.1", RIGHT), cell("90.2", GUESS)))
    monkeypatch.setattr(sandbox, "_program", lambda name: None)
    with pytest.raises(InputError, match="bwrap is not installed; .*unshare is not installed.*--unsafe"):
        grade(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sandbox, "_program", lambda name: "/bin/false")
    with pytest.raises(InputError, match="bubblewrap: exit code 1; namespaces: exit code 1"):
        grade(tmp_path / "in", tmp_path / "out")
    grades = grade(tmp_path / "in", tmp_path / "out", unsafe=True)
    assert grades.sandbox == "none" and grades.rows[0].right == 2
    assert "without a sandbox" in (tmp_path / "out" / "grades.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "sound"),
    [
        (1.5, True), ("text", True), (None, True), ([1, [2, "x"]], True), ({"other": "Any"}, True),
        ({"array": [1, 2], "shape": [2, 1], "type": "int64"}, True),
        ({"array": [1], "shape": [1], "type": "S1000000000"}, False),
        ({"array": ["x"], "shape": [1], "type": "int64"}, False),
        ({"array": [1], "shape": [-1], "type": "int64"}, False),
        ({"array": [1], "shape": "1", "type": "int64"}, False),
        ({"array": [1], "shape": [1], "type": ["int64"]}, False),
        ([{"array": [1]}], False), ({"other": 3}, False), ({}, False),
    ],
)  # fmt: skip
def test_answers_are_not_taken_on_trust(value: object, sound: bool) -> None:
    """A student can write to the pipe for answers: a text type of a gigabyte, for example."""
    assert answers._sound([{"called": True, "value": value, "changed": []}], 1) is sound


@pytest.mark.parametrize(
    "record",
    [{}, [], 3, None, {"called": 1, "value": 2}, {"called": True}, {"called": True, "value": 1, "changed": "x"},
     {"called": True, "error": "x"}, {"called": True, "error": {"type": 1, "message": "", "source": "", "line": None}},
     {"called": True, "error": {"type": "", "message": "", "source": "", "line": "<b>"}}],
)  # fmt: skip
def test_records_that_no_worker_writes(record: object) -> None:
    assert not answers._sound([record], 1)
    assert not answers._sound([{"called": True, "value": 1, "changed": []}], 2)


@pytest.mark.slow
@pytest.mark.usefixtures("exercises")
def test_untouched_files_are_no_copies(tmp_path: Path) -> None:
    """Most students hand in some lessons that they haven't begun, beside some that they have solved."""
    for name, source in {"a/1": RIGHT, "a/2": "total = None", "b/1": f"{RIGHT}\n", "b/2": "total = None"}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / f"{name}.ipynb").write_text(notebook(cell("90.1", source)))
    rows = grade(tmp_path / "in", tmp_path / "out").rows
    assert [(row.right, row.remarks) for row in rows] == [(1, []), (1, [])]


def test_a_spreadsheet_takes_nothing_for_a_formula(tmp_path: Path) -> None:
    row = Row("=1+1", {"90.1": Verdict("ok", "right")}, ["@SUM(A1)"])
    write_grades(Grades(EXERCISES, [row], 1, "bubblewrap"), tmp_path)
    (line,) = csv.DictReader((tmp_path / "grades.csv").read_text(encoding="utf-8-sig").splitlines())
    assert line["student"] == "'=1+1" and line["remarks"] == "'@SUM(A1)" and line["of"] == "3"


def test_a_spreadsheet_of_any_country_reads_the_table(tmp_path: Path) -> None:
    """Excel knows UTF-8 by its mark, and where decimals have commas, it separates columns by semicolons."""
    write_grades(Grades(EXERCISES, [Row("李;=1+1", {}, [])], 1, "bubblewrap"), tmp_path)
    content = (tmp_path / "grades.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert next(csv.reader(content.decode("utf-8-sig").splitlines()[1:], delimiter=";"))[0].startswith("李;=1+1")


@pytest.mark.usefixtures("exercises")
def test_what_cannot_be_graded_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing handed in there"):
        grade(tmp_path, tmp_path.with_name("out"))
    with pytest.raises(InputError, match="would be graded next time"):
        grade(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="lesson 77: has no exercise to grade; choose among 90"):
        grade(tmp_path, tmp_path.with_name("out"), only=["77"])
    with pytest.raises(InputError, match="cannot read"):
        grade(tmp_path / "nowhere", tmp_path / "out")
    done = CliRunner().invoke(app, ["course", "grade", str(tmp_path), "--out", "out", "--seconds", "inf"])
    assert done.exit_code == 2 and "Invalid value for '--seconds'" in done.output


@pytest.mark.slow
@pytest.mark.usefixtures("exercises")
def test_where_the_table_cannot_be_written_is_said_before_grading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ipynb").write_text(notebook(cell("90.1", RIGHT)))
    (tmp_path / "out").touch()
    monkeypatch.setattr(grading, "_grade_all", None)
    with pytest.raises(InputError, match="out: cannot write"):
        grade(tmp_path / "in", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "needed"), [("bubblewrap", "bwrap"), ("namespaces", "unshare setpriv")])
def test_a_teacher_who_is_not_root_has_a_sandbox_too(kind: str, needed: str, request: pytest.FixtureRequest) -> None:
    """With user namespaces, in which a worker has this user's rights until it drops them."""
    site = request.getfixturevalue("installed")
    (programs := site / kind).mkdir()
    for name in needed.split():
        if not (found := shutil.which(name)):
            pytest.skip(f"needs {name}")
        (programs / name).symlink_to(found)
    (lessons := site / "site/posekit/workbook/notebooks").mkdir(parents=True, exist_ok=True)
    (lessons / "with solutions").touch()  # as in a wheel
    folder = site / "work" / "in"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    answer = "def block_parameters(channels):\n    {}\n    return 18 * channels * channels + 4 * channels\n"
    tries = {
        "right": "pass",
        "reads": f"import os\n    os.listdir({str(folder)!r})",
        "copies": "import posekit, pathlib\n    assert any(pathlib.Path(posekit.__file__).parent.glob('workbook/*/*'))",
        "writes": "import numpy\n    open(numpy.__file__, 'a')",
        "forks": "import os\n    os.fork()",
        "mounts": "import ctypes\n    assert not ctypes.CDLL(None).mount(b'/usr', b'/own', None, 4096, None)",
        "calls": "import socket\n    socket.create_connection(('127.0.0.1', 9), 1)",
        "kills": "import os\n    os.kill(-1, 9)",
    }
    for name, line in tries.items():
        (folder / f"{name}.ipynb").write_text(notebook(cell("02.1", answer.format(line))))
    words = "course", "grade", str(folder), "--out", "out"
    done = nobody(site, "-m", "posekit.cli", *words, PATH=str(programs))
    assert done.returncode == 0, done.stderr
    assert f"ran in {kind}" in (site / "work" / "out" / "grades.html").read_text().replace("\n", " ")
    with open(site / "work" / "out" / "grades.csv", newline="", encoding="utf-8-sig") as file:
        rows = {row["student"]: row["02.1"] for row in csv.DictReader(file)}
    assert rows == dict.fromkeys(tries, "error") | {"right": "ok"}
