"""Changes of pictures and boxes: what they do, that nothing else changes, and that they are the same each time."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from posekit.datasets.dataset import PoseDataset
from posekit.evaluation.robustness import BOX_JITTER, CHANGES, STRENGTHS, UNITS, changed, robustness
from posekit.inference.predictors import Predictor
from posekit.recipes import get_recipe
from posekit.skeletons import VEHICLE


def pictures(count: int = 3) -> PoseDataset:
    """Noise pictures of 120 x 90 whose object has a box of 60 pixels in the middle."""
    rng = np.random.default_rng(0)
    files = [cv2.imencode(".png", rng.integers(40, 250, (90, 120, 3), np.uint8))[1].tobytes() for _ in range(count)]
    visible = np.ones((count, 36), bool)
    return PoseDataset(
        VEHICLE, "test", [f"{i}.png" for i in range(count)],
        rng.uniform(40, 60, (count, 36, 2)).astype(np.float32), visible, ~visible,
        np.tile(np.float32([60, 45]), (count, 1)), np.full(count, 60, np.float32), np.full(count, 20.0),
        lambda i: files[i], str,
    )  # fmt: skip


BOX = (slice(15, 75), slice(30, 90))


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_keeps_to_the_box_and_is_the_same_each_time(kind: str):
    dataset, strength = pictures(), STRENGTHS[kind][-1]
    before, after, again = dataset.image(1), *(changed(dataset, kind, strength, 5).image(1) for _ in range(2))
    np.testing.assert_array_equal(after, again)
    assert (after[BOX] != before[BOX]).any()
    outside = np.ones(before.shape[:2], bool)
    outside[BOX] = False
    np.testing.assert_array_equal(after[outside], before[outside])
    np.testing.assert_array_equal(changed(dataset, kind, 0, 5).image(1), before)


@pytest.mark.parametrize("kind", ["darkness", "occlusion"])
def test_rows_and_seeds_differ(kind: str):
    dataset = pictures()
    same = replace(dataset, read_bytes=lambda i: dataset.read_bytes(0))
    looks = [changed(same, kind, 0.2, seed).image(row) for seed, row in ((0, 0), (0, 1), (1, 0))]
    assert all((a != b).any() for a, b in zip(looks, looks[1:] + looks[:1], strict=True))


def test_what_each_strength_means():
    dataset = pictures()
    before = dataset.image(0)[BOX].astype(float)
    grey = (changed(dataset, "occlusion", 0.2, 0).image(0)[BOX] == 128).all(-1)
    assert grey.mean() == pytest.approx(0.2, abs=0.01)
    assert changed(dataset, "darkness", 0.75, 0).image(0)[BOX].mean() == pytest.approx(before.mean() / 4, rel=0.02)
    blurred = changed(dataset, "blur", 0.04, 0).image(0)[BOX].astype(float)
    spread = 1 / np.sqrt(4 * np.pi * (0.04 * 60) ** 2)  # of white noise after a Gaussian, closed form
    assert blurred[10:-10, 10:-10].std() == pytest.approx(before.std() * spread, rel=0.15)
    coarse, fine = (np.abs(changed(dataset, "JPEG", s, 0).image(0)[BOX] - before).mean() for s in (95, 70))
    assert coarse > fine > 0


def test_boxes_jitter_by_their_own_side():
    dataset = pictures().take([0] * 2000)
    jittered = changed(dataset, BOX_JITTER, 0.1, 3)
    shift = (jittered.center - dataset.center) / 60
    growth = np.log(jittered.box_size / 60)
    for values in (shift[:, 0], shift[:, 1], growth):
        assert values.std() == pytest.approx(0.1, rel=0.06) and abs(values.mean()) < 0.01
    np.testing.assert_array_equal(jittered.keypoints, dataset.keypoints)
    np.testing.assert_array_equal(jittered.image(7), dataset.image(7))


def test_a_sample_of_a_data_set_keeps_what_belongs_to_it():
    dataset = replace(pictures(5), head_size=np.arange(5.0))
    some = dataset.take([4, 1])
    assert some.names == ["4.png", "1.png"] and some.head_size.tolist() == [4, 1] and len(some) == 2
    np.testing.assert_array_equal(some.keypoints, dataset.keypoints[[4, 1]])
    np.testing.assert_array_equal(some.image(0), dataset.image(4))


def test_curves_have_every_strength_and_show_what_a_network_sees():
    """A network that answers with the box's middle; the truth lies there, so only a box that is off spoils it."""
    recipe = replace(get_recipe("poseestnet-tiny"), flip_test=False, offset="none")
    maps = np.zeros((4, 36, 16, 16), np.float32)
    maps[..., 8, 8] = 1
    dataset = replace(pictures(24), keypoints=np.tile(np.float32([60, 45]), (24, 36, 1)))
    curves = robustness(Predictor(recipe, VEHICLE, lambda images: maps, 4), dataset, 0.1, progress=False)
    assert {kind: tuple(curve) for kind, curve in curves.items()} == STRENGTHS and set(UNITS) == set(STRENGTHS)
    for kind, curve in curves.items():
        rates = [estimate.value for estimate in curve.values()]
        if kind != BOX_JITTER:
            assert rates == [100] * 4
    # 2 pixels of 60 are a thirtieth of the side; within a circle of that radius: 1 - exp(-r² / 2σ²), Rayleigh
    jitter = list(curves[BOX_JITTER].values())
    for estimate, sigma in zip(jitter[1:], STRENGTHS[BOX_JITTER][1:], strict=True):
        expected = 100 * (1 - np.exp(-((1 / 30) ** 2) / (2 * sigma**2)))
        low, high = estimate.interval
        assert low - 15 <= expected <= high + 15
