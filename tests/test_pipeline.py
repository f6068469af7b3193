"""Batches: pure functions of (seed, epoch, sample), complete, and with keypoints that move with their pixels."""

import colorsys
import os
import signal
from dataclasses import replace

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from scipy import stats

from posekit.datasets.dataset import PoseDataset, Sample
from posekit.datasets.pipeline import (
    Augmentation,
    EvaluationBatches,
    TrainingBatches,
    color_jitter,
    crop,
    draw_augmentation,
    evaluation_iterator,
    iterate,
    normalise,
    read_crop,
    training_iterator,
)
from posekit.errors import InputError
from posekit.recipes import Recipe, get_recipe
from posekit.runtime import set_up
from posekit.signals import ctrl_c
from posekit.skeletons import VEHICLE

TINY = get_recipe("poseestnet-tiny")
TRAINING = ("images", "heatmaps", "weights")


def numbered(count: int, fail_at: int | None = None) -> PoseDataset:
    """Samples whose grey value is 10 times their index, in boxes that fill the input; sample `fail_at` is broken."""
    rng = np.random.default_rng(0)

    def read(index: int) -> bytes:
        if index == fail_at:
            raise InputError(f"sample {index} is broken; mend it")
        return cv2.imencode(".png", np.full((64, 64, 3), 10 * index, np.uint8))[1].tobytes()

    return PoseDataset(
        skeleton=VEHICLE,
        split="train",
        names=[f"{i}.png" for i in range(count)],
        keypoints=rng.uniform(20, 44, (count, 36, 2)).astype(np.float32),
        visible=np.ones((count, 36), bool),
        hidden=np.zeros((count, 36), bool),
        center=np.full((count, 2), 32, np.float32),
        box_size=np.full(count, 64, np.float32),
        unit=np.ones(count),
        read_bytes=read,
        where=str,
    )


def indices(images: np.ndarray) -> list[int]:
    """Which numbered samples these normalised images are, by their middle pixel."""
    grey = (images[:, 0, 32, 32] * TINY.std[0] + TINY.mean[0]) * 25.5
    return np.round(grey).astype(int).tolist()


