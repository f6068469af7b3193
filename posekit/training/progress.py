"""Training state and run files: the checkpoints from which it resumes, the log, the curves, the manifest."""

import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from mindspore import nn, ops

from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import steps_per_epoch
from posekit.errors import InputError
from posekit.figures.results import training_curves
from posekit.files import ROOT, atomic_path, replace_file, write_json
from posekit.manifest import describe
from posekit.models.checkpoint import load_weights, read_training, save_checkpoint
from posekit.recipes import SAID, Recipe
from posekit.runtime import chosen_device
from posekit.settings import to_json
from posekit.training.ranks import average, gathered, rank, ranks
from posekit.training.step import TrainStep

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


@dataclass
class Progress:
    """How far a training has come, as its checkpoint says beside weights and optimiser."""

    data: str  # digest of what it is trained with
    workers: int = field(default_factory=ranks)  # that share an update's images
    epoch: int = 0  # epochs that are over, validation included
    step: int = 0  # updates made
    best: float = -1.0  # PCK of best.ckpt
    seconds: float = 0.0  # of work, up to the last checkpoint
    since: float = field(default_factory=time.time)  # when that was saved, or this process began
    saved: int = 0  # the step of the last checkpoint
    rows: list[dict] = field(default_factory=list)  # of log.csv
    losses: list[list[float]] = field(default_factory=list)  # of each update since the last row, of each rank
    waited: float = 0.0  # seconds for data since the last row
    spent: float = 0.0  # seconds since the last row
    pretrained: str | None = None  # the file of the first weights, and its digest
    seen: str = "unknown"  # what the network has been trained on: drawings or other


@dataclass(frozen=True)
class Training:
    """A training under way."""

    recipe: Recipe
    data: PoseDataset
    validation: PoseDataset
    out: Path
    network: nn.Cell  # that is trained
    tested: nn.Cell  # that is validated and kept as best.ckpt: the same, or the average of its weights
    step: TrainStep
    progress: Progress

    @property
    def steps(self) -> int:
        """Updates per epoch."""
        return steps_per_epoch(len(self.data), self.recipe.update_images * ranks())


def _in_short(value: object) -> object:
    """A recipe field's value for a message; of a whole skeleton, its name and counts."""
    if not isinstance(value, dict):
        return value
    return f"{value['name']} ({len(value['keypoints'])} keypoints, {len(value['flip_pairs'])} flip pairs)"


def resumed(out: Path, recipe: Recipe, network: nn.Cell, step: TrainStep, fresh: Progress) -> Progress:
    """Restore weights and optimiser from the run's latest valid checkpoint; returns its progress."""
    found = latest(out, recipe, step, fresh)
    if found is None:
        return fresh
    path, values, state, progress = found
    load_weights(network, values, path)
    for name, parameter in step.state().items():
        ops.assign(parameter, state[name])
    return progress


def latest(
    out: Path, recipe: Recipe, step: TrainStep, fresh: Progress, repair: bool = True
) -> tuple[Path, dict, dict, Progress] | None:
    """The latest valid checkpoint of a run: its path, weights, state and progress; None if there is none at all.

    InputError if a training that is to begin like `fresh` can't continue it. repair: put a damaged last.ckpt aside.
    """
    found = _last_whole(out, repair)
    if found is None:
        if (out / "manifest.json").exists():  # it ended, so that its checkpoint has been removed since
            raise InputError(f"{out}: holds a finished run without {LAST}; give another --out, or restore the file")
        return None
    path, (trained, values, state) = found
    before, now = asdict(trained), asdict(recipe)
    other = [name for name in now if before[name] != now[name] and name not in SAID]
    if other:
        was, wanted = (", ".join(f"{name}={_in_short(fields[name])}" for name in other) for fields in (before, now))
        raise InputError(f"{out}: was trained with {was}, not {wanted}; resume with the same, or give another --out")
    missing = [name for name in (*step.state(), "progress") if name not in state]
    if missing:
        raise InputError(
            f"{path}: {missing[0]} is missing, so this training can't continue; start one with another --out"
        )
    progress = Progress(**json.loads(state["progress"]) | {"since": fresh.since})
    if progress.data != fresh.data:
        raise InputError(f"{out}: was trained with other data; resume it with the same --data, or give another --out")
    if progress.workers != fresh.workers:
        raise InputError(f"{out}: was trained by {progress.workers} workers, not {fresh.workers}; resume with as many")
    return path, values, state, progress


