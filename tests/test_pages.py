"""README, docs/ and data/README.md: their commands are ones that there are; the reference names them all."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from posekit.cli.main import app
from posekit.doctor.accelerators import _CUDA

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("README*.md"), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "data" / "README.md"]
REAL_DATA = [ROOT / "docs" / "real-data.md", ROOT / "docs" / "zh" / "real-data.md"]
REFERENCE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def shell_lines(page: Path) -> list[str]:
    """What a page says to type into a shell."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^ *```\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    return [line.strip().removeprefix(".venv/bin/") for line in blocks.splitlines()]


COMMANDS = {(page.relative_to(ROOT).as_posix(), line): line for page in PAGES for line in shell_lines(page)}


def find(words: list[str]) -> tuple[object, list[str]]:
    """The command that the words begin with, and the words after it."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words:
        name, words = words[0], words[1:]
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    return command, words


def parse(words: list[str]) -> None:
    """Parse the words of a posekit command, to the end, without running it; typer's error where it cannot be."""
    command, words = find(words)
    command.make_context("posekit", words)


def leaves(command: object, path: str = "posekit") -> Iterator[str]:
    """Every command, as it is typed."""
    for name, child in command.commands.items():
        yield from leaves(child, f"{path} {name}") if hasattr(child, "commands") else [f"{path} {name}"]


def test_what_is_no_command_is_noticed() -> None:
    for words in (["train", "x", "--outt", "a"], ["trainn"], ["train", "x"], ["data", "check", "veri"]):
        with pytest.raises(Exception, match="outt|trainn|Missing"):
            parse(words)


@pytest.mark.parametrize(("page", "line"), [key for key, line in COMMANDS.items() if line.startswith("posekit ")])
def test_posekit_commands(page: str, line: str) -> None:
    parse(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize(
    ("page", "line"), [key for key, line in COMMANDS.items() if " -- " in line or "train.sbatch" in line]
)
def test_trainings_by_a_launcher(page: str, line: str) -> None:
    training = line.split(" -- ")[1] if " -- " in line else line.partition("train.sbatch 8 ")[2]
    parse(["train", *shlex.split(training)])


def test_the_reference_names_every_command_and_no_other() -> None:
    """A row may name several of a group: `posekit recipe list` · `show NAME`."""
    missing = [leaf for leaf in leaves(typer.main.get_command(app)) if not named(leaf)]
    assert missing == []
    for words in re.findall(r"`posekit ((?:[a-z0-9-]+ ?)+)", REFERENCE):
        find(words.split())


def named(leaf: str) -> bool:
    words = leaf.split(" ")
    ways = [" ".join(words[start:]) for start in range(1, len(words))]
    return any(re.search(rf"`{re.escape(way)}[` ]", REFERENCE) for way in (leaf, *ways))


@pytest.mark.parametrize("page", REAL_DATA, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_page_has_the_commands_and_versions_that_it_is_about(page: Path) -> None:
    lines, text = shell_lines(page), page.read_text(encoding="utf-8")
    assert sum(line.startswith("posekit ") for line in lines) >= 8
    assert sum(" -- " in line or "train.sbatch" in line for line in lines) == 3
    for cuda, (cudnn, driver) in _CUDA.items():
        assert f"CUDA {cuda}" in text and f"cuDNN {cudnn}" in text and driver in text


def test_the_chinese_pages_have_the_commands_of_the_english_ones() -> None:
    """Line by line, but for comments."""
    pairs = {ROOT / "README.zh.md": ROOT / "README.md"}
    pairs |= {page: ROOT / "docs" / page.name for page in (ROOT / "docs" / "zh").glob("*.md")}
    for chinese, english in pairs.items():
        assert [bare(line) for line in shell_lines(chinese)] == [bare(line) for line in shell_lines(english)], chinese


def bare(line: str) -> str:
    """The line without comment, and without the words between arrows that tell what to do in between."""
    return "" if "──" in line else re.sub(r"\s+# .*|^# .*", "", line)
