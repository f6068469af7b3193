"""Everything that says how a network is trained and used, as one frozen dataclass, and the recipes by name.

`poseestnet` and `hourglass` have the values of the originals (MindSpore ModelZoo: PAMTRI/PoseEstNet, Stacked
Hourglass). The smaller ones change sizes and schedule so that two cores can train them.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, replace

from posekit.codecs import Codec
from posekit.errors import InputError, shown
from posekit.fields import check, setting, written
from posekit.geometry import sides
from posekit.skeletons import FROM_DATA, SKELETONS, Skeleton


@dataclass(frozen=True)
class Recipe:
    """One training, whole. Each field says here, once, what it is and what it takes.

    Raises InputError, however it is made, when a value isn't one that its field takes, or doesn't go with another.
    """

    name: str = setting(MISSING, "what the recipe is called", length=(1, 100))
    skeleton: str | Skeleton = setting(
        "vehicle36",
        "keypoints that the network finds: a name, or data for those of the data set, which model files then carry",
        choices=(*SKELETONS, FROM_DATA),
    )
    dataset: str = setting("veri", "layout of the data set", choices=("veri", "mpii", "coco"))
    flip_pairs: str = setting(
        "names", "COCO: left/right pairs, found in the keypoints' names; or none; or a:b,c:d", length=(1, 10_000)
    )
    validation: str = setting(
        "split",
        "what validates in training: the layout's own split, as in the originals, or a share of the training images",
        choices=("split", "share"),
    )
    validation_share: float = setting(
        0.2, "share of the images that validate: with validation=share, and of a COCO file without splits", 0.001, 0.999
    )
    validation_seed: int = setting(0, "random seed by which those images are chosen", 0, 2**32 - 1)
    # network
    network: str = setting("hrnet", "architecture", choices=("hrnet", "hourglass"))
    width: int = setting(32, "channels of HRNet's finest branch, or of every hourglass", 1, 4096)
    stem_width: int = setting(64, "HRNet: channels of the first two convolutions", 1, 4096)
    layer1_block: str = setting(
        "bottleneck", "HRNet: kind of residual block in stage 1", choices=("bottleneck", "basic")
    )
    layer1_blocks: int = setting(4, "HRNet: residual blocks in stage 1", 1, 100)
    stage_modules: tuple[int, ...] = setting(
        (1, 4, 3), "HRNet: modules in stages 2, 3, …; each stage adds a branch", 1, 100, length=(1, 10)
    )
    branch_blocks: int = setting(4, "HRNet: residual blocks in each branch of a module", 1, 100)
    head_bias: bool = setting(False, "HRNet: give the last convolution a bias, as the PyTorch original does")
    stacks: int = setting(2, "Stacked Hourglass: hourglasses in sequence", 1, 64)
    depth: int = setting(4, "Stacked Hourglass: how often an hourglass halves its maps", 1, 10)
    unused_skips: bool = setting(
        False, "Stacked Hourglass: build the shortcut convolutions that the original has but never uses"
    )
    # input and target
    input_size: int | tuple[int, int] = setting(
        256, "side of the network's square input, or its width and height", 16, 4096, "pixels"
    )
    heatmap_size: int | tuple[int, int] = setting(
        64, "side of a heatmap, or its width and height, a quarter of input_size", 4, 1024, "cells"
    )
    shrinking: str = setting(
        "samples",
        "what a crop that shrinks its image by 2 or more samples: single pixels, as the originals, or means of 2 × 2, "
        "4 × 4 or 8 × 8, for which large JPEGs are decoded faster",
        choices=("samples", "means"),
    )
    mean: tuple[float, ...] = setting(
        (0.485, 0.456, 0.406),
        "mean of red, green and blue in 0–1, which is subtracted from the input",
        -1000,
        1000,
        length=(3, 3),
    )
    std: tuple[float, ...] = setting(
        (0.229, 0.224, 0.225),
        "standard deviation of red, green and blue, which divides the input",
        1e-6,
        1000,
        length=(3, 3),
    )
    sigma: float = setting(2.0, "standard deviation of the Gaussian in a target heatmap", 0.1, 100, "cells")
    target_centre: str = setting(
        "round",
        "centre of a target's Gaussian: round to the nearest cell, truncate towards cell 0, or exactly the keypoint",
        choices=("round", "truncate", "exact"),
    )
    supervise_missing: bool = setting(
        False, "train keypoints without a target towards an empty heatmap; false ignores them"
    )
    intervals: bool = setting(False, "measure sizes as intervals between pixels, size - 1, as UDP does")
    # augmentation
    scale_factor: float = setting(0.25, "random scale of a training image: 1 ± this", 0, 0.99)
    rotation_factor: float = setting(30.0, "random rotation of a training image: ± this", 0, 180, "degrees")
    augment_shape: str = setting(
        "normal",
        "draw of scale and rotation: normal (sigma is the factor; cut at 1 sigma for scale, 2 for rotation) or uniform",
        choices=("normal", "uniform"),
    )
    rotation_probability: float = setting(0.6, "probability that a training image is rotated", 0, 1)
    flip_probability: float = setting(0.5, "probability that a training image is mirrored", 0, 1)
    color_jitter: str = setting(
        "none",
        "training images that get random colours; flipped: only mirrored ones, as in the original Stacked Hourglass",
        choices=("none", "all", "flipped"),
    )
    # loss and optimiser
    loss_factor: float = setting(
        0.5 * 36**3, "multiplies the sum over keypoints of the weighted mean squared error", 1e-12, 1e50
    )
    learning_rate: float = setting(
        1e-3, "highest learning rate; of a whole update, however many devices and batches share it", 1e-12, 1e30
    )
    weight_decay: float = setting(1e-4, "strength of Adam's weight decay", 0, 1000)
    decayed: str = setting(
        "weights+biases",
        "parameters that decay: convolutions' weights, also their biases (as MindSpore's Adam does), or all",
        choices=("weights", "weights+biases", "all"),
    )
    schedule: str = setting("step", "how the learning rate falls", choices=("step", "exponential", "cosine"))
    milestones: tuple[int, ...] = setting(
        (170, 200),
        "epochs after which the step schedule multiplies the learning rate by decay_factor",
        0,
        100_000,
        length=(0, 100),
    )
    decay_factor: float = setting(
        0.1, "multiplies the learning rate at each milestone (step) or after each epoch (exponential)", 1e-6, 1
    )
    warmup_epochs: float = setting(0.0, "epochs in which the learning rate rises linearly at the start", 0, 100_000)
    clip_norm: float = setting(
        0.0, "longest gradient over all weights; longer ones are shortened to it; 0 turns this off", 0, 1e30
    )
    ema: float = setting(
        0.0,
        "share that the weights' running average keeps at each update; the average is tested; 0 turns this off",
        0,
        0.999999,
    )
    amp: str = setting(
        "O0",
        "MindSpore's level of mixed precision, for GPU and Ascend; the loss is always fp32",
        choices=("O0", "O2", "O3", "auto"),
    )
    loss_scale: float = setting(0.0, "first factor of dynamic loss scaling; 0 turns it off", 0, 1e38)
    loss_scale_window: int = setting(2000, "updates without overflow after which the loss scale doubles", 1, 1_000_000)
    epochs: int = setting(210, "passes over the training images", 1, 100_000)
    batch: int = setting(32, "images per batch on each device; BatchNorm normalises over them", 1, 65_536)
    accumulate: int = setting(1, "batches whose gradients are averaged for one update", 1, 65_536)
    seed: int = setting(0, "random seed of weights, order and augmentation", 0, 2**32 - 1)
    # evaluation
    offset: str = setting(
        "quarter",
        "step from the highest cell to the keypoint: none, a quarter cell (forced: always), or a Taylor step",
        choices=("none", "quarter", "forced", "dark", "udp"),
    )
    flip_test: bool = setting(True, "average each heatmap with that of the mirrored image")
    flip_shift: float = setting(
        1.0, "shift of the mirrored image's heatmap to the right before averaging", 0, 64, "cells"
    )
    validate_every: int = setting(5, "epochs from one validation to the next", 1, 100_000)
    validation_threshold: float = setting(
        0.1, "threshold of the PCK during training, in units of the data set's reference length", 1e-6, 1000
    )
    # what a training writes into its model file
    trained_on: str = setting(
        "unknown", "pictures that the network has seen; a training says it", choices=("unknown", "drawings", "other")
    )
    sure: float = setting(
        0.0, "score from which most keypoints of the validation images were right; a training says it", 0, 1e30
    )
    # the data made when none is given
    synthetic_train: int = setting(8000, "training images to draw when no data set is given", 1, 1_000_000)
    synthetic_test: int = setting(1000, "test images to draw when no data set is given", 1, 1_000_000)
    drawing: str = setting(
        "plain",
        "how they are drawn: plain, or varied as far as possible, to help with photographs",
        choices=("plain", "varied"),
    )

    def __post_init__(self) -> None:
        check(self)
        for name in ("input_size", "heatmap_size"):  # a square has one form
            width, height = sides(getattr(self, name))
            object.__setattr__(self, name, width if width == height else (width, height))
        _check_together(self)

    @property
    def codec(self) -> Codec:
        """The codec that encodes this recipe's targets and decodes its heatmaps."""
        return Codec(
            self.input_size, self.heatmap_size, self.sigma, self.target_centre, self.supervise_missing, self.offset,
            self.intervals,
        )  # fmt: skip

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an input."""
        width, height = sides(self.input_size)
        return 3, height, width

    @property
    def heatmap_shape(self) -> tuple[int, int]:
        """Height and width of a heatmap."""
        width, height = sides(self.heatmap_size)
        return height, width

    @property
    def update_images(self) -> int:
        """Images of one update on one device."""
        return self.batch * self.accumulate


# How often each network halves its maps after the stem, which halves twice.
HALVINGS: dict[str, Callable[[Recipe], int]] = {
    "hrnet": lambda recipe: len(recipe.stage_modules),
    "hourglass": lambda recipe: recipe.depth,
}


def _check_together(recipe: Recipe) -> None:
    """Raise InputError for values that don't go with each other."""
    multiple = 4 * 2 ** HALVINGS[recipe.network](recipe)
    pairs = zip(sides(recipe.input_size), sides(recipe.heatmap_size), strict=True)
    if any(side % multiple or cells * 4 != side for side, cells in pairs):
        raise InputError(
            f"this {recipe.network} needs an input_size that is a multiple of {multiple} and "
            f"heatmap_size = input_size / 4, not {written(recipe.input_size)} and {written(recipe.heatmap_size)}"
        )
    if recipe.network == "hourglass" and recipe.width < 4:
        raise InputError(f"an hourglass needs a width of at least 4, not {recipe.width}")
    if list(recipe.milestones) != sorted(recipe.milestones):
        raise InputError(f"milestones must be in ascending order, not {shown(recipe.milestones)}")
    if 0 < recipe.loss_scale < 1:
        raise InputError(f"loss_scale must be 0 or at least 1, not {recipe.loss_scale:g}")
    if recipe.intervals and recipe.flip_test and recipe.flip_shift:
        raise InputError(f"with intervals mirrored maps need no shift; set flip_shift to 0, not {recipe.flip_shift:g}")


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

