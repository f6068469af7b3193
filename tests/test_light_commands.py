"""Commands that need no network don't wait for MindSpore, and --help waits for nothing large."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from posekit.layouts import LAYOUTS
from posekit.layouts.record import Reading
from posekit.predictions import Predictions, write_predictions

pytestmark = pytest.mark.slow

LARGE = "numpy", "pandas", "cv2", "matplotlib", "mindspore", "scipy", "h5py", "papermill", "IPython"
PROGRAM = """
import sys
from posekit.cli.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *(name for name in sys.argv.pop().split(",") if name in sys.modules))
"""


def imported(*arguments: object) -> set[str]:
    """Which of the large libraries a command has imported when it has done its work."""
    code = PROGRAM.replace("sys.argv.pop()", repr(",".join(LARGE)))
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("command", [[], ["train"], ["data"], ["data", "synth", "vehicles"], ["score"], ["course"]])
def test_help_imports_nothing_large(command: list[str]):
    assert imported(*command, "--help") == set()


def test_help_takes_less_than_half_a_second():
    """Of this process's processor, whatever else runs; the fastest of three."""
    resource = pytest.importorskip("resource")

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(3):
        before = spent()
        subprocess.run([sys.executable, "-m", "posekit.cli", "--help"], capture_output=True, check=True)
        times.append(spent() - before)
        time.sleep(0.1)
    assert min(times) < 0.5


def test_lists_import_no_mindspore():
    for command in (["recipe", "list"], ["recipe", "show", "poseestnet"], ["course", "list"]):
        assert "mindspore" not in imported(*command), command


def test_data_and_scores_import_no_mindspore(tiny_vehicles: Path, tmp_path: Path):
    veri, poses = tiny_vehicles, tmp_path / "poses.csv"
    labels = LAYOUTS["veri"].read_split(veri, "test", Reading())
    write_predictions(poses, Predictions(list(labels.names), labels.keypoints, labels.visible.astype(float)))
    for command in (
        ["data", "synth", "people", "--out", tmp_path / "people", "--train", 2, "--test", 2],
        ["data", "check", "mpii", tmp_path / "people"],
        ["data", "check", "veri", veri],
        ["data", "convert", veri, "--to", "coco", "--out", tmp_path / "coco"],
        ["data", "check", "coco", tmp_path / "coco"],
        ["score", "veri", veri, "--predictions", poses],
        ["compare", poses, poses, "--labels", veri],
        ["gallery", veri, "--predictions", poses, "--out", tmp_path / "gallery.html"],
    ):
        assert "mindspore" not in imported(*command), command
