"""From images to keypoints in image pixels, with networks whose answers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from posekit.codecs import Codec
from posekit.errors import InputError
from posekit.geometry import crop_matrix, transform_points
from posekit.inference.predictors import Predictor, mirror_heatmaps, predict_dataset
from posekit.inference.run_times import Request, load_predictor
from posekit.layouts.veri import VERI
from posekit.recipes import get_recipe
from posekit.skeletons import VEHICLE

TINY = get_recipe("poseestnet-tiny")
POSEESTNET = get_recipe("poseestnet")


def columns(images: np.ndarray) -> np.ndarray:
    """A fake network of 36 maps (N, 36, 16, 16): the image's first channel every fourth pixel, times k + 1 in map k."""
    cells = images[:, 0, ::4, ::4]
    return cells[:, None] * np.arange(1, 37)[:, None, None]


def test_any_number_of_images_goes_through_a_fixed_batch():
    sizes = []

    def run(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return columns(images)

    images = np.random.default_rng(0).random((11, 3, 64, 64)).astype(np.float32)
    found = Predictor(TINY, VEHICLE, run, batch=4).heatmaps(images)
    assert sizes == [4, 4, 4]
    np.testing.assert_array_equal(found, columns(images))


def ramp(start: float) -> np.ndarray:
    """A map (16, 16) whose value is its column's number plus `start`."""
    return np.tile(np.arange(16.0) + start, (16, 1))


@pytest.mark.parametrize("shift", [0.0, 0.75, 1.0, 1.5])
def test_mirroring_by_hand(shift):
    """Turned back, a ramp falls; moved right by the shift, column c holds what belonged to c - shift."""
    maps = np.zeros((1, 36, 16, 16))
    maps[0, 18] = ramp(0)  # the right rear wheel's map becomes the left rear wheel's
    found = mirror_heatmaps(maps, VEHICLE, shift)
    assert not found[0, 1:].any()
    beyond = int(np.ceil(shift))
    expected = 15 - (np.arange(16) - shift)
    np.testing.assert_allclose(found[0, 0, 3, beyond:], expected[beyond:])


def test_every_pair_is_swapped():
    maps = np.random.default_rng(0).random((2, 36, 16, 16))
    found = mirror_heatmaps(maps, VEHICLE, 0.0)
    for k in range(36):
        np.testing.assert_array_equal(found[:, k], maps[:, (k + 18) % 36, :, ::-1])


def test_the_exact_shift_brings_mirrored_targets_onto_the_others():
    """Linear functions of the position pass exactly: pixel x sits in cell x / 4, its mirror image in (63 - x) / 4."""
    plain, mirrored = np.zeros((2, 1, 36, 16, 16))
    for k in range(36):
        plain[0, k] = ramp(0) * 4 - 10.0 * k  # x - x_k at every cell
        other = VEHICLE.flip_order[k]
        mirrored[0, other] = -(ramp(0) * 4 - (63 - 10.0 * k))  # the same function of the mirrored image
    found = mirror_heatmaps(mirrored, VEHICLE, 0.75)
    np.testing.assert_allclose(found[..., 1:], plain[..., 1:], atol=1e-9)


def test_the_originals_shift_is_one_cell_with_the_first_column_kept():
    maps = np.random.default_rng(0).random((1, 36, 16, 16))
    back = maps[:, [*range(18, 36), *range(18)]][..., ::-1]
    found = mirror_heatmaps(maps, VEHICLE, POSEESTNET.flip_shift)
    np.testing.assert_array_equal(found[..., 1:], back[..., :-1])
    np.testing.assert_array_equal(found[..., 0], back[..., 0])


def test_the_flip_test_averages_with_the_mirrored_image():
    """A network that answers 1 in the left half of the picture's map 0, whatever the picture shows, and 3 in map 18."""

    def run(images: np.ndarray) -> np.ndarray:
        heatmaps = np.zeros((len(images), 36, 16, 16))
        heatmaps[:, 0, :, :8] = 1
        heatmaps[:, 18, :, :8] = 3
        return heatmaps

    images = np.zeros((2, 3, 64, 64), np.float32)
    recipe = replace(TINY, flip_test=True, flip_shift=0.0)
    found = Predictor(recipe, VEHICLE, run, 2).tested_heatmaps(images)
    np.testing.assert_array_equal(found[0, 0, 0], [0.5] * 8 + [1.5] * 8)
    np.testing.assert_array_equal(found[0, 18, 0], [1.5] * 8 + [0.5] * 8)
    plain = Predictor(replace(recipe, flip_test=False), VEHICLE, run, 2).tested_heatmaps(images)
    np.testing.assert_array_equal(plain, run(images))


def test_the_flip_test_shows_the_network_the_mirrored_image():
    images = np.random.default_rng(0).random((3, 3, 64, 64)).astype(np.float32)
    seen = []
    Predictor(replace(TINY, flip_test=True), VEHICLE, lambda x: seen.append(x) or columns(x), 3).tested_heatmaps(images)
    np.testing.assert_array_equal(seen[0], images)
    np.testing.assert_array_equal(seen[1], images[:, :, :, ::-1])


@pytest.mark.parametrize("batch", [5, 12, 16])
@pytest.mark.parametrize("offset, cells", [("none", 0.5), ("quarter", 0.25), ("dark", 0.1)])
def test_an_oracle_is_right_within_its_quantisation(tiny_vehicles: Path, batch, offset, cells):
    """Heatmaps of the truth in; keypoints in pixels of each image out, in the split's order, padding dropped."""
    dataset = VERI.read(tiny_vehicles, "test")
    recipe = replace(TINY, flip_test=False, offset=offset)
    maps = [crop_matrix(c, s, 64) for c, s in zip(dataset.center, dataset.box_size, strict=True)]
    inputs = np.stack([transform_points(m, p) for m, p in zip(maps, dataset.keypoints, strict=True)])
    truth = Codec(64, 16, 1.5, "exact").encode(inputs, np.ones(inputs.shape[:2]))[0]
    served = []

    def run(images: np.ndarray) -> np.ndarray:
        rows = range(len(served) * batch, (len(served) + 1) * batch)
        served.append(len(images))
        return truth[[min(row, len(dataset) - 1) for row in rows]]

    found = predict_dataset(Predictor(recipe, VEHICLE, run, batch), dataset, progress=False)
    assert found.names == dataset.names and set(served) == {batch}
    inner = ((inputs > 12) & (inputs < 52)).all(-1)  # whole Gaussians
    pixels_a_cell = dataset.box_size / 16
    error = np.abs(found.keypoints - dataset.keypoints).max(-1) / pixels_a_cell[:, None]
    assert inner.sum() > 300 and error[inner].max() <= cells + 1e-3
    if offset == "none":
        np.testing.assert_allclose(found.scores, truth.max((2, 3)), rtol=1e-6)


def test_model_files_that_cannot_be(tmp_path: Path):
    (tmp_path / "model.pth").write_bytes(b"")
    told = "model.pth: unknown kind of model file; give a .ckpt, .mindir, .onnx, .om file"
    with pytest.raises(InputError, match=told):
        load_predictor(Request(tmp_path / "model.pth"))
    for suffix in ("ckpt", "mindir", "onnx"):
        with pytest.raises(InputError, match=f"none.{suffix}: no such model file"):
            load_predictor(Request(tmp_path / f"none.{suffix}"))


def test_the_flip_test_can_be_switched(tiny_run: Path):
    assert load_predictor(Request(tiny_run / "best.ckpt", "cpu")).recipe.flip_test is True
    assert load_predictor(Request(tiny_run / "best.ckpt", "cpu", flip_test=False)).recipe.flip_test is False
