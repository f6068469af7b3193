"""Intervals against closed forms, another implementation and their coverage; parts of a data set by hand."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner
from veri_files import write_veri

from posekit.cli import main as cli
from posekit.errors import InputError
from posekit.evaluation.compare import compare, divisions, estimate_rates, image_of, viewpoints
from posekit.layouts.veri import read_labels
from posekit.predictions import Predictions, write_predictions
from posekit.skeletons import PERSON, VEHICLE, Skeleton


@dataclass(frozen=True)
class Labels:
    names: list[str]
    keypoints: np.ndarray
    visible: np.ndarray
    hidden: np.ndarray
    unit: np.ndarray


def some_labels(count: int, skeleton: Skeleton = VEHICLE, seed: int = 0) -> Labels:
    rng, shape = np.random.default_rng(seed), (count, skeleton.num_keypoints)
    visible = rng.random(shape) < 0.7
    names = [f"{i:05d}.jpg" for i in range(count)]
    return Labels(names, rng.uniform(0, 200, (*shape, 2)), visible, ~visible, rng.uniform(50, 150, count))


def names(count: int) -> list[str]:
    return [f"{i}.jpg" for i in range(count)]


def width(right: np.ndarray, images: list[str]) -> float:
    low, high = estimate_rates(right, {"all": np.ones_like(right)}, images)["all"].interval
    return high - low


# Intervals


def test_the_interval_of_independent_images_is_the_binomial_one():
    right = np.arange(400)[:, None] < 320  # 80 %: the standard error is √(0.8 · 0.2 / 400) = 2 points
    estimate = estimate_rates(right, {"all": np.ones_like(right)}, names(400))["all"]
    assert estimate.value == 80
    low, high = estimate.interval
    assert low == pytest.approx(80 - 1.96 * 2, abs=0.4) and high == pytest.approx(80 + 1.96 * 2, abs=0.4)


def test_keypoints_of_an_image_and_people_of_an_image_are_no_evidence_of_their_own():
    right = np.arange(400)[:, None] < 320
    alone = width(right, names(400))
    assert width(np.repeat(right, 36, axis=1), names(400)) == pytest.approx(alone)  # 36 keypoints that agree
    people = [f"{i // 4}.jpg:{i}" for i in range(1600)]  # four people who agree in each image
    assert width(np.repeat(right, 4, axis=0), image_of(people)) == pytest.approx(alone, rel=0.02)
    assert width(np.repeat(right, 4, axis=0), names(1600)) == pytest.approx(alone / 2, rel=0.1)


def test_the_interval_agrees_with_scipys():
    rng = np.random.default_rng(0)
    counted = rng.random((80, 12)) < 0.7
    right = rng.random((80, 12)) < rng.uniform(0.3, 1, (80, 1))
    hits, counts = (counted & right).sum(1), counted.sum(1)
    theirs = stats.bootstrap(
        (hits, counts), lambda h, c, axis: 100 * h.sum(axis) / c.sum(axis),
        paired=True, method="percentile", n_resamples=9999, vectorized=True, rng=rng,
    ).confidence_interval  # fmt: skip
    ours = estimate_rates(right, {"all": counted}, names(80), draws=9999)["all"]
    assert ours.value == pytest.approx(100 * hits.sum() / counts.sum())
    assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=0.35)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng, covered, trials = np.random.default_rng(1), 0, 300
    for trial in range(trials):
        sure = rng.uniform(0.4, 1, (100, 1))  # how easy an image is; the mean over images is 0.7
        right = rng.random((100, 8)) < sure
        low, high = estimate_rates(right, {0: np.ones_like(right)}, names(100), draws=400, seed=trial)[0].interval
        covered += low <= 70 <= high
    assert 0.95 - 4 * math.sqrt(0.05 * 0.95 / trials) < covered / trials < 0.985


def test_differences_are_paired():
    rng = np.random.default_rng(2)
    first = rng.random((200, 10)) < rng.uniform(0, 1, (200, 1))
    second = first.copy()
    second[:20, 0] = ~second[:20, 0]
    parts, images = {"all": np.ones_like(first)}, names(200)
    a, b = (estimate_rates(right, parts, images)["all"] for right in (first, second))
    difference = a - b
    assert difference.value == pytest.approx(100 * (first.mean() - second.mean()))
    (low, high), (lower, upper) = difference.interval, a.interval
    assert high - low < 0.2 * (upper - lower)  # the images' own spread cancels
    nothing = a - estimate_rates(first, parts, images)["all"]
    assert nothing.interval == (0, 0) and not nothing.sure
    lost = estimate_rates(first & (np.arange(10) > 0), parts, images)["all"]
    assert (a - lost).sure and (lost - a).sure


def test_what_never_counts_has_no_figure():
    right = np.ones((5, 2), bool)
    estimate = estimate_rates(right, {"none": np.zeros_like(right)}, names(5))["none"]
    assert math.isnan(estimate.value) and all(math.isnan(end) for end in estimate.interval)


# Parts


def test_the_parts_of_a_division_share_out_what_counts():
    labels = some_labels(31)
    parts = divisions(labels, VEHICLE)
    for division in {"size", "viewpoint", "keypoint"} & parts.keys():
        shares = np.stack(list(parts[division].values()))
        np.testing.assert_array_equal(shares.sum(0), labels.visible)
    assert not (parts["visibility"]["seen"] & parts["visibility"]["hidden"]).any()
    np.testing.assert_array_equal(parts["visibility"]["hidden"], labels.hidden)
    units = {name: labels.unit[part.any(1)] for name, part in parts["size"].items()}
    (small, middle, large) = units.values()
    assert small.max() < middle.min() and middle.max() < large.min() and abs(len(small) - len(large)) <= 1


def turned(skeleton: Skeleton, degrees: float, seed: int) -> np.ndarray:
    """Keypoints (K, 2) of a body 4 long, 1.6 wide and 1.4 high, turned away from the camera, seen from a little above.

    Turned by 0 it faces the camera, by 90 it shows its own left side.
    """
    rng = np.random.default_rng(seed)
    where = np.stack([rng.uniform(-2, 2, 36), np.full(36, 0.8), rng.uniform(0, 1.4, 36)], -1)[: skeleton.num_keypoints]
    for a, b in skeleton.flip_pairs:
        where[b] = where[a] * (1, -1, 1)
        if not skeleton.keypoints[a].startswith("left"):
            where[[a, b]] = where[[b, a]]
    paired = {k for pair in skeleton.flip_pairs for k in pair}
    where[[k for k in range(len(where)) if k not in paired], 1] = 0
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    ahead, left, up = where.T
    toward, aside = ahead * cos - left * sin, ahead * sin + left * cos  # its left is on the picture's right
    return np.stack([100 + 30 * aside, 100 - 30 * (0.94 * up - 0.34 * toward)], -1)


@pytest.mark.parametrize("skeleton", [VEHICLE, PERSON])
@pytest.mark.parametrize(
    ("degrees", "view"), [(0, "front"), (30, "front"), (90, "side"), (270, "side"), (180, "back"), (-150, "back")]
)
def test_the_viewpoint_is_read_from_left_and_right(skeleton: Skeleton, degrees: float, view: str):
    points = np.stack([turned(skeleton, degrees, seed) for seed in range(4)])
    whole = np.ones(points.shape[:2], bool)
    labels = Labels(names(4), points, whole, ~whole, np.ones(4))
    assert viewpoints(labels, skeleton).tolist() == [view] * 4


# Tables


def moved(labels: Labels, pixels: np.ndarray | float) -> Predictions:
    step = np.broadcast_to(pixels, labels.visible.shape)[..., None] * np.array([0.6, 0.8])
    return Predictions(labels.names, labels.keypoints + step, np.ones(labels.visible.shape))


def test_lines_hold_the_rate_of_each_part():
    labels = some_labels(40)
    pixels = np.zeros(labels.visible.shape)
    pixels[:, 3] = 100  # beyond 0.1 of any unit
    lines = {(line.division, line.part): line for line in compare(labels, VEHICLE, 0.1, moved(labels, pixels))}
    name = VEHICLE.keypoints[3]
    assert lines["keypoint", name].first.value == 0 and lines["keypoint", VEHICLE.keypoints[4]].first.value == 100
    counts = labels.visible.sum(0)
    assert lines["all", "all"].first.value == pytest.approx(100 * (1 - counts[3] / counts.sum()))
    assert lines["keypoint", name].count == counts[3] and lines["all", "all"].difference is None


def test_the_command_prints_and_writes_paired_differences(tmp_path: Path):
    data = write_veri(tmp_path / "data", test=30)
    labels = read_labels(data / "annot" / "label_test.csv")
    noise = np.random.default_rng(0).normal(0, 3, labels.keypoints.shape)
    for name, factor in (("a", 1), ("b", 2)):
        found = Predictions(labels.names, labels.keypoints + factor * noise, np.ones(labels.visible.shape))
        write_predictions(tmp_path / f"{name}.csv", found)
    files = [str(tmp_path / f"{name}.csv") for name in "ab"]
    text = run("compare", *files, "--labels", data, "--threshold", 0.05, "--json", tmp_path / "c.json")
    assert "PCK@0.05" in text and "left rear wheel" in text and "A - B" in text
    first = json.loads((tmp_path / "c.json").read_text())[0]
    assert (first["division"], first["count"]) == ("all", labels.visible.sum())
    value, low, high = first["difference"]
    assert value == pytest.approx(first["first"][0] - first["second"][0]) and 0 < low < value < high
    assert "A - B" not in run("compare", files[0], "--labels", data / "annot" / "label_test.csv")
    with pytest.raises(InputError, match="no label file and no folder with labels"):
        run("compare", files[0], "--labels", tmp_path)
    (tmp_path / "a.csv").write_text("".join((tmp_path / "a.csv").read_text().splitlines(True)[1:]))
    with pytest.raises(InputError, match="a.csv: 1 of 30 samples are missing"):
        run("compare", *files, "--labels", data)


def run(*arguments: object) -> str:
    """What the command prints; raises its message as InputError where it ends with code 2."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exit_code == 2:
        raise InputError(result.stderr)
    assert not result.exception
    return result.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"threshold": math.nan}, "threshold must be from 0 to 2,097,152, not nan"),
        ({"threshold": 1e30}, "threshold must be from 0 to 2,097,152, not 1e"),
        ({"draws": 10**12}, "draws must be from 1 to 100,000, not 1000000000000"),
        ({"draws": 0}, "draws must be from 1 to 100,000, not 0"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_drawn(more: dict, said: str):
    labels = some_labels(5)
    found = Predictions(labels.names, labels.keypoints, np.ones(labels.visible.shape))
    with pytest.raises(InputError, match=said):
        compare(labels, VEHICLE, **({"threshold": 0.1, "first": found} | more))
