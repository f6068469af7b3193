"""Crops and flips as one affine map between an image's pixels and the network's input pixels.

Both originals use the same map: the square box around the sample's center becomes the square input,
`input = (image - center) * input_size / box_size + input_size / 2`, turned by the rotation. A rectangular input, as
COCO's networks have, takes a box of its own aspect. A map is a (2, 3) matrix; coordinates are (x, y) in pixels.
"""

from typing import Any

import cv2
import numpy as np

from posekit.bounds import LARGEST_WARP

Size = int | tuple[int, ...]  # the side of a square, or width and height


def sides(size: Any) -> tuple[Any, Any]:
    """Width and height of a size: of a square's side, the same twice."""
    width, height = size if isinstance(size, tuple) else (size, size)
    return width, height


def fit_box(box_size: Any, box: np.ndarray | None, output_size: Size) -> tuple[Any, Any]:
    """Width and height, in image pixels, of the box that becomes a crop: of one sample or, as arrays (N,), of many.

    box_size: side of the square box, which a square crop takes. A rectangular one takes `box` (…, 2), width and height,
    where there is one, and enlarges one side, about the center, to its own aspect.
    """
    width, height = sides(output_size)
    w, h = box_size, box_size
    if box is not None and width != height:
        w, h = np.moveaxis(box.astype(float), -1, 0)
    aspect = width / height
    return np.maximum(w, aspect * h), np.maximum(h, w / aspect)


def crop_matrix(
    center: np.ndarray,
    box_size: float | tuple[float, float],
    output_size: Size,
    rotation: float = 0.0,
    flip_width: int | None = None,
    intervals: bool = False,
) -> np.ndarray:
    """The (2, 3) map from image pixels to the pixels of a crop of `output_size`.

    center: (2,) of the box in image pixels; box_size: its side in image pixels, or its width and height, whose aspect
        is the crop's (see `fit_box`);
    rotation: degrees, positive turns the picture clockwise on screen;
    flip_width: the image's width when the image is mirrored first (x -> width - 1 - x); center is of the unmirrored;
    intervals: a side of the box becomes output_size - 1, the distance from the centre of the first pixel to that of the
        last, so that the box's middle is the crop's middle exactly (UDP, see `codecs`).
    """
    angle = np.deg2rad(rotation)
    (width, height), (box_width, box_height) = sides(output_size), sides(box_size)
    width, height = width - intervals, height - intervals
    scale = width / box_width, height / box_height  # a little apart only by `intervals`
    (cos_x, sin_x), (cos_y, sin_y) = ((np.cos(angle) * s, np.sin(angle) * s) for s in scale)
    x, y = float(center[0]), float(center[1])
    mirror = np.eye(3)
    if flip_width is not None:
        x = flip_width - 1 - x
        mirror[0] = (-1.0, 0.0, flip_width - 1.0)
    turn = np.array(
        [[cos_x, -sin_x, width / 2 - cos_x * x + sin_x * y], [sin_y, cos_y, height / 2 - sin_y * x - cos_y * y]]
    )
    return turn @ mirror


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) map (or one map a sample, (N, 2, 3)) to points (..., K, 2); the dtype becomes float64."""
    linear = np.swapaxes(matrix[..., :2], -1, -2)  # (..., 2, 2)
    return points @ linear + matrix[..., None, :, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a (2, 3) map, or of each of (N, 2, 3)."""
    linear = np.linalg.inv(matrix[..., :2])
    offset = -linear @ matrix[..., 2:]
    return np.concatenate([linear, offset], axis=-1)


def warp(image: np.ndarray, matrix: np.ndarray, output_size: Size) -> np.ndarray:
    """Sample the image (H, W, 3) through the map to (height, width, 3) of `output_size`, bilinear, black outside."""
    if max(image.shape[:2]) > LARGEST_WARP:
        image, matrix = _part_seen(image, matrix, output_size)
    return cv2.warpAffine(image, matrix, sides(output_size), flags=cv2.INTER_LINEAR)


def _part_seen(image: np.ndarray, matrix: np.ndarray, output_size: Size) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image too large for OpenCV that a crop shows, and the map from its pixels.

    Where the part is too large itself, only every n-th of its rows and columns: the crop has far fewer.
    """
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (np.array(sides(output_size)) + 1) - 1
    seen = transform_points(invert(matrix), corners)  # (4, 2)
    last = np.array(image.shape[1::-1]) - 1
    left, top = np.clip(np.floor(seen.min(axis=0)) - 1, 0, last).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=0)) + 1, 0, last).astype(int)
    step = 1 + max(right - left, bottom - top) // LARGEST_WARP
    part = np.ascontiguousarray(image[top : bottom + 1 : step, left : right + 1 : step])
    linear = matrix[:, :2]
    return part, np.column_stack([linear * step, linear @ (left, top) + matrix[:, 2]])


def box_side(keypoints: np.ndarray) -> np.ndarray:
    """Square root of the area of the box around keypoints (..., K, 2), in pixels, (...)."""
    return np.sqrt(np.prod(keypoints.max(-2) - keypoints.min(-2), axis=-1))
