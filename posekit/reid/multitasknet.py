"""The layout that MultiTaskNet (PAMTRI) reads vehicles in to tell them apart.

```
DATA/label_SPLIT.csv    name,identity,colour,type,(x,y,score)x36, no header; SPLIT is train, query or test
DATA/image_SPLIT/       the images, or image_SPLIT.zip
```

Only the names are used here, and they are enough: rows may end after any of the first four columns. All rows must have
the same number of columns, since rows that are cut off or run together would lose images, and the other cells must be
numbers. Source: MindSpore models, research/cv/PAMTRI/MultiTaskNet/src/dataset/data_manager.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posekit import bounds
from posekit.datasets.images import decode_image
from posekit.datasets.sources import found_in, is_plain_name, open_images
from posekit.errors import InputError, shortened, shown
from posekit.skeletons import VEHICLE
from posekit.tables import read_named_numbers, read_rows

LABELS = 4  # columns before the keypoints: name, identity, colour, type
COLUMNS = LABELS + 3 * VEHICLE.num_keypoints


@dataclass(frozen=True)
class ReidSplit:
    """A label file's images in its order, one perhaps several times; `read(row)` decodes one to (H, W, 3) RGB."""

    name: str
    images: list[str]
    read: Callable[[int], np.ndarray]


def read_split(data: str | Path, split: str) -> ReidSplit:
    """A split of a folder in MultiTaskNet's layout.

    Raises InputError for a missing or empty label file, names that MultiTaskNet could not find folders for, rows of
    different lengths, cells that aren't numbers, and images that are not there.
    """
    data = Path(data)
    path = data / f"label_{split}.csv"
    if not path.is_file():
        raise InputError(
            f"{data}: not MultiTaskNet's layout: looked for {path.name}, found {found_in(data)}; "
            "give the folder that holds the label files, or other --splits"
        )
    names = read_names(path)
    read_bytes, where, _ = open_images(data, data, f"image_{split}", split, names, "reid")
    return ReidSplit(split, names, lambda row: decode_image(read_bytes(row), where(row)))


def read_names(path: Path) -> list[str]:
    """The first column of a label file, row by row; InputError as `read_split`."""
    names, stems, longest = [], {}, 0
    for line, row in read_rows(path, "rows with an image's name first"):
        name, at = row[0], f"{path}: row {line}: {shown(row[0])}"
        if not is_plain_name(name) or len(name) > bounds.LONGEST_NAME:
            raise InputError(f"{at} is not a plain file name; fix the row")
        if set(name) & set(',"\r\n'):
            raise InputError(f"{at}: MultiTaskNet's tables can't hold commas, quotation marks or line ends in names; "
                             "rename the image")  # fmt: skip
        if name[-4:-3] != ".":
            raise InputError(f"{at}: MultiTaskNet takes the last four letters for the suffix; name it as in car.jpg")
        if stems.setdefault(name[:-4], name) != name:
            raise InputError(
                f"{at} would share its folder with {shortened(stems[name[:-4]])}; rename one of the images"
            )
        names.append(name)
        longest = max(longest, len(row))
    if not names:
        raise InputError(f"{path}: the file is empty; it should hold one row per image, its name first")
    read_named_numbers(path, longest if longest <= LABELS else COLUMNS, "rows of name,identity,colour,type,x0,y0,…")
    return names
