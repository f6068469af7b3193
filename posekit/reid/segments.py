"""Surface segments (quads of keypoints that bound an object's faces): draw them, and find those MultiTaskNet keeps.

Source: MindSpore models, research/cv/PAMTRI: PoseEstNet/src/utils/function.py (`output_preds`) draws them,
MultiTaskNet/src/dataset/data_loader.py reads them.
"""

import cv2
import numpy as np

from posekit.skeletons import Skeleton

SIZE = 64  # width and height of a map, pixels
GATE = 0.5  # MultiTaskNet blackens a segment if one of its keypoints has a lower score


def is_convex(quad: np.ndarray) -> bool:
    """Whether all corners (4, 2) turn the same way; False if three of them are on a line."""
    edges = np.roll(quad, -1, axis=0) - quad
    following = np.roll(edges, -1, axis=0)
    turns = np.sign(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0])
    return bool(abs(turns.sum()) == len(quad))


def segment_maps(keypoints: np.ndarray, width: int, height: int, skeleton: Skeleton) -> np.ndarray:
    """Draw the skeleton's segments as maps (S, 64, 64) uint8, 255 inside and 0 outside.

    keypoints: (K, 2) in pixels of a width × height image. Corners are rounded to pixels, the quad is filled, and the
    image is resized to 64 × 64. A segment that isn't convex is black.
    """
    corners = np.rint(keypoints).astype(np.int32)
    maps = np.zeros((len(skeleton.segments), SIZE, SIZE), np.uint8)
    for number, segment in enumerate(skeleton.segments):
        quad = corners[list(segment)]
        if is_convex(quad):
            mask = np.zeros((height, width), np.uint8)
            maps[number] = cv2.resize(cv2.fillPoly(mask, [quad], (255,)), (SIZE, SIZE))
    return maps


def visible_segments(scores: np.ndarray, skeleton: Skeleton, threshold: float = GATE) -> np.ndarray:
    """Find the segments whose four keypoints all have scores (..., K) of at least `threshold`; (..., S) bool."""
    return (scores[..., list(skeleton.segments)] >= threshold).all(-1)
