"""Bootstrap estimates of rates and their differences, for a data set and its parts.

Images are resampled, not keypoints: keypoints of one image are often right or wrong together, so resampling them one by
one would give intervals that are too narrow. Images of the same object or recording are correlated as well, so the real
uncertainty is at least as large as shown here. See Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13
(percentile intervals).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from posekit import bounds
from posekit.errors import InputError
from posekit.evaluation.metrics import Labels, normalised_distances
from posekit.predictions import Predictions
from posekit.skeletons import Skeleton

Part = TypeVar("Part", bound=Hashable)
DRAWS = 2000
LEVEL = 95  # confidence level of the intervals, percent
SIDEWAYS = 0.3  # share of an object's width in the picture; about that of a view at 45 degrees
_AT_ONCE = 4_000_000  # numbers per chunk of resamples


@dataclass(frozen=True)
class Estimate:
    """A rate, or a difference of rates, with its value on each resample.

    Differences of estimates that share resamples are paired.
    """

    value: float
    draws: np.ndarray  # (D,), NaN where nothing in the resample counts

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value - other.value, self.draws - other.draws)

    @property
    def interval(self) -> tuple[float, float]:
        """The middle LEVEL percent of the resamples, (low, high); NaN if nothing counts."""
        known = self.draws[~np.isnan(self.draws)]
        if not len(known):
            return float("nan"), float("nan")
        low, high = np.percentile(known, [50 - LEVEL / 2, 50 + LEVEL / 2])
        return float(low), float(high)

    @property
    def sure(self) -> bool:
        """For a difference: whether the interval excludes 0."""
        low, high = self.interval
        return low > 0 or high < 0

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} [{low:.2f}, {high:.2f}]"


def image_of(names: Sequence[str]) -> list[str]:
    """Return the image of each sample: its name, for people (`<imgname>:<row>`) without the row."""
    return [name.rsplit(":", 1)[0] for name in names]


def estimate_rates(
    right: np.ndarray, parts: Mapping[Part, np.ndarray], images: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> dict[Part, Estimate]:
    """Estimate the percentage of right keypoints in each part, on all images and on `draws` resamples of the images.

    right: (N, K) bool; parts: name -> which keypoints count in it, (N, K) bool; images: (N,) the image of each sample.
    Estimates with the same images, draws and seed use the same resamples, so their differences are paired.
    """
    counted = np.stack([part.sum(axis=1) for part in parts.values()], 1)  # (N, P)
    hits = np.stack([(part & right).sum(axis=1) for part in parts.values()], 1)
    _, image = np.unique(np.asarray(images), return_inverse=True)
    tallies = np.zeros((image.max() + 1, 2 * len(parts)))
    np.add.at(tallies, image, np.concatenate([hits, counted], axis=1))
    sums = np.concatenate([tallies.sum(axis=0, keepdims=True), _resampled_sums(tallies, draws, seed)])  # (1 + D, 2P)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 100 * sums[:, : len(parts)] / sums[:, len(parts) :]
    return {name: Estimate(float(rate[0, i]), rate[1:, i]) for i, name in enumerate(parts)}


def _resampled_sums(tallies: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the sums (D, C) of the tallies (G, C) over G images drawn with replacement, for each of D draws."""
    rng, count = np.random.default_rng(seed), len(tallies)
    chunk = max(1, _AT_ONCE // count)
    sizes = [min(chunk, draws - start) for start in range(0, draws, chunk)]
    return np.concatenate([rng.multinomial(count, np.full(count, 1 / count), size) @ tallies for size in sizes])


@dataclass(frozen=True)
class Line:
    """A part of a data set: its number of counted keypoints, and the rates of one or two prediction tables."""

    division: str
    part: str
    count: int
    first: Estimate
    second: Estimate | None = None

    @property
    def difference(self) -> Estimate | None:
        """The paired difference first - second; None if there is one table."""
        return self.first - self.second if self.second else None

    def as_dict(self) -> dict[str, object]:
        """Convert to a dict for JSON; each estimate becomes [value, low, high]."""
        estimates = {"first": self.first, "second": self.second, "difference": self.difference}
        known = {name: [e.value, *e.interval] for name, e in estimates.items() if e is not None}
        return {"division": self.division, "part": self.part, "count": self.count, **known}


def compare(
    labels: Labels,
    skeleton: Skeleton,
    threshold: float,
    first: Predictions,
    second: Predictions | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Line]:
    """Compute the PCK of one table, or of two and their difference, over all images and over each part of `divisions`.

    A keypoint is right if its distance is at most `threshold`, in units of the plain protocol. Raises InputError if a
    table and the labels name different samples, and for a threshold or draws out of range.
    """
    if not 0 <= threshold <= bounds.LARGEST_NUMBER:
        raise InputError(f"threshold must be from 0 to {bounds.LARGEST_NUMBER:,.0f}, not {threshold:g}")
    if not 1 <= draws <= bounds.MOST_DRAWS:
        raise InputError(f"draws must be from 1 to {bounds.MOST_DRAWS:,}, not {draws}")
    parts = {
        (division, part): counted
        for division, some in divisions(labels, skeleton).items()
        for part, counted in some.items()
        if counted.any()
    }
    images, estimates = image_of(labels.names), []
    for predictions in (first, second):
        if predictions is not None:
            right = normalised_distances(labels, predictions) <= threshold
            estimates.append(estimate_rates(right, parts, images, draws, seed))
    return [
        Line(division, part, int(parts[division, part].sum()), *(table[division, part] for table in estimates))
        for division, part in parts
    ]


def divisions(labels: Labels, skeleton: Skeleton) -> dict[str, dict[str, np.ndarray]]:
    """Divide a data set in several ways: name -> part -> which keypoints count in it, (N, K) bool.

    By visibility (hidden keypoints with coordinates are a separate part, even if PCK leaves them out), by the size of
    the object (thirds of the images), by viewpoint, where there are several, and by keypoint.
    """
    counted, hidden = labels.visible, labels.hidden
    unit = np.asarray(labels.unit, float)
    small, large = np.quantile(unit, [1 / 3, 2 / 3])
    third = (unit > small).astype(int) + (unit > large)
    sizes = (f"small, up to {small:.0f} px", f"medium, up to {large:.0f} px", "large")
    facing = viewpoints(labels, skeleton)
    sides = [name for name in ("front", "side", "back") if (facing == name).any()]
    one = np.eye(skeleton.num_keypoints, dtype=bool)
    found = {
        "all": {"all": counted},
        "visibility": {"seen": counted & ~hidden, "hidden": hidden},
        "size": {name: counted & (third == i)[:, None] for i, name in enumerate(sizes)},
        "viewpoint": {name: counted & (facing == name)[:, None] for name in sides if len(sides) > 1},
        "keypoint": {name: counted & one[k] for k, name in enumerate(skeleton.keypoints)},
    }
    return {division: parts for division, parts in found.items() if parts}


def viewpoints(labels: Labels, skeleton: Skeleton) -> np.ndarray:
    """Derive from the labels which side of each object the camera sees: (N,) "front", "side" or "back".

    In a front view, an object's left keypoints are to the right of their partners; in a back view to the left. In a
    side view, partners are close to each other or one above the other. So the mean horizontal distance from right to
    left partner is divided by the width of all keypoints: above SIDEWAYS is front, below -SIDEWAYS is back. Without
    pairs all are "side".
    """
    pairs = [(a, b) if skeleton.sides[a] == "left" else (b, a) for a, b in skeleton.flip_pairs]
    left, right = ([pair[i] for pair in pairs] for i in (0, 1))
    x = np.where(labels.visible | labels.hidden, labels.keypoints[..., 0], np.nan)
    step = x[:, left] - x[:, right]
    known = ~np.isnan(step)
    mean = np.where(known, step, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    share = mean / np.maximum(np.nan_to_num(np.fmax.reduce(x, axis=1) - np.fmin.reduce(x, axis=1)), 1e-9)
    return np.select([share > SIDEWAYS, share < -SIDEWAYS], ["front", "back"], "side")
