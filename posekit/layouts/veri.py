"""The VeRi vehicles with PAMTRI's 36 keypoints, in the layout that PAMTRI published.

```
DATA/annot/label_{train,test}.csv       name,width,height,(x,y,visible)x36, no header
DATA/images/image_{train,test}/*.jpg    or images/image_{train,test}.zip, or images.zip holding image_{train,test}/
```
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from posekit import bounds
from posekit.bars import progress_bar
from posekit.datasets.check import Finding, Report, across, check_dataset, of_split, problem, splits_present
from posekit.datasets.dataset import BOX_MARGIN, PoseDataset
from posekit.datasets.sources import check_present, found_in, is_plain_name, open_images, place_image
from posekit.errors import InputError, shortened
from posekit.evaluation.protocols import PUBLISHED, Protocol
from posekit.evaluation.published import veri_pck, veri_published_table, veri_walk
from posekit.files import atomic_path, write_text, writing
from posekit.geometry import box_side
from posekit.layouts.record import Layout, Reading
from posekit.skeletons import VEHICLE
from posekit.synthetic.vehicle import write_vehicles
from posekit.tables import check_unique, line_of, read_named_numbers

LABEL_FILES = {split: f"annot/label_{split}.csv" for split in ("train", "test")}
IMAGE_FOLDERS = {split: f"image_{split}" for split in LABEL_FILES}  # below DATA/images
MOST_AWAY = 1  # longer sides of its image that a keypoint may be outside it; published keypoints are inside
ROWS = "one row per image: name,width,height,(x,y,visible)x36"


@dataclass(frozen=True)
class VeriLabels:
    """A label file's rows, in the file's order. Coordinates are pixels of each row's image."""

    names: list[str]
    sizes: np.ndarray  # (N, 2) int64, width and height of the image
    keypoints: np.ndarray  # (N, 36, 2) float64; hidden keypoints have coordinates too
    visible: np.ndarray  # (N, 36) bool
    skeleton = VEHICLE

    @property
    def hidden(self) -> np.ndarray:
        """(N, 36) bool: the keypoint has coordinates, but cannot be seen."""
        return ~self.visible

    @property
    def unit(self) -> np.ndarray:
        """(N,) float64: pixels by which PCK divides, the root of the area of the box around all keypoints."""
        return box_side(self.keypoints)


def read_labels(path: str | Path) -> VeriLabels:
    """Read a VeRi label file.

    Raises InputError naming file, row and column: an absent or empty file, a wrong number of columns, something that is
    not a number, a size that is not a whole number of pixels that an image can have, a visibility other than 0 and 1, a
    keypoint far outside the image (hidden ones, too: the unit of PCK rests on them), a name with a folder in it.
    Repeated names are left to the caller.
    """
    names, values = read_named_numbers(path, 3 + 3 * VEHICLE.num_keypoints, ROWS)
    sizes, points = values[:, :2], values[:, 2:].reshape(len(names), -1, 3)
    visible, keypoints = points[..., 2], points[..., :2].copy()
    unsafe = np.array([not is_plain_name(name) for name in names])[:, None]
    _refuse(path, names, unsafe, lambda n, k: (1, "the name is not a plain file name"))
    _refuse(path, names, sizes <= 0, lambda n, k: (k + 2, f"the image's size {sizes[n, k]:g} is not positive"))
    odd = (sizes != np.trunc(sizes)) | (sizes > bounds.LARGEST_SIDE)
    _refuse(
        path, names, odd,
        lambda n, k: (k + 2, f"{sizes[n, k]:g} is not a whole number of pixels up to {bounds.LARGEST_SIDE:,}"),
    )  # fmt: skip
    _refuse(
        path, names, (visible != 0) & (visible != 1),
        lambda n, k: (6 + 3 * k, f"visibility {visible[n, k]:g} is neither 0 nor 1"),
    )  # fmt: skip
    reach = MOST_AWAY * sizes.max(axis=1)[:, None, None]
    far = bounds.outside(keypoints, -reach, sizes[:, None] + reach)  # (N, K, 2)
    _refuse(
        path, names, far.reshape(len(names), -1),
        lambda n, k: (
            4 + k // 2 * 3 + k % 2,
            f"{keypoints[n].ravel()[k]:g} is far outside the image of {sizes[n, 0]:g} x {sizes[n, 1]:g} pixels",
        ),
    )  # fmt: skip
    return VeriLabels(names, sizes.astype(np.int64), keypoints, visible == 1)


