"""Everything that says how a network is trained and used, as one frozen dataclass, and the recipes by name.

`poseestnet` is the seed's own (MindSpore ModelZoo, PAMTRI/PoseEstNet). The smaller ones change sizes and schedule so
that two cores can train them.
"""

from dataclasses import dataclass, replace

from posekit.codecs import Codec
from posekit.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """One training, whole. Sizes are in pixels, angles in degrees, sigma in heatmap cells."""

    name: str
    skeleton: str = "vehicle36"
    dataset: str = "veri"
    # network
    network: str = "hrnet"
    width: int = 32  # channels of HRNet's finest branch, or of the hourglasses
    stem_width: int = 64
    layer1_block: str = "bottleneck"  # or "basic"
    layer1_blocks: int = 4
    stage_modules: tuple[int, ...] = (1, 4, 3)  # modules in stage 2, 3, …: a stage adds a branch
    branch_blocks: int = 4  # BasicBlocks a branch in a module
    head_bias: bool = False  # the original has one; the seed's MindSpore default drops it
    stacks: int = 2  # hourglasses in a row
    depth: int = 4  # halvings in an hourglass
    unused_skips: bool = False  # Stacked Hourglass's seed builds shortcut convolutions that it never uses
    # input and target
    input_size: int = 256
    heatmap_size: int = 64
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of RGB in 0–1, ImageNet's
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    sigma: float = 2.0
    target_centre: str = "round"
    supervise_missing: bool = False
    intervals: bool = False  # crop and target count intervals between pixels, size - 1, not pixels (UDP)
    # augmentation
    scale_factor: float = 0.25  # scale 1 ± this
    rotation_factor: float = 30.0  # degrees
    augment_shape: str = "normal"  # σ = factor, cut at 1 σ (scale) and 2 σ (rotation); or uniform: ± factor
    rotation_probability: float = 0.6
    flip_probability: float = 0.5
    color_jitter: str = "none"  # none, all, or flipped: only images that are mirrored, as Stacked Hourglass's seed
    # loss and optimiser
    loss_factor: float = 0.5 * 36**3  # times the sum over keypoints of the weighted mean squared error
    learning_rate: float = 1e-3  # of the whole update, however many devices and batches share it
    weight_decay: float = 1e-4
    decayed: str = "weights+biases"  # of convolutions, as MindSpore's Adam does; weights; or all, BatchNorm's too
    schedule: str = "step"  # step, exponential or cosine
    milestones: tuple[int, ...] = (170, 200)  # epochs at which "step" multiplies the rate by decay_factor
    decay_factor: float = 0.1  # of "step" at each milestone, of "exponential" each epoch
    warmup_epochs: float = 0.0
    clip_norm: float = 0.0  # longest that the gradient, over all weights, may be; 0: any length
    ema: float = 0.0  # how much of the weights' running average an update keeps, which is then tested; 0: no average
    amp: str = "O0"  # mixed precision, as mindspore.amp names it, where the device has it; the loss is always fp32
    loss_scale: float = 0.0  # that dynamic loss scaling begins with; 0: none
    loss_scale_window: int = 2000  # updates without overflow after which the scale doubles
    epochs: int = 210
    batch: int = 32  # images that a device takes at once, over which BatchNorm normalises
    accumulate: int = 1  # batches whose gradients are averaged for one update
    seed: int = 0
    # evaluation
    offset: str = "quarter"  # sub-cell decoding: none, quarter, forced, dark or udp
    flip_test: bool = True
    flip_shift: float = 1.0  # cells by which the mirrored image's heatmap is moved right before averaging
    validate_every: int = 5  # epochs
    validation_threshold: float = 0.1  # of the PCK during training, in units of the data set's reference length
    # the data made when none is given: images to train and to test with
    synthetic_train: int = 8000
    synthetic_test: int = 1000

    @property
    def codec(self) -> Codec:
        """The codec that encodes this recipe's targets and decodes its heatmaps."""
        return Codec(
            self.input_size, self.heatmap_size, self.sigma, self.target_centre, self.supervise_missing, self.offset,
            self.intervals,
        )  # fmt: skip

    @property
    def update_images(self) -> int:
        """Images of one update on one device."""
        return self.batch * self.accumulate


