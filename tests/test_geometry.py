"""Crops, flips and their inverse, against pixels and closed forms."""

import cv2
import numpy as np
import numpy.testing  # its first import starts lscpu, which a quick test may not
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posekit.geometry import _part_seen, box_side, crop_matrix, fit_box, invert, transform_points, warp

coordinates = st.floats(-500, 500)
maps = st.builds(
    crop_matrix,
    st.tuples(coordinates, coordinates).map(np.array),
    st.floats(10, 1000),
    st.sampled_from([16, 64, 256]),
    st.floats(-180, 180),
    st.none() | st.integers(1, 800),
)


def dot(width: int, height: int, x: float, y: float, sigma: float = 2.0) -> np.ndarray:
    """A white blot centred at (x, y) on black, (height, width, 3) uint8."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    blot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(blot[..., None], 3, 2).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    columns, rows = np.meshgrid(np.arange(weight.shape[1]), np.arange(weight.shape[0]))
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def test_the_box_becomes_the_input():
    """input = (image - center) * size / box + size / 2, by hand: corners, centre and a point inside."""
    matrix = crop_matrix(np.array([50.0, 40.0]), 80.0, 64)
    found = transform_points(matrix, np.array([[50.0, 40.0], [10.0, 0.0], [90.0, 80.0], [60.0, 35.0]]))
    np.testing.assert_allclose(found, [[32, 32], [0, 0], [64, 64], [40, 28]], atol=1e-12)


# Rectangular inputs, as COCO's networks have


def official_box(width: float, height: float, aspect: float) -> tuple[float, float]:
    """HRNet's rule for COCO: the side that is too short for the input's aspect grows; 1.25 is in the box already."""
    if width > aspect * height:
        return width, width / aspect
    return (height * aspect, height) if width < aspect * height else (width, height)


def official_map(center: np.ndarray, box_width: float, size: tuple[int, int], turn: float) -> np.ndarray:
    """HRNet's map, fixed by three points: the center, the point half the box's width above it, and the corner that
    makes a right angle with them; `turn` in degrees turns the box, so the picture the other way."""
    angle = np.deg2rad(turn)
    up = np.array([np.sin(angle), -np.cos(angle)]) * box_width / 2
    middle, above = np.array(size) / 2, np.array([0, -size[0] / 2])
    points = [center, center + up, center + up + [up[1], -up[0]]]
    images = [middle, middle + above, middle + above + [above[1], -above[0]]]
    homogeneous = np.column_stack([points, np.ones(3)])
    return np.linalg.solve(homogeneous, np.array(images)).T


SIZES = [(192, 256), (288, 384), (48, 64), (256, 192), (64, 64)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_is_that_of_hrnets_code_for_coco(size, flip):
    rng = np.random.default_rng(4)
    for _ in range(200):
        width = int(rng.integers(40, 800))
        center, box = rng.uniform(0, 500, 2), rng.uniform(5, 400, 2).astype(np.float32)
        scale, rotation = float(rng.uniform(0.7, 1.3)), float(rng.choice([0, rng.uniform(-80, 80)]))
        fitted = fit_box(float(box.max()), box, size)
        expected = official_box(*box.astype(float), size[0] / size[1])
        np.testing.assert_allclose(fitted, expected, rtol=1e-12)
        found = crop_matrix(center, (fitted[0] * scale, fitted[1] * scale), size, rotation, width if flip else None)
        mirrored = np.array([width - 1 - center[0], center[1]]) if flip else center
        official = official_map(mirrored, expected[0] * scale, size, -rotation)
        if flip:
            official = official @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
        np.testing.assert_allclose(found, official, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_with_intervals_a_rectangle_is_scaled_by_its_intervals(size):
    """UDP: about the center, turned, each side by (its pixels - 1) / the box's side, to the middle of its pixels."""
    rng, extent = np.random.default_rng(5), np.array(size) - 1
    for _ in range(50):
        center, box, rotation = rng.uniform(0, 500, 2), rng.uniform(20, 400, 2), float(rng.uniform(-80, 80))
        fitted = fit_box(0.0, box, size) if size[0] != size[1] else (box[0], box[0])
        points, angle = rng.uniform(0, 500, (9, 2)), np.deg2rad(rotation)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        expected = (points - center) @ turn.T * extent / fitted + extent / 2
        found = transform_points(crop_matrix(center, fitted, size, rotation, intervals=True), points)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_boxes_by_hand():
    assert fit_box(250.0, np.array([75.0, 250.0]), (192, 256)) == (187.5, 250)  # wider
    assert fit_box(300.0, np.array([300.0, 200.0]), (192, 256)) == (300, 400)  # higher
    assert fit_box(90.0, None, (192, 256)) == (90, 120)  # a square box, where the labels have no other
    assert fit_box(200.0, np.array([75.0, 100.0]), 64) == fit_box(200.0, None, (64, 64)) == (200, 200)
    many = fit_box(np.array([250.0, 300.0]), np.array([[75.0, 250.0], [300.0, 200.0]]), (192, 256))
    np.testing.assert_array_equal(many, [[187.5, 300], [250, 400]])


