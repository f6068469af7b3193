"""`posekit bench --all`: what people wait for, at full size, in one run, beside PyTorch where it is installed.

Each library is in a process of its own; of each kind of work all do one round after the other, so that what else the
machine does meets them alike. Shown are medians and ratios.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from posekit.deploy.bench_worker import BATCH
from posekit.deploy.choice import readers
from posekit.deploy.export import export_model
from posekit.evaluation.protocols import score
from posekit.files import home
from posekit.layouts import get_layout, open_split
from posekit.models import build
from posekit.models.checkpoint import save_checkpoint
from posekit.predictions import Predictions
from posekit.recipes import Recipe, get_recipe
from posekit.runtime import cores, cpu_name, set_up
from posekit.shipped import shipped
from posekit.skeletons import get_skeleton
from posekit.training.bench import codec_times
from posekit.training.bench_input import bench_input, seconds_of

FULL_SIZE = ("poseestnet", "hourglass")
ROUNDS = 7
Way = tuple[str, str]  # library and work: step, or for inference the precision
_VERBOSE = re.compile(r"^onednn_verbose,(?:v1,)?(?:primitive,)?exec,cpu,(\w+),([^,]+),(\w*),.*,([0-9.]+)$")


def bench_all(console: Console, recipes: Sequence[str] = FULL_SIZE, rounds: int = ROUNDS) -> None:
    """Measure and print one table after another; some six minutes on two cores."""
    console.print(f"{cpu_name()}, {len(cores())} cores; medians of {rounds} rounds, each library in its own process")
    console.print(bench_input())
    set_up("cpu")
    for name in recipes:
        with tempfile.TemporaryDirectory(prefix="posekit-") as folder:
            for table in _networks(get_recipe(name), Path(folder), rounds):
                console.print(table)
    console.print(_rest(recipes))
    console.print(_starts())


def _networks(recipe: Recipe, folder: Path, rounds: int) -> Iterator[Table]:
    """Training step and inference of a recipe's network, and by what the step's time is taken."""
    files = _files(recipe, folder)
    torch = [("torch", "fp32")] if find_spec("torch") else []
    steps: list[Way] = [("mindspore", "step"), *(("torch", "step") for _ in torch)]
    yield _table(f"{recipe.name}: training step", recipe, steps, files, rounds)
    yield _shares(recipe, files)
    ways: list[Way] = [*torch, ("mindspore", "fp32"), *((it, how) for how in ("fp32", "int8") for it in readers())]
    yield _table(f"{recipe.name}: one image to keypoints", recipe, ways, files, rounds)


def _files(recipe: Recipe, folder: Path) -> dict[str, Path]:
    """The network with its first weights, as checkpoint and as ONNX in both precisions."""
    network = build(recipe, get_skeleton(str(recipe.skeleton)))
    files = {"checkpoint": folder / "first.ckpt", "fp32": folder / "fp32.onnx", "int8": folder / "int8.onnx"}
    save_checkpoint(files["checkpoint"], network, recipe, 0, 0)
    for precision in ("fp32", "int8"):
        export_model(files["checkpoint"], "onnx", files[precision], 1, precision=precision)
    return files


def _table(title: str, recipe: Recipe, ways: Sequence[Way], files: dict[str, Path], rounds: int) -> Table:
    """Milliseconds an image of each way, and its ratio to PyTorch's in fp32."""
    workers = {way: _Worker(way, recipe, files) for way in ways}
    seconds = np.array([[worker.once() for worker in workers.values()] for _ in range(rounds)])  # (rounds, ways)
    medians = np.median(seconds, axis=0)
    table = Table("library", "work", "ms an image", "lowest to highest", "× PyTorch", "ready after s", title=title)
    torch = [row for row, (library, _) in enumerate(ways) if library == "torch"]
    for row, ((library, work), worker) in enumerate(workers.items()):
        worker.end()
        # Of rounds in pairs, since the machine's speed changes from one to the next.
        ratio = f"{np.median(seconds[:, row] / seconds[:, torch[0]]):.2f}" if torch else "no torch"
        spread = f"{1e3 * seconds[:, row].min():.0f} to {1e3 * seconds[:, row].max():.0f}"
        table.add_row(library, work, f"{1e3 * medians[row]:.1f}", spread, ratio, f"{worker.ready:.1f}")
    return table


