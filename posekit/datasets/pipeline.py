"""The data pipeline: read, crop, augment, encode, batch, in MindSpore's worker threads.

What a sample looks like is a pure function of (seed, epoch, sample index): workers, ranks and interruptions change
nothing. A batch is made whole in one call, so Python is entered once a batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from posekit.datasets.dataset import PoseDataset, Sample
from posekit.geometry import compose, crop_matrix, fit_box, reduction, sides, transform_points, warp
from posekit.recipes import Recipe
from posekit.runtime import cores
from posekit.signals import restore_handlers


@dataclass(frozen=True)
class Crop:
    """A sample as the network sees it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, of the recipe's input_size
    keypoints: np.ndarray  # (K, 2) in input pixels
    visible: np.ndarray  # (K,) bool
    matrix: np.ndarray  # (2, 3) from image to input pixels


@dataclass(frozen=True)
class Augmentation:
    """One draw: how much to scale and turn the box and whether to mirror it."""

    scale: float = 1.0
    rotation: float = 0.0
    flip: bool = False


def _normal(rng: np.random.Generator, recipe: Recipe) -> tuple[float, float]:
    scale = np.clip(rng.standard_normal() * recipe.scale_factor, -recipe.scale_factor, recipe.scale_factor)
    limit = ROTATION_LIMITS["normal"] * recipe.rotation_factor
    return scale, np.clip(rng.standard_normal() * recipe.rotation_factor, -limit, limit)


def _uniform(rng: np.random.Generator, recipe: Recipe) -> tuple[float, float]:
    scale, rotation = rng.uniform(-1, 1, 2) * (recipe.scale_factor, recipe.rotation_factor)
    return scale, rotation


MOST_WORKERS = 16  # each holds a batch
# By how much a box is scaled and turned, drawn at random.
AUGMENT_SHAPES: dict[str, Callable[[np.random.Generator, Recipe], tuple[float, float]]] = {
    "normal": _normal,
    "uniform": _uniform,
}
ROTATION_LIMITS = {"normal": 2, "uniform": 1}  # of each, in units of the recipe's factor
# Whether an image gets random colours, by whether it is mirrored.
COLOR_JITTER: dict[str, Callable[[bool], bool]] = {
    "none": lambda flipped: False,
    "all": lambda flipped: True,
    "flipped": lambda flipped: flipped,
}


def draw_augmentation(recipe: Recipe, rng: np.random.Generator) -> Augmentation:
    """A random draw in the recipe's ranges; always takes the same number of random values."""
    scale, rotation = AUGMENT_SHAPES[recipe.augment_shape](rng, recipe)
    turns, flips = rng.random(2) < (recipe.rotation_probability, recipe.flip_probability)
    return Augmentation(1.0 + float(scale), float(rotation) if turns else 0.0, bool(flips))


