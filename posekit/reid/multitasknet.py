"""The layout that MultiTaskNet (PAMTRI) reads vehicles in to tell them apart.

```
DATA/label_SPLIT.csv    name,identity,colour,type,(x,y,score)x36, no header; SPLIT is train, query or test
DATA/image_SPLIT/       the images, or image_SPLIT.zip
```

Only the names are read here. Source: MindSpore models, research/cv/PAMTRI/MultiTaskNet/src/dataset/data_manager.py.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posekit.datasets.dataset import decode_image
from posekit.datasets.sources import check_present, find_images, found_in, is_plain_name, readers
from posekit.errors import InputError


@dataclass(frozen=True)
class ReidSplit:
    """A label file's images in its order, one perhaps several times; `read(row)` decodes one to (H, W, 3) RGB."""

    name: str
    images: list[str]
    read: Callable[[int], np.ndarray]


def read_split(data: str | Path, split: str) -> ReidSplit:
    """A split of a folder in MultiTaskNet's layout.

    Raises InputError for a missing or empty label file, names that MultiTaskNet could not find folders for, and images
    that are not there.
    """
    data = Path(data)
    path = data / f"label_{split}.csv"
    if not path.is_file():
        raise InputError(
            f"{data}: not MultiTaskNet's layout: looked for {path.name}, found {found_in(data)}; "
            "give the folder that holds the label files, or other --splits"
        )
    names = read_names(path)
    source = find_images(data, data, f"image_{split}", split, names)
    check_present(source, names, "reid")
    read_bytes, where = readers(source, names)
    return ReidSplit(split, names, lambda row: decode_image(read_bytes(row), where(row)))


def read_names(path: Path) -> list[str]:
    """The first column of a label file, row by row; InputError as `read_split`."""
    names, stems = [], {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in filter(None, reader := csv.reader(stream)):
                at, name = f"{path}: row {reader.line_num}: {row[0]!r}", row[0]
                if not is_plain_name(name):
                    raise InputError(f"{at} is not a plain file name; mend the row")
                if name[-4:-3] != ".":
                    raise InputError(
                        f"{at}: MultiTaskNet takes the last four letters for the suffix; name it as in car.jpg"
                    )
                if stems.setdefault(name[:-4], name) != name:
                    raise InputError(f"{at} would share its folder with {stems[name[:-4]]}; rename one of the images")
                names.append(name)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a text file; give a csv with an image's name first in each row") from error
    if not names:
        raise InputError(f"{path}: the file is empty; it should hold one row an image, its name first")
    return names
