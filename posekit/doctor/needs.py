"""What a training will need: memory of a card, disk and time, by counting and from what is known.

Weights, optimiser and layer outputs are counted on the network itself. How fast a device computes is not: `KNOWN` has
what was measured or published, and another recipe takes as much longer as it has more multiply-accumulates.
"""

from dataclasses import dataclass
from math import ceil, log

from mindspore import nn

from posekit.models.summary import layer_table
from posekit.recipes import Recipe
from posekit.runtime import cores
from posekit.training.step import TrainStep

# Of the memory of a training step, measured on the CPU (5 recipes, batches of 1 to 32): outputs of all convolutions and
# normalisations times 1.0 to 1.1; the process, half a gigabyte, and the compiled step, 2.5 to 4.6 MB a layer. On a card
# nothing was measured: driver, operators and the buffers of the ranks are taken as a gigabyte.
KEPT = 1.1
PROCESS_MB, LAYER_MB = 530, 4.6
CARD_MB = 1000
USABLE = 0.9  # share of a card's memory that a training may plan with


@dataclass(frozen=True)
class Cost:
    """What a recipe's network and its training take.

    weights: bytes of all parameters; state: bytes of a checkpoint that resumes, with optimiser and averaged weights;
    layers: convolutions and normalisations; outputs: values of all their outputs per image;
    macs: multiply-accumulates per image, forward.
    """

    weights: int
    state: int
    layers: int
    outputs: int
    macs: int


@dataclass(frozen=True)
class Speed:
    """How many images a second a card trained with, of a recipe of so many multiply-accumulates per image."""

    target: str  # CPU, GPU or Ascend
    network: str
    macs: float
    images: float
    source: str


KNOWN = (
    Speed("CPU", "hrnet", 1.02e10, 0.8, "poseestnet on two cores of an EPYC, measured: 1.25 s an image"),
    Speed("CPU", "hrnet", 1.77e8, 10.4, "poseestnet-laptop on two busy cores of an EPYC, measured: 96 minutes"),
    Speed("CPU", "hrnet", 3.67e7, 67, "poseestnet-smoke on two cores of an EPYC, measured: 2¼ minutes"),
    Speed("CPU", "hourglass", 8.33e9, 1.08, "hourglass on two cores of an EPYC, measured: 0.93 s an image"),
    Speed("CPU", "hourglass", 4.5e7, 44, "hourglass-smoke on two cores of an EPYC, measured: 4 minutes"),
    Speed("GPU", "hrnet", 1.02e10, 77.7, "PoseEstNet on an RTX 3090, published: 412 ms a step of 32"),
    Speed("Ascend", "hrnet", 1.02e10, 123, "PoseEstNet on 8 × Ascend 910, published: 130 ms a step of 8 × 16"),
    Speed("Ascend", "hourglass", 8.33e9, 29.6, "Stacked Hourglass on an Ascend 910A, published: 1,080 ms a step of 32"),
)
CPU_CORES = 2  # of the rows for the CPU


def cost_of(recipe: Recipe, network: nn.Cell, step: TrainStep) -> Cost:
    """Count what a training takes; runs one image through the network."""
    layers = layer_table(network, *recipe.input_shape[1:])
    weights = sum(parameter.nbytes for parameter in network.get_parameters())
    state = weights + sum(parameter.nbytes for parameter in step.state().values())
    outputs = (layers["channels"] * layers["height"] * layers["width"]).sum()
    return Cost(weights, state, len(layers), int(outputs), int(layers["macs"].sum()))


def memory_mb(recipe: Recipe, cost: Cost, batch: int, on_card: bool) -> float:
    """Megabytes that one worker takes of its card or, without one, of the host.

    That is weights, gradients, optimiser, layer outputs and what does not depend on the batch. Mixed precision, on a
    card only, halves the outputs and takes another copy of the weights.
    """
    halves = on_card and recipe.amp != "O0"
    rest = CARD_MB if on_card else PROCESS_MB + LAYER_MB * cost.layers
    weights = cost.state + cost.weights * (1 + (recipe.accumulate > 1) + halves / 2)
    return rest + (weights + batch * cost.outputs * KEPT * (2 if halves else 4)) / 1e6


def largest_batch(recipe: Recipe, cost: Cost, room_mb: float, on_card: bool) -> int:
    """The largest batch that fits into so many megabytes; 0 if none does."""
    none, one = (memory_mb(recipe, cost, batch, on_card) for batch in (0, 1))
    return max(0, int((room_mb - none) / (one - none)))


def disk_mb(cost: Cost, resumes: bool) -> float:
    """Megabytes that a run's folder grows by: the best weights, the last two checkpoints, and a third while it is
    written; of a run that resumes only that and the best weights, as the others are there."""
    return (cost.weights + cost.state * (1 if resumes else 3)) / 1e6 + 10


def speed_of(recipe: Recipe, cost: Cost, target: str) -> tuple[float, str]:
    """Images a second of one device, or of all cores, and where that comes from."""
    rows = [row for row in KNOWN if row.target == target]
    rows = [row for row in rows if row.network == recipe.network] or rows
    row = min(rows, key=lambda row: abs(log(row.macs / cost.macs)))
    here = len(cores()) / CPU_CORES if target == "CPU" else 1
    return row.images * row.macs / cost.macs * here, row.source


def training_seconds(recipe: Recipe, images: float, samples: int, tested: int, workers: int) -> float:
    """Seconds of a training at so many images a second on each of `workers` devices, validation included.

    Predicting takes a third of the time of training, twice with the flip test.
    """
    per_update = recipe.update_images / images
    updates = recipe.epochs * ceil(samples / (recipe.update_images * workers))
    validations = ceil(recipe.epochs / recipe.validate_every)
    return updates * per_update + validations * tested * (2 if recipe.flip_test else 1) / 3 / images / workers


def rate(images: float) -> str:
    """Images a second, in words."""
    return f"{images:,.0f} images a second" if images >= 10 else f"{images:.1f} images a second"


def duration(seconds: float) -> str:
    """A time, in words."""
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"