def test_a_rectangular_crop_has_the_boxs_pixels():
    image = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    crop = warp(image, crop_matrix(np.array([44.0, 42.0]), (48.0, 64.0), (48, 64)), (48, 64))
    np.testing.assert_array_equal(crop, image[10:74, 20:68])


@given(maps, st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5))
def test_inverse_brings_points_back(matrix, points):
    points = np.array(points)
    np.testing.assert_allclose(transform_points(invert(matrix), transform_points(matrix, points)), points, atol=1e-6)


@given(maps, st.tuples(coordinates, coordinates), st.tuples(coordinates, coordinates))
def test_a_map_is_a_similarity(matrix, a, b):
    """All distances scale by the same factor, the square root of the determinant."""
    ends = transform_points(matrix, np.array([a, b]))
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(scale * np.hypot(a[0] - b[0], a[1] - b[1]), abs=1e-6)


@given(coordinates, coordinates, st.floats(10, 1000), st.floats(-180, 180), st.none() | st.integers(1, 800))
def test_only_a_flip_mirrors(x, y, box_size, rotation, flip_width):
    matrix = crop_matrix(np.array([x, y]), box_size, 64, rotation, flip_width)
    assert (np.linalg.det(matrix[:, :2]) < 0) == (flip_width is not None)


def test_positive_rotation_is_clockwise_on_screen():
    """A quarter turn: what lay to the right of the centre lies below it (y runs down)."""
    found = transform_points(crop_matrix(np.array([50.0, 50.0]), 64.0, 64, 90.0), np.array([[60.0, 50.0]]))
    np.testing.assert_allclose(found, [[32.0, 42.0]], atol=1e-9)


def test_a_flip_is_the_mirrored_image_cropped():
    """Pixels: warping with flip_width equals mirroring the array first and warping about the mirrored centre."""
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (48, 61, 3), np.uint8), (0, 0), 2)
    center = np.array([25.0, 20.0])
    flipped = warp(image, crop_matrix(center, 70.0, 64, 17.0, flip_width=61), 64)
    mirrored = warp(
        np.ascontiguousarray(image[:, ::-1]), crop_matrix(np.array([60.0 - 25.0, 20.0]), 70.0, 64, 17.0), 64
    )
    assert np.abs(flipped.astype(int) - mirrored).max() <= 255 / 32  # OpenCV places samples to 1/32 pixel


def test_warp_without_change_copies_pixels():
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(warp(image, crop_matrix(np.array([32.0, 32.0]), 64.0, 64), 64), image)


@pytest.mark.parametrize("rotation", [0.0, 35.0, -120.0])
@pytest.mark.parametrize("flip_width", [None, 120])
def test_a_drawn_dot_lands_where_its_point_does(rotation, flip_width):
    x, y = 70.3, 41.7
    matrix = crop_matrix(np.array([64.0, 45.0]), 90.0, 128, rotation, flip_width)
    expected = transform_points(matrix, np.array([[x, y]]))[0]
    np.testing.assert_allclose(centroid(warp(dot(120, 90, x, y), matrix, 128)), expected, atol=0.1)


