"""The lessons in other languages: their translations are up to date and complete, and are what a learner sees."""

import json
import re
from pathlib import Path

import pytest
from exercise_cells import lesson_path, read_cells
from lesson_files import write_lesson
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from posekit.cli.main import app
from posekit.course import exercises
from posekit.course import run as course
from posekit.course.copies import copy_lessons
from posekit.course.editions import write_edition
from posekit.course.lessons import list_lessons
from posekit.course.translation import (
    EXERCISES,
    digest,
    language,
    localised,
    localised_text,
    read_translation,
    say,
    translation_file,
)
from posekit.course.translation_check import differences, exercise_texts, lesson_texts, outdated
from posekit.errors import InputError
from posekit.files import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*.ipynb"))
FILES = [(lesson_texts(lesson), translation_file(lesson, "zh")) for lesson in LESSONS]
FILES.append((exercise_texts(), EXERCISES / "zh.md"))
HAN = r"[\u4e00-\u9fff；]"
CODE = r"```.+?```|`[^`]+`"


def parts(text: str) -> dict[str, list[str]]:
    """What a translation must leave alone: code, formulas, links, the levels of headings, the rows of tables."""
    outside = re.sub(CODE, "", text, flags=re.S)
    found = {
        "code": re.findall(CODE, text, re.S),
        "formulas": re.findall(r"\$[^$]+\$", outside),
        "links": re.findall(r"\]\(([^)]*)\)", text),
        "headings": re.findall(r"^#+ ", text, re.M),
        "rows": [str(row.count("|")) for row in outside.splitlines() if row.startswith("|")],
        "places": re.findall(r"\{\w+\}", outside),
    }
    return {name: sorted(values) for name, values in found.items()}


@pytest.mark.parametrize(("english", "path"), FILES, ids=lambda value: getattr(value, "stem", ""))
def test_a_translation_is_up_to_date_and_leaves_code_formulas_and_links_alone(english: dict, path: Path) -> None:
    assert differences(english, path) == []
    for name, (_, chinese) in read_translation(path).items():
        assert parts(chinese) == parts(english[name]), name
        assert re.search(HAN, chinese) or not re.search(r"[a-z]", re.sub(r"\{\w+\}", "", english[name])), name


@pytest.mark.parametrize("path", [path for _, path in FILES], ids=lambda path: path.stem)
def test_bold_text_in_chinese_is_bold(path: Path) -> None:
    """CommonMark leaves `**好：**01` as it is. The site of a part of the course drops links to other lessons."""
    for text in (chinese for _, chinese in read_translation(path).values()):
        for shown in (text, re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)):
            blocks = [block.children or [] for block in MarkdownIt("commonmark").parse(shown)]
            assert [
                part.content for line in blocks for part in line if part.type == "text" and "**" in part.content
            ] == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A lesson that prints a check's verdict and the titles of the lessons, with a translation."""
    code = 'import os\nfrom posekit.course.exercises import check\ncheck("02.3", "B")\nprint(os.getenv("POSEKIT_LANG"))'
    lesson = write_lesson(tmp_path, "00_start", "steps = 3", code)
    (title,) = lesson_texts(lesson)
    translation_file(lesson, "zh").parent.mkdir()
    entry = f"<!-- cell {title} {digest('#  Lesson 00_start')} -->\n\n# 第一课\n\n`x` 不变。\n"
    translation_file(lesson, "zh").write_text(entry, encoding="utf-8")
    return tmp_path


def retitle(root: Path, title: str) -> Path:
    (lesson,) = (root / "notebooks").glob("*.ipynb")
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = title
    lesson.write_text(json.dumps(notebook), encoding="utf-8")
    return lesson


def test_the_check_names_a_cell_whose_english_changed(root: Path) -> None:
    def of_lessons() -> list[str]:
        return [note for note in outdated(root) if str(root) in note]

    assert of_lessons() == []
    lesson = retitle(root, "# Lesson\n00_start")  # only the line breaks differ
    assert of_lessons() == []
    retitle(root, "# Lesson 0")
    (name,) = lesson_texts(lesson)
    (note,) = of_lessons()
    assert f"the English of {name} has changed" in note and f"<!-- cell {name} {digest('# Lesson 0')} -->" in note
    assert localised(lesson, "zh")["cells"][0]["source"] == "# Lesson 0"  # never an old translation
    file = translation_file(lesson, "zh")
    file.write_text(file.read_text(encoding="utf-8").replace(name, "gone"), encoding="utf-8")
    assert [note.removeprefix(f"{file}: ")[: len(name)] for note in of_lessons()][0] == name
    assert "has no translation" in of_lessons()[0] and "gone is no longer in the English" in of_lessons()[1]
    file.write_text("text first\n<!-- cell a 01234567 -->\n", encoding="utf-8")
    with pytest.raises(InputError, match="begins without a line <!-- cell ID DIGEST -->"):
        outdated(root)


