"""Small COCO files for tests, written by hand, and their pictures."""

import json
from pathlib import Path

import cv2
import numpy as np

NAMES = ["left_rim", "right_rim", "handle"]


def content(images: int = 6) -> dict:
    """A file of one mug an image; the handle of every second one is covered, of every third one unlabelled."""
    keypoints = [
        [10 + n, 10, 2, 40 + n, 12, 2, *((50 + n, 25, 1) if n % 2 else (0, 0, 0) if n % 3 == 0 else (50 + n, 25, 2))]
        for n in range(images)
    ]
    return {
        "images": [{"id": n + 1, "file_name": f"mug{n}.png", "width": 80, "height": 60} for n in range(images)],
        "annotations": [
            {
                "id": 100 + n, "image_id": n + 1, "category_id": 7, "iscrowd": 0, "bbox": [8 + n, 8, 45, 30],
                "area": 900.0, "num_keypoints": 2 + bool(keypoints[n][-1]), "keypoints": keypoints[n],
            }
            for n in range(images)
        ],
        "categories": [{"id": 7, "name": "mug", "keypoints": NAMES, "skeleton": [[1, 2], [2, 3]]}],
    }  # fmt: skip


def write(path: Path, values: object, pictures: Path | None = None) -> Path:
    """Write the file and, into the folder `pictures`, a picture of noise for each of its images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    if pictures and isinstance(values, dict):
        for n, image in enumerate(values["images"]):
            target = pictures / image["file_name"]
            target.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(n).integers(0, 255, (60, 80, 3), np.uint8)
            cv2.imwrite(str(target), noise)
    return path