class _Worker:
    """A process of bench_worker."""

    def __init__(self, way: Way, recipe: Recipe, files: dict[str, Path], **environment: str) -> None:
        library, work = way
        model = files["checkpoint" if library in ("mindspore", "torch") else work]
        command = [sys.executable, "-m", "posekit.deploy.bench_worker", library, work, recipe.name, str(model)]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - read later
        pipe, variables = subprocess.PIPE, {**os.environ, **environment}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, text=True, env=variables)
        self.ready = self._answer()["ready"]

    def once(self) -> float:
        """Seconds an image of one call."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):  # noqa: ANN202 - what JSON holds
        assert self.process.stdout
        for line in self.process.stdout:
            if not line.startswith("onednn_verbose"):
                return json.loads(line)
            self.log.write(line)
        self.log.seek(0)
        raise RuntimeError(f"the process ended: {self.log.read()[-2000:]}")

    def end(self) -> None:
        """Let the process end; what C libraries have kept back comes then."""
        self.log.write(self.process.communicate()[0])


def _shares(recipe: Recipe, files: dict[str, Path]) -> Table:
    """What oneDNN says a training step's time goes to: kinds of work and the kernels that it chose for them."""
    worker = _Worker(("mindspore", "step"), recipe, files, ONEDNN_VERBOSE="1")
    total = 2 * worker.once() * 1e3 * BATCH  # milliseconds: the worker's first call is in the log, too
    worker.end()
    worker.log.seek(0)
    spent: dict[tuple[str, str, str], float] = defaultdict(float)
    for found in map(_VERBOSE.match, worker.log):
        if found:
            kind, kernel, direction, milliseconds = found.groups()
            spent[kind, kernel, direction] += float(milliseconds)
    table = Table("work", "kernel", "direction", "% of the step", title=f"{recipe.name}: a step by oneDNN's log")
    for (kind, kernel, direction), milliseconds in sorted(spent.items(), key=lambda it: -it[1])[:10]:
        table.add_row(kind, kernel, direction, f"{100 * milliseconds / total:.1f}")
    table.add_row("everything else", "", "", f"{100 * (1 - sum(spent.values()) / total):.1f}")
    return table


def _rest(recipes: Sequence[str]) -> Table:
    """Decoding and scoring, which NumPy does on one core."""
    table = Table("recipe", "encoding, ms an image", "decoding, ms an image", "scoring, ms for 1,000 samples")
    for recipe in map(get_recipe, recipes):
        encode, decode = (1e3 * it / recipe.batch for it in codec_times(recipe, get_skeleton(str(recipe.skeleton)), 5))
        table.add_row(recipe.name, f"{encode:.2f}", f"{decode:.2f}", f"{1e3 * _scoring(recipe):.0f}")
    return table


def _scoring(recipe: Recipe) -> float:
    """Seconds for every protocol's table of 1,000 samples, which are the smoke recipe's test split many times."""
    dataset = open_split(get_recipe(f"{recipe.name}-smoke"), None, "test")
    dataset = dataset.take(np.resize(np.arange(len(dataset)), 1000))
    found = Predictions(list(dataset.names), dataset.keypoints + 3.0, np.ones(dataset.visible.shape))
    return seconds_of(lambda: score(get_layout(recipe.dataset).protocols, dataset, found))


def _starts() -> Table:
    """What a command takes from the shell's prompt to its end; the second time, as always after the first."""
    table = Table("command", "seconds", title="start-up")
    with tempfile.TemporaryDirectory(prefix="posekit-") as folder:
        picture = Path(folder, "picture.png")
        cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8))
        network, *_ = shipped()
        for words in (["--help"], ["predict", network, str(picture), "--out", str(Path(folder, "found"))]):
            command = [sys.executable, "-m", "posekit.cli", *words]
            place = {**os.environ, "POSEKIT_HOME": str(home())}
            run = lambda command=command, place=place: subprocess.run(  # noqa: E731
                command, check=True, capture_output=True, env=place, cwd=folder
            )
            run()
            table.add_row(f"posekit {' '.join(words[:2])}", f"{np.median([seconds_of(run) for _ in range(3)]):.2f}")
    return table
