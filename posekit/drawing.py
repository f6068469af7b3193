"""Draw keypoints into images, for picture files and videos."""

from dataclasses import replace

import cv2
import numpy as np

from posekit import palette
from posekit.skeletons import Skeleton

LEFT, RIGHT, MIDDLE = map(palette.rgb, (palette.LEFT, palette.RIGHT, palette.MIDDLE))


def side_colors(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    """Return an RGB colour per keypoint: orange on the object's left, blue on its right, green in the middle."""
    return [{"left": LEFT, "right": RIGHT}.get(side, MIDDLE) for side in skeleton.sides]


def limb_colors(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    """Return an RGB colour per limb: that of its side, or of the middle; grey where it joins left and right."""
    colors, ends = side_colors(skeleton), [{skeleton.sides[k] for k in limb} - {""} for limb in skeleton.limbs]
    across = palette.rgb(palette.ACROSS)
    return [
        across if len(sides) > 1 else next((colors[k] for k in limb if skeleton.sides[k]), MIDDLE)
        for limb, sides in zip(skeleton.limbs, ends, strict=True)
    ]


def draw_pose(
    image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, skeleton: Skeleton, threshold: float | None = None
) -> np.ndarray:
    """Draw limbs and keypoints (K, 2) with scores above `threshold` on a copy of the image (H, W, 3) uint8 RGB.

    The default threshold is 0.75 × the 80th percentile of the image's scores: if hidden keypoints have no targets in
    training, the network predicts them anyway, but with flatter heatmaps. Small images are enlarged first, so that the
    drawing doesn't cover them.
    """
    return draw_poses(image, keypoints[None], scores[None], skeleton, threshold)


def draw_poses(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    skeleton: Skeleton,
    threshold: float | None = None,
    faded: bool = False,
    frames: np.ndarray | None = None,
) -> np.ndarray:
    """Like `draw_pose`, for several objects: keypoints (M, K, 2) and scores (M, K).

    faded: draw what isn't above the threshold, too, without limbs and nearly transparent. frames: boxes (M, 4) to draw,
    left, top, width and height in pixels.
    """
    factor = max(1, round(480 / max(image.shape[:2])))
    canvas = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    for left, top, width, height in factor * np.asarray([] if frames is None else frames):
        corners = (round(left), round(top)), (round(left + width) - 1, round(top + height) - 1)
        cv2.rectangle(canvas, *corners, palette.rgb(palette.FRAME), 3 * _line_width(canvas))
    if faded and threshold is not None:
        under = canvas.copy()
        for points, values in zip(keypoints, scores, strict=True):
            _draw(under, (points + 0.5) * factor - 0.5, values <= threshold, replace(skeleton, limbs=()))
        canvas = cv2.addWeighted(canvas, 0.65, under, 0.35, 0)
    for points, values in zip(keypoints, scores, strict=True):
        limit = 0.75 * float(np.quantile(values, 0.8)) if threshold is None else threshold
        _draw(canvas, (points + 0.5) * factor - 0.5, values > limit, skeleton)
    return canvas


def _line_width(canvas: np.ndarray) -> int:
    return max(1, round(max(canvas.shape[:2]) / 400))


def _draw(canvas: np.ndarray, keypoints: np.ndarray, shown: np.ndarray, skeleton: Skeleton) -> None:
    """Draw the keypoints (K, 2) selected by `shown` (K,), and the limbs between them, on the canvas."""
    width = _line_width(canvas)
    colors = side_colors(skeleton)
    points = [tuple(int(v) for v in np.round(p * 16)) for p in keypoints]
    for (a, b), color in zip(skeleton.limbs, limb_colors(skeleton), strict=True):
        if shown[a] and shown[b]:
            cv2.line(canvas, points[a], points[b], color, width, cv2.LINE_AA, shift=4)
    for k, point in enumerate(points):
        if shown[k]:
            cv2.circle(canvas, point, (2 * width + 1) * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
            cv2.circle(canvas, point, 2 * width * 16, colors[k], -1, cv2.LINE_AA, shift=4)
