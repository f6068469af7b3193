"""The training loop: epochs of updates, validation, checkpoints, the log and its curves.

A training can be stopped at any moment and resumes from its last checkpoint to the same weights, to the last bit if the
device computes the same twice: order and augmentation are functions of (seed, epoch, sample), no other random
numbers are drawn after the weights are made, and a checkpoint holds the rest.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pandas as pd
from mindspore import nn

from posekit.bars import Bar, left, progress_bar, tell
from posekit.datasets.cache import cache_folder, cached
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import steps_per_epoch, training_iterator
from posekit.errors import InputError, Stopped
from posekit.evaluation.diagnosis import sure_score
from posekit.evaluation.metrics import distances
from posekit.files import remove_left_overs, sha256, write_text
from posekit.inference.predictors import network_predictor, predict_dataset
from posekit.layouts import open_training
from posekit.locks import one_writer
from posekit.models import build
from posekit.models.checkpoint import read_checkpoint, save_checkpoint
from posekit.models.convert import load_pretrained
from posekit.models.report import summary, write_report
from posekit.models.torch_files import holds_torch_weights
from posekit.recipes import Recipe
from posekit.runtime import memory_mb, precision, set_up
from posekit.settings import to_json
from posekit.signals import ctrl_c, interrupted, uninterrupted
from posekit.training.progress import (
    BEST,
    LAST,
    PREVIOUS,
    Progress,
    Training,
    average_statistics,
    check_finite,
    diverged,
    resumed,
    save,
    write_curves,
    write_log,
    write_manifest,
)
from posekit.training.ranks import gathered, rank, ranks, share
from posekit.training.step import AVERAGE, averaged_network, describe_update, learning_rates, make_step

ROWS_AN_EPOCH = 10  # of log.csv
SAVE_MINUTES = 10.0  # between checkpoints within an epoch
COMPILE_SECONDS = 0.06  # a trained tensor, measured on two cores


def train(
    recipe: Recipe,
    data: PoseDataset,
    validation: PoseDataset,
    out: Path,
    progress: bool = True,
    resume: bool = False,
    save_minutes: float = SAVE_MINUTES,
    pretrained: Path | None = None,
) -> pd.DataFrame:
    """Train in the folder `out`, or with `resume` continue what is there; returns the log.

    Starts from scratch, or from the weights in `pretrained` that fit; pretrained.csv says which.
    Writes recipe.json; log.csv as it goes; after each epoch, and within one every `save_minutes`, last.ckpt, of which
    the one before stays as previous.ckpt; curves.png after each validation; best.ckpt when that improves; manifest.json
    at the end.
    Ctrl-C and SIGTERM save last.ckpt and raise Stopped. Raises InputError if `out` holds a run and `resume` is false,
    or a run of another recipe or other data, if another process trains there, and if the loss or a weight becomes NaN
    or infinite.
    """
    for split in (data, validation):
        if not split.visible.any():
            raise InputError(f"{split.split} split: no visible keypoints; fix the labels")
    with one_writer(out) if rank() == 0 else nullcontext():
        if not resume and any((out / name).exists() for name in (LAST, PREVIOUS)):
            raise InputError(f"{out}: already holds a run; give another --out, or continue it with --resume")
        training = _prepare(recipe, data, validation, out, resume, pretrained)
        return _train(training, 60 * save_minutes, progress)


def _train(training: Training, save_seconds: float, progress: bool) -> pd.DataFrame:
    """Make the updates that are not made yet; returns the log."""
    recipe, out = training.recipe, training.out
    state = training.progress
    total = recipe.epochs * training.steps
    finished = state.epoch == recipe.epochs and (out / "manifest.json").exists()
    if state.rows:
        write_log(training)  # the file may be ahead of the checkpoint
    hidden = not (progress and rank() == 0)
    bar = progress_bar(total=total, initial=state.step, unit="step", desc=recipe.name, disable=hidden)
    with ctrl_c(noted=ranks() > 1), bar:
        try:
            for epoch in range(state.epoch + 1, recipe.epochs + 1):
                _train_epoch(training, epoch, bar, save_seconds)
                _end_epoch(training, epoch, bar)
        except KeyboardInterrupt:
            with uninterrupted():  # by a second Ctrl-C
                save(training)
                write_curves(training)
                raise Stopped(
                    f"interrupted at step {state.step} of {total}; {out / LAST} has it all: continue with --resume"
                ) from None
    if not finished and rank() == 0:
        write_manifest(training)
        (out / PREVIOUS).unlink(missing_ok=True)
    return pd.DataFrame(state.rows)


def run(
    recipe: Recipe,
    data: Path | None,
    out: Path,
    device: str,
    images: Path | None = None,
    resume: bool = False,
    save_minutes: float = SAVE_MINUTES,
    pretrained: Path | None = None,
) -> float:
    """What `posekit train` does: set the device up, open the data, train; returns the best PCK in percent."""
    print(set_up(device, recipe.seed))
    print(f"{describe_update(recipe, ranks())}; {precision(recipe.amp)}")
    recipe, training, validation = open_training(recipe, data, images)
    for note in dict.fromkeys(training.notes + validation.notes) if rank() == 0 else ():
        print(note)
    training = cached(training, recipe)
    if training.cached and rank() == 0:
        print(f"training images from the cache in {cache_folder(training, recipe)}")
    log = train(recipe, training, validation, out, resume=resume, save_minutes=save_minutes, pretrained=pretrained)
    return float(log["valid_pck"].max())


def validate(network: nn.Cell, recipe: Recipe, validation: PoseDataset) -> tuple[float, float]:
    """Percent of the validation split's visible keypoints within the recipe's threshold, and `sure_score` of them.

    Each rank predicts a part.
    """
    predictions = predict_dataset(
        network_predictor(network, recipe, validation.skeleton), share(validation), progress=False
    )
    keypoints, scores = (gathered(part)[: len(validation)] for part in (predictions.keypoints, predictions.scores))
    distance = distances(validation.keypoints, keypoints, validation.unit)
    right = (distance <= recipe.validation_threshold)[validation.visible]
    return 100 * float(right.mean()), sure_score(scores[validation.visible], right)


def _prepare(
    recipe: Recipe, data: PoseDataset, validation: PoseDataset, out: Path, resume: bool, pretrained: Path | None
) -> Training:
    """Start a training, or restore it from the latest valid checkpoint."""
    ms.set_seed(recipe.seed)
    network = build(recipe, data.skeleton)
    source = _start_from(pretrained, network, out) if pretrained else None
    tested = averaged_network(network, recipe, data.skeleton) if recipe.ema else network
    step = make_step(network, recipe, steps_per_epoch(len(data), recipe.update_images * ranks()), tested)
    progress = Progress(data.digest(), pretrained=source, seen=_seen(data, pretrained))
    if resume:
        if rank() == 0:
            remove_left_overs(out)
        progress = resumed(out, recipe, network, step, progress)
    mine = np.array([[progress.step, int(progress.data[:8], 16)]])
    if (gathered(mine) != mine).any():
        raise InputError(f"{out}: not all hosts have the same data and checkpoint; use folders that they share")
    if rank() == 0:
        write_text(out / "recipe.json", to_json(recipe) + "\n")
    return Training(recipe, data, validation, out, network, tested, step, progress)


def _seen(data: PoseDataset, pretrained: Path | None) -> str:
    """drawings, if neither this training nor the one that its first weights come from has seen anything else."""
    if not data.drawn or (pretrained and (pretrained.suffix != ".ckpt" or holds_torch_weights(pretrained))):
        return "other"
    return read_checkpoint(pretrained)[0].trained_on if pretrained else "drawings"


def _start_from(pretrained: Path, network: nn.Cell, out: Path) -> str:
    """Copy the weights that fit and say which; returns the file's name and digest."""
    report = load_pretrained(network, pretrained)
    if rank() == 0:
        write_report(out / "pretrained.csv", report)
        print(f"{pretrained}: {summary(report)}\nevery tensor: {out / 'pretrained.csv'}")
    return f"{pretrained.name}, sha256 {sha256(pretrained)}"


