"""Pictures of a folder to label: as a person sees them, and the map to the pixels that the file stores."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posekit.datasets import jpeg
from posekit.datasets.images import decode_image, form_of, one_line, read_file
from posekit.errors import InputError
from posekit.geometry import invert, transform_points
from posekit.inference.inputs import find_inputs

_SIDES = (2048, 1448, 1024, 724)  # pixels of a copy's longer side
_MOST = 700_000  # bytes of a copy: Jupyter drops messages above 1 MB a second


@dataclass(frozen=True)
class Shown:
    """A picture upright, (H, W, 3) uint8 RGB, and the (2, 3) map from the stored pixels to these."""

    image: np.ndarray
    matrix: np.ndarray

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height as stored."""
        height, width = self.image.shape[:2]
        return (width, height) if self.matrix[0, 0] else (height, width)

    def upright(self, found: dict) -> dict:
        """An object of a label file, in upright pixels."""
        return _moved(found, self.matrix)

    def stored(self, found: dict) -> dict:
        """An object in upright pixels as the label file has it."""
        return _moved(found, invert(self.matrix))

    def copy(self) -> bytes:
        """A JPEG for the page: the whole picture, smaller where it is large."""
        longest, data = max(self.image.shape[:2]), b""
        for side in _SIDES:
            if side < longest or side == _SIDES[0]:
                data = _encoded(self.image, min(1.0, side / longest))
            if len(data) <= _MOST:
                break
        return data


def find_pictures(folder: Path) -> tuple[dict[str, Path], str]:
    """The pictures of a folder by file name, and which other images are there that can't be read, or ""."""
    if not folder.is_dir():
        cure = "give the folder that holds the pictures"
        raise InputError(f"{one_line(folder)}: {'not a folder' if folder.exists() else 'no such folder'}; {cure}")
    inputs, skipped = find_inputs([folder])
    pictures = {given.path.name: given.path for given in inputs if not given.video}
    if not pictures:
        raise InputError(f"{one_line(folder)}: holds videos but no pictures; save some of their frames as pictures")
    reasons = [
        f"{', '.join(map(one_line, names))} ({reason.replace('; ', ', ')})"
        for reason, names in skipped.names[folder].items()
        if "image" in reason and "not an image" not in reason or "raw file" in reason
    ]
    return pictures, "; ".join(reasons)


def read_picture(path: Path) -> Shown:
    """Read a picture; `BadImage` if it can't be decoded. A JPEG is turned upright as its orientation tag says."""
    data, where = read_file(path), one_line(path)
    turned = form_of(data) == "JPEG"
    image = decode_image(data, where, upright=turned)
    return Shown(image, _upright_matrix(jpeg.orientation(data) if turned else 1, *image.shape[:2]))


def _upright_matrix(orientation: int, height: int, width: int) -> np.ndarray:
    """The map (2, 3) from stored to upright pixels; height and width are those of the upright picture."""
    right, bottom = width - 1, height - 1
    rows = {
        2: [[-1, 0, right], [0, 1, 0]],
        3: [[-1, 0, right], [0, -1, bottom]],
        4: [[1, 0, 0], [0, -1, bottom]],
        5: [[0, 1, 0], [1, 0, 0]],
        6: [[0, -1, right], [1, 0, 0]],
        7: [[0, -1, right], [-1, 0, bottom]],
        8: [[0, 1, 0], [-1, 0, bottom]],
    }
    return np.array(rows.get(orientation, [[1, 0, 0], [0, 1, 0]]), float)


def _moved(found: dict, matrix: np.ndarray) -> dict:
    x, y, width, height = found["box"]
    corners = transform_points(matrix, np.array([[x, y], [x + width, y + height]]))  # (2, 2)
    low, high = corners.min(0), corners.max(0)
    points = np.array(found["points"], float)  # (K, 3)
    places = transform_points(matrix, points[:, :2])
    points[:, :2] = np.where(points[:, 2:] > 0, places, points[:, :2])
    return {**found, "box": [*low.tolist(), *(high - low).tolist()], "points": points.tolist()}


def _encoded(image: np.ndarray, scale: float) -> bytes:
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    sharp = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), sharp)[1].tobytes()
