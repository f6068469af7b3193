"""Small data sets in the VeRi layout, for tests: noise pictures with random keypoints."""

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 60, 40


def jpeg(seed: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def label_row(name: str, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """The cells of one label row: keypoints inside the image, about two thirds visible, keypoint 0 always."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, width, 36), rng.integers(0, height, 36)
    visible = rng.random(36) < 0.67
    visible[0] = True
    return [name, str(width), str(height), *(str(int(v)) for v in np.stack([x, y, visible], 1).ravel())]


def write_rows(path: Path, rows: list[list[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def names_of(split: str, count: int) -> list[str]:
    first = {"train": 1, "test": 500}[split]
    return [f"{first + i // 2:04d}_c001_{i:08d}_0.jpg" for i in range(count)]


def write_veri(root: Path, train: int = 4, test: int = 3) -> Path:
    """A whole data set: two images an identity, no identity in both splits."""
    for split, count in (("train", train), ("test", test)):
        names = names_of(split, count)
        write_rows(root / "annot" / f"label_{split}.csv", [label_row(name, i) for i, name in enumerate(names)])
        folder = root / "images" / f"image_{split}"
        folder.mkdir(parents=True)
        for i, name in enumerate(names):
            (folder / name).write_bytes(jpeg(i))
    return root
