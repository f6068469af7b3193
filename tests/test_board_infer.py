"""infer.py's arithmetic against posekit's, and that any Python from 3.7 on can read it."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posekit.codecs import Codec, image_keypoints
from posekit.datasets.pipeline import normalise
from posekit.deploy import board_infer
from posekit.deploy.kit import settings_of
from posekit.geometry import crop_matrix, sides, transform_points, warp
from posekit.inference.boxes import crop_box, whole
from posekit.inference.predictors import flip_average
from posekit.recipes import Recipe, get_recipe
from posekit.skeletons import PERSON, get_skeleton

SOURCE = Path(board_infer.__file__).read_text(encoding="utf-8")
UDP = replace(get_recipe("hourglass-tiny"), intervals=True, flip_shift=0, input_size=(96, 128), heatmap_size=(24, 32))
RECIPES = [get_recipe("poseestnet"), get_recipe("hourglass"), UDP]


def test_python_3_7_reads_it_and_nothing_but_numpy_and_pillow_is_imported():
    tree = ast.parse(SOURCE, feature_version=(3, 7))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or alias.name for node in imports for alias in node.names}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"numpy", "PIL"}
    assert len(SOURCE.splitlines()) < 400


@pytest.mark.parametrize("size", [64, 256, (192, 256)])
def test_crops_are_opencvs_to_the_last_bit(size):
    rng = np.random.default_rng(0)
    for _ in range(40):
        height, width = (int(side) for side in rng.integers(1, 500, 2))
        image, box = rng.integers(0, 256, (height, width, 3), np.uint8), float(rng.uniform(3, 900))
        w, h = sides(size)
        center, turn = rng.uniform(-0.3, 1.3, 2) * (width, height), float(rng.choice([0, rng.uniform(-180, 180)]))
        matrix = crop_matrix(center, (box, box * h / w), size, turn, intervals=bool(rng.integers(2)))
        np.testing.assert_array_equal(board_infer.warp(image, matrix.tolist(), w, h), warp(image, matrix, size))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_networks_input_is_posekits(recipe: Recipe):
    kit, rng = settings_of(recipe), np.random.default_rng(1)
    crop = rng.integers(0, 256, (*recipe.input_shape[1:], 3), np.uint8)
    found = board_infer.normalise(crop, kit)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, normalise(crop[None], recipe))
    image = rng.integers(0, 256, (123, 77, 3), np.uint8)
    wanted = crop_box(image, whole(image), recipe, get_skeleton(recipe.skeleton)).matrix
    np.testing.assert_allclose(board_infer.whole_matrix(77, 123, kit), wanted, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_heatmaps_are_averaged_as_posekit_does(recipe: Recipe):
    skeleton, rng = get_skeleton(recipe.skeleton), np.random.default_rng(2)
    maps, mirrored = rng.random((2, skeleton.num_keypoints, *recipe.heatmap_shape), np.float32)
    for shift in (recipe.flip_shift, 0.75, 2.0):
        kit = settings_of(replace(recipe, flip_shift=shift if not recipe.intervals else 0))
        wanted = flip_average(maps[None], mirrored[None], skeleton, kit["flip_shift"])[0]
        np.testing.assert_allclose(board_infer.average(maps, mirrored, kit), wanted, atol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_decoding_is_within_half_a_cell_of_the_truth(recipe: Recipe):
    """Gaussians at known places; a quarter cell is what the original of the vehicles does, too."""
    kit, rng = settings_of(recipe), np.random.default_rng(3)
    codec = Codec(recipe.input_size, recipe.heatmap_size, 2.0, "exact", intervals=recipe.intervals)
    count = get_skeleton(recipe.skeleton).num_keypoints
    truth = rng.uniform(0.2, 0.8, (count, 2)) * sides(recipe.input_size)
    maps, _ = codec.encode(truth, np.ones(count, bool))
    matrix = crop_matrix(np.array([300.0, 200.0]), (150.0, 150.0 * codec.input_size[1] / codec.input_size[0])
                         if isinstance(codec.input_size, tuple) else 150.0, recipe.input_size)  # fmt: skip
    points, scores = board_infer.decode(maps, matrix, kit)
    wanted, best = image_keypoints(codec, maps[None], matrix[None])
    cell = codec.strides / np.diag(matrix[:, :2])
    assert (np.abs(points - wanted[0] - kit["cell_offset"] * cell) < 1e-6).all() and (scores == best[0]).all()


def test_only_what_is_probably_visible_is_drawn():
    kit = settings_of(get_recipe("hourglass"))
    points, scores = np.full((16, 2), 240.0) + 10 * np.arange(16)[:, None], np.full(16, 0.9)
    points[3], scores[3] = (40, 400), 0.1
    drawn = np.asarray(board_infer.draw(Image.new("RGB", (480, 480)), points, scores, kit))
    assert drawn[240, 240].any() and not drawn[380:420, 20:60].any()
    assert len(kit["colors"]) == PERSON.num_keypoints
    small = board_infer.draw(Image.new("RGB", (60, 40)), points / 10, scores, kit)
    assert small.size == (480, 320)


def test_means_are_those_of_whole_blocks_and_stay_in_place():
    """A crop that shrinks 5 times samples means of 4 × 4 pixels, whose centres are in the middle of their blocks."""
    rng = np.random.default_rng(4)
    image, matrix = rng.integers(0, 256, (90, 131, 3), np.uint8), crop_matrix(np.array([60.0, 40.0]), 160.0, 32)
    means, moved = board_infer.means_of(image, matrix)
    assert means.shape == (23, 33, 3)
    np.testing.assert_allclose(means[3, 5], image[12:16, 20:24].mean(axis=(0, 1)), atol=0.5)
    corner = image[[88, 89, 89, 89]][:, [128, 129, 130, 130]]  # the border is repeated
    np.testing.assert_allclose(means[22, 32], corner.mean(axis=(0, 1)), atol=0.5)
    middle = transform_points(matrix, np.array([[21.5, 13.5]]))
    np.testing.assert_allclose(transform_points(np.array(moved), np.array([[5.0, 3.0]])), middle)
    same, still = board_infer.means_of(image, crop_matrix(np.array([60.0, 40.0]), 60.0, 32))
    assert (same == image).all() and np.allclose(still, crop_matrix(np.array([60.0, 40.0]), 60.0, 32))
