"""Which notebooks, and which of their cells, are taken for a student's work."""

import os
from pathlib import Path

import pytest
from students import RIGHT, cell, notebook

from posekit.course.grading.submissions import find_submissions


def test_submissions_are_found_without_following_links(tmp_path: Path) -> None:
    text = notebook(cell("90.1", RIGHT))
    for name in ("anna/work/02.ipynb", "anna/.lessons/02.ipynb", "ben.ipynb", ".hidden.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "anna" / "linked.ipynb").symlink_to("/etc/passwd")
    (tmp_path / "all").symlink_to("/", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.ipynb")
    os.mkfifo(tmp_path / "anna" / "pipe.ipynb")
    (tmp_path / os.fsdecode(b"\xff\x1b[2J.ipynb")).write_text(text)
    found = [(each.student, each.path.name) for each in find_submissions(tmp_path, ["90.1"])]
    assert found[:2] == [("anna", "02.ipynb"), ("ben", "ben.ipynb")] and len(found) == 3
    assert found[2][0].isprintable() and found[2][0].isascii()


def test_a_folder_is_searched_for_what_students_really_hand_in(tmp_path: Path) -> None:
    for name in ("anna/02.IPYNB", "ben/work.zip", f"{'n' * 200}1/02.ipynb", f"{'n' * 200}2/02.ipynb"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(notebook(cell("90.1", RIGHT)))
    (tmp_path / "class.zip").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    found = find_submissions(tmp_path, ["90.1"])
    assert len({each.student for each in found}) == 5  # none is taken for another
    problems = {each.student[:5]: each.problem for each in found}
    assert problems == {"anna": "", "nnnnn": "", "ben": "no notebook in the folder, but work.zip",
                        "class": "not a notebook (a zip file; unpack it first)"}  # fmt: skip


CHECK = cell(None, 'check("90.1", total)')
SOLUTION = cell(None, 'def total_solution(values):\n    return 1\n\ncheck("90.1", total_solution)')


@pytest.mark.parametrize(
    ("cells", "source"),
    [
        ([{**cell("90.1", RIGHT), "metadata": {"exercise": "90.1"}}, CHECK], RIGHT),  # its tags were lost
        ([cell(None, "total = 3"), CHECK, cell(None, "x"), cell(None, RIGHT), CHECK, SOLUTION], f"total = 3\n{RIGHT}"),
        ([cell(None, "values = 3"), cell(None, RIGHT), cell(None, "total([1])"), CHECK], RIGHT),
        ([cell("90.1", "total = 1"), cell(None, RIGHT), cell(None, "print(total)"), CHECK], f"total = 1\n{RIGHT}"),
        ([cell("90.1", RIGHT), cell(None, "total([2.0])"), CHECK, cell(None, "total = None")], RIGHT),
        ([cell("90.1", RIGHT), CHECK, SOLUTION], RIGHT),
    ],
)  # fmt: skip
def test_the_students_cells_are_found(cells: list[dict], source: str, tmp_path: Path) -> None:
    """Editors lose metadata, and students write below the exercise's cell: the notebook's check has said [ok]."""
    (tmp_path / "a.ipynb").write_text(notebook(*cells))
    (found,) = find_submissions(tmp_path, ["90.1"])
    assert found.sources == {"90.1": source} and found.problem == ""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": [{"metadata": {}, "source": 3}]}',
     '{"cells": [{"metadata": 3, "source": ""}]}', '{"cells": [{"metadata": {"tags": 3}, "source": ""}]}',
     "[" * 100_000],
)  # fmt: skip
def test_what_is_not_a_notebook_is_a_remark(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    (found,) = find_submissions(tmp_path, ["90.1"])
    assert found.problem.startswith("not a notebook (") and found.sources == {}
