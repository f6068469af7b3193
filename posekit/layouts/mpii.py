"""The MPII people with 16 joints, in the layout that pytorch_stacked_hourglass published.

```
DATA/annot/{train,valid}.h5     a row per person: imgname, center, scale, part, visible, normalize, and perhaps headbox
DATA/images/*.jpg               or images.zip; one image may show several people
```
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from posekit import bounds
from posekit.datasets.check import (
    EXAMPLES,
    Finding,
    Report,
    across,
    check_dataset,
    of_split,
    problem,
    splits_present,
)
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.sources import is_plain_name, open_images
from posekit.errors import InputError, shortened, shown
from posekit.evaluation.protocols import PUBLISHED, Protocol
from posekit.evaluation.published import (
    about_pckh,
    mpii_pckh,
    mpii_pckh_counts,
    mpii_published_counts,
    mpii_published_table,
    mpii_walk,
)
from posekit.layouts.hdf5 import read_fields
from posekit.layouts.record import Layout
from posekit.skeletons import PERSON
from posekit.synthetic.person import write_people

LABEL_FILES = {"train": "annot/train.h5", "test": "annot/valid.h5"}
SHAPES: dict[str, tuple[int, ...]] = {
    "imgname": (), "center": (2,), "scale": (), "part": (PERSON.num_keypoints, 2),
    "visible": (PERSON.num_keypoints,), "normalize": (),
}  # fmt: skip
HEADBOX = "headbox"  # optional, (N, 4): left, top, right, bottom; not in the published files, see `heads`
HEAD_SHARE = 0.6  # of the head box's diagonal: the length by which PCKh divides (MPII's evaluation kit, SC_BIAS)
BOX_UNIT = 200  # pixels in one unit of scale
UNIT_OF_SCALE = 20  # `normalize` of the published files is this times scale
MOST_BOXES = 10  # by which `normalize` may exceed the box; every joint would count as right
SOURCE = "take the label files from pytorch_stacked_hourglass"


@dataclass(frozen=True)
class MpiiLabels:
    """A label file's rows, in the file's order. Coordinates are pixels of each row's image."""

    names: list[str]  # "<imgname>:<row>", rows counted from 0
    images: list[str]
    center: np.ndarray  # (N, 2) float32, of the person's square box
    scale: np.ndarray  # (N,) float64, side of the box in units of 200 pixels
    keypoints: np.ndarray  # (N, 16, 2) float64 as in the file, (0, 0) for a missing joint
    seen: np.ndarray  # (N, 16) bool, the file's `visible`
    unit: np.ndarray  # (N,) float64, the file's `normalize`
    head_size: np.ndarray | None = None  # (N,) float64, HEAD_SHARE of the diagonal of the file's `headbox`, if any
    skeleton = PERSON

    @property
    def visible(self) -> np.ndarray:
        """(N, 16) bool: the joint is not missing. The original trains and counts these, seen or not."""
        return (self.keypoints != 0).any(axis=2)

    @property
    def hidden(self) -> np.ndarray:
        """(N, 16) bool: the joint has coordinates, but something covers it."""
        return self.visible & ~self.seen


def read_labels(path: str | Path) -> MpiiLabels:
    """Read an MPII label file.

    Raises InputError naming file, field and row: an absent, truncated or other file, a missing field, another shape,
    something that is not a number or out of its range (see `bounds`), a visibility other than 0 and 1, a box of less
    than a pixel, a normalize that can't be the length of a head, a name that is not a plain file name.
    """
    found = read_fields(Path(path), SHAPES, {HEADBOX: (4,)}, "imgname", SOURCE)
    images = _names(path, found["imgname"])
    far = bounds.LARGEST_NUMBER
    for name in list(SHAPES)[1:]:
        _refuse(path, name, ~np.isfinite(found[name]), "not a finite number")
        _refuse(path, name, bounds.outside(found[name], -far, far), f"beyond ±{far:,.0f}")
    for name in ("scale", "normalize"):
        _refuse(path, name, found[name] <= 0, "not positive")
    box = BOX_UNIT * found["scale"]
    _refuse(path, "scale", box < 1, "a box of less than a pixel")
    _refuse(path, "scale", box > bounds.LARGEST_SIDE, f"a box of more than {bounds.LARGEST_SIDE:,} pixels")
    _refuse(path, "normalize", found["normalize"] < bounds.SMALLEST_UNIT, f"below {bounds.SMALLEST_UNIT} pixels")
    _refuse(path, "normalize", found["normalize"] > MOST_BOXES * box, f"more than {MOST_BOXES} times the person's box")
    head_size = None
    if HEADBOX in found:
        sides = found[HEADBOX][:, 2:] - found[HEADBOX][:, :2]
        head_size = np.sqrt((sides**2).sum(axis=1)) * HEAD_SHARE
        _refuse(path, HEADBOX, bounds.outside(head_size, bounds.SMALLEST_UNIT, far), "no box with a size")
    _refuse(path, "visible", (found["visible"] != 0) & (found["visible"] != 1), "neither 0 nor 1")
    return MpiiLabels(
        names=[f"{name}:{row}" for row, name in enumerate(images)],
        images=images,
        center=found["center"].astype(np.float32),
        scale=found["scale"],
        keypoints=found["part"],
        seen=found["visible"] == 1,
        unit=found["normalize"],
        head_size=head_size,
    )


