"""Crops and flips as one affine map between an image's pixels and the network's input pixels.

Both originals use the same map: the square box around the sample's center becomes the square input,
`input = (image - center) * input_size / box_size + input_size / 2`, turned by the rotation.
A map is a (2, 3) matrix; coordinates are (x, y) in pixels.
"""

import cv2
import numpy as np

from posekit.bounds import LARGEST_WARP


def crop_matrix(
    center: np.ndarray,
    box_size: float,
    output_size: int,
    rotation: float = 0.0,
    flip_width: int | None = None,
    intervals: bool = False,
) -> np.ndarray:
    """The (2, 3) map from image pixels to the pixels of an `output_size` square crop.

    center: (2,) of the box in image pixels; box_size: its side in image pixels;
    rotation: degrees, positive turns the picture clockwise on screen;
    flip_width: the image's width when the image is mirrored first (x -> width - 1 - x); center is of the unmirrored;
    intervals: the box's side becomes output_size - 1, the distance from the centre of the first pixel to that of the
        last, so that the box's middle is the crop's middle exactly (UDP, see `codecs`).
    """
    angle = np.deg2rad(rotation)
    extent = output_size - intervals
    scale = extent / box_size
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    x, y = float(center[0]), float(center[1])
    mirror = np.eye(3)
    if flip_width is not None:
        x = flip_width - 1 - x
        mirror[0] = (-1.0, 0.0, flip_width - 1.0)
    half = extent / 2
    turn = np.array([[cos, -sin, half - cos * x + sin * y], [sin, cos, half - sin * x - cos * y]])
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


def warp(image: np.ndarray, matrix: np.ndarray, output_size: int) -> np.ndarray:
    """Sample the image (H, W, 3) through the map to (output_size, output_size, 3), bilinear, black outside."""
    if max(image.shape[:2]) > LARGEST_WARP:
        image, matrix = _part_seen(image, matrix, output_size)
    return cv2.warpAffine(image, matrix, (output_size, output_size), flags=cv2.INTER_LINEAR)


def _part_seen(image: np.ndarray, matrix: np.ndarray, output_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image too large for OpenCV that a crop shows, and the map from its pixels.

    Where the part is too large itself, only every n-th of its rows and columns: the crop has far fewer.
    """
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (output_size + 1) - 1
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