def test_outside_the_image_is_black():
    white = np.full((20, 20, 3), 255, np.uint8)
    crop = warp(white, crop_matrix(np.array([10.0, 10.0]), 80.0, 80), 80)
    assert crop[40, 40].tolist() == [255] * 3 and crop[5, 5].tolist() == [0] * 3


def test_one_map_a_sample():
    """Batched maps give what each map gives by itself."""
    rng = np.random.default_rng(0)
    single = [crop_matrix(rng.uniform(0, 99, 2), rng.uniform(20, 99), 64, rng.uniform(-90, 90)) for _ in range(5)]
    points = rng.uniform(0, 99, (5, 36, 2))
    together = transform_points(np.stack(single), points)
    for matrix, mine, found in zip(single, points, together, strict=True):
        homogeneous = np.concatenate([mine, np.ones((36, 1))], 1)
        np.testing.assert_allclose(found, homogeneous @ matrix.T, atol=1e-9)
    np.testing.assert_allclose(invert(np.stack(single)), np.stack([cv2.invertAffineTransform(m) for m in single]))


def test_box_side_is_the_root_of_the_area():
    assert box_side(np.array([[[2.0, 3.0], [11.0, 7.0], [5.0, 4.0]]])) == pytest.approx([6.0])  # √(9 · 4)


def test_the_part_of_a_large_image_that_is_seen_gives_the_same_crop():
    """Bit for bit."""
    rng = np.random.default_rng(0)
    for number in range(1000):
        height, width = rng.integers(20, 300, 2)
        image = cv2.blur(rng.integers(0, 255, (height, width, 3), np.uint8), (3, 3))
        center, side = rng.uniform(-20, [width + 20, height + 20]), float(rng.uniform(5, 250))
        rotation, flip = float(rng.choice([0, rng.uniform(-90, 90)])), int(width) if number % 3 == 0 else None
        matrix = crop_matrix(center, side, 64, rotation, flip, number % 2 == 0)
        whole = warp(image, matrix, 64)
        part, shifted = _part_seen(image, matrix, 64)
        assert (cv2.warpAffine(part, shifted, (64, 64), flags=cv2.INTER_LINEAR) == whole).all()
        matrix = crop_matrix(center, fit_box(side, None, (48, 64)), (48, 64), rotation, flip)
        part, shifted = _part_seen(image, matrix, (48, 64))
        whole = cv2.warpAffine(image, matrix, (48, 64), flags=cv2.INTER_LINEAR)
        assert (cv2.warpAffine(part, shifted, (48, 64), flags=cv2.INTER_LINEAR) == whole).all()


@pytest.mark.parametrize("width", [32_767, 33_000, 65_500, 1_000_000])
@pytest.mark.parametrize("upright", [False, True])
def test_images_wider_than_opencv_takes(width: int, upright: bool):
    """The whole and a box in it: a bar is where its points go."""
    image = np.zeros((60, width, 3), np.uint8)
    image[:, int(0.7 * width) : int(0.75 * width)] = 255
    points = np.array([[0.7 * width, 30], [0.75 * width, 30]])
    if upright:
        image, points = np.ascontiguousarray(image.swapaxes(0, 1)), points[:, ::-1]
    for x, side in ((0.5 * width, 1.25 * width), (0.72 * width, 0.1 * width)):
        center = np.array([30.0, x]) if upright else np.array([x, 30.0])
        matrix = crop_matrix(center, side, 256)
        row = warp(image, matrix, 256).max(axis=1 if upright else 0)[:, 0]
        expected = transform_points(matrix, points)[:, 1 if upright else 0]
        np.testing.assert_allclose(np.flatnonzero(row > 127)[[0, -1]], expected - (0, 1), atol=1.01)