QUICK = replace(SMOKE, name="poseestnet-quick", epochs=4, validate_every=2, synthetic_train=400, synthetic_test=160)

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
    shrinking="means", augment_shape="uniform", rotation_probability=1.0, color_jitter="flipped",
    loss_factor=1 / 16, weight_decay=0.0, schedule="exponential", decay_factor=0.985, epochs=100, batch=32,
    amp="O2", loss_scale=2.0**16,
    offset="forced", flip_shift=0.0, validation_threshold=0.5,
)  # fmt: skip

HOURGLASS_SMOKE = replace(
    HOURGLASS,
    name="hourglass-smoke",
    width=48, stacks=2, depth=2, unused_skips=False,
    input_size=96, heatmap_size=24, sigma=1.5, target_centre="exact", supervise_missing=False, offset="dark",
    shrinking="samples", scale_factor=0.1, rotation_factor=5.0, color_jitter="none",
    learning_rate=1e-2, loss_factor=1.0, schedule="cosine", warmup_epochs=0.3, amp="O0", loss_scale=0.0,
    epochs=7, batch=8, validate_every=4, flip_shift=0.75,
    synthetic_train=1500, synthetic_test=300,
)  # fmt: skip

HOURGLASS_QUICK = replace(
    HOURGLASS_SMOKE, name="hourglass-quick", epochs=4, validate_every=2, synthetic_train=400, synthetic_test=160
)

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

