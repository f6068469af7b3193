"""One update of the weights: loss, gradients, loss scaling, clipping, optimiser, weight averaging."""

from collections.abc import Callable, Iterable, Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, amp, nn, ops

from posekit.errors import counted
from posekit.graph_cache import compile_cached
from posekit.models import build
from posekit.models.loss import heatmap_loss
from posekit.recipes import Recipe
from posekit.runtime import mixed_precision
from posekit.settings import graph_text
from posekit.skeletons import Skeleton
from posekit.training.ranks import AveragedUpdate, ranks

AVERAGE = "average."  # prefix of the names of averaged weights

# What is done to each of a thousand weights goes through HyperMap: MindSpore's compiler unrolls a Python loop over them
# into calls within calls, and stops at a depth of a thousand.
_each = ops.HyperMap()
_follow, _divide, _zero, _add = (ops.MultitypeFuncGraph(name) for name in ("follow", "divide", "zero", "add"))


@_follow.register("Tensor", "Tensor", "Tensor")
def _follow_weight(keep: Tensor, average: Parameter, weight: Parameter) -> Tensor:
    return ops.assign(average, average * keep + weight * (1 - keep))


@_divide.register("Number", "Tensor")
def _divide_sum(by: int, total: Parameter) -> Tensor:
    return total / by


@_zero.register("Tensor")
def _zero_sum(total: Parameter) -> Tensor:
    return ops.assign(total, ops.zeros_like(total))


@_add.register("Tensor", "Tensor")
def _add_gradient(total: Parameter, gradient: Tensor) -> Tensor:
    return ops.assign_add(total, gradient)


class Update(nn.Cell):
    """Update the weights from gradients: undo loss scaling, clip, run the optimiser, update the weights' average.

    scaler: if given, the gradients are scaled, and an update with a NaN or infinite gradient is skipped.
    ema: decay of the exponential moving average that `averaged` keeps of `weights` (same order); 0: no average.
    """

    def __init__(
        self,
        optimizer: nn.Optimizer,
        clip_norm: float = 0.0,
        scaler: amp.DynamicLossScaler | None = None,
        ema: float = 0.0,
        weights: Sequence[Parameter] = (),
        averaged: Sequence[Parameter] = (),
    ) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer, self.clip_norm, self.scaler, self.ema = optimizer, clip_norm, scaler, ema
        self.parameters = optimizer.parameters
        self.weights, self.averaged = ParameterTuple(weights), ParameterTuple(averaged)

    def construct(self, gradients: tuple[Tensor, ...]) -> None:
        """Update from the gradients of `parameters`, in the same order."""
        if self.scaler is None:
            self.apply(gradients)
        else:
            finite = amp.all_finite(gradients)
            if finite:
                self.apply(self.scaler.unscale(gradients))
            self.scaler.adjust(finite)

    def apply(self, gradients: tuple[Tensor, ...]) -> None:
        """Update from unscaled gradients."""
        if self.clip_norm > 0:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        self.optimizer(gradients)
        if self.ema > 0:
            count = self.optimizer.global_step[0].astype(ms.float32)
            keep = ops.minimum(self.ema, (1 + count) / (10 + count))  # follow the weights more closely at first
            _each(ops.partial(_follow, keep), self.averaged, self.weights)


class Finish(nn.Cell):
    """Update by the mean of the gradients that a TrainStep has accumulated."""

    def __init__(self, update: nn.Cell, sums: ParameterTuple, accumulate: int) -> None:
        super().__init__(auto_prefix=False)
        self.update, self.sums, self.accumulate = update, sums, accumulate

    def construct(self) -> None:
        """Update the weights and reset the sums to zero."""
        self.update(_each(ops.partial(_divide, self.accumulate), self.sums))
        _each(_zero, self.sums)


