"""The cache of crops: what it shows is what the images show, as long as it fits them, whatever ends its making."""

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from posekit.datasets.cache import cache_folder, cached, make_cache
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.images import BadImage
from posekit.datasets.pipeline import Augmentation, TrainingBatches, crop, read_crop
from posekit.errors import InputError
from posekit.files import ROOT
from posekit.layouts import open_training
from posekit.recipes import Recipe, get_recipe
from posekit.skeletons import VEHICLE

RECIPE = replace(get_recipe("poseestnet"), shrinking="means", input_size=64, heatmap_size=16)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path / "home"))


def photograph(seed: int, width: int, height: int, finest: int = 8) -> np.ndarray:
    """Smooth noise of several scales, (H, W, 3) uint8 RGB, nowhere near black."""
    rng, sizes = np.random.default_rng(seed), (finest, 2 * finest, 5 * finest)
    scales = [cv2.resize(rng.normal(0, 25, (height // n + 2, width // n + 2, 3)), (width, height)) for n in sizes]
    return np.clip(sum(scales) + 140, 60, 255).astype(np.uint8)


def dataset_of(images: list[np.ndarray], center: list, box_size: list, form: str = "JPEG") -> PoseDataset:
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, form, **({"quality": 95} if form == "JPEG" else {}))
        files.append(stream.getvalue())
    count = len(files)
    return PoseDataset(
        skeleton=VEHICLE, split="train", names=[f"{i}.jpg" for i in range(count)],
        keypoints=np.repeat(np.array(center, float)[:, None], 36, 1), visible=np.ones((count, 36), bool),
        hidden=np.zeros((count, 36), bool), center=np.array(center, np.float32),
        box_size=np.array(box_size, np.float32), unit=np.ones(count),
        read_bytes=files.__getitem__, where=str,
    )  # fmt: skip


def boxes_at_corners(side: float, width: int = 501, height: int = 403) -> PoseDataset:
    """Boxes in the middle of an image, at its corners, and reaching over its sides."""
    centers = [(250, 200), (120, 100), (30, 20), (480, 390), (250, 395), (499, 5)]
    finest = max(8, round(side / 6))
    return dataset_of([photograph(i, width, height, finest) for i in range(6)], centers, [side] * 6)


def extremes(recipe: Recipe) -> list[Augmentation]:
    """The largest and the smallest box at angles all the way to the largest, mirrored or not."""
    turn = recipe.rotation_factor * (2 if recipe.augment_shape == "normal" else 1)
    angles = np.unique([*np.linspace(-turn, turn, 7), *(angle for angle in (-45.0, 45.0) if abs(angle) < turn)])
    scales = 1 - recipe.scale_factor, 1, 1 + recipe.scale_factor
    return [Augmentation(s, float(a), flip) for s in scales for a in angles for flip in (False, True)]


@pytest.mark.parametrize("side", [40.0, 64.0, 90.0, 150.0, 400.0, 900.0])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"augment_shape": "uniform", "shrinking": "samples"},
        {"scale_factor": 0.6, "rotation_factor": 90.0},
        {"input_size": (96, 64), "heatmap_size": (24, 16), "rotation_factor": 20.0},
        {"intervals": True, "flip_shift": 0.0, "rotation_probability": 0.0},
    ],
    ids=str,
)
def test_the_augmentation_never_runs_out_of_pixels(side: float, fields: dict):
    """At its extremes the crop from the cache is the crop from the image: also where that is black, outside."""
    recipe = replace(RECIPE, **fields)
    dataset = boxes_at_corners(side)
    make_cache(dataset, recipe)
    found = cached(dataset, recipe)
    for index in range(len(dataset)):
        whole, part = dataset.sample(index), found.sample(index)
        for drawn in extremes(recipe) if recipe.rotation_probability else [Augmentation(0.75), Augmentation(1.25)]:
            one, other = crop(whole, recipe, drawn), crop(part, recipe, drawn)
            np.testing.assert_array_equal(one.matrix, other.matrix)
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
            off = np.abs(one.image.astype(int) - other.image).max(2)
            inside = cv2.erode((one.image > 0).all(2).astype(np.uint8), np.ones((5, 5)), borderValue=1) > 0
            outside = cv2.erode((one.image == 0).all(2).astype(np.uint8), np.ones((5, 5)), borderValue=1) > 0
            assert off[inside].max(initial=0) < 40 and other.image[outside].max(initial=0) < 20, drawn
            assert off[inside].mean() < 3 if inside.any() else True


def test_batches_with_and_without_agree_and_targets_are_the_same():
    dataset = boxes_at_corners(200.0)
    recipe = replace(RECIPE, batch=6, input_size=128, heatmap_size=32)
    make_cache(dataset, recipe)
    (images, heatmaps, weights), other = (TrainingBatches(d, recipe, 1)[0] for d in (dataset, cached(dataset, recipe)))
    np.testing.assert_array_equal(heatmaps, other[1])
    np.testing.assert_array_equal(weights, other[2])
    assert np.abs(images - other[0]).mean() < 0.04 and np.abs(images).mean() > 0.5  # a grey level is 0.017