POSEESTNET = Recipe(name="poseestnet")

SMOKE = replace(
    POSEESTNET,
    name="poseestnet-smoke",
    width=16, stem_width=16, layer1_block="basic", layer1_blocks=2, stage_modules=(1, 1), branch_blocks=2,
    input_size=96, heatmap_size=24, sigma=1.5, target_centre="exact", offset="dark",
    scale_factor=0.15, rotation_factor=10.0, rotation_probability=0.3,
    learning_rate=5e-3, weight_decay=0.0, loss_factor=1.0, schedule="cosine", warmup_epochs=0.5,
    epochs=6, batch=8, validate_every=3, flip_shift=0.75,
    synthetic_train=1500, synthetic_test=300,
)  # fmt: skip

LAPTOP = replace(
    SMOKE,
    name="poseestnet-laptop",
    width=18, stem_width=32, layer1_blocks=2, stage_modules=(1, 1, 1),
    input_size=128, heatmap_size=32, learning_rate=2e-3, warmup_epochs=1.0,
    epochs=15, batch=16, validate_every=2, synthetic_train=4000, synthetic_test=500,
)  # fmt: skip

TINY = replace(
    SMOKE,
    name="poseestnet-tiny",
    width=8, stem_width=8, layer1_blocks=1, stage_modules=(1,), branch_blocks=1,
    input_size=64, heatmap_size=16, learning_rate=2e-3, warmup_epochs=1.0,
    epochs=2, batch=4, validate_every=1, synthetic_train=24, synthetic_test=12,
)  # fmt: skip

HOURGLASS = Recipe(
    name="hourglass",
    skeleton="person16", dataset="mpii", network="hourglass",
    width=256, stacks=2, depth=4, unused_skips=True,
    mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), sigma=1.0, target_centre="truncate", supervise_missing=True,
    augment_shape="uniform", rotation_probability=1.0, color_jitter="flipped",
    loss_factor=1 / 16, weight_decay=0.0, schedule="exponential", decay_factor=0.985, epochs=100, batch=32,
    amp="O2", loss_scale=2.0**16,
    offset="forced", flip_shift=0.0, validation_threshold=0.5,
)  # fmt: skip

HOURGLASS_SMOKE = replace(
    HOURGLASS,
    name="hourglass-smoke",
    width=48, stacks=2, depth=2, unused_skips=False,
    input_size=96, heatmap_size=24, sigma=1.5, target_centre="exact", supervise_missing=False, offset="dark",
    scale_factor=0.1, rotation_factor=5.0, color_jitter="none",
    learning_rate=1e-2, loss_factor=1.0, schedule="cosine", warmup_epochs=0.3, amp="O0", loss_scale=0.0,
    epochs=7, batch=8, validate_every=4, flip_shift=0.75,
    synthetic_train=1500, synthetic_test=300,
)  # fmt: skip

HOURGLASS_LAPTOP = replace(
    HOURGLASS_SMOKE,
    name="hourglass-laptop",
    width=64, depth=4, input_size=128, heatmap_size=32, scale_factor=0.15, rotation_factor=15.0,
    epochs=18, batch=16, validate_every=2, synthetic_train=4000, synthetic_test=500,
)  # fmt: skip

HOURGLASS_TINY = replace(
    HOURGLASS_SMOKE,
    name="hourglass-tiny",
    width=16, depth=1, input_size=64, heatmap_size=16, learning_rate=3e-3, warmup_epochs=1.0,
    epochs=2, batch=4, validate_every=1, synthetic_train=24, synthetic_test=12,
)  # fmt: skip

RECIPES = {
    recipe.name: recipe
    for recipe in (
        POSEESTNET, LAPTOP, SMOKE, TINY, HOURGLASS, HOURGLASS_LAPTOP, HOURGLASS_SMOKE, HOURGLASS_TINY,
    )
}  # fmt: skip


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; InputError lists the names there are."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