def test_only_markdown_is_translated(root: Path) -> None:
    (lesson,) = list_lessons(root)
    english, chinese = localised(lesson.path, "en"), localised(lesson.path, "zh")
    assert "".join(chinese["cells"][0].pop("source")) == "# 第一课\n\n`x` 不变。"
    assert english == json.loads(lesson.path.read_text(encoding="utf-8"))
    del english["cells"][0]["source"]
    assert chinese == english
    with pytest.raises(InputError, match="language 'fr': choose one of en, zh"):
        localised(lesson.path, "fr")


def test_titles_and_checks_follow_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSEKIT_LANG", "zh")
    assert [lesson.title for lesson in list_lessons(root)] == ["第一课"]
    hint = exercises.get_exercise("02.3").mistakes[1].hint
    for answer in ("B", "E", None, 3):
        exercises.check("02.3", answer)
    exercises.check("02.1", lambda c: 18 * c * c + 4 * c)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"[not yet] {say(hint)}" and all(re.search(HAN, line) for line in printed)
    assert "'E'" in printed[1] and "growth = …" in printed[2] and printed[4].startswith("[ok] ")
    assert re.search(HAN, exercises.rubric("02.5").data)
    monkeypatch.setenv("POSEKIT_LANG", "en")
    assert say(hint) == hint
    monkeypatch.setenv("POSEKIT_LANG", "fr")
    with pytest.raises(InputError, match="language 'fr'"):
        list_lessons(root)


@pytest.mark.parametrize("lesson", sorted({exercise.name.split(".")[0] for exercise in exercises.all_exercises()}))
def test_headings_of_exercises_have_their_titles(lesson: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEKIT_LANG", "zh")
    cells = localised(lesson_path(lesson), "zh")["cells"]
    text = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
    for exercise in exercises.lesson_exercises(lesson):
        assert f"## 练习 {exercise.name.split('.')[1]}：{say(exercise.title)}\n" in text


def test_copies_and_editions_in_chinese(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEKIT_HOME", str(root))
    monkeypatch.setenv("POSEKIT_LANG", "zh")
    assert copy_lessons(root)[0].endswith(f"{root / 'work' / 'zh'}, where you can change what you like")
    copy = root / "work" / "zh" / "00_start.ipynb"
    assert copy.read_text(encoding="utf-8") == localised_text(root / "notebooks" / "00_start.ipynb", "zh")
    assert copy_lessons(root) == []
    retitle(root, "# Lesson 0")
    assert copy_lessons(root) == ["00_start: updated in: Lesson 0"] and not (root / "work" / "00_start.ipynb").exists()

    (path,) = write_edition("student", root / "out", root=root, lang="zh")
    assert path.read_text(encoding="utf-8") == localised_text(root / "notebooks" / "00_start.ipynb", "zh")
    assert "学生版" in (root / "out" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="language 'fr'"):
        write_edition("student", root / "other", root=root, lang="fr")


def test_the_commands_take_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEKIT_LANG", "en")
    for command in (["course", "run"], ["course", "edition"], ["course", "progress"], ["lab"]):
        assert "--lang" in CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "100"}).stdout
    said = CliRunner().invoke(app, ["course", "progress", "--lang", "fr"])
    assert said.exit_code == 2 and "language 'fr': choose one of en, zh" in said.output
    for locale, lang in (("zh_CN.UTF-8", "zh"), ("en_GB", "en"), ("", "en"), ("zh-CN", "zh")):
        monkeypatch.setenv("POSEKIT_LANG", locale)
        assert language() == lang


@pytest.mark.slow
def test_a_course_in_chinese(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert course.run("smoke", root=root, lang="zh") == 0
    (folder,) = (root / "runs").iterdir()
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["language"] == "zh"
    cells = read_cells(folder / "00_start.ipynb")
    said = "".join(cells[-1]["outputs"][0]["text"]).splitlines()
    assert "".join(cells[0]["source"]).startswith("# 第一课") and re.search(HAN, said[0]) and said[1] == "zh"
    with pytest.raises(InputError, match="lessons, parameters and language; leave the others out"):
        course.run(resume=folder, root=root, lang="en")
    assert course.run(resume=folder, root=root) == 0


@pytest.mark.slow
def test_the_first_lesson_in_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Markdown cell of the executed lesson 00 is Chinese, and its table of lessons has their Chinese titles."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path))
    assert course.run("smoke", ["00"], root=ROOT, lang="zh") == 0
    (notebook,) = tmp_path.glob("runs/*/00_*.ipynb")
    cells = read_cells(notebook)
    assert all(re.search(HAN, "".join(cell["source"])) for cell in cells if cell["cell_type"] == "markdown")
    outputs = json.dumps([cell["outputs"] for cell in cells if cell["cell_type"] == "code"], ensure_ascii=False)
    assert all(title in outputs for title in re.findall(r"^# (\d\d · .*)", _titles(), re.M))


def _titles() -> str:
    texts = [read_translation(translation_file(lesson, "zh")) for lesson in LESSONS[:6]]
    return "\n".join(next(iter(text.values())).text for text in texts)
