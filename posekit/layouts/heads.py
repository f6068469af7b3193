"""Head boxes for MPII's label files: PCKh divides by them, and the published files of this layout lack them.

MPII's own annotation has them: mpii_human_pose_v1_u12_1.mat, a MATLAB file from human-pose.mpi-inf.mpg.de.
"""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from posekit import bounds
from posekit.errors import InputError
from posekit.files import atomic_path
from posekit.layouts.matlab import read_matlab
from posekit.layouts.mpii import HEADBOX, MpiiLabels, read_labels

MOST_APART = 3.0  # pixels, the mean over a person's joints: label files round, and some count from 1
Person = tuple[np.ndarray, np.ndarray]  # a head box (4,) and joints (16, 2), NaN where there is none


def add_heads(annotation: Path, labels: Path) -> int:
    """Write the field `headbox` (N, 4) into a label file, from MPII's annotation; returns the number of people.

    A row is the person of its image whose joints are nearest. Raises InputError, and leaves the file as it is, where a
    row has no such person within MOST_APART, and for files that are not what they should be.
    """
    people = read_labels(labels)
    boxes = match_heads(people, read_annotation(annotation))
    lost = [name for name, box in zip(people.names, boxes, strict=True) if np.isnan(box).any()]
    if lost:
        raise InputError(
            f"{annotation}: holds no head box for {len(lost)} of {len(boxes)} people of {labels}, the first is "
            f"{lost[0]}; take the annotation and the label file of the same release"
        )
    with atomic_path(labels) as temporary:
        shutil.copyfile(labels, temporary)
        with h5py.File(temporary, "a") as file:
            if HEADBOX in file:
                del file[HEADBOX]
            file[HEADBOX] = boxes
    return len(boxes)


def match_heads(people: MpiiLabels, annotated: dict[str, list[Person]]) -> np.ndarray:
    """Each row's head box (N, 4), NaN where no annotated person of its image has its joints."""
    boxes = np.full((len(people.names), 4), np.nan)
    for row, image in enumerate(people.images):
        truth = np.where(people.visible[row, :, None], people.keypoints[row], np.nan)
        apart = [_apart(truth, joints) for _, joints in annotated.get(image, [])]
        if apart and min(apart) <= MOST_APART:
            boxes[row] = annotated[image][int(np.argmin(apart))][0]
    return boxes


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of the joints (16, 2) that both have, infinite when they share none."""
    distance = np.linalg.norm(a - b, axis=1)
    shared = ~np.isnan(distance)
    return float(distance[shared].mean()) if shared.any() else np.inf


def read_annotation(path: Path) -> dict[str, list[Person]]:
    """The people of every image who have a head box and joints, by the image's name."""
    return read_matlab(path, _people, "MPII's annotation", "mpii_human_pose_v1_u12_1.mat of the MPII data set")


def _people(content: dict[str, Any]) -> dict[str, list[Person]]:
    images = _items(content["RELEASE"].annolist)
    return {str(image.image.name): [_person(r) for r in _items(image.annorect) if _whole(r)] for image in images}


def _items(value: object) -> list:
    """A MATLAB struct array as a list: loadmat gives one element bare and none as an empty array."""
    return list(value) if isinstance(value, np.ndarray) else [value]


def _whole(rect: object) -> bool:
    points = getattr(getattr(rect, "annopoints", None), "point", None)
    return points is not None and np.size(getattr(rect, "x1", [])) == 1


def _person(rect: Any) -> Person:
    joints = np.full((16, 2), np.nan)
    for point in _items(rect.annopoints.point):
        if point.id not in range(16):
            raise ValueError(f"joint {point.id} where 0 to 15 are expected")
        joints[int(point.id)] = _numbers(point.x, point.y)
    return _numbers(rect.x1, rect.y1, rect.x2, rect.y2), joints


def _numbers(*values: object) -> np.ndarray:
    """The values as an array of coordinates; ValueError for one that is none."""
    numbers = np.array(values, float)
    if bounds.outside(numbers, -bounds.LARGEST_NUMBER, bounds.LARGEST_NUMBER).any():
        raise ValueError(f"{values} are not coordinates")
    return numbers
