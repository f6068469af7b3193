"""Small data sets in the MPII layout, for tests: noise pictures, two people in the first of each split."""

from pathlib import Path

import h5py
import numpy as np
from veri_files import jpeg

WIDTH, HEIGHT = 60, 40


def people(names: list[str], seed: int = 0) -> dict[str, np.ndarray]:
    """The fields of a label file: joints inside the image, about a tenth missing, a quarter of the others covered."""
    rng = np.random.default_rng(seed)
    count = len(names)
    part = np.stack([rng.integers(1, WIDTH, (count, 16)), rng.integers(1, HEIGHT, (count, 16))], -1).astype(float)
    missing = rng.random((count, 16)) < 0.1
    missing[:, 9] = False
    part[missing] = 0
    scale = rng.uniform(0.1, 0.4, count)
    return {
        "imgname": np.array(names, "S"),
        "center": np.stack([rng.uniform(10, WIDTH - 10, count), rng.uniform(10, HEIGHT - 10, count)], -1),
        "scale": scale,
        "part": part,
        "visible": ((rng.random((count, 16)) < 0.75) & ~missing).astype(float),
        "normalize": 20 * scale,
    }


def write_labels(path: Path, fields: dict[str, np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in fields.items():
            file[name] = values
    return path


def images_of(split: str, count: int) -> list[str]:
    """The image of each person: the first two share one."""
    first = {"train": 1000, "test": 5000}[split]
    return [f"{first + max(0, i - 1):09d}.jpg" for i in range(count)]


def write_mpii(root: Path, train: int = 5, test: int = 4) -> Path:
    """A whole data set."""
    for split, file, count in (("train", "train", train), ("test", "valid", test)):
        names = images_of(split, count)
        write_labels(root / "annot" / f"{file}.h5", people(names, len(split)))
        (root / "images").mkdir(exist_ok=True)
        for i, name in enumerate(dict.fromkeys(names)):
            (root / "images" / name).write_bytes(jpeg(i, WIDTH, HEIGHT))
    return root
