"""The training loop: steps, validation, checkpoints, the log and its curves."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import mindspore as ms
import numpy as np
import pandas as pd
from mindspore import Tensor, nn
from tqdm.auto import tqdm

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.figures.results import training_curves
from posekit.files import ROOT, atomic_path, write_json, write_text
from posekit.manifest import describe
from posekit.metrics import distances
from posekit.models import build
from posekit.models.checkpoint import save_checkpoint
from posekit.models.loss import heatmap_loss
from posekit.pipeline import steps_per_epoch, training_iterator
from posekit.predictors import network_predictor, predict_dataset
from posekit.recipes import Recipe, to_json
from posekit.runtime import chosen_device, ctrl_c, set_up
from posekit.splits import open_split

ROWS_AN_EPOCH = 10  # of log.csv


class TrainStep(nn.Cell):
    """One update: loss, gradients, optimiser."""

    def __init__(self, network: nn.Cell, optimizer: nn.Optimizer, loss_factor: float) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.optimizer, self.loss_factor = network, optimizer, loss_factor
        self.gradient = ms.value_and_grad(self.loss, None, optimizer.parameters)

    def loss(self, images: Tensor, heatmaps: Tensor, weights: Tensor) -> Tensor:
        """The loss of a batch: images (B, 3, S, S), heatmaps (B, K, h, w), weights (B, K)."""
        return heatmap_loss(self.network(images), heatmaps, weights, self.loss_factor)

    def construct(self, images: Tensor, heatmaps: Tensor, weights: Tensor) -> Tensor:
        """Update the weights; returns the loss before the update."""
        loss, gradients = self.gradient(images, heatmaps, weights)
        self.optimizer(gradients)
        return loss


def learning_rates(recipe: Recipe, steps: int) -> np.ndarray:
    """The rate of every update, (epochs * steps,) float32: linear warm-up times the recipe's schedule."""
    update = np.arange(recipe.epochs * steps)
    if recipe.schedule == "step":
        factor = recipe.decay_factor ** np.searchsorted(np.array(recipe.milestones) * steps, update, side="right")
    elif recipe.schedule == "exponential":
        factor = recipe.decay_factor ** (update // steps)
    else:
        factor = 0.5 * (1 + np.cos(np.pi * update / len(update)))
    warmup = recipe.warmup_epochs * steps
    ramp = np.minimum((update + 1) / warmup, 1) if warmup else 1
    return (recipe.learning_rate * factor * ramp).astype(np.float32)


def make_step(network: nn.Cell, recipe: Recipe, steps: int) -> TrainStep:
    """The recipe's update, with `steps` updates an epoch. Weight decay is the classic one, added to the gradient."""
    rates = learning_rates(recipe, steps).tolist()
    optimizer = nn.Adam(network.trainable_params(), learning_rate=rates, weight_decay=recipe.weight_decay)
    return TrainStep(network, optimizer, recipe.loss_factor)


def train(recipe: Recipe, data: PoseDataset, validation: PoseDataset, out: Path, progress: bool = True) -> pd.DataFrame:
    """Train from scratch in the folder `out`; returns the log.

    Writes recipe.json, and after each epoch log.csv, curves.png and last.ckpt; best.ckpt when validation improves;
    manifest.json at the end.
    Ctrl-C saves last.ckpt. Raises InputError when `out` already holds a run, and when the loss is no number any more.
    """
    if (out / "last.ckpt").exists():
        raise InputError(f"{out}: already holds a run; give another --out, or remove it")
    started = time.time()
    write_text(out / "recipe.json", to_json(recipe) + "\n")
    ms.set_seed(recipe.seed)
    network = build(recipe)
    steps = steps_per_epoch(len(data), recipe.batch)
    step = make_step(network, recipe, steps)
    log: list[dict] = []
    best = -1.0
    with ctrl_c(), tqdm(total=recipe.epochs * steps, unit="step", desc=recipe.name, disable=not progress) as bar:
        try:
            for epoch in range(1, recipe.epochs + 1):
                for row in train_epoch(step, data, recipe, epoch, bar):
                    _log(out, log, row)
                save_checkpoint(out / "last.ckpt", network, recipe, epoch, epoch * steps)
                if epoch % recipe.validate_every == 0 or epoch == recipe.epochs:
                    pck = validate(network, recipe, validation)
                    log[-1]["valid_pck"] = pck
                    if pck > best:
                        best = pck
                        save_checkpoint(out / "best.ckpt", network, recipe, epoch, epoch * steps)
                    bar.write(f"epoch {epoch}: PCK@{recipe.validation_threshold:g} {pck:.2f} % on the validation split")
                _log(out, log, None)
                with atomic_path(out / "curves.png") as temporary:
                    training_curves(pd.DataFrame(log)).savefig(temporary)
        except KeyboardInterrupt:
            save_checkpoint(out / "last.ckpt", network, recipe, epoch, bar.n)
            raise InputError(f"interrupted at step {bar.n}; {out / 'last.ckpt'} holds the weights") from None
    _write_manifest(out, recipe, data, validation, best, time.time() - started)
    return pd.DataFrame(log)


def run(recipe: Recipe, data: Path | None, out: Path, device: str, images: Path | None = None) -> float:
    """What `posekit train` does: set the device up, open the data, train; returns the best PCK in percent."""
    print(set_up(device, recipe.seed))
    training, validation = (open_split(recipe, data, split, images) for split in ("train", "test"))
    return float(train(recipe, training, validation, out)["valid_pck"].max())


def _write_manifest(
    out: Path, recipe: Recipe, data: PoseDataset, validation: PoseDataset, best: float, seconds: float
) -> None:
    """What the run was made of and what came out."""
    manifest = {
        "recipe": dataclasses.asdict(recipe),
        "data": {split.split: {"samples": len(split), "labels_sha256": split.digest()} for split in (data, validation)},
        "device": str(chosen_device()),
        "results": {f"best PCK@{recipe.validation_threshold:g}": best},
        "seconds": round(seconds, 1),
        **describe(ROOT),
    }
    write_json(out / "manifest.json", manifest)


def train_epoch(step: TrainStep, data: PoseDataset, recipe: Recipe, epoch: int, bar: tqdm) -> Iterator[dict]:
    """One epoch; yields a row for the log every tenth of it."""
    step.set_train(True)
    steps = steps_per_epoch(len(data), recipe.batch)
    every = max(1, steps // ROWS_AN_EPOCH)
    rates = learning_rates(recipe, steps)
    losses, waited, started = [], 0.0, time.perf_counter()
    batches = training_iterator(data, recipe, epoch)
    for number in range(1, steps + 1):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        losses.append(float(step(*(Tensor(array) for array in batch)).asnumpy()))
        if not np.isfinite(losses[-1]):
            raise InputError(f"the loss became {losses[-1]} in epoch {epoch}, step {number}; lower learning_rate")
        bar.update()
        bar.set_postfix(loss=f"{np.mean(losses[-20:]):.4g}", refresh=False)
        if number % every == 0 or number == steps:
            seconds = time.perf_counter() - started
            done = (epoch - 1) * steps + number
            yield {
                "epoch": epoch,
                "step": done,
                "learning_rate": float(rates[done - 1]),
                "loss": float(np.mean(losses)),
                "images_per_second": len(losses) * recipe.batch / seconds,
                "wait_share": waited / seconds,
                "valid_pck": np.nan,
            }
            losses, waited, started = [], 0.0, time.perf_counter()


def validate(network: nn.Cell, recipe: Recipe, validation: PoseDataset) -> float:
    """Percent of the validation split's visible keypoints found within the recipe's threshold."""
    predictions = predict_dataset(network_predictor(network, recipe), validation, progress=False)
    distance = distances(validation.keypoints, predictions.keypoints, validation.unit)
    return 100 * float((distance <= recipe.validation_threshold)[validation.visible].mean())


def _log(out: Path, log: list[dict], row: dict | None) -> None:
    """Append a row and write log.csv whole, so that a reader never sees half a row."""
    if row is not None:
        log.append(row)
    with atomic_path(out / "log.csv") as temporary:
        pd.DataFrame(log).to_csv(temporary, index=False, float_format="%.6g")
