"""`posekit course times`: what it measures in a course, and what it writes into lessons."""

import json
from io import StringIO
from pathlib import Path

import nbformat
import pytest
from rich.console import Console
from typer.testing import CliRunner

from posekit.cli.main import app
from posekit.course.times import print_times, spoken, update_times, with_time
from posekit.errors import InputError

HEAD = "# 04 · Train\n\n| | |\n| --- | --- |\n| **You need** | lesson 01 |\n| **Time** | {} |\n\nMore words."


def write_course(folder: Path, stills: list[float]) -> Path:
    """A course of one lesson for two recipes, whose second code cell took 12.4 and 75 seconds."""
    folder.mkdir()
    lessons = []
    for recipe, slow, still in zip("ab", (12.4, 75.0), stills, strict=True):
        cells = [nbformat.v4.new_markdown_cell("# 04"), *(nbformat.v4.new_code_cell("1", id=f"c{n}") for n in range(3))]
        for cell, seconds in zip(cells, (0.1, 2.0, slow, 0.5), strict=True):
            cell["metadata"]["papermill"] = {"duration": seconds, "status": "completed"}
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"04_train-{recipe}.ipynb")
        entry = {"name": f"04_train-{recipe}", "status": "done", "seconds": slow + 10, "cores": 1}
        lessons.append({**entry, "still": {"seconds": still, "cell": 2}})
    (folder / "manifest.json").write_text(json.dumps({"scale": "quick", "lessons": lessons}))
    return folder


def printed(run: Path) -> tuple[int, str]:
    console = Console(width=140, record=True, file=StringIO())
    return print_times(run, console), console.export_text()


def test_a_lesson_that_stands_still_fails(tmp_path: Path):
    code, text = printed(write_course(tmp_path / "good", [3.2, 9.9]))
    assert code == 0 and "[2] 12" in text and "[2] 75" in text and "[ok] not more than 10 s" in text
    code, text = printed(write_course(tmp_path / "bad", [3.2, 10.4]))
    assert code == 1 and "10 s at In [2]" in text and "[fail] more than 10 s" in text and "at most 10.4 s" in text


def test_another_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"no course there; give the folder of a course"):
        printed(tmp_path)
    for lessons in ("x", 3, [3], [{"status": "done"}]):
        (tmp_path / "manifest.json").write_text(json.dumps({"scale": "quick", "lessons": lessons}))
        with pytest.raises(InputError, match=r"not the manifest of a course; give the folder of a course"):
            printed(tmp_path)


def test_a_course_that_was_stopped_before_its_first_lesson_is_not_ok(tmp_path: Path):
    run = write_course(tmp_path / "run", [1.0, 1.0])
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["lessons"] = [{"name": "04", "status": "waiting", "seconds": 0.0, "parameters": {}}]
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="no lesson has run; continue the course"):
        printed(run)


def test_a_narrow_terminal_shows_the_seconds(tmp_path: Path):
    run = write_course(tmp_path / "run", [3.0, 4.0])
    long = "04_train-a-recipe-of-a-long-name-indeed"
    (run / "manifest.json").write_text((run / "manifest.json").read_text().replace("04_train-b", long))
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["course", "times", str(run)])
    row = next(line for line in done.output.splitlines() if long in line)
    assert "85" in row and "4 s at In [2]" in row


def test_heads_and_expected_times_follow_a_measured_course(tmp_path: Path):
    run = write_course(tmp_path / "run", [1.0, 1.0])
    lesson = tmp_path / "notebooks" / "04_train.ipynb"
    lesson.parent.mkdir()
    words = "`quick`: a minute, of a training that is cut short · `smoke`: 3 minutes"
    cells = [nbformat.v4.new_markdown_cell(HEAD.format(words)), nbformat.v4.new_code_cell("x = 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), lesson)
    before = json.loads(lesson.read_text())
    update_times(run, Console(quiet=True), tmp_path, tmp_path / "times.json")
    after = json.loads(lesson.read_text())
    new = "30 seconds to 1.5 minutes at `quick`, of a training that is cut short · `smoke`: 3 minutes"
    assert "".join(after["cells"][0]["source"]) == HEAD.format(new)
    assert after["cells"][1:] == before["cells"][1:] and after["metadata"] == before["metadata"]
    wanted = {"quick": {"04_train-a": {"c1": 12}, "04_train-b": {"c1": 75}}}
    assert json.loads((tmp_path / "times.json").read_text()) == wanted
    stamp = lesson.stat().st_mtime_ns
    update_times(run, Console(quiet=True), tmp_path, tmp_path / "times.json")
    assert lesson.stat().st_mtime_ns == stamp, "nothing changed, nothing written"


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("under a minute at `quick`, two at `laptop`", "2 minutes at `quick`, two at `laptop`"),
        ("half a minute at `smoke`; two at `quick`; more", "half a minute at `smoke`; 2 minutes at `quick`; more"),
        ("`smoke`: 3 minutes · `quick`: a minute", "`smoke`: 3 minutes · 2 minutes at `quick`"),
        ("a minute at every scale", "2 minutes at `quick`; a minute at every scale"),
        ("2 minutes at `quick`", "2 minutes at `quick`"),
    ],
)
def test_only_the_time_of_this_scale_changes(row: str, wanted: str):
    assert with_time(row, "2 minutes at `quick`") == wanted


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(3, 3, "10 seconds"), (31, 40, "40 seconds"), (20, 44, "20 to 50 seconds"), (52, 60, "1 minute"),
     (61, 119, "1.5 to 2 minutes"), (40, 58, "40 seconds to 1 minute"), (301, 400, "6 to 7 minutes")],
)  # fmt: skip
def test_times_in_words(low: float, high: float, words: str):
    assert spoken(low, high) == words
