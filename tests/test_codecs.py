"""Targets against a per-pixel Gaussian, decoding against closed forms and hand-made maps."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posekit.codecs import CODECS, Codec
from posekit.errors import InputError
from posekit.geometry import crop_matrix, transform_points

SEED = Codec(256, 64, 2.0)


def brute_force(codec: Codec, x: float, y: float) -> np.ndarray:
    """The heatmap of one visible keypoint in input pixels, pixel by pixel as the papers' code writes it."""
    mu = [x / codec.stride, y / codec.stride]
    if codec.centre == "round":
        mu = [math.floor(v + 0.5) for v in mu]
    elif codec.centre == "truncate":
        if mu[0] <= 0 or not all(0 <= int(v) < codec.heatmap_size for v in mu):
            return np.zeros((codec.heatmap_size, codec.heatmap_size))
        mu = [int(v) for v in mu]
    nearest = [math.floor(v + 0.5) for v in mu]
    reach = math.floor(3 * codec.sigma)
    heatmap = np.zeros((codec.heatmap_size, codec.heatmap_size))
    for row in range(codec.heatmap_size):
        for column in range(codec.heatmap_size):
            if abs(column - nearest[0]) <= reach and abs(row - nearest[1]) <= reach:
                square = (column - mu[0]) ** 2 + (row - mu[1]) ** 2
                heatmap[row, column] = math.exp(-square / (2 * codec.sigma**2))
    return heatmap


@pytest.mark.parametrize("centre", ["round", "truncate", "exact"])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_targets_equal_the_gaussian_of_every_pixel(centre, sigma):
    codec = Codec(96, 24, sigma, centre)
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