class TrainStep(nn.Cell):
    """Compute loss and gradients of a batch, then update the weights or accumulate the gradients.

    update: a cell that takes gradients in the order of its `parameters`: an optimiser, `Update` or `AveragedUpdate`.
    accumulate: number of batches per update.
    made_of: what the graph depends on, for the cache of compiled graphs; empty: not kept there.
    """

    def __init__(
        self,
        network: nn.Cell,
        update: nn.Cell,
        loss_factor: float,
        accumulate: int = 1,
        scaler: amp.DynamicLossScaler | None = None,
        made_of: str = "",
    ) -> None:
        super().__init__(auto_prefix=False)
        self.made_of = made_of
        self.network, self.update, self.loss_factor, self.scaler = network, update, loss_factor, scaler
        self.accumulate = accumulate
        self.optimizer = getattr(update, "optimizer", update)
        self.gradient = ms.value_and_grad(self.losses, None, update.parameters, has_aux=True)
        if accumulate > 1:
            self.sums = update.parameters.clone(prefix="sum", init="zeros")
            self.finish = Finish(update, self.sums, accumulate)

    def losses(self, images: Tensor, heatmaps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled and the plain loss of images (B, 3, H, W), heatmaps (B, K, h, w), weights (B, K)."""
        loss = heatmap_loss(self.network(images), heatmaps, weights, self.loss_factor)
        return (loss if self.scaler is None else self.scaler.scale(loss)), loss

    def construct(self, images: Tensor, heatmaps: Tensor, weights: Tensor) -> Tensor:
        """Update the weights or accumulate the gradients; return the loss before the update."""
        (_, loss), gradients = self.gradient(images, heatmaps, weights)
        if self.accumulate == 1:
            self.update(gradients)
        else:
            _each(_add, self.sums, gradients)
        return loss

    def prepare(self, batch: Sequence[np.ndarray]) -> bool:
        """Compile for batches of this shape; otherwise the first update does it. Return whether it was in the cache."""
        inputs = [Tensor(array) for array in batch]
        if self.made_of:
            return compile_cached(self, self.made_of, *inputs)
        self.compile(*inputs)
        return False

    def learn(self, batches: Iterable[Sequence[np.ndarray]]) -> float:
        """Make one update from `accumulate` batches; return the mean of their losses."""
        losses = [float(self(*(Tensor(array) for array in batch)).asnumpy()) for batch in batches]
        if self.accumulate > 1:
            self.finish()
        return float(np.mean(losses))

    def scaling(self, updates: int) -> dict[str, float]:
        """Return the loss scale and how many of `updates` overflowed and were skipped; empty without loss scaling."""
        if self.scaler is None:
            return {}
        done = int(self.optimizer.global_step.asnumpy()[0])
        return {"loss_scale": float(self.scaler.scale_value.asnumpy()), "skipped": updates - done}

    def state(self) -> dict[str, Parameter]:
        """Return the state besides the network's weights, by name: optimiser, averaged weights, loss scale."""
        scale = [self.scaler.scale_value, self.scaler.counter] if self.scaler else []
        own = {p.name for p in self.network.get_parameters()}
        return {p.name: p for p in [*self.update.get_parameters(), *scale] if p.name not in own}


def _step(recipe: Recipe, steps: int, update: np.ndarray) -> np.ndarray:
    return recipe.decay_factor ** np.searchsorted(np.array(recipe.milestones) * steps, update, side="right")


def _exponential(recipe: Recipe, steps: int, update: np.ndarray) -> np.ndarray:
    return recipe.decay_factor ** (update // steps)


def _cosine(recipe: Recipe, steps: int, update: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.cos(np.pi * update / len(update)))


# The factor on the learning rate at each update: (recipe, steps per epoch, update numbers) -> factors.
SCHEDULES: dict[str, Callable[[Recipe, int, np.ndarray], np.ndarray]] = {
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
}

# Whether weight decay applies to a parameter.
DECAYED: dict[str, Callable[[Parameter], bool]] = {
    "weights": lambda parameter: parameter.ndim > 1,
    "weights+biases": lambda parameter: not parameter.name.endswith((".gamma", ".beta")),
    "all": lambda parameter: True,
}


def learning_rates(recipe: Recipe, steps: int) -> np.ndarray:
    """Return the learning rate of each update, (epochs * steps,) float32: linear warm-up times the schedule."""
    update = np.arange(recipe.epochs * steps)
    factor = SCHEDULES[recipe.schedule](recipe, steps, update)
    warmup = recipe.warmup_epochs * steps
    ramp = np.minimum((update + 1) / warmup, 1) if warmup else 1
    return (recipe.learning_rate * factor * ramp).astype(np.float32)


def make_optimizer(network: nn.Cell, recipe: Recipe, steps: int) -> nn.Optimizer:
    """Return Adam with the recipe's learning rates. Weight decay adds to the gradients that `decayed` selects."""
    weights, decays = network.trainable_params(), DECAYED[recipe.decayed]
    groups = [([w for w in weights if decays(w)], recipe.weight_decay), ([w for w in weights if not decays(w)], 0.0)]
    described = [{"params": group, "weight_decay": decay} for group, decay in groups if group]
    return nn.Adam([*described, {"order_params": weights}], learning_rate=learning_rates(recipe, steps).tolist())


def averaged_network(network: nn.Cell, recipe: Recipe, skeleton: Skeleton) -> nn.Cell:
    """Return a second copy of the recipe's network with equal weights, their names prefixed by AVERAGE."""
    averaged = build(recipe, skeleton)
    averaged.update_parameters_name(AVERAGE)
    for average, weight in zip(averaged.get_parameters(), network.get_parameters(), strict=True):
        ops.assign(average, weight)
    return averaged


def make_step(network: nn.Cell, recipe: Recipe, steps: int, averaged: nn.Cell | None = None) -> TrainStep:
    """Return the recipe's training step, for `steps` updates per epoch.

    averaged: the network that holds the averaged weights; required if the recipe has `ema`.
    """
    optimizer = update = make_optimizer(network, recipe, steps)
    scaler = amp.DynamicLossScaler(recipe.loss_scale, 2, recipe.loss_scale_window) if recipe.loss_scale else None
    if recipe.clip_norm or recipe.ema or scaler:
        assert averaged is not None or not recipe.ema
        pair = [list(cell.get_parameters()) if cell and recipe.ema else [] for cell in (network, averaged)]
        update = Update(optimizer, recipe.clip_norm, scaler, recipe.ema, *pair)
    if ranks() > 1:
        update = AveragedUpdate(update)
    # MindSpore can't store a graph with loss scaling (Cannot export a PyExecute CNode in MindIR).
    made_of = "" if scaler else f"{graph_text(recipe)} {steps}"
    return TrainStep(
        mixed_precision(network, recipe.amp), update, recipe.loss_factor, recipe.accumulate, scaler, made_of
    )


def describe_update(recipe: Recipe, devices: int = 1) -> str:
    """Describe in one line the learning rate and the global batch of an update."""
    parts = [counted(devices, "device"), f"{recipe.batch} images"]
    if recipe.accumulate > 1:
        parts.insert(1, f"{recipe.accumulate} batches")
    total = devices * recipe.accumulate * recipe.batch
    return f"learning rate {recipe.learning_rate:g} for a global batch of {total} ({' x '.join(parts)})"