def test_nothing_is_moved():
    """Of a disc: where its middle is in the crops from the cache."""
    recipe = replace(RECIPE, input_size=128, heatmap_size=32)
    for side in (100.0, 230.0, 700.0, 2000.0):
        width, height = round(1.3 * side) | 1, round(1.1 * side) | 1
        point = np.array([0.54 * width, 0.47 * height])
        away = np.hypot(np.arange(width) - point[0], np.arange(height)[:, None] - point[1])
        disc = np.clip(side / 40 + 0.5 - away, 0, 1)[..., None].repeat(3, 2)
        dataset = dataset_of([(255 * disc).round().astype(np.uint8)], [point.tolist()], [side])
        make_cache(dataset, recipe)
        for seed in range(8):
            cut = read_crop(cached(dataset, recipe), 0, recipe, np.random.default_rng(seed))
            light = cut.image[..., 0].astype(float) * (cut.image[..., 0] > 25)
            middle = [(light * grid).sum() / light.sum() for grid in np.meshgrid(np.arange(128), np.arange(128))]
            np.testing.assert_allclose(middle, cut.keypoints[0], atol=0.08)


def test_small_jpegs_are_kept_as_they_are():
    """So crops are the same, bit for bit; other formats become JPEGs."""
    images, centers, sides = [photograph(i, 90, 70) for i in range(3)], [(45, 35)] * 3, [80] * 3
    dataset = dataset_of(images, centers, sides)
    make_cache(dataset, RECIPE)
    for index in range(3):
        np.testing.assert_array_equal(cached(dataset, RECIPE).sample(index).image, dataset.sample(index).image)
    pngs = replace(dataset_of(images, centers, sides, "PNG"), names=["a", "b", "c"])
    make_cache(pngs, RECIPE)
    off = cached(pngs, RECIPE).sample(0).image.astype(int) - images[0]
    assert 0 < np.abs(off).mean() < 3


def test_whole_images_are_read_from_the_files():
    dataset = boxes_at_corners(100.0)
    make_cache(dataset, RECIPE)
    found = cached(dataset, RECIPE)
    np.testing.assert_array_equal(found.image(1), dataset.image(1))
    part = found.take([4, 2])
    np.testing.assert_array_equal(part.sample(0).image, found.sample(4).image)


def test_it_belongs_to_labels_images_and_settings(tiny_vehicles: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(tiny_vehicles, data)
    recipe = get_recipe("poseestnet-tiny")
    opened = lambda: open_training(recipe, data)[1]  # noqa: E731
    folder = make_cache(opened(), recipe)
    assert cached(opened(), recipe).cached and make_cache(opened(), recipe) == folder
    for same in ({"learning_rate": 1e-4}, {"color_jitter": "all"}, {"batch": 3}, {"seed": 5}):
        assert cache_folder(opened(), replace(recipe, **same)) == folder
    for other in ({"scale_factor": 0.2}, {"shrinking": "means"}, {"rotation_factor": 11.0},
                  {"augment_shape": "uniform"}, {"input_size": 128, "heatmap_size": 32},
                  {"intervals": True, "flip_shift": 0.0}):  # fmt: skip
        assert not cached(opened(), replace(recipe, **other)).cached
    moved = opened()
    assert not cached(replace(moved, center=moved.center + 1), recipe).cached
    image = next((data / "images" / "image_train").iterdir())
    os.utime(image, (1, 1))
    assert not cached(opened(), recipe).cached
    again = make_cache(opened(), recipe)
    assert again != folder and again.is_dir() and not folder.exists()


def test_an_image_that_cannot_be_read_leaves_nothing():
    dataset = boxes_at_corners(100.0)
    broken = replace(dataset, read_bytes=lambda i: dataset.read_bytes(i)[: -1000 * (i == 4) or None])
    with pytest.raises(BadImage, match="4: the JPEG is truncated"):
        make_cache(broken, RECIPE)
    folder = cache_folder(broken, RECIPE)
    assert not cached(broken, RECIPE).cached and not folder.parent.exists()


@pytest.mark.parametrize("name", ["crops.bin", "crops.npy"])
@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: b"x", lambda data: b""])
def test_a_damaged_cache_says_what_to_do(name: str, damage: Callable[[bytes], bytes]):
    dataset = boxes_at_corners(100.0)
    folder = make_cache(dataset, RECIPE)
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(InputError, match="the cache of crops is damaged; remove .*, then run posekit data"):
        cached(dataset, RECIPE)


def test_a_removal_that_was_cut_short_is_no_cache():
    """Without its list the folder is made anew."""
    dataset = boxes_at_corners(100.0)
    folder = make_cache(dataset, RECIPE)
    (folder / "crops.npy").unlink()
    assert not cached(dataset, RECIPE).cached
    assert make_cache(dataset, RECIPE) == folder and cached(dataset, RECIPE).cached


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_nothing_wrong(tiny_vehicles: Path, tmp_path: Path):
    """Each time there is no cache or a whole one, and the next one to make it succeeds."""
    recipe, rng, killed = get_recipe("poseestnet-tiny"), np.random.default_rng(0), 0
    dataset = open_training(recipe, tiny_vehicles)[1]
    crops = cache_folder(dataset, recipe)
    for _ in range(12):
        program = [sys.executable, "-m", "posekit.cli", "data", "cache", str(tiny_vehicles), "--recipe", recipe.name]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(program, env={**os.environ, "PYTHONPATH": path}, stdout=-3, stderr=-3)
        while process.poll() is None and not crops.parent.exists():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        killed += process.wait() < 0
        if cached(dataset, recipe).cached:
            for index in range(len(dataset)):
                cached(dataset, recipe).sample(index)
            shutil.rmtree(crops.parent)
    make_cache(dataset, recipe)
    assert killed >= 6 and [path.name for path in crops.parent.iterdir()] == [crops.name]
    assert cached(dataset, recipe).cached
