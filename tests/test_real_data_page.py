"""docs/real-data.md: its commands are ones that there are, and its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from posekit.cli.main import app
from posekit.doctor.accelerators import _CUDA

PAGE = Path(__file__).parents[1] / "docs" / "real-data.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"^```\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
COMMANDS = [line.strip() for line in BLOCKS.splitlines()]


def parse(words: list[str]) -> None:
    """Parse the words of a posekit command, to the end, without running it; typer's error where it cannot be."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, words = words[0], words[1:]
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    command.make_context("posekit", words)


def test_what_is_no_command_is_noticed() -> None:
    for words in (["train", "x", "--outt", "a"], ["trainn"], ["train", "x"], ["data", "check", "veri"]):
        with pytest.raises(Exception, match="outt|trainn|Missing"):
            parse(words)


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("posekit ")])
def test_posekit_commands(line: str) -> None:
    parse(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize("line", [line for line in COMMANDS if " -- " in line or "train.sbatch" in line])
def test_trainings_by_a_launcher(line: str) -> None:
    training = line.split(" -- ")[1] if " -- " in line else line.partition("train.sbatch 8 ")[2]
    parse(["train", *shlex.split(training)])


def test_the_page_has_the_commands_and_versions_that_it_is_about() -> None:
    assert sum(line.startswith("posekit ") for line in COMMANDS) >= 8
    assert sum(" -- " in line or "train.sbatch" in line for line in COMMANDS) == 3
    for cuda, (cudnn, driver) in _CUDA.items():
        assert f"CUDA {cuda} with cuDNN {cudnn}" in TEXT and driver in TEXT


def test_links() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in target]
    assert targets and [target for target in targets if not (PAGE.parent / target).exists()] == []
