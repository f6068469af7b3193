"""docs/originals.md, from the originals' scripts to posekit's commands: every command there runs, on small networks."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from networks import fresh
from reid_files import write_data

from posekit.cli.main import main
from posekit.layouts.mpii import MPII
from posekit.layouts.veri import read_labels
from posekit.models.checkpoint import save_checkpoint
from posekit.models.convert import to_published
from posekit.recipes import get_recipe

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r"`((?:posekit|bash) [^`]*)`")
SMALLER = {
    "poseestnet": "poseestnet-tiny --set epochs=1",
    "hourglass": "hourglass-tiny --set epochs=1 --set stacks=1",
    "gpu:0": "cpu",
    "gpu": "cpu",
    "8": "2",
}


def commands() -> list[str]:
    """The command of each row of both tables, in order."""
    tables = (ROOT / "docs" / "originals.md").read_text(encoding="utf-8").split("\n## What else")[0]
    rows = [line.split(" | ") for line in tables.splitlines() if line.startswith("| `") or line.startswith("| the")]
    return [COMMAND.search(row[1])[1] for row in rows]


@pytest.fixture(scope="module")
def place(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every capital word of the tables' commands that is read is there."""
    folder = tmp_path_factory.mktemp("seed")
    (folder / "DATA").symlink_to(tiny_vehicles)
    (folder / "VERI" / "image_train").mkdir(parents=True)
    for split in ("train", "test"):
        labels = tiny_vehicles / "annot" / f"label_{split}.csv"
        (folder / "LABELS").mkdir(exist_ok=True)
        shutil.copy(labels, folder / "LABELS")
        for name in read_labels(labels).names:
            shutil.copy(tiny_vehicles / "images" / f"image_{split}" / name, folder / "VERI" / "image_train")
    save_checkpoint(folder / "fresh.ckpt", fresh(get_recipe("poseestnet-tiny")), get_recipe("poseestnet-tiny"), 0, 0)
    to_published(folder / "fresh.ckpt", folder / "BACKBONE.pth", "hrnet-imagenet")
    (folder / "FILE.toml").write_text("epochs = 1\n")
    image = next((tiny_vehicles / "images" / "image_test").iterdir())
    cv2.imwrite(str(folder / "PICTURE.jpg"), cv2.imread(str(image)))
    write_data(folder / "MULTITASKNET", {split: [20, 40] for split in ("test", "query", "train")})
    MPII.draw(folder / "PEOPLE", 8, 4, seed=0)
    (folder / "PEOPLE" / "images").rename(folder / "PICTURES")
    return folder


@pytest.mark.machine
def test_every_command_runs(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    lines = commands()
    assert len(lines) == 17, "a row of the tables has no command"
    monkeypatch.chdir(place)
    for line in lines:
        words = [small for word in shlex.split(line) for small in SMALLER.get(word, word).split(" ")]
        if words[0] == "bash":
            # MindSpore Lite may not be here; the 310's stages on it have tests of their own
            words, settings = [words[0], str(ROOT / words[1]), *words[2:]], {"RUN_TIME": "onnxruntime", "OUT": "STAGES"}
            settings["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            done = subprocess.run(words, env={**os.environ, **settings}, capture_output=True, text=True)
            code = done.returncode
        else:
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as stopped:
                main()
            code = stopped.value.code or 0
        assert code == 0, f"{line}: {capfd.readouterr().err if words[0] != 'bash' else done.stdout + done.stderr}"
    for made in ("PREPARED", "WEIGHTS.ckpt", "RUN/best.ckpt", "RUN8/best.ckpt", "RESULT", "MODEL.onnx", "REID",
                 "STACKS/best.ckpt", "STACKS8/best.ckpt", "TABLE", "STACKS.mindir"):  # fmt: skip
        assert (place / made).exists(), f"{made} was not made"
