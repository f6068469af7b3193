"""Poses drawn into pixels."""

import numpy as np

from posekit.drawing import draw_pose, side_colors
from posekit.skeletons import PERSON, VEHICLE


def dots(canvas: np.ndarray, keypoints: np.ndarray, factor: int) -> np.ndarray:
    """Which keypoints (K, 2) have a dot on the canvas that was black."""
    at = np.round((keypoints + 0.5) * factor - 0.5).astype(int)
    return canvas[at[:, 1], at[:, 0]].any(axis=1)


def spread(count: int) -> np.ndarray:
    """Keypoints far from each other in an image of 480 × 480."""
    return np.stack([40 + 64 * (np.arange(count) % 7), 40 + 64 * (np.arange(count) // 7)], axis=1).astype(float)


def test_what_is_above_the_threshold_is_drawn_in_its_sides_colour():
    keypoints, scores = spread(16), np.linspace(0, 1, 16)
    canvas = draw_pose(np.zeros((480, 480, 3), np.uint8), keypoints, scores, PERSON, threshold=0.5)
    assert (dots(canvas, keypoints, 1) == (scores > 0.5)).all()
    right_shoulder = keypoints[12].astype(int)
    assert tuple(canvas[right_shoulder[1], right_shoulder[0]]) == side_colors(PERSON)[12]


def test_without_a_threshold_flat_answers_beside_sure_ones_are_left_out():
    keypoints, scores = spread(36), np.where(np.arange(36) < 20, 0.8, 0.5)
    canvas = draw_pose(np.zeros((480, 480, 3), np.uint8), keypoints, scores, VEHICLE)
    assert (dots(canvas, keypoints, 1) == (np.arange(36) < 20)).all()
    alike = draw_pose(np.zeros((480, 480, 3), np.uint8), keypoints, np.full(36, 0.3), VEHICLE)
    assert dots(alike, keypoints, 1).all()


def test_a_small_image_is_enlarged_and_the_dots_with_it():
    keypoints = spread(16) / 8
    canvas = draw_pose(np.zeros((60, 60, 3), np.uint8), keypoints, np.ones(16), PERSON)
    assert canvas.shape == (480, 480, 3)
    assert dots(canvas, keypoints, 8).all()
