"""Degraded test data: blur, JPEG compression, darkness, occlusion, inaccurate boxes.

Each is a data set whose images or boxes are changed when they are read, so it works wherever a data set does. A change
is a pure function of (kind, strength, seed, row).
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from posekit.bars import progress_bar
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.images import decode_image
from posekit.evaluation.compare import Estimate, estimate_rates, image_of
from posekit.evaluation.metrics import normalised_distances
from posekit.inference.predictors import Predictor, predict_dataset

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]  # changes the box's pixels (h, w, 3) uint8

_WIDE = 4.0  # pixels; with a larger σ the blur is computed on a smaller picture
_LOOKED_AT = 256  # pixels; longest side at which a JPEG is stored


def blur(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian with σ = `strength` × the longer side."""
    if not strength:
        return pixels
    (height, width), sigma = pixels.shape[:2], strength * max(pixels.shape[:2])
    shrink = min(1.0, _WIDE / sigma)  # a wide blur leaves only coarse structure, so this loses nothing and is faster
    blurred = cv2.GaussianBlur(_resized(pixels, shrink), (0, 0), sigma * shrink)
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)


def _resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def jpeg(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Compress as JPEG of quality 100 - `strength`, at about the size of a network's input."""
    if not strength:
        return pixels
    height, width = pixels.shape[:2]
    small = _resized(pixels, min(1.0, _LOOKED_AT / max(height, width)))
    bgr, quality = cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, round(100 - strength)]
    stored = decode_image(cv2.imencode(".jpg", bgr, quality)[1].tobytes(), "a picture stored as JPEG")
    return cv2.resize(stored, (width, height), interpolation=cv2.INTER_LINEAR)


def darkness(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Scale brightness by 1 - `strength` and add noise with σ = 4 (of 255), like a camera at night."""
    if not strength:
        return pixels
    noise = 4 * rng.standard_normal(pixels.shape, np.float32)
    return np.clip((1 - strength) * pixels + noise + 0.5, 0, 255).astype(np.uint8)


def occlusion(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Cover a share `strength` of the box's area with a grey square at a random place."""
    height, width = pixels.shape[:2]
    side = round(np.sqrt(strength * height * width))
    tall, wide = min(side, height), min(side, width)
    top, left = (int(rng.integers(0, free + 1)) for free in (height - tall, width - wide))
    covered = pixels.copy()
    covered[top : top + tall, left : left + wide] = 128
    return covered


CHANGES: dict[str, Change] = {"blur": blur, "JPEG": jpeg, "darkness": darkness, "occlusion": occlusion}
BOX_JITTER = "box jitter"
# The strengths to test, from none to strong, and what the numbers mean.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (0, 0.01, 0.02, 0.04),
    "JPEG": (0, 70, 85, 95),
    "darkness": (0, 0.5, 0.75, 0.9),
    "occlusion": (0, 0.05, 0.1, 0.2),
    BOX_JITTER: (0, 0.05, 0.1, 0.2),
}
UNITS = {
    "blur": "σ / side of the box",
    "JPEG": "100 − quality",
    "darkness": "share of light lost",
    "occlusion": "share of the box covered",
    BOX_JITTER: "σ of shift and scale / side",
}


def changed(dataset: PoseDataset, kind: str, strength: float, seed: int = 0) -> PoseDataset:
    """Return the data set with one change: a key of CHANGES, applied to the pixels in each box, or BOX_JITTER.

    Labels stay the same. BOX_JITTER imitates a detector: it shifts each box by N(0, `strength`) × its side along both
    axes and scales it by exp(N(0, `strength`)).
    """
    if kind == BOX_JITTER:
        return _jittered(dataset, strength, seed)

    def read_bytes(row: int) -> bytes:
        image = decode_image(dataset.read_bytes(row), dataset.where(row))
        left, top, right, bottom = dataset.window(row, image.shape)
        inside = image[top:bottom, left:right]
        if inside.size:
            rng = np.random.default_rng((seed, row))
            image[top:bottom, left:right] = CHANGES[kind](np.ascontiguousarray(inside), strength, rng)
        return cv2.imencode(".bmp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()  # the fastest format to encode

    return replace(dataset, read_bytes=read_bytes)


def _jittered(dataset: PoseDataset, strength: float, seed: int) -> PoseDataset:
    rng = np.random.default_rng(seed)
    shift = strength * rng.standard_normal((len(dataset), 2)) * dataset.box_size[:, None]
    growth = np.exp(strength * rng.standard_normal(len(dataset)))
    return replace(
        dataset,
        center=(dataset.center + shift).astype(np.float32),
        box_size=(dataset.box_size * growth).astype(np.float32),
        box=None if dataset.box is None else (dataset.box * growth[:, None]).astype(np.float32),
    )


def robustness(
    predictor: Predictor, dataset: PoseDataset, threshold: float, seed: int = 0, progress: bool = True
) -> dict[str, dict[float, Estimate]]:
    """Measure PCK at `threshold` under each kind of change: kind -> strength -> estimate.

    All estimates use the same images and resamples, so their differences are paired.
    """
    images, counted = image_of(dataset.names), {"": dataset.visible}

    def measured(changed_set: PoseDataset) -> Estimate:
        predictions = predict_dataset(predictor, changed_set, progress=False)
        return estimate_rates(normalised_distances(dataset, predictions) <= threshold, counted, images)[""]

    untouched = measured(dataset)
    curves: dict[str, dict[float, Estimate]] = {kind: {} for kind in STRENGTHS}
    work = [(kind, strength) for kind, strengths in STRENGTHS.items() for strength in strengths]
    for kind, strength in progress_bar(work, desc="robustness", disable=not progress):
        curves[kind][strength] = measured(changed(dataset, kind, strength, seed)) if strength else untouched
    return curves