def color_jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random hue, saturation, brightness and contrast as Stacked Hourglass draws them: (H, W, 3) uint8 -> the same.

    Hue turns by up to a fifth of the circle, saturation and contrast change by 0.5 to 1.5, brightness by up to 0.3 of
    the range; contrast is about each pixel's own mean of red, green and blue.
    """
    hue, brightness = rng.uniform(-1, 1, 2) * (0.2, 0.3)
    saturation, contrast = rng.uniform(0.5, 1.5, 2)
    # degrees, 0 to 1, 0 to 255; a hue of more than 360 degrees begins again
    hues, saturations, values = cv2.split(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2HSV))
    hsv = cv2.merge([hues + np.float32(hue % 1 * 360), np.minimum(saturations * np.float32(saturation), 1), values])
    mix = np.full((3, 4), (1 - contrast) / 3)  # from red, green, blue and 1
    mix[:, 3] = 255 * brightness
    mix[:, :3] += contrast * np.eye(3)
    rgb = cv2.transform(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), mix)
    return cv2.addWeighted(rgb, 1, rgb, 0, 0, dtype=cv2.CV_8U)  # rounded, 0 to 255


def crop(sample: Sample, recipe: Recipe, augmentation: Augmentation | None = None) -> Crop:
    """Cut the sample's box out as the recipe's input, augmented if asked."""
    a = augmentation or Augmentation()
    keypoints, visible, size = sample.keypoints, sample.visible, recipe.input_size
    if a.flip:
        order = list(sample.skeleton.flip_order)
        keypoints, visible = keypoints[order], visible[order]
    width = (sample.size or sample.image.shape[1::-1])[0] if a.flip else None
    box_width, box_height = fit_box(sample.box_size, sample.box, size)
    box = (box_width * a.scale, box_height * a.scale)
    matrix = crop_matrix(sample.center, box, size, a.rotation, width, recipe.intervals)
    shown = matrix if sample.enlarging is None else compose(matrix, sample.enlarging)
    image = warp(sample.image, shown, size, recipe.shrinking == "means")
    return Crop(image, transform_points(matrix, keypoints), visible, matrix)


def read_crop(dataset: PoseDataset, index: int, recipe: Recipe, rng: np.random.Generator | None = None) -> Crop:
    """Read a sample's crop, augmented if there is an `rng`, decoding no more pixels than it shows."""
    augmentation = draw_augmentation(recipe, rng) if rng else Augmentation()
    width, _ = fit_box(dataset.box_size[index], None if dataset.box is None else dataset.box[index], recipe.input_size)
    shrinks = float(width) * augmentation.scale / (sides(recipe.input_size)[0] - recipe.intervals)
    times = reduction(shrinks) if recipe.shrinking == "means" else 1
    cut = crop(dataset.sample(index, times), recipe, augmentation)
    return _colored(cut, recipe, augmentation, rng) if rng else cut


def augmented_crop(sample: Sample, recipe: Recipe, rng: np.random.Generator) -> Crop:
    """The sample as a training with this recipe would see it, drawn with `rng`."""
    augmentation = draw_augmentation(recipe, rng)
    return _colored(crop(sample, recipe, augmentation), recipe, augmentation, rng)


def _colored(cut: Crop, recipe: Recipe, augmentation: Augmentation, rng: np.random.Generator) -> Crop:
    """The crop with random colours, where the recipe has them for such an augmentation."""
    if COLOR_JITTER[recipe.color_jitter](augmentation.flip):
        cut = replace(cut, image=color_jitter(cut.image, rng))
    return cut


