"""Trainings in processes of their own, killed at any moment, and whether two runs ended with the same bits."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from posekit.files import ROOT
from posekit.models.checkpoint import read_training
from posekit.recipes import Recipe
from posekit.settings import to_json
from posekit.training.progress import BEST, LAST

TIMED = ["images_per_second", "wait_share", "memory_mb"]  # columns of log.csv that no two trainings share


def start(recipe: Recipe, data: Path, out: Path, save_seconds: float) -> subprocess.Popen:
    """A `posekit train --resume` in a process of its own."""
    config = out.with_name(f"{out.name}.json")
    config.write_text(to_json(recipe), encoding="utf-8")
    arguments = ["train", recipe.name, "--config", config, "--data", data, "--out", out, "--device", "cpu", "--resume"]
    return subprocess.Popen(
        [sys.executable, "-m", "posekit.cli", *map(str, arguments), "--save-minutes", str(save_seconds / 60)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until the process has made the file."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)


def kill(process: subprocess.Popen, out: Path, after: float, saving: bool = False) -> bool:
    """Kill a training so many seconds after it has begun or, with `saving`, when it then writes a checkpoint.

    Returns whether it was still running.
    """
    wait_for(out / "recipe.json", process)
    began, before = time.monotonic(), set(_unfinished(out))
    while process.poll() is None and time.monotonic() - began < after:
        time.sleep(0.001)
    while process.poll() is None and saving and not set(_unfinished(out)) - before:
        time.sleep(0.001)
    process.kill()
    return process.wait() < 0


def _unfinished(out: Path) -> list[Path]:
    """Where last.ckpt is being written, or was when its process was killed."""
    return list(out.glob(f".{Path(LAST).stem}-*"))


def same_results(a: Path, b: Path) -> bool:
    """Whether two runs have the same bits in all weights, in the optimiser's state, and the same log but for times."""
    logs = [pd.read_csv(run / "log.csv").drop(columns=TIMED) for run in (a, b)]
    if not logs[0].equals(logs[1]):
        return False
    for name in (LAST, BEST):
        left, right = (_arrays(read_training(run / name)) for run in (a, b))
        if set(left) != set(right) or not all(np.array_equal(left[key], right[key]) for key in left):
            return False
    return True


def _arrays(read: tuple[Recipe, dict, dict]) -> dict[str, np.ndarray]:
    """The numbers of a checkpoint by name."""
    return {name: value.asnumpy() for values in read[1:] for name, value in values.items() if hasattr(value, "asnumpy")}