def _last_whole(out: Path, repair: bool = True) -> tuple[Path, tuple[Recipe, dict, dict]] | None:
    """The latest valid checkpoint and what it holds; None if there is none at all."""
    damage = None
    for path in (out / LAST, out / PREVIOUS):
        try:
            found = path, read_training(path)
        except InputError as error:
            damage = error if path.exists() else damage
            continue
        if damage and repair and rank() == 0:
            replace_file(out / LAST, out / "damaged.ckpt")  # so that it doesn't become the previous one
            print(f"posekit: warning: {damage}; continuing from {path}, the one before", file=sys.stderr)
        return found
    if damage:
        raise damage
    return None


def save(training: Training) -> None:
    """Write last.ckpt, with all that resuming needs. All ranks must call it."""
    average_statistics(training)
    check_finite(training)
    if ranks() > 1:
        _compare_weights(training)
    state = training.progress
    now = time.time()
    state.seconds, state.since, state.saved = state.seconds + now - state.since, now, state.step
    if rank() == 0:
        kept = {**training.step.state(), "progress": json.dumps(asdict(state))}
        out = training.out
        save_checkpoint(out / LAST, training.network, training.recipe, state.epoch, state.step, kept, out / PREVIOUS)
    gathered(np.zeros(1, np.int32))  # no rank continues, perhaps to its end, before the file is there


def _compare_weights(training: Training) -> None:
    """Say in each rank's log which weights it has, and warn where ranks differ."""
    digest = hashlib.sha256(b"".join(p.asnumpy().tobytes() for p in training.network.get_parameters()))
    mine = np.frombuffer(digest.digest(), np.int32)[None]
    print(f"step {training.progress.step}: weights {digest.hexdigest()[:16]}", flush=True)
    if (gathered(mine) != mine).any():
        print(f"posekit: warning: rank {rank()} has other weights than another rank", file=sys.stderr)


def average_statistics(training: Training) -> None:
    """Set BatchNorm's moving statistics, which each rank has of its own batches, to their mean over the ranks."""
    cells = training.network, training.tested
    average({p.name: p for cell in cells for p in cell.get_parameters() if not p.requires_grad}.values())


def check_finite(training: Training) -> None:
    """Raise if any parameter is NaN or infinite."""
    for parameter in (*training.network.get_parameters(), *training.step.state().values()):
        if not np.isfinite(parameter.asnumpy()).all():
            raise diverged(training, f"{parameter.name} became infinite or NaN by step {training.progress.step}")


def diverged(training: Training, what: str) -> InputError:
    """The error for a training that has diverged."""
    state = training.progress
    good = f"{training.out / LAST} is good, at step {state.saved}" if state.saved else "nothing was saved yet"
    return InputError(f"{what}; lower learning_rate, or set clip_norm; {good}")


def write_log(training: Training) -> None:
    """Write log.csv whole, so that a reader never sees half a row."""
    if rank() > 0:
        return
    with atomic_path(training.out / "log.csv") as temporary:
        pd.DataFrame(training.progress.rows).to_csv(temporary, index=False, float_format="%.6g")


def write_curves(training: Training) -> None:
    """Draw log.csv, which takes a second."""
    if rank() == 0 and training.progress.rows:
        with atomic_path(training.out / "curves.png") as temporary:
            training_curves(pd.DataFrame(training.progress.rows)).savefig(temporary)


def write_manifest(training: Training) -> None:
    """What the run was made of and what came out."""
    recipe, state = training.recipe, training.progress
    splits = (training.data, training.validation)
    manifest = {
        "recipe": json.loads(to_json(recipe)),
        "data": {split.split: {"samples": len(split), "labels_sha256": split.digest()} for split in splits},
        "notes": list(dict.fromkeys(note for split in splits for note in split.notes)),
        "pretrained": state.pretrained,
        "device": str(chosen_device()),
        "results": {f"best PCK@{recipe.validation_threshold:g}": state.best},
        "seconds": round(state.seconds, 1),
        **describe(ROOT),
    }
    write_json(training.out / "manifest.json", manifest)
