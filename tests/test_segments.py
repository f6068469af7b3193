"""Surface segments are the polygons of their corners, drawn when convex and kept when all corners are sure."""

import numpy as np
import pytest
from polygons import depth

from posekit.reid.segments import is_convex, segment_maps, visible_segments
from posekit.skeletons import VEHICLE


def test_the_13_segments_come_in_mirrored_pairs():
    """The sides' six quads are each other's mirror images; the seven between them are their own."""
    quads = [frozenset(segment) for segment in VEHICLE.segments]
    mirrored = [frozenset((k + 18) % 36 for k in quad) for quad in quads]
    assert len(quads) == 13 and mirrored[:3] == quads[3:6] and mirrored[6:] == quads[6:]


@pytest.mark.parametrize("seed", range(6))
def test_a_segment_is_the_polygon_of_its_corners(seed: int):
    """Against half-planes at the centres of the 64×64 pixels; undecided only where the shrunk border passes."""
    rng = np.random.default_rng(seed)
    width, height = rng.integers(70, 400, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 4)) if seed % 2 else np.arange(4) * np.pi / 2
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)[:: 1 if seed % 3 else -1]
    quad = rng.uniform(0.2, 0.8, 2) * (width, height) + circle * rng.uniform(0.2, 0.6) * min(width, height)
    points = np.zeros((36, 2))
    points[list(VEHICLE.segments[7])] = quad
    found = segment_maps(points, int(width), int(height), VEHICLE)
    assert found.shape == (13, 64, 64) and found.dtype == np.uint8
    y, x = np.mgrid[:64, :64]
    centres = np.stack([(x + 0.5) * width / 64 - 0.5, (y + 0.5) * height / 64 - 0.5], -1)
    inside = depth(quad, centres)
    sure = np.abs(inside) > 2.5  # pixels: corners are rounded, the border belongs to it, two pixels make one
    assert sure.mean() > 0.8 and (inside > 2.5).any() and (inside < -2.5).any()
    np.testing.assert_array_equal(found[7][sure], np.where(inside > 0, 255, 0)[sure])
    assert not np.delete(found, 7, 0).any(), "quads without area are black"


@pytest.mark.parametrize(
    ("quad", "convex"),
    [
        ([(0, 0), (9, 0), (9, 9), (0, 9)], True),
        ([(0, 0), (9, 1), (20, 30), (-3, 9)], True),
        ([(0, 0), (9, 9), (9, 0), (0, 9)], False),  # a bow tie
        ([(0, 0), (9, 0), (2, 2), (0, 9)], False),  # an arrowhead
        ([(0, 0), (5, 0), (9, 0), (4, 9)], False),  # three on a line
        ([(0, 0), (9, 0), (9, 0), (0, 9)], False),  # two in one place
    ],
)
def test_convex_whatever_the_first_corner_and_the_turn(quad: list[tuple[int, int]], convex: bool):
    for start in range(4):
        for step in (1, -1):
            assert is_convex(np.roll(quad, start, axis=0)[::step]) is convex
    points = np.zeros((36, 2))
    points[list(VEHICLE.segments[0])] = 10 + 2 * np.array(quad)
    assert segment_maps(points, 80, 80, VEHICLE)[0].any() == convex


def test_a_segment_needs_all_four_scores():
    scores = np.full((2, 36), 0.5)
    scores[1, 16] = 0.499  # of segments 0, 11 and 12
    assert visible_segments(scores, VEHICLE)[0].all()
    assert np.flatnonzero(~visible_segments(scores, VEHICLE)[1]).tolist() == [0, 11, 12]
