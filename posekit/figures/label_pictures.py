"""Pictures of a folder to label, as a person sees them: turned as their orientation tags say, as COCO's readers do."""

from pathlib import Path

import cv2
import numpy as np

from posekit.datasets.images import decode_image, one_line, read_file
from posekit.errors import InputError
from posekit.inference.inputs import find_inputs

_SIDES = (2048, 1448, 1024, 724)  # pixels of a copy's longer side
_MOST = 700_000  # bytes of a copy: Jupyter drops messages above 1 MB a second


def copy_for_page(image: np.ndarray) -> bytes:
    """A JPEG of an image (H, W, 3) uint8 RGB for the page: the whole picture, smaller where it is large."""
    longest, data = max(image.shape[:2]), b""
    for side in _SIDES:
        if side < longest or side == _SIDES[0]:
            data = _encoded(image, min(1.0, side / longest))
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


def read_picture(path: Path) -> np.ndarray:
    """Read a picture as a person sees it, (H, W, 3) uint8 RGB; `BadImage` if it can't be decoded."""
    return decode_image(read_file(path), one_line(path), upright=True)


def _encoded(image: np.ndarray, scale: float) -> bytes:
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    sharp = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), sharp)[1].tobytes()