def _names(path: str | Path, content: np.ndarray) -> list[str]:
    """The images' names of their bytes (N,); InputError for one that is not UTF-8 or not a plain file name."""
    names = []
    for row, text in enumerate(content.tolist()):
        name = text.decode("utf-8", "backslashreplace")
        at = f"{path}: field imgname, row {row} (from 0)"
        if name.encode() != text:
            raise InputError(f"{at}: the name {shortened(name)} is not UTF-8; rename the image, and fix the row")
        if not is_plain_name(name):
            raise InputError(f"{at}: the name is not a plain file name ({shown(name)}); fix or remove the row")
        names.append(name)
    return names


def _refuse(path: str | Path, field: str, wrong: np.ndarray, what: str) -> None:
    """InputError for the first true element of `wrong` (N, …)."""
    if wrong.any():
        row, *element = np.argwhere(wrong)[0].tolist()
        joint = f", {PERSON.keypoints[element[0]]}" if wrong.shape[1:2] == (PERSON.num_keypoints,) else ""
        raise InputError(f"{path}: field {field}, row {row} (from 0){joint}: {what}; fix or remove the row")


def dataset_of(
    labels: MpiiLabels, data: str | Path, split: str, images: str | Path | None, require_images: bool
) -> PoseDataset:
    """The data set of labels already read, its images in DATA/images or in `images`, a folder or zip.

    A sample is a person, named "<imgname>:<row>". Its box is `center` and 200 x `scale` as they are (the files' are
    adjusted already), the unit of PCK `normalize`. Every joint that is not missing is `visible`: Stacked Hourglass
    trains those that are covered, too (DatasetGenerator.py); they are `hidden` as well.
    """
    readers = open_images(Path(data), images, "images", split, labels.images, "mpii", require_images)
    return PoseDataset(
        skeleton=PERSON,
        split=split,
        names=labels.names,
        keypoints=labels.keypoints,
        visible=labels.visible,
        hidden=labels.hidden,
        center=labels.center,
        box_size=(BOX_UNIT * labels.scale).astype(np.float32),
        unit=labels.unit,
        **readers._asdict(),
        head_size=labels.head_size,
    )


def check(data: str | Path, images: str | Path | None = None) -> Report:
    """Check both splits of a folder in the MPII layout.

    Counts people, images, joints, missing and hidden joints; finds images that are missing, truncated or unreadable,
    joints outside the image, people without a joint, people labelled twice, missing joints that are called visible,
    `normalize` other than 20 x scale, and images or people in both splits. Decodes every image once. Raises InputError
    for another layout or a malformed label file.
    """
    data = Path(data)
    splits, findings = splits_present(data, LABEL_FILES)
    labels = {split: read_labels(MPII.label_path(data, split)) for split in splits}
    for split, people in labels.items():
        dataset = dataset_of(people, data, split, images, require_images=False)
        # MPII labels some heads above the picture's border, so this is no reason to refuse the set.
        findings += check_dataset(dataset, outside="warning")
        findings += of_split(split, _check_people(people))
    findings += across("images", "warning", [set(people.images) for people in labels.values()])
    findings += across("people", "error", [set(_identities(people)) for people in labels.values()])
    return Report(data, findings)


def _check_people(people: MpiiLabels) -> list[Finding]:
    """What only the MPII layout can have wrong, and its counts."""

    def joints(which: np.ndarray) -> list[str]:
        return [f"{people.names[n]}: {PERSON.keypoints[k]}" for n, k in np.argwhere(which)]

    missing, present = ~people.visible, people.visible
    by_joint = sorted(zip(missing.sum(axis=0).tolist(), PERSON.keypoints, strict=True), reverse=True)
    most = tuple(f"{joint} {count:,}" for count, joint in by_joint[:EXAMPLES] if count)
    counts = Counter(_identities(people))
    repeated = [name for name, person in zip(people.names, _identities(people), strict=True) if counts[person] > 1]
    expected = UNIT_OF_SCALE * people.scale
    odd = np.flatnonzero(~np.isclose(people.unit, expected, rtol=1e-6))
    return [
        Finding("info", "images", len(set(people.images))),
        Finding("info", "missing joints", int(missing.sum()), most),
        # The published evaluator takes x = 0 alone for missing.
        Finding("info", "joints at x = 0, not missing", int((present & (people.keypoints[..., 0] == 0)).sum())),
        problem("warning", "missing joints that are called visible", joints(missing & people.seen)),
        problem("error", "people labelled twice (the same image and center)", repeated),
        problem(
            "warning", f"normalize other than {UNIT_OF_SCALE} x scale",
            [f"{people.names[n]}: {people.unit[n]:g}, not {expected[n]:g}" for n in odd],
        ),
    ]  # fmt: skip


def _identities(people: MpiiLabels) -> list[str]:
    """What tells one labelled person from another: the image and the center."""
    return [f"{image} at ({x:g}, {y:g})" for image, (x, y) in zip(people.images, people.center, strict=True)]


MPII = Layout(
    name="mpii",
    title="MPII",
    label_files=LABEL_FILES,
    aliases={"valid": "test"},
    read_split=lambda data, split, how: read_labels(MPII.label_path(data, split)),
    dataset_of=dataset_of,
    check=check,
    protocols={
        PUBLISHED: Protocol(
            mpii_published_table,
            "the published report: right within half of `normalize`, which is 20 x scale, not the size of the head; "
            "16 joints, covered ones too",
            mpii_published_counts,
        ),
        "pckh": Protocol(mpii_pckh, about_pckh, mpii_pckh_counts),
    },
    walk=mpii_walk,
    threshold=0.5,
    drawn="people",
    draw=partial(write_people, label_files=LABEL_FILES),
    remedy="complete it, or give the folder that holds annot and images",
)
