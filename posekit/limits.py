"""Which values a recipe's fields may have."""

import dataclasses
import math
from typing import TYPE_CHECKING

from posekit.errors import InputError
from posekit.skeletons import SKELETONS

if TYPE_CHECKING:
    from posekit.recipes import Recipe

# The choices of the fields that are words; what is not here is free.
CHOICES = {
    "skeleton": tuple(SKELETONS),
    "dataset": ("veri", "mpii"),
    "network": ("hrnet", "hourglass"),
    "layer1_block": ("bottleneck", "basic"),
    "target_centre": ("round", "truncate", "exact"),
    "augment_shape": ("normal", "uniform"),
    "decayed": ("weights", "weights+biases", "all"),
    "amp": ("O0", "O2", "O3", "auto"),
    "schedule": ("step", "exponential", "cosine"),
    "offset": ("none", "quarter", "forced", "dark", "udp"),
    "color_jitter": ("none", "all", "flipped"),
}

# The ranges of the fields that are numbers.
ABOVE_0 = (
    "width", "stem_width", "layer1_blocks", "stage_modules", "branch_blocks", "stacks", "depth", "input_size",
    "heatmap_size", "std", "sigma", "loss_factor", "learning_rate", "decay_factor", "epochs", "batch", "validate_every",
    "validation_threshold", "synthetic_train", "synthetic_test", "accumulate", "loss_scale_window",
)  # fmt: skip
FROM_0 = (
    "scale_factor", "rotation_factor", "rotation_probability", "flip_probability", "weight_decay", "milestones",
    "warmup_epochs", "seed", "flip_shift", "clip_norm", "ema", "loss_scale",
)  # fmt: skip
UP_TO_1 = ("rotation_probability", "flip_probability")
BELOW_1 = ("scale_factor", "ema")
MOST_HALVINGS = 10
SMALLEST_MAP = 4  # cells; decoding looks two cells away


def check(recipe: "Recipe", where: str) -> None:
    """Refuse values with which no network can be built or no step be made."""
    for field, value in dataclasses.asdict(recipe).items():
        numbers = [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, int | float)]
        said = f"not {','.join(f'{number:g}' for number in numbers)}"
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(f"{where}: {field} must be finite, {said}")
        if field in ABOVE_0 and not all(number > 0 for number in numbers):
            raise InputError(f"{where}: {field} must be above 0, {said}")
        if field in FROM_0 and not all(number >= 0 for number in numbers):
            raise InputError(f"{where}: {field} must be 0 or more, {said}")
        if field in UP_TO_1 and value > 1:
            raise InputError(f"{where}: {field} must be at most 1, {said}")
        if field in BELOW_1 and value >= 1:
            raise InputError(f"{where}: {field} must be below 1, {said}")
    if len(recipe.mean) != 3 or len(recipe.std) != 3:
        raise InputError(f"{where}: mean and std take three values each, for red, green and blue")
    if 0 < recipe.loss_scale < 1:
        raise InputError(f"{where}: loss_scale must be 0 or at least 1, not {recipe.loss_scale:g}")
    if recipe.intervals and recipe.flip_test and recipe.flip_shift:
        raise InputError(
            f"{where}: with intervals mirrored maps lie right; set flip_shift to 0, not {recipe.flip_shift:g}"
        )
    if not recipe.stage_modules:
        raise InputError(f"{where}: stage_modules takes at least one value")
    halvings = len(recipe.stage_modules) if recipe.network == "hrnet" else recipe.depth
    if recipe.network == "hourglass" and recipe.width < 4:
        raise InputError(f"{where}: an hourglass needs a width of at least 4, not {recipe.width}")
    if halvings > MOST_HALVINGS:
        raise InputError(f"{where}: {halvings} halvings of the maps are too many; at most {MOST_HALVINGS} can be")
    multiple = 4 * 2**halvings  # the stem halves twice
    if recipe.heatmap_size < SMALLEST_MAP:
        raise InputError(f"{where}: heatmap_size must be at least {SMALLEST_MAP}, not {recipe.heatmap_size}")
    if recipe.input_size % multiple or recipe.heatmap_size * 4 != recipe.input_size:
        raise InputError(
            f"{where}: this {recipe.network} needs an input_size that is a multiple of {multiple} and "
            f"heatmap_size = input_size / 4, not {recipe.input_size} and {recipe.heatmap_size}"
        )