def _train_epoch(training: Training, epoch: int, bar: Bar, save_seconds: float) -> None:
    """Make the rest of an epoch's updates. All ranks save and stop at the same update."""
    recipe, state, steps = training.recipe, training.progress, training.steps
    training.step.set_train(True)
    done = state.step - (epoch - 1) * steps
    batches = training_iterator(training.data, recipe, epoch, done, rank(), ranks()) if done < steps else iter(())
    every, recent, saved = max(1, steps // ROWS_AN_EPOCH), [], time.monotonic()
    for number in range(done + 1, steps + 1):
        asked = time.perf_counter()
        update = [next(batches) for _ in range(recipe.accumulate)]
        waited = time.perf_counter() - asked
        if number == done + 1:
            _prepare_step(training, epoch, update[0], bar)
        began = time.perf_counter()
        with uninterrupted():
            mine = training.step.learn(update), interrupted(), time.monotonic() - saved >= save_seconds
            losses, stop, due = gathered(np.array([mine], float)).T  # (ranks,) each
            loss = float(losses.mean())
            if not np.isfinite(loss):
                raise diverged(training, f"the loss became {loss} in epoch {epoch}, step {number}")
            state.step += 1
            state.losses.append(losses.tolist())
            state.waited += waited
            state.spent += waited + time.perf_counter() - began
            ends_row = number % every == 0 or number == steps
            if ends_row:
                _add_row(training, epoch)
        recent = [*recent, loss][-20:]
        bar.set_postfix({**_best(state), "loss": f"{np.mean(recent):.4g}"}, refresh=False)
        bar.update()
        if ends_row:
            write_log(training)
        if due[0]:
            save(training)
            saved = time.monotonic()
        if stop.any():
            raise KeyboardInterrupt


def _best(state: Progress) -> dict[str, str]:
    return {"best_PCK": f"{state.best:.1f}%"} if state.best >= 0 else {}


def _prepare_step(training: Training, epoch: int, batch: Sequence[np.ndarray], bar: Bar) -> None:
    """Compile the update, before a training's first one, while the bar says about how long that takes."""
    recipe, step = training.recipe, training.step
    if not step.compile_cache and ms.get_context("mode") == ms.GRAPH_MODE:
        seconds = COMPILE_SECONDS * len(step.optimizer.parameters)
        bar.set_description(f"compiling, about {left(seconds)}")
        if not bar.disable:
            tell("compiling the update", seconds)
    step.prepare(batch)
    bar.set_description(f"epoch {epoch}/{recipe.epochs}")


def _add_row(training: Training, epoch: int) -> None:
    """A row of log.csv about the updates since the last one."""
    recipe, state = training.recipe, training.progress
    scaling = training.step.scaling(state.step)
    skipped = scaling.get("skipped", 0)
    if scaling.get("loss_scale") == 1 and skipped - (state.rows[-1]["skipped"] if state.rows else 0) == len(
        state.losses
    ):
        raise diverged(training, f"gradients overflowed in epoch {epoch} even at loss scale 1")
    row = {
        "epoch": epoch,
        "step": state.step,
        "learning_rate": float(learning_rates(recipe, training.steps)[state.step - 1 - skipped]),
        "loss": float(np.mean(state.losses)),
        "images_per_second": len(state.losses) * recipe.update_images * ranks() / state.spent,
        "wait_share": state.waited / state.spent,
        "memory_mb": memory_mb(),
        **scaling,
        "valid_pck": np.nan,
    }
    if ranks() > 1:
        row |= {f"loss_{number}": loss for number, loss in enumerate(np.mean(state.losses, axis=0).tolist())}
    state.rows.append(row)
    state.losses, state.waited, state.spent = [], 0.0, 0.0


def _end_epoch(training: Training, epoch: int, bar: Bar) -> None:
    """Validate if the recipe says so, keep the best weights, save."""
    recipe, state, out = training.recipe, training.progress, training.out
    validates = epoch % recipe.validate_every == 0 or epoch == recipe.epochs
    if validates:
        bar.set_description(f"epoch {epoch}/{recipe.epochs}, validating")
        average_statistics(training)
        check_finite(training)
        pck, sure = validate(training.tested, recipe, training.validation)
        state.rows[-1]["valid_pck"] = pck
        if pck > state.best:
            weights = [{"name": p.name.removeprefix(AVERAGE), "data": p} for p in training.tested.get_parameters()]
            if rank() == 0:
                about = replace(recipe, trained_on=state.seen, sure=sure)
                save_checkpoint(out / BEST, weights, about, epoch, state.step)
            state.best = pck
        bar.write(f"epoch {epoch}: PCK@{recipe.validation_threshold:g} {pck:.2f} % on the validation split")
    state.epoch = epoch
    write_log(training)
    save(training)
    if validates:
        write_curves(training)