def read_split(data: Path, split: str, how: Reading) -> VeriLabels:
    """The rows of a split, or of a label file; each name is there once."""
    labels = read_labels(path := VERI.label_path(data, split))
    check_unique(path, labels.names)
    return labels


def _refuse(path: str | Path, names: list[str], wrong: np.ndarray, say: Callable[[int, int], tuple[int, str]]) -> None:
    """InputError for the first true element of `wrong` (N, M); `say` gives its column and what is wrong."""
    if wrong.any():
        row, element = np.argwhere(wrong)[0]
        column, what = say(row, element)
        line = line_of(Path(path), names[row], names[:row].count(names[row]))
        raise InputError(f"{path}: row {line}, column {column}: {what} ({shortened(names[row])}); fix the row")


def dataset_of(
    labels: VeriLabels, data: str | Path, split: str, images: str | Path | None, require_images: bool
) -> PoseDataset:
    """The data set of labels already read, its images in DATA/images or in `images`, a folder or zip.

    The box is the whole image, 1.25 times its longer side, about (width / 2, height / 2), as in PAMTRI; for a
    rectangular input, 1.25 times each side.
    """
    readers = open_images(Path(data), images, IMAGE_FOLDERS[split], split, labels.names, "veri", require_images)
    return PoseDataset(
        skeleton=VEHICLE,
        split=split,
        names=labels.names,
        keypoints=labels.keypoints,
        visible=labels.visible,
        hidden=labels.hidden,
        center=(labels.sizes * 0.5).astype(np.float32),
        box_size=(labels.sizes.max(axis=1) * BOX_MARGIN).astype(np.float32),
        box=(labels.sizes * BOX_MARGIN).astype(np.float32),
        unit=labels.unit,
        **readers._asdict(),
    )


def prepare_veri(veri: str | Path, labels: str | Path, out: str | Path) -> tuple[int, int]:
    """Build the layout in `out` from the original VeRi data set and the folder of PAMTRI's two label files.

    Both splits' images come from the original's image_train. Images are hard-linked where the file system can, else
    copied; one that is there and whole is kept, so an interrupted run continues where it stopped, and the label files
    come last. Returns how many images were made and how many kept. Raises InputError, before anything is written, when
    label files or images are missing, and when an image is damaged or the disk is full.
    """
    source, out = Path(veri) / "image_train", Path(out)
    if not source.is_dir():
        raise InputError(
            f"{veri}: not the original VeRi data set: looked for image_train/, found {found_in(veri)}; "
            "give the folder that VeRi was unpacked to"
        )
    files = {split: _label_file(Path(labels), split) for split in LABEL_FILES}
    names = {split: read_labels(path).names for split, path in files.items()}
    for split in LABEL_FILES:
        check_unique(files[split], names[split])
    check_present(source, [name for split in LABEL_FILES for name in names[split]], "veri")
    jobs = [
        (source / name, out / "images" / IMAGE_FOLDERS[split] / name) for split in LABEL_FILES for name in names[split]
    ]
    with writing(out):
        made = sum(place_image(*job) for job in progress_bar(jobs, desc="images", unit="image"))
        for split, path in files.items():
            with atomic_path(out / LABEL_FILES[split]) as temporary:
                shutil.copyfile(path, temporary)
    return made, len(jobs) - made