PHOTOS = replace(
    LAPTOP,
    name="poseestnet-photos",
    width=16, epochs=8,
    drawing="varied", shrinking="means",
    scale_factor=0.25, rotation_factor=20.0, rotation_probability=0.6, color_jitter="all",
    ema=0.995, batch=8, validation="share", validation_share=0.1,
)  # fmt: skip

HOURGLASS_PHOTOS = replace(
    HOURGLASS_LAPTOP,
    name="hourglass-photos",
    width=96, stacks=1, drawing="varied", shrinking="means", scale_factor=0.3, rotation_factor=35.0, color_jitter="all",
    ema=0.995, epochs=16, batch=8, warmup_epochs=1.0, validation="share", validation_share=0.1,
    synthetic_train=7000,
)  # fmt: skip

RECIPES = {
    recipe.name: recipe
    for recipe in (
        POSEESTNET, LAPTOP, SMOKE, QUICK, TINY, PHOTOS,
        HOURGLASS, HOURGLASS_LAPTOP, HOURGLASS_SMOKE, HOURGLASS_QUICK, HOURGLASS_TINY, HOURGLASS_PHOTOS,
    )
}  # fmt: skip

SAID = ("trained_on", "sure")  # fields that a training sets in the model file that it makes
# What to say of predictions, by what the network was trained on.
CAVEATS = {
    "drawings": "this model has seen drawn pictures only; in photographs it finds far less: hourglass-photos found "
    "87 % of the joints of drawn people, and 37 % in 190 photographs (docs/results.md)",
}
PURPOSES = {
    "poseestnet": "PoseEstNet as published: HRNet-W32, 36 keypoints of vehicles; for GPU and Ascend",
    "poseestnet-laptop": "a smaller PoseEstNet, which trains in 1½ hours on two CPU cores",
    "poseestnet-smoke": "the smallest that learns: 3 minutes on two CPU cores",
    "poseestnet-quick": "poseestnet-smoke cut short, to see a training work: half a minute, and 65 % instead of 92 %",
    "poseestnet-tiny": "for tests: seconds, and it learns next to nothing",
    "poseestnet-photos": "poseestnet-laptop for photographs: varied drawings, more augmentation; an hour on two cores",
    "hourglass": "Stacked Hourglass as published: two stacks, 16 joints of people; for GPU and Ascend",
    "hourglass-laptop": "a smaller Stacked Hourglass, which trains in 1½ hours on two CPU cores",
    "hourglass-smoke": "the smallest that learns: 4 minutes on two CPU cores",
    "hourglass-quick": "hourglass-smoke cut short, to see a training work: half a minute, and 64 % instead of 81 %",
    "hourglass-tiny": "for tests: seconds, and it learns next to nothing",
    "hourglass-photos": "an hourglass for photographs: varied drawings, more augmentation; an hour on two cores",
}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; InputError lists the names there are."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {shown(name)}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
