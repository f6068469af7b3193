"""Targets against a per-pixel Gaussian, decoding against closed forms and hand-made maps."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posekit.codecs import CODECS, Codec
from posekit.errors import InputError
from posekit.geometry import crop_matrix, transform_points

SEED = Codec(256, 64, 2.0)
SIZES = [(96, 24), ((64, 96), (16, 24)), ((128, 64), (32, 16))]  # of input and heatmap: a square, upright, lying


def grid(codec: Codec) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of a map, and input pixels a cell on each axis: of pixels, or of intervals between them."""
    pixels, cells = (np.broadcast_to(size, 2) for size in (codec.input_size, codec.heatmap_size))
    return cells, (pixels - codec.intervals) / (cells - codec.intervals)


def brute_force(codec: Codec, x: float, y: float) -> np.ndarray:
    """The heatmap of one visible keypoint in input pixels, pixel by pixel as the papers' code writes it."""
    (width, height), stride = grid(codec)
    mu = [x / stride[0], y / stride[1]]
    if codec.centre == "round":
        mu = [int(v + 0.5) for v in mu]
    elif codec.centre == "truncate":
        if mu[0] <= 0 or not (0 <= int(mu[0]) < width and 0 <= int(mu[1]) < height):
            return np.zeros((height, width))
        mu = [int(v) for v in mu]
    nearest = [math.floor(v + 0.5) for v in mu]
    reach = math.floor(3 * codec.sigma)
    heatmap = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            if abs(column - nearest[0]) <= reach and abs(row - nearest[1]) <= reach:
                square = (column - mu[0]) ** 2 + (row - mu[1]) ** 2
                heatmap[row, column] = math.exp(-square / (2 * codec.sigma**2))
    return heatmap


@pytest.mark.parametrize("centre", ["round", "truncate", "exact"])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_targets_equal_the_gaussian_of_every_pixel(sizes, centre, sigma):
    codec = Codec(*sizes, sigma, centre)
    points = np.random.default_rng(0).uniform(-10, 106, (12, 2))
    heatmaps, weights = codec.encode(points[None], np.ones((1, 12)))
    for k, (x, y) in enumerate(points):
        np.testing.assert_allclose(heatmaps[0, k], brute_force(codec, x, y) * weights[0, k], atol=1e-6)
    assert heatmaps.dtype == weights.dtype == np.float32


def test_the_seed_rounds_to_a_cell_and_cuts_at_three_sigma():
    heatmap = SEED.encode(np.array([[[102.0, 81.9]]]), np.ones((1, 1)))[0][0, 0]  # cells 25.5 and 20.475
    assert np.unravel_index(heatmap.argmax(), (64, 64)) == (20, 26) and heatmap.max() == 1
    assert heatmap[20, 26 + 6] == pytest.approx(math.exp(-36 / 8)) and heatmap[20, 26 + 7] == 0
    assert np.count_nonzero(heatmap) == 13 * 13


# The published code's rules. Their windows are whole only where 3 sigma is a whole number, as in the published recipes.


def edgy_coordinates(rng: np.random.Generator, codec: Codec, count: int) -> np.ndarray:
    """Coordinates (count, 2) in and around the crop: a third anywhere, the others on cells and ties or just beside."""
    reach, (cells, stride) = int(3 * codec.sigma) + 4, grid(codec)
    anywhere = rng.uniform(-reach * stride, codec.input_size + reach * stride, (count, 2))
    ties = rng.integers(-2 * reach, 2 * (cells + reach), (count, 2)) * stride / 2
    return np.where(rng.random((count, 2)) < 1 / 3, anywhere, ties + rng.choice([0, 0, -1e-9, 1e-9], (count, 2)))