def test_the_number_of_workers_changes_nothing():
    batches = TrainingBatches(numbered(10), TINY, epoch=3)
    one, three = (list(iterate(batches, TRAINING, workers)) for workers in (1, 3))
    assert len(one) == len(three) == len(batches) == 3
    for a, b in zip(one, three, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_sample_looks_the_same_wherever_it_is_in_a_batch():
    dataset = numbered(12)
    wide = TrainingBatches(dataset, replace(TINY, batch=12), 1)
    narrow = TrainingBatches(dataset, replace(TINY, batch=5), 1)
    looks = dict(zip(wide.batches[0].tolist(), zip(*wide[0], strict=True), strict=True))
    for number in range(len(narrow)):
        for index, *parts in zip(narrow.batches[number].tolist(), *narrow[number], strict=True):
            for part, expected in zip(parts, looks[index], strict=True):
                np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("count, ranks, accumulate", [(24, 2, 1), (24, 2, 3), (21, 3, 2), (5, 2, 1)])
def test_ranks_share_what_one_accumulates(count, ranks, accumulate):
    """Update by update, the batches of all ranks in turn are those of one rank that accumulates as many."""
    dataset, recipe = numbered(count), replace(TINY, batch=2, accumulate=accumulate)
    shares = [TrainingBatches(dataset, recipe, 1, rank=rank, ranks=ranks).batches for rank in range(ranks)]
    alone = TrainingBatches(dataset, replace(recipe, accumulate=accumulate * ranks), 1).batches
    assert np.stack(shares, axis=1).reshape(-1, 2).tolist() == alone.tolist()
    assert set(alone.ravel().tolist()) == set(range(count)) and len(shares[0]) % accumulate == 0
    later = TrainingBatches(dataset, recipe, 1, done=1, rank=1, ranks=ranks).batches
    assert later.tolist() == shares[1][accumulate:].tolist()


@pytest.mark.parametrize("count, batch", [(12, 4), (10, 4), (3, 4), (1, 4)])
def test_an_epoch_has_every_sample(count, batch):
    recipe = replace(TINY, batch=batch)
    rows = list(training_iterator(numbered(count), recipe, 1))
    seen = [index for images, _, _ in rows for index in indices(images)]
    assert set(seen) == set(range(count)) and len(seen) == -(-count // batch) * batch
    assert all(images.shape == (batch, 3, 64, 64) and images.dtype == np.float32 for images, _, _ in rows)
    assert all(h.shape == (batch, 36, 16, 16) and w.shape == (batch, 36) for _, h, w in rows)


def test_epochs_and_seeds_differ_in_order_and_augmentation():
    def first(seed: int, epoch: int) -> tuple[list[int], np.ndarray]:
        batches = TrainingBatches(numbered(20), replace(TINY, batch=20, seed=seed), epoch)
        order = batches.batches[0].tolist()
        return order, batches[0][1][order.index(0)]

    (order, look), *others = (first(seed, epoch) for seed, epoch in ((0, 1), (0, 2), (1, 1)))
    for other_order, other_look in others:
        assert order != other_order and not np.array_equal(look, other_look)
    assert first(0, 1)[0] == order


def test_evaluation_goes_through_the_split_in_order_and_pads():
    rows = list(evaluation_iterator(numbered(10), TINY, 4))
    assert [int(count) for _, _, count in rows] == [4, 4, 2]
    assert [indices(images) for images, _, _ in rows] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
    assert len(EvaluationBatches(numbered(8), TINY, 4)) == 2


def test_an_unreadable_sample_is_named():
    with pytest.raises(InputError, match="sample 7 is broken; mend it"):
        list(training_iterator(numbered(10, fail_at=7), TINY, 1))
    with pytest.raises(InputError, match="sample 7 is broken; mend it"):
        list(evaluation_iterator(numbered(10, fail_at=7), TINY, 4))


def blots(points: np.ndarray, size: int = 200) -> np.ndarray:
    """A white blot at every point (K, 2), on black."""
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    square = (columns - points[:, 0, None, None]) ** 2 + (rows - points[:, 1, None, None]) ** 2
    return np.repeat((255 * np.exp(-square / 18).max(0))[..., None], 3, 2).astype(np.uint8)


def sized(side: int) -> Recipe:
    """A recipe whose input has that side."""
    return replace(get_recipe("poseestnet-tiny"), input_size=side, heatmap_size=side // 4)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 40.0])
def test_keypoints_stay_on_their_pixels(flip, rotation):
    points = np.random.default_rng(1).uniform(60, 140, (36, 2)).astype(np.float32)
    sample = Sample(blots(points), points, np.ones(36, bool), np.array([105, 95], np.float32), 160.0, VEHICLE)
    cut = crop(sample, sized(160), Augmentation(1.2, rotation, flip))
    at = np.round(cut.keypoints).astype(int)
    assert cut.image[at[:, 1], at[:, 0], 0].min() > 230


def test_a_flip_swaps_left_and_right():
    """One blot on the left rear wheel: in the mirrored picture it is the right rear wheel that lies there."""
    points = np.zeros((36, 2), np.float32)
    points[VEHICLE.keypoints.index("left rear wheel")] = (60, 80)
    visible = (points > 0).any(1)
    sample = Sample(blots(points[visible]), points, visible, np.array([100, 100], np.float32), 200.0, VEHICLE)
    cut = crop(sample, sized(200), Augmentation(flip=True))
    (shown,) = np.flatnonzero(cut.visible)
    assert VEHICLE.keypoints[shown] == "right rear wheel"
    row, column = np.unravel_index(cut.image[..., 0].argmax(), (200, 200))
    np.testing.assert_allclose(cut.keypoints[shown], [column, row], atol=1)
    assert cut.keypoints[shown].tolist() == [
        200 - 60,
        80,
    ]  # column 100, in the middle, goes to 99 and into the middle again


def one_image(image: np.ndarray, points: np.ndarray, center: tuple, side: float, form: str = ".jpg") -> PoseDataset:
    """A data set of one image (H, W, 3) RGB with vehicles' keypoints (36, 2)."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    data = cv2.imencode(form, image[..., ::-1], quality if form == ".jpg" else [])[1].tobytes()
    one = numbered(1)
    return replace(
        one, keypoints=points[None], center=np.array([center], np.float32),
        box_size=np.array([side], np.float32), read_bytes=lambda _: data,
    )  # fmt: skip


@pytest.mark.parametrize("form", [".jpg", ".png"])
@pytest.mark.parametrize("shrinks", [1.9, 2.1, 3.9, 5.0, 9.0, 17.0])
def test_keypoints_stay_on_their_pixels_however_much_is_left_out(shrinks, form):
    """A disc of 6 pixels of the crop, wherever scale, rotation, flip and an image of odd sides put it."""
    recipe = replace(get_recipe("poseestnet"), shrinking="means", input_size=128, heatmap_size=32, rotation_factor=60.0)
    side, rng = 128 * shrinks, np.random.default_rng(0)
    width, height = round(side * 1.3) | 1, round(side * 1.1) | 1
    for number in range(12):
        point = np.array([width / 2, height / 2]) + rng.uniform(-0.15, 0.15, 2) * side
        columns, rows = np.arange(width), np.arange(height)[:, None]
        disc = np.clip(3 * shrinks + 0.5 - np.hypot(columns - point[0], rows - point[1]), 0, 1)
        image = np.repeat((255 * disc)[..., None], 3, 2).round().astype(np.uint8)
        dataset = one_image(image, np.tile(point, (36, 1)), (width / 2, height / 2), side, form)
        cut = read_crop(dataset, 0, recipe, np.random.default_rng(number) if number else None)
        weights = cut.image[..., 0].astype(float) * (cut.image[..., 0] > 12)
        found = [(weights * grid).sum() / weights.sum() for grid in np.meshgrid(np.arange(128), np.arange(128))]
        np.testing.assert_allclose(found, cut.keypoints[0], atol=0.07)


@pytest.mark.parametrize("shrinks", [2.2, 3.5, 6.0])
def test_what_is_left_out_is_averaged(shrinks):
    """The crop agrees with the mean of 64 samples a pixel of the whole image, better than with one sample."""
    rng = np.random.default_rng(0)
    width, height = 1201, 901
    image = sum(cv2.resize(rng.normal(0, 30, (height // n, width // n, 3)), (width, height)) for n in (2, 4, 8, 32))
    image = np.clip(image + 128, 0, 255).astype(np.uint8)
    dataset = one_image(image, np.zeros((36, 2)), (600, 450), 128 * shrinks)
    recipe = replace(get_recipe("poseestnet"), shrinking="means", input_size=128, heatmap_size=32, scale_factor=0.05)
    for seed in range(6):
        cut = read_crop(dataset, 0, recipe, np.random.default_rng(seed))
        finer = np.array([[8, 0, 3.5], [0, 8, 3.5]]) @ np.vstack([cut.matrix, [0, 0, 1]])
        samples = cv2.warpAffine(dataset.image(0), finer, (1024, 1024), flags=cv2.INTER_LINEAR)
        reference = cv2.resize(samples, (128, 128), interpolation=cv2.INTER_AREA).astype(float)
        plain = cv2.warpAffine(dataset.image(0), cut.matrix, (128, 128), flags=cv2.INTER_LINEAR)
        mine, theirs = (np.sqrt(((pixels - reference) ** 2).mean()) for pixels in (cut.image, plain))
        assert mine < 0.95 * theirs, (mine, theirs)


@pytest.mark.parametrize(
    ("side", "shrinking"), [(200.0, "means"), (255.0, "means"), (255.0, "samples"), (900.0, "samples")]
)
def test_crops_that_shrink_by_less_and_those_of_samples_are_as_ever(side, shrinking):
    """Bit for bit one bilinear sample of the whole image, as in the originals."""
    image = np.random.default_rng(0).integers(0, 255, (240, 301, 3), np.uint8)
    dataset = one_image(image, np.zeros((36, 2)), (150, 120), side)
    recipe = replace(get_recipe("poseestnet"), shrinking=shrinking, input_size=128, heatmap_size=32, scale_factor=0.0)
    for seed in range(8):
        cut = read_crop(dataset, 0, recipe, np.random.default_rng(seed))
        plain = cv2.warpAffine(dataset.image(0), cut.matrix, (128, 128), flags=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(cut.image, plain)


def test_color_jitter_by_the_standard_library():
    """colorsys, pixel by pixel."""
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    image[0] = image[0, :, :1]  # greys
    for seed in range(20):
        rng = np.random.default_rng(seed)
        hue, brightness = rng.uniform(-1, 1, 2) * (0.2, 0.3)
        saturation, contrast = rng.uniform(0.5, 1.5, 2)
        found = color_jitter(image, np.random.default_rng(seed))
        for was, now in zip(image.reshape(-1, 3).tolist(), found.reshape(-1, 3), strict=True):
            h, s, v = colorsys.rgb_to_hsv(*(value / 255 for value in was))
            rgb = np.array(colorsys.hsv_to_rgb((h + hue) % 1, min(s * saturation, 1), v)) + brightness
            expected = 255 * np.clip((rgb - rgb.mean()) * contrast + rgb.mean(), 0, 1)
            np.testing.assert_allclose(now, expected, atol=0.51)


def draws(count: int, **fields: object) -> list[Augmentation]:
    rng = np.random.default_rng(5)
    recipe = replace(get_recipe("poseestnet"), **fields)
    return [draw_augmentation(recipe, rng) for _ in range(count)]


def test_augmentation_is_the_seeds_clipped_normal():
    """Scale 1 + N(0, 0.25) cut at ±0.25, rotation N(0, 30) cut at ±60 in 60 % of draws, flip in half of them."""
    drawn = draws(20_000)
    scale = np.array([a.scale - 1 for a in drawn]) / 0.25
    rotation = np.array([a.rotation for a in drawn]) / 30
    turned = rotation[rotation != 0]
    assert stats.binomtest(len(turned), len(drawn), 0.6).pvalue > 1e-3
    assert stats.binomtest(sum(a.flip for a in drawn), len(drawn), 0.5).pvalue > 1e-3
    for values, cut in ((scale, 1.0), (turned, 2.0)):
        assert np.abs(values).max() == pytest.approx(cut)
        for side in (-cut, cut):  # a tail's whole mass lies on its cut
            piled = int(np.isclose(values, side).sum())
            assert stats.binomtest(piled, len(values), stats.norm.sf(cut)).pvalue > 1e-3
        inside = values[np.abs(values) < cut - 1e-9]
        assert stats.kstest(inside, stats.truncnorm(-cut, cut).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(scale, rotation)[0, 1]) < 0.03


def test_augmentation_can_be_uniform_or_off():
    drawn = draws(5_000, augment_shape="uniform", rotation_probability=1.0, flip_probability=0.0)
    assert stats.kstest([(a.scale - 1) / 0.25 for a in drawn], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert stats.kstest([a.rotation / 30 for a in drawn], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert not any(a.flip for a in drawn)
    none = draws(10, scale_factor=0.0, rotation_factor=0.0, flip_probability=0.0)
    assert none == [Augmentation()] * 10


def test_normalise_by_hand():
    image = np.zeros((1, 4, 4, 3), np.uint8)
    image[0, 1, 2] = (255, 128, 0)
    found = normalise(image, get_recipe("poseestnet"))
    assert found.shape == (1, 3, 4, 4) and found.dtype == np.float32 and found.flags.c_contiguous
    expected = [(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(found[0, :, 1, 2], expected, rtol=1e-5)


def test_ctrl_c_while_the_reading_threads_start_is_ctrl_c(monkeypatch):
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mindspore.dataset.engine.datasets_user_defined._GeneratorWorkerMt", interrupted)
    monkeypatch.setattr("posekit.datasets.pipeline.cores", lambda: [0, 1])  # with one core there are no threads
    with pytest.raises(KeyboardInterrupt):
        next(training_iterator(numbered(8), TINY, 1))


def test_a_pipeline_starts_with_python_s_handler_of_ctrl_c(monkeypatch):
    """A network that has run leaves one that sends SIGTERM, which a pipeline that starts has taken for itself."""

    def start(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 2)
        pytest.fail("not interrupted")

    monkeypatch.setattr("mindspore.dataset.GeneratorDataset.create_tuple_iterator", start)
    set_up("cpu")
    with pytest.raises(KeyboardInterrupt), ctrl_c():
        nn.Dense(3, 2)(ms.Tensor(np.zeros((2, 3), np.float32)))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that a test that fails does not end them all
        next(training_iterator(numbered(8), TINY, 1))
