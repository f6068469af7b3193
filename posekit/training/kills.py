"""`posekit bench --kills N`: trainings killed at random moments and resumed end as one that was never stopped."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from posekit.bars import progress_bar
from posekit.errors import InputError
from posekit.files import ROOT
from posekit.recipes import Recipe
from posekit.settings import to_json
from posekit.training.progress import BEST, LAST, PREVIOUS

TIMED = ["images_per_second", "wait_share", "memory_mb"]  # columns of log.csv that no two trainings share


def kill_bench(recipe: Recipe, data: Path | None, device: str, kills: int) -> tuple[Table, bool]:
    """Train undisturbed, then `kills` times with a SIGKILL at a random moment and --resume; are all results the same?

    Every second kill waits for a checkpoint that is being written. Raises InputError when a training fails.
    """
    table = Table("killed after", "last saved", "while saving", "resumed, it ends", title=f"{recipe.name}, SIGKILL")
    rng, equal = np.random.default_rng(), []
    with tempfile.TemporaryDirectory(prefix="posekit-kills-") as name:
        whole = Path(name, "whole")
        process = start(recipe, data, device, whole)
        wait_for(whole / "recipe.json", process)  # the training begins
        began = time.monotonic()
        finish(process)
        seconds = time.monotonic() - began
        for number in progress_bar(range(kills), unit="kill"):
            out = Path(name, str(number))
            after = None
            while after is None:  # a training that ended too soon is made again
                shutil.rmtree(out, ignore_errors=True)
                process = start(recipe, data, device, out)
                after = kill(process, out, rng.uniform(0, seconds), saving=number % 2 == 1)
            saved, saving = saved_step(out), any(_unfinished(out))
            finish(start(recipe, data, device, out))
            equal.append(same_results(whole, out))
            end = "with the same bits" if equal[-1] else "OTHERWISE"
            table.add_row(f"{after:.2f} s", f"step {saved}", "yes" if saving else "no", end)
    return table, all(equal)


def start(recipe: Recipe, data: Path | None, device: str, out: Path, save_seconds: float = 0.5) -> subprocess.Popen:
    """A `posekit train --resume` in a process of its own."""
    config = out.with_name(f"{out.name}.json")
    config.write_text(to_json(recipe), encoding="utf-8")
    arguments = ["train", recipe.name, "--config", config, "--out", out, "--device", device, "--resume"]
    arguments += ["--save-minutes", save_seconds / 60, *(["--data", data] if data else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "posekit.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until the process has made the file."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)


def kill(process: subprocess.Popen, out: Path, after: float, saving: bool) -> float | None:
    """Kill a training so many seconds after it begins, or when it next writes a checkpoint; returns when that was.

    None when it had ended before.
    """
    wait_for(out / "recipe.json", process)
    began, before = time.monotonic(), set(_unfinished(out))
    while process.poll() is None and time.monotonic() - began < after:
        time.sleep(0.001)
    while process.poll() is None and saving and not set(_unfinished(out)) - before:
        time.sleep(0.001)
    process.kill()
    after = time.monotonic() - began
    process.communicate()
    return after if process.returncode < 0 else None


def _unfinished(out: Path) -> list[Path]:
    """Where last.ckpt is being written, or was when its process was killed."""
    return list(out.glob(f".{Path(LAST).stem}-*"))


def finish(process: subprocess.Popen) -> None:
    """Wait for a training's good end."""
    _, errors = process.communicate()
    if process.returncode:
        raise InputError(f"a training failed with code {process.returncode}: {errors.strip().splitlines()[-1]}")


def saved_step(out: Path) -> int:
    """The step of a run's newest checkpoint; 0 when there is none."""
    from posekit.models.checkpoint import read_checkpoint

    path = next((out / name for name in (LAST, PREVIOUS) if (out / name).exists()), None)
    return int(read_checkpoint(path)[1]["step"].asnumpy()) if path else 0


def same_results(a: Path, b: Path) -> bool:
    """Whether two runs have the same bits in all weights, in the optimiser's state, and the same log but for times."""
    from posekit.models.checkpoint import read_training

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
