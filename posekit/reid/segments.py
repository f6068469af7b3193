"""Surface segments: quads of keypoints that bound an object's faces. How they are drawn, and which MultiTaskNet keeps.

Source: MindSpore models, research/cv/PAMTRI: PoseEstNet/src/utils/function.py (`output_preds`) draws them,
MultiTaskNet/src/dataset/data_loader.py reads them.
"""

import cv2
import numpy as np

from posekit.skeletons import Skeleton

SIZE = 64  # of a map, pixels
GATE = 0.5  # MultiTaskNet blackens a segment that has a keypoint with a lower score


def is_convex(quad: np.ndarray) -> bool:
    """True when the corners (4, 2) all turn the same way; a corner on a straight line turns neither."""
    edges = np.roll(quad, -1, axis=0) - quad
    following = np.roll(edges, -1, axis=0)
    turns = np.sign(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0])
    return bool(abs(turns.sum()) == len(quad))


def segment_maps(keypoints: np.ndarray, width: int, height: int, skeleton: Skeleton) -> np.ndarray:
    """The skeleton's segments (S, 64, 64) uint8, 255 inside, of keypoints (K, 2) in pixels of a width × height image.

    Corners are rounded to pixels; the filled quad shrinks with the whole image. Black when it is not convex.
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
    """(..., S) bool: segments whose four keypoints' scores, of (..., K), all reach the threshold."""
    return (scores[..., list(skeleton.segments)] >= threshold).all(-1)