def normalise(images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32, (value / 255 - mean) / std; looked up, as values are so few."""
    scale = (1 / (255 * np.array(recipe.std))).astype(np.float32)
    shift = (np.array(recipe.mean) / np.array(recipe.std)).astype(np.float32)
    table = np.ascontiguousarray((np.arange(256, dtype=np.uint8)[:, None] * scale - shift).T)  # (3, 256)
    found = np.empty((len(images), 3, *images.shape[1:3]), np.float32)
    for image, out in zip(images, found, strict=True):
        for channel, values, plane in zip(cv2.split(np.ascontiguousarray(image)), table, out, strict=True):
            cv2.LUT(channel, values, dst=plane)
    return found


class TrainingBatches:
    """Batch number -> (images (B, 3, H, W), heatmaps (B, K, h, w), weights (B, K)) of one epoch, or what is left of it
    after `done` updates.

    The order is a permutation by (seed, epoch). The last update is filled up from the epoch's start, so every sample is
    seen and every batch is whole; `recipe.accumulate` batches of each rank make an update. An update's batches go to
    the ranks in turn, so that ranks together see what one rank sees that accumulates as many.
    """

    def __init__(
        self, dataset: PoseDataset, recipe: Recipe, epoch: int, done: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.dataset, self.recipe, self.epoch = dataset, recipe, epoch
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(dataset))
        images = recipe.update_images * ranks
        updates = np.resize(order, (steps_per_epoch(len(dataset), images), images))
        self.batches = updates[done:].reshape(-1, ranks, recipe.batch)[:, rank]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        crops = [self._crop(int(index)) for index in self.batches[number]]
        heatmaps, weights = self.recipe.codec.encode(
            np.stack([c.keypoints for c in crops]), np.stack([c.visible for c in crops])
        )
        return normalise(np.stack([c.image for c in crops]), self.recipe), heatmaps, weights

    def _crop(self, index: int) -> Crop:
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        return read_crop(self.dataset, index, self.recipe, rng)


class EvaluationBatches:
    """Batch number -> (images (B, 3, H, W), matrices (B, 2, 3), count): the split in order, unaugmented.

    The last batch is filled up with its last sample; only the first `count` are real.
    """

    def __init__(self, dataset: PoseDataset, recipe: Recipe, batch: int) -> None:
        self.dataset, self.recipe, self.batch = dataset, recipe, batch

    def __len__(self) -> int:
        return steps_per_epoch(len(self.dataset), self.batch)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.int32]:
        start = number * self.batch
        last = len(self.dataset) - 1
        rows = [min(start + i, last) for i in range(self.batch)]
        crops = [read_crop(self.dataset, row, self.recipe) for row in rows]
        images = normalise(np.stack([c.image for c in crops]), self.recipe)
        return images, np.stack([c.matrix for c in crops]), np.int32(min(self.batch, last + 1 - start))


def steps_per_epoch(samples: int, batch: int) -> int:
    """Batches of so many samples that hold all of them."""
    return -(-samples // batch)


class _Guard:
    """What MindSpore's worker threads call. Keeps their first error, which MindSpore turns into a long text of its own,
    and gives Ctrl-C back, which a pipeline has taken when it starts."""

    def __init__(self, batches: TrainingBatches | EvaluationBatches) -> None:
        self.batches, self.error = batches, None

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple:
        restore_handlers()
        try:
            return self.batches[int(number)]
        except Exception as error:
            self.error = self.error or error
            raise


def iterate(
    batches: TrainingBatches | EvaluationBatches, columns: tuple[str, ...], workers: int = MOST_WORKERS
) -> Iterator:
    """The batches in order as NumPy arrays, read ahead by a thread for each core, `workers` at most.

    Threads are enough: decoding, warping and arithmetic on whole batches leave Python's lock to the others.
    """
    import mindspore.dataset as ds  # here, so that scoring and drawing go without MindSpore

    guard = _Guard(batches)
    ds.config.set_prefetch_size(2)  # a row is a whole batch
    source = ds.GeneratorDataset(
        guard,
        list(columns),
        shuffle=False,
        num_parallel_workers=min(workers, len(cores())),  # MindSpore refuses more
        python_multiprocessing=False,
    )
    restore_handlers()  # a network's handler of Ctrl-C sends SIGTERM, which a pipeline that starts has taken
    try:
        yield from source.create_tuple_iterator(num_epochs=1, output_numpy=True)
    except RuntimeError as error:
        if "KeyboardInterrupt" in str(error):  # Ctrl-C while MindSpore was starting its threads
            raise KeyboardInterrupt from None
        if guard.error is None:
            raise
        raise guard.error from None


def training_iterator(
    dataset: PoseDataset, recipe: Recipe, epoch: int, done: int = 0, rank: int = 0, ranks: int = 1
) -> Iterator:
    """One epoch of a rank's (images, heatmaps, weights), or what is left of it after `done` updates."""
    return iterate(TrainingBatches(dataset, recipe, epoch, done, rank, ranks), ("images", "heatmaps", "weights"))


def evaluation_iterator(dataset: PoseDataset, recipe: Recipe, batch: int) -> Iterator:
    """The whole split once as (images, matrices, count)."""
    return iterate(EvaluationBatches(dataset, recipe, batch), ("images", "matrices", "count"))