def _label_file(folder: Path, split: str) -> Path:
    """The label file in a folder, or in its annot folder."""
    for path in (folder / f"label_{split}.csv", folder / LABEL_FILES[split]):
        if path.is_file():
            return path
    raise InputError(
        f"{folder}: looked for label_{split}.csv, found {found_in(folder)}; "
        "take the label files from PoseEstNet/data/veri/annot of NVlabs/PAMTRI"
    )


def check(data: str | Path, images: str | Path | None = None, write_index: bool = True) -> Report:
    """Check both splits of a folder in the VeRi layout and write the original's annot/image_test.json (`seed_index`).

    Counts rows, images, identities and visible keypoints; finds repeated names, names out of order, images that are
    missing, truncated or unreadable, sizes that disagree with the label, keypoints outside the image, rows without a
    visible keypoint, and names or identities in both splits. Reads every image. Raises InputError for another layout or
    a malformed label file.
    """
    data = Path(data)
    splits, findings = splits_present(data, LABEL_FILES)
    labels = {split: read_labels(VERI.label_path(data, split)) for split in splits}
    for split, rows in labels.items():
        dataset = dataset_of(rows, data, split, images, require_images=False)
        findings += check_dataset(dataset, rows.sizes)
        identities = {identity(name) for name in rows.names}
        findings += of_split(split, [_check_order(rows.names), Finding("info", "identities", len(identities))])
    findings += across("images", "error", [set(rows.names) for rows in labels.values()])
    findings += across("identities", "warning", [{identity(name) for name in rows.names} for rows in labels.values()])
    if write_index and "test" in labels:
        findings.append(_write_index(data, labels["test"].names))
    return Report(data, findings)


def _check_order(names: list[str]) -> Finding:
    # The published evaluator pairs predictions in sorted order with truth in file order.
    late = [f"{b} after {a}" for a, b in zip(names, names[1:], strict=False) if b < a]
    return problem("warning", "names not in sorted order", late)


def identity(name: str) -> str:
    """The vehicle's number in a VeRi image name, `IDENTITY_CAMERA_TIME_BINARY.jpg`."""
    return name.split("_")[0]


def seed_index(data: Path, names: list[str]) -> dict[str, str]:
    """What the original's evaluation keeps in annot/image_test.json.

    A JSON object from the row's number, as a string, to the image's path: rows count from 0 in the order of sorted
    names, paths begin with the data folder as it was given; for images in images.zip with `images.zip@`.
    Source: MindSpore models, research/cv/PAMTRI/PoseEstNet/src/dataset: dataset.py (`get_label`), py (`_get_db`).
    """
    zipped = not (data / "images").is_dir() and (data / "images.zip").is_file()
    folder = os.path.join(str(data), "images.zip@" if zipped else "images", IMAGE_FOLDERS["test"])
    return {str(row): os.path.join(folder, name) for row, name in enumerate(sorted(set(names)))}


def _write_index(data: Path, names: list[str]) -> Finding:
    path = data / "annot" / "image_test.json"
    try:
        write_text(path, json.dumps(seed_index(data, names)))
    except InputError as error:
        return Finding("warning", "annot/image_test.json not written", 1, (str(error),))
    return Finding("info", "annot/image_test.json: paths written", len(set(names)))


VERI = Layout(
    name="veri",
    title="VeRi",
    label_files=LABEL_FILES,
    read_split=read_split,
    dataset_of=dataset_of,
    check=check,
    protocols={
        PUBLISHED: Protocol(
            lambda labels, predictions: {"": veri_published_table(labels, predictions)},
            "the published table: right within √N / 8 pixels for N images; visible keypoints count",
        ),
        "pck": Protocol(veri_pck, "1 is √area of each image's own keypoint box; visible keypoints count"),
    },
    walk=veri_walk,
    threshold=0.1,
    drawn="vehicles",
    draw=partial(write_vehicles, label_files=LABEL_FILES, image_folders=IMAGE_FOLDERS),
    remedy="give the folder that holds annot and images (`posekit data prepare-veri` makes it)",
)