def hrnet_target(codec: Codec, point: np.ndarray) -> tuple[np.ndarray, int]:
    """One keypoint's map and weight by the rule of HRNet's and UDP's published code.

    The centre's cell is int(mu + 0.5), so cut towards 0. A square of 3 sigma about it is painted; where UDP paints, the
    Gaussian's peak is at mu itself. A keypoint is left out when its square begins behind the map, or ends, its end not
    included, before cell 0.
    """
    ((width, height), stride), reach = grid(codec), round(3 * codec.sigma)
    mu = [float(v) for v in point / stride]
    cell = [int(v + 0.5) for v in mu]
    peak = mu if codec.centre == "exact" else cell
    heatmap = np.zeros((height, width))
    if any(c - reach >= size or c + reach + 1 < 0 for c, size in zip(cell, (width, height), strict=True)):
        return heatmap, 0
    for row in range(max(0, cell[1] - reach), min(height, cell[1] + reach + 1)):
        for column in range(max(0, cell[0] - reach), min(width, cell[0] + reach + 1)):
            heatmap[row, column] = math.exp(-((column - peak[0]) ** 2 + (row - peak[1]) ** 2) / (2 * codec.sigma**2))
    return heatmap, 1


def hourglass_target(codec: Codec, point: np.ndarray) -> np.ndarray:
    """One joint's map by the rule of Stacked Hourglass's published code, cut at 3 sigma."""
    (width, height), stride = grid(codec)
    heatmap, (x, y) = np.zeros((height, width)), point / stride
    if x <= 0 or int(x) >= width or not 0 <= int(y) < height:  # int(-0.5) is 0
        return heatmap
    for row in range(height):
        for column in range(width):
            if max(abs(row - int(y)), abs(column - int(x))) <= 3 * codec.sigma:
                heatmap[row, column] = math.exp(-((column - int(x)) ** 2 + (row - int(y)) ** 2) / (2 * codec.sigma**2))
    return heatmap


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("name", ["msra", "udp"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_targets_at_and_beyond_every_border_are_the_published_codes(sizes, name, sigma):
    codec = Codec(*sizes, sigma, **CODECS[name])
    points = edgy_coordinates(np.random.default_rng(1), codec, 1000)
    heatmaps, weights = codec.encode(points, np.ones(1000))
    expected = [hrnet_target(codec, point) for point in points]
    assert weights.tolist() == [weight for _, weight in expected]
    np.testing.assert_allclose(heatmaps, np.stack([heatmap for heatmap, _ in expected]), atol=1e-6)


@pytest.mark.parametrize("sigma", [1.0, 2.0])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_people_targets_at_and_beyond_every_border_are_the_published_codes(sizes, sigma):
    codec = Codec(*sizes, sigma, "truncate", supervise_missing=True)
    points = edgy_coordinates(np.random.default_rng(2), codec, 1000)
    heatmaps, weights = codec.encode(points, np.ones(1000))
    assert weights.all()
    np.testing.assert_allclose(heatmaps, np.stack([hourglass_target(codec, point) for point in points]), atol=1e-6)


def test_a_keypoint_a_little_left_of_the_crop_stays_at_cell_0():
    """By int(), -5 / 4 + 0.5 = -0.75 is cell 0; by floor it would be -1, and the target 0.47 off."""
    heatmap = Codec(64, 16, 1.0).encode(np.array([[-5.0, 32.0]]), np.ones(1))[0][0]
    assert heatmap[8, 0] == 1 and heatmap[8, 1] == pytest.approx(math.exp(-0.5))


def test_hidden_and_far_keypoints_weigh_nothing():
    points = np.array([[[128.0, 128.0], [128.0, 128.0], [-25.0, 50.0], [-24.0, 50.0], [50.0, 278.0], [50.0, 277.0]]])
    heatmaps, weights = SEED.encode(points, np.array([[1, 0, 1, 1, 1, 1]]))
    # Cells -6.25 -> -6 and 69.25 -> 69 still reach the map with 6 cells; 69.5 -> 70 does not.
    assert weights.tolist() == [[1, 0, 1, 1, 0, 1]]
    assert [bool(h.any()) for h in heatmaps[0]] == [True, False, True, True, False, True]


def test_missing_keypoints_can_be_supervised():
    codec = Codec(64, 16, 1.0, "truncate", supervise_missing=True)
    heatmaps, weights = codec.encode(np.ones((1, 2, 2)), np.array([[0, 1]]))
    assert weights.tolist() == [[1, 1]] and not heatmaps[0, 0].any() and heatmaps[0, 1, 0, 0] == 1


@given(st.integers(8, 15), st.integers(8, 15), st.sampled_from(["none", "dark", "udp"]))
def test_a_keypoint_on_a_cell_comes_back(column, row, offset):
    codec = Codec(96, 24, 1.5, "exact", offset=offset)
    point = np.array([[[4.0 * column, 4.0 * row]]])
    found, scores = codec.decode(codec.encode(point, np.ones((1, 1)))[0])
    np.testing.assert_allclose(found, point, atol=1e-3)
    np.testing.assert_allclose(scores, 1)


def test_dark_finds_the_place_between_cells():
    codec = Codec(256, 64, 2.0, "exact", offset="dark")
    cells = np.random.default_rng(0).uniform(8, 55, (1, 300, 2))
    found, _ = codec.decode(codec.encode(4 * cells, np.ones((1, 300)))[0])
    assert np.abs(found / 4 - cells).max() < 0.02


@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_udp_finds_the_place_between_cells(sigma):
    codec = Codec(256, 64, sigma, **CODECS["udp"])
    cells = np.random.default_rng(0).uniform(8, 55, (1, 300, 2))
    found, _ = codec.decode(codec.encode(cells * 255 / 63, np.ones((1, 300)))[0])
    assert np.abs(found * 63 / 255 - cells).max() < 0.001


@pytest.mark.parametrize("name", ["dark", "udp"])
def test_the_place_between_cells_of_a_rectangle_comes_back(name):
    """256×192 as COCO's networks: with intervals a cell is 191 / 47 pixels wide and 255 / 63 high."""
    codec = Codec((192, 256), (48, 64), 2.0, **CODECS[name])
    points = np.random.default_rng(0).uniform(32, (160, 224), (1, 300, 2))
    heatmaps, weights = codec.encode(points, np.ones((1, 300)))
    found, scores = codec.decode(heatmaps)
    assert heatmaps.shape == (1, 300, 64, 48) and weights.all() and scores.min() > 0.9
    assert np.abs(found - points).max() < (0.08 if name == "dark" else 0.004)


def area_in_square(radius: float, low: float, high: float) -> float:
    """Share of the square low…high, on both axes, that lies within `radius` of the origin: a sum over its columns."""
    x = np.linspace(low, high, 20_001)
    reach = np.sqrt(np.clip(radius**2 - x**2, 0, None))
    return float(np.mean(np.minimum(reach, high) - np.maximum(-reach, low)) / (high - low))


# Where the truth lies, seen from where it is decoded, in cells on either axis: uniform between these.
CEILINGS = {
    "msra": (CODECS["msra"], (-0.5, 0.5)),  # a target on a cell has equal neighbours: no quarter is ever taken
    "argmax": ({"centre": "exact", "offset": "none"}, (-0.5, 0.5)),
    "quarter of a true peak": ({"centre": "exact", "offset": "quarter"}, (-0.25, 0.25)),
    "hourglass": ({"centre": "truncate", "offset": "forced"}, (-0.25, 0.75)),  # always a quarter past the lower cell
    "dark": (CODECS["dark"], (-0.001, 0.001)),
    "udp": (CODECS["udp"], (-0.001, 0.001)),
}


@pytest.mark.parametrize("radius", [0.1, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("name", CEILINGS)
def test_the_ceiling_of_a_codec_is_the_share_of_a_cell_within_reach(name, radius):
    """What a perfect network scores within `radius` cells is an area: π r² of a whole cell while r is below a half."""
    fields, (low, high) = CEILINGS[name]
    codec = Codec(128, 32, 1.5, **fields)
    cells = np.random.default_rng(3).uniform(7, 24, (1, 20_000, 2))
    found, _ = codec.decode(codec.encode(cells * codec.stride, np.ones((1, 20_000)))[0])
    rate = (np.linalg.norm(found / codec.stride - cells, axis=2) <= radius).mean()
    expected = area_in_square(radius, low, high)
    if low == -0.5 and radius < 0.5:
        assert expected == pytest.approx(math.pi * radius**2, abs=1e-4)
    assert rate == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 20_000))


@pytest.mark.parametrize("intervals, agree", [(True, True), (False, False)])
def test_intervals_lay_a_mirrored_map_on_the_map_of_the_mirrored_image(intervals, agree):
    codec = Codec(96, 24, 1.5, "exact", intervals=intervals)
    points = np.random.default_rng(0).uniform(20, 75, (1, 9, 2))
    mirrored = np.stack([95 - points[..., 0], points[..., 1]], -1)  # the crop's pixels turned round
    plain, other = (codec.encode(p, np.ones((1, 9)))[0] for p in (points, mirrored))
    assert np.allclose(plain, other[..., ::-1], atol=1e-5) == agree


def test_with_intervals_the_box_ends_on_the_outer_pixels():
    matrix = crop_matrix(np.array([50.0, 40.0]), 80.0, 64, intervals=True)
    found = transform_points(matrix, np.array([[10.0, 0.0], [90.0, 80.0], [50.0, 40.0]]))
    np.testing.assert_allclose(found, [[0, 0], [63, 63], [31.5, 31.5]], atol=1e-12)
    codec = Codec(64, 16, 1.0, intervals=True)
    heatmaps, _ = codec.encode(found[None], np.ones((1, 3)))
    assert [np.unravel_index(h.argmax(), (16, 16)) for h in heatmaps[0, :2]] == [(0, 0), (15, 15)]


def test_argmax_and_quarter_are_within_their_quantisation():
    cells = np.random.default_rng(0).uniform(8, 55, (1, 300, 2))
    for offset, bound in (("none", 0.5), ("quarter", 0.25)):
        codec = Codec(256, 64, 2.0, "exact", offset=offset)
        found, _ = codec.decode(codec.encode(4 * cells, np.ones((1, 300)))[0])
        assert np.abs(found / 4 - cells).max() <= bound + 1e-6


def test_quarter_offset_by_hand():
    heatmap = np.zeros((1, 1, 16, 16), np.float32)
    heatmap[0, 0, 5, 8] = 0.9
    heatmap[0, 0, 5, 9], heatmap[0, 0, 5, 7] = 0.3, 0.2  # right is higher: +0.25
    heatmap[0, 0, 4, 8], heatmap[0, 0, 6, 8] = 0.5, 0.1  # above is higher: -0.25
    found, scores = Codec(64, 16, 1.0).decode(heatmap)
    assert found.tolist() == [[[4 * 8.25, 4 * 4.75]]] and scores[0, 0] == pytest.approx(0.9)


@pytest.mark.parametrize(
    "row, column, moved", [(1, 8, False), (2, 8, True), (14, 8, True), (15, 8, False), (8, 1, False)]
)
def test_quarter_offset_stays_off_the_border(row, column, moved):
    """HRNet's condition, 1 < x < w - 1 and the same for y, or no offset at all."""
    heatmap = np.zeros((1, 1, 16, 16), np.float32)
    heatmap[0, 0, row, column] = 1
    heatmap[0, 0, row, column + 1] = 0.5
    found, _ = Codec(64, 16, 1.0).decode(heatmap)
    assert found.tolist() == [[[4 * (column + 0.25 * moved), 4.0 * row]]]


@pytest.mark.parametrize("offset", ["none", "quarter", "dark", "udp"])
def test_maps_without_a_peak(offset):
    codec = Codec(64, 16, 1.5, offset=offset)
    flat, scores = codec.decode(np.full((1, 1, 16, 16), 0.25, np.float32))
    assert flat.tolist() == [[[0, 0]]] and scores.tolist() == [[0.25]]
    for value in (0.0, -1.0):
        nothing, scores = codec.decode(np.full((1, 1, 16, 16), value, np.float32))
        assert nothing.tolist() == [[[0, 0]]] and scores.tolist() == [[value]]
    negative = np.full((1, 1, 16, 16), -1, np.float32)
    negative[0, 0, 8, 8] = -0.5  # the best cell is not the origin, but says nothing
    assert codec.decode(negative)[0].tolist() == [[[0, 0]]]


# Decoding, by the published code's rules


def edgy_maps(rng: np.random.Generator, width: int = 16, height: int = 16, count: int = 1000) -> np.ndarray:
    """Maps (count, h, w): peaks anywhere and on the border, noise, ties, and maps without a positive value."""
    rows, columns = np.arange(height)[:, None], np.arange(width)
    centres = rng.uniform(-1, (width, height), (count, 2))
    centres[::3, 0] = rng.choice([0, 1, 2, width - 3, width - 2, width - 1], len(centres[::3]))
    centres[1::3, 1] = rng.choice([0, 1, 2, height - 3, height - 2, height - 1], len(centres[1::3]))
    bumps = [np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 4.5) for x, y in centres]
    maps = np.stack(bumps) * rng.uniform(0.2, 1.3, (count, 1, 1)) + rng.normal(0, 0.02, (count, height, width))
    maps[::7] = np.round(maps[::7], 1)  # ties
    maps[1::50] = rng.integers(0, 3, maps[1::50].shape) / 2
    maps[2::50] -= 3  # no positive value
    maps[3::50] = rng.choice([-1.0, 0.0, 0.3, 2.0], (len(maps[3::50]), 1, 1))  # constant
    return maps


def best_cell(heatmap: np.ndarray) -> tuple[int, int] | None:
    """Column and row of the first of the highest values, None where it is not positive."""
    best = int(heatmap.argmax())
    return (best % heatmap.shape[1], best // heatmap.shape[1]) if heatmap.flat[best] > 0 else None


def hrnet_cell(heatmap: np.ndarray, sigma: float) -> tuple[float, float]:
    """HRNet's rule: a quarter towards the higher neighbour, inside 1 < x < w - 1 and 1 < y < h - 1."""
    x, y = best_cell(heatmap) or (0, 0)
    if not (1 < x < heatmap.shape[1] - 1 and 1 < y < heatmap.shape[0] - 1):
        return x, y
    right, below = heatmap[y, x + 1] - heatmap[y, x - 1], heatmap[y + 1, x] - heatmap[y - 1, x]
    return x + 0.25 * np.sign(right), y + 0.25 * np.sign(below)


def hourglass_cell(heatmap: np.ndarray, sigma: float) -> tuple[float, float]:
    """Stacked Hourglass's rule: maps are cut off at 1, each axis moves a quarter either way, then half a cell."""
    heatmap = np.minimum(heatmap, 1)
    if best_cell(heatmap) is None:
        return 0, 0
    x, y = best_cell(heatmap)
    bottom, last = np.array(heatmap.shape) - 1
    right = heatmap[y, min(x + 1, last)] > heatmap[y, max(x - 1, 0)]
    below = heatmap[min(y + 1, bottom), x] > heatmap[max(y - 1, 0), x]
    return x + (0.75 if right else 0.25), y + (0.75 if below else 0.25)


def taylor(x: int, y: int, dx: float, dy: float, dxx: float, dyy: float, dxy: float) -> tuple[float, float]:
    """The step to the peak. The published code takes it anywhere; here it is a cell at most, and 0 where no peak is."""
    if dxx >= 0 or dxx * dyy - dxy**2 <= 1e-12:
        return x, y
    step = np.clip(-np.linalg.inv([[dxx, dxy], [dxy, dyy]]) @ [dx, dy], -1, 1)
    return x + step[0], y + step[1]


def dark_cell(heatmap: np.ndarray, sigma: float) -> tuple[float, float]:
    """DARK's rule: blur with the target's sigma and zeros outside, log, a Taylor step two cells off the border."""
    x, y = best_cell(heatmap) or (0, 0)
    if not (1 < x < heatmap.shape[1] - 2 and 1 < y < heatmap.shape[0] - 2):
        return x, y
    rows, columns = np.indices(heatmap.shape)

    def log(column: int, row: int) -> float:
        weights = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
        return math.log(max((heatmap * weights).sum(), 1e-10))

    dx, dy = (log(x + 1, y) - log(x - 1, y)) / 2, (log(x, y + 1) - log(x, y - 1)) / 2
    dxx = (log(x + 2, y) - 2 * log(x, y) + log(x - 2, y)) / 4
    dyy = (log(x, y + 2) - 2 * log(x, y) + log(x, y - 2)) / 4
    dxy = (log(x + 1, y + 1) - log(x - 1, y + 1) - log(x + 1, y - 1) + log(x - 1, y - 1)) / 4
    return taylor(x, y, dx, dy, dxx, dyy, dxy)


def udp_cell(heatmap: np.ndarray, sigma: float) -> tuple[float, float]:
    """The rule of UDP's `post_dark_udp`: OpenCV's 3 x 3 blur, clip, log, the border's cells repeated outside."""
    if best_cell(heatmap) is None:
        return 0, 0
    x, y = best_cell(heatmap)
    logs = np.log(np.clip(cv2.GaussianBlur(heatmap, (3, 3), 0), 0.001, 50))
    bottom, last = np.array(logs.shape) - 1

    def log(column: int, row: int) -> float:
        return logs[min(max(row, 0), bottom), min(max(column, 0), last)]

    middle, left, right, above, below = log(x, y), log(x - 1, y), log(x + 1, y), log(x, y - 1), log(x, y + 1)
    mixed = (log(x + 1, y + 1) - right - below + 2 * middle - left - above + log(x - 1, y - 1)) / 2
    steps = (right - left) / 2, (below - above) / 2, right - 2 * middle + left, below - 2 * middle + above
    return taylor(x, y, *steps, mixed)


@pytest.mark.parametrize(
    ("offset", "rule"),
    [("quarter", hrnet_cell), ("forced", hourglass_cell), ("dark", dark_cell), ("udp", udp_cell)],
)
@pytest.mark.parametrize(("width", "height"), [(16, 16), (12, 16), (24, 10)])
def test_decoding_is_the_published_codes_on_any_map(width, height, offset, rule):
    maps = edgy_maps(np.random.default_rng(3), width, height)
    found, scores = Codec((4 * width, 4 * height), (width, height), 1.5, offset=offset).decode(maps)
    np.testing.assert_allclose(found / 4, [rule(heatmap, 1.5) for heatmap in maps], atol=1e-5)
    np.testing.assert_array_equal(scores, (np.minimum(maps, 1) if offset == "forced" else maps).max((1, 2)))


@pytest.mark.parametrize(("row", "column"), [(0, 8), (15, 8), (8, 0), (8, 15), (0, 0), (15, 15)])
def test_udp_moves_a_best_cell_on_the_border_half_a_cell_outwards(row, column):
    codec = Codec(64, 16, 1.5, **CODECS["udp"])
    point = np.array([[column, row]]) * codec.stride
    found = codec.decode(codec.encode(point, np.ones(1))[0])[0] / codec.stride
    outwards = {0: -0.5, 15: 15.5}
    assert found[0] == pytest.approx([outwards.get(column, column), outwards.get(row, row)], abs=1e-4)


def test_any_leading_shape():
    points = np.random.default_rng(0).uniform(20, 230, (2, 3, 36, 2))
    heatmaps, weights = SEED.encode(points, np.ones((2, 3, 36)))
    assert heatmaps.shape == (2, 3, 36, 64, 64) and weights.shape == (2, 3, 36)
    found, scores = SEED.decode(heatmaps)
    assert found.shape == (2, 3, 36, 2) and scores.shape == (2, 3, 36)
    np.testing.assert_array_equal(found[1, 2], SEED.decode(heatmaps[1, 2])[0])
    np.testing.assert_allclose(SEED.encode(points[0, 1], np.ones(36))[0], heatmaps[0, 1])


def test_an_unknown_codec_is_refused():
    with pytest.raises(InputError, match="^offset must be one of none, quarter, forced, dark, udp, not 'drak'$"):
        Codec(64, 16, 1.0, offset="drak")
    with pytest.raises(InputError, match="^centre must be one of round, truncate, exact, not 'middle'$"):
        replace(SEED, centre="middle")
