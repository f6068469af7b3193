"""Keypoints drawn into pixels, for pictures that leave the notebook."""

import cv2
import numpy as np

from posekit.skeletons import Skeleton

LEFT, RIGHT, MIDDLE = (255, 120, 30), (40, 140, 255), (90, 210, 90)  # RGB


def side_colors(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    """An RGB colour a keypoint: orange on the object's left, blue on its right, green between."""
    sides = {"left": LEFT, "right": RIGHT}
    return [sides.get(name.split()[0], MIDDLE) for name in skeleton.keypoints]


def draw_pose(
    image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, skeleton: Skeleton, threshold: float | None = None
) -> np.ndarray:
    """A copy of the image (H, W, 3) uint8 RGB with limbs and keypoints (K, 2) whose score is above `threshold`.

    Without one, those that come near the image's best, 0.75 of the scores' 80th percentile: where hidden keypoints
    are not supervised the network answers something for them, too, but with flatter maps.
    Small images are enlarged first, so that the drawing does not hide them.
    """
    if threshold is None:
        threshold = 0.75 * float(np.quantile(scores, 0.8))
    factor = max(1, round(480 / max(image.shape[:2])))
    canvas = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    width = max(1, round(max(canvas.shape[:2]) / 400))
    colors = side_colors(skeleton)
    points = [tuple(int(v) for v in np.round(((p + 0.5) * factor - 0.5) * 16)) for p in keypoints]
    for a, b in skeleton.limbs:
        if min(scores[a], scores[b]) > threshold:
            cv2.line(canvas, points[a], points[b], colors[a], width, cv2.LINE_AA, shift=4)
    for k, point in enumerate(points):
        if scores[k] > threshold:
            cv2.circle(canvas, point, (2 * width + 1) * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
            cv2.circle(canvas, point, 2 * width * 16, colors[k], -1, cv2.LINE_AA, shift=4)
    return canvas
