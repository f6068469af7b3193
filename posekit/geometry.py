"""Crops and flips as one affine map between an image's pixels and the network's input pixels.

Both originals use the same map: the square box around the sample's center becomes the square input,
`input = (image - center) * input_size / box_size + input_size / 2`, turned by the rotation. A rectangular input, as
COCO's networks have, takes a box of its own aspect. A map is a (2, 3) matrix; coordinates are (x, y) in pixels.
"""

from typing import Any

import cv2
import numpy as np

from posekit.bounds import LARGEST_WARP

REDUCTIONS = (8, 4, 2)  # in which libjpeg decodes a JPEG to fewer pixels
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


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The (2, 3) map that applies `inner`, then `outer`."""
    found = outer[:, :2] @ inner
    found[:, 2] += outer[:, 2]
    return found


def enlarging(times: int, left: float = 0, top: float = 0) -> np.ndarray:
    """The (2, 3) map from pixels that are means of `times` × `times` to the pixels of the image they were made of.

    Those start at its column `left` and row `top`. The centre of the first is in the middle of what it is the mean of.
    """
    middle = (times - 1) / 2
    return np.array([[times, 0, left + middle], [0, times, top + middle]], float)


def reduction(shrinks: float) -> int:
    """1, 2, 4 or 8: how many by how many pixels become one before a map samples them that shrinks so many times."""
    return next((times for times in REDUCTIONS if times <= shrinks), 1)


def warp(image: np.ndarray, matrix: np.ndarray, output_size: Size, means: bool = False) -> np.ndarray:
    """Sample the image (H, W, 3) through the map to (height, width, 3) of `output_size`, bilinear, black outside.

    means: where the map shrinks by 2 or more, sample means of 2 × 2, 4 × 4 or 8 × 8 pixels, so that none is left out.
    """
    times = reduction(1 / np.linalg.norm(matrix[:, :2], axis=0).max()) if means else 1
    if times > 1 or max(image.shape[:2]) > LARGEST_WARP:
        image, matrix = _part_seen(image, matrix, output_size, times)
    return cv2.warpAffine(image, matrix, sides(output_size), flags=cv2.INTER_LINEAR)


def _part_seen(
    image: np.ndarray, matrix: np.ndarray, output_size: Size, times: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that a crop shows, as means of `times` × `times` pixels, and the map from them.

    Where that is still too large for OpenCV, only every n-th of its rows and columns: the crop has far fewer.
    """
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (np.array(sides(output_size)) + 1) - 1
    seen = transform_points(invert(matrix), corners)  # (4, 2)
    last = np.array(image.shape[1::-1]) - 1
    left, top = np.clip(np.floor(seen.min(axis=0)) - times, 0, last).astype(int) // times * times
    right, bottom = np.clip(np.ceil(seen.max(axis=0)) + times, 0, last).astype(int) // times * times + times
    part = _means(image[top:bottom, left:right], times)
    step = 1 + max(part.shape[0] - 1, part.shape[1] - 1) // LARGEST_WARP
    every = np.array([[step, 0, 0], [0, step, 0]])
    return np.ascontiguousarray(part[::step, ::step]), compose(matrix, compose(enlarging(times, left, top), every))


def _means(image: np.ndarray, times: int) -> np.ndarray:
    """Means of `times` × `times` pixels, (H, W, 3) -> (H / times, W / times, 3), rounded up; the border is repeated."""
    if times == 1:
        return image
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 0, -height % times, 0, -width % times, cv2.BORDER_REPLICATE)
    return cv2.resize(padded, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)


def box_side(keypoints: np.ndarray) -> np.ndarray:
    """Square root of the area of the box around keypoints (..., K, 2), in pixels, (...)."""
    return np.sqrt(np.prod(keypoints.max(-2) - keypoints.min(-2), axis=-1))
