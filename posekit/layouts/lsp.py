"""Leeds Sports Pose and its extension (Johnson & Everingham, BMVC 2010 and CVPR 2011), brought into the MPII layout.

Each is published as `joints.mat` and a folder of pictures of one labelled person: LSP's joints are 3 x 14 x 2,000 (x,
y, 1 where the joint is hidden), the extension's 14 x 3 x 10,000 (x, y, 1 where it is labelled).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posekit import bounds
from posekit.bars import progress_bar
from posekit.datasets.sources import check_present, found_in, place_image
from posekit.errors import InputError
from posekit.files import sha256, writing
from posekit.layouts.matlab import read_matlab
from posekit.layouts.mpii import BOX_UNIT, LABEL_FILES
from posekit.skeletons import PERSON
from posekit.synthetic.person import write_labels

# PERSON's numbers of LSP's joints: right ankle to hip, left hip to ankle, right wrist to shoulder, left shoulder to
# wrist, neck, head top. MPII's pelvis and thorax are midway between hips and between shoulders.
JOINTS = (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9)
PELVIS, THORAX = 6, 7
MIDDLES = ((PELVIS, (2, 3)), (THORAX, (12, 13)))
BOX, TORSOS, LOWER = 1.4, 3.0, 0.03  # a box like MPII's: see `boxes`
TESTED = 1000  # LSP's last pictures are its test split; those of the extension, where it stands alone


@dataclass(frozen=True)
class People:
    """One person per picture: file names, joints (N, 16, 2), (0, 0) where there is none, and which are seen (N, 16)."""

    folder: Path
    names: list[str]
    part: np.ndarray
    seen: np.ndarray

    def take(self, rows: np.ndarray) -> "People":
        """The people of some rows."""
        return People(self.folder, [self.names[row] for row in rows], self.part[rows], self.seen[rows])


def prepare_lsp(out: Path, lsp: Path | None, extended: Path | None) -> list[str]:
    """Write the MPII layout into `out` from one or both data sets; returns what was done, in lines.

    LSP's last 1,000 pictures are the test split and all others train. The extension is there for training alone, but
    without LSP its last 1,000 pictures are the test split. A picture that is in the test split, byte for byte, doesn't
    train. Pictures are hard-linked where the file system can, else copied; an interrupted run continues, and the label
    files come last. Raises InputError for files and folders that aren't what they should be.
    """
    found = [read(folder, longer) for folder, longer in ((lsp, False), (extended, True)) if folder is not None]
    if not found:
        raise InputError("no data set given; give --lsp, --extended or both")
    first = found[0]
    test = first.take(np.arange(len(first.names))[-TESTED:])
    parts = [first.take(np.arange(len(first.names))[:-TESTED]), *found[1:]]
    tested = {sha256(test.folder / name) for name in test.names}
    with writing(out):
        train = [_untested(people, tested) for people in parts]
        for people in (*train, test):
            for name in progress_bar(people.names, desc=people.folder.parent.name, unit="image"):
                place_image(people.folder / name, out / "images" / name)
        _write(out / LABEL_FILES["train"], train)
        _write(out / LABEL_FILES["test"], [test])
    counts = [sum(len(people.names) for people in group) for group in (parts, train, [test])]
    left_out = counts[0] - counts[1]
    return [f"{counts[1]:,} people train, {counts[2]:,} test"] + [
        f"{left_out:,} pictures are left out: they are in the test split, too"
    ] * bool(left_out)


def _untested(people: People, tested: set[str]) -> People:
    """The people whose pictures are not among those, told by their SHA-256."""
    names = progress_bar(people.names, desc="comparing", unit="image")
    return people.take(np.flatnonzero([sha256(people.folder / name) not in tested for name in names]))


def read(folder: Path, extended: bool) -> People:
    """The people of LSP, or of its extension, that was unpacked to `folder`."""
    kind = "LSP Extended" if extended else "LSP"
    path = folder / "joints.mat"
    if not path.is_file():
        raise InputError(f"{folder}: not {kind}: looked for joints.mat, found {found_in(folder)}; give its folder")
    shape = "14 x 3 x people" if extended else "3 x 14 x people"
    joints = read_matlab(
        path, _joints_of_extension if extended else _joints_of_lsp, f"{kind}'s labels", f"{kind}'s joints.mat, {shape}"
    )
    at, flag = joints[:, :, :2], joints[:, :, 2] != 0
    labelled = (flag if extended else np.ones_like(flag)) & (at != 0).any(2)
    part, seen = np.zeros((len(joints), PERSON.num_keypoints, 2)), np.zeros((len(joints), PERSON.num_keypoints), bool)
    part[:, JOINTS], seen[:, JOINTS] = np.where(labelled[..., None], at, 0), labelled & (flag if extended else ~flag)
    for middle, pair in MIDDLES:
        both = (part[:, pair] != 0).any(2).all(1)
        part[both, middle], seen[:, middle] = part[both][:, pair].mean(1), seen[:, pair].all(1)
    digits = 5 if extended else 4
    names = [f"im{number:0{digits}d}.jpg" for number in range(1, len(joints) + 1)]
    labelled_people = np.flatnonzero((part != 0).any((1, 2)))  # one without a joint has no box
    images = folder / "images" if (folder / "images").is_dir() else folder
    check_present(images, names, "mpii")
    return People(images, names, part, seen).take(labelled_people)


def _joints_of_extension(content: dict[str, Any]) -> np.ndarray:
    return _checked(content["joints"], (14, 3)).transpose(2, 0, 1)


def _joints_of_lsp(content: dict[str, Any]) -> np.ndarray:
    return _checked(content["joints"], (3, 14)).transpose(2, 1, 0)


def _checked(joints: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The array as numbers; ValueError if it has another shape, or something in it is no coordinate."""
    joints = np.asarray(joints, float)
    if joints.ndim != 3 or joints.shape[:2] != shape:
        raise ValueError(f"its joints are {' x '.join(map(str, joints.shape))}")
    if bounds.outside(joints, -bounds.LARGEST_NUMBER, bounds.LARGEST_NUMBER).any():
        raise ValueError("a joint is no coordinate")
    return joints


def boxes(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and sides (N,) of square boxes like MPII's around joints (N, 16, 2).

    A side is 1.4 times the joints' larger extent and at least 3 torsos (thorax to pelvis), and the centre is lower than
    the joints' middle by 3 % of it: the medians of MPII's own boxes.
    """
    there = (part != 0).any(2, keepdims=True)
    low, high = (f(np.where(there, part, np.nan), axis=1) for f in (np.nanmin, np.nanmax))
    torso = np.where(
        there[:, [PELVIS, THORAX]].all((1, 2)), np.linalg.norm(part[:, PELVIS] - part[:, THORAX], axis=1), 0
    )
    side = np.maximum(np.maximum(BOX * (high - low).max(1), TORSOS * torso), 1.0)
    return (low + high) / 2 + np.outer(side, (0, LOWER)), side


def _write(path: Path, people: list[People]) -> None:
    part, seen = (np.concatenate([getattr(some, field) for some in people]) for field in ("part", "seen"))
    center, side = boxes(part)
    write_labels(path, [name for some in people for name in some.names], center, side / BOX_UNIT, part, seen)
