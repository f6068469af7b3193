"""Draw people with MPII's labels: images/*.jpg, and one h5 file per split with one row per person."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import h5py
import numpy as np

from posekit.files import atomic_path, new_folder
from posekit.synthetic.person_body import HEAD_TOP, NECK, PELVIS, THORAX
from posekit.synthetic.person_scene import HEADS_IN_BOX, Person, Picture, draw_picture, hidden, is_inside, paint_picture
from posekit.synthetic.scene import Camera, encode_jpeg, expose
from posekit.synthetic.variety import develop, how_drawn
from posekit.synthetic.writing import check_request, draw_all, mark_drawn

SPLITS = ("train", "test")
MOST_PEOPLE = 1_000_000
_GROUP_SHARES = (0.84, 0.11, 0.03, 0.02)  # shares of pictures with one, two, three and four people
_MEAN_BRIGHTNESS = 95.0  # minimum, of 255
_BOX_UNIT, _NORMALIZE = 200.0, 20.0  # box side in pixels at scale 1; factor from scale to `normalize`


@dataclass(frozen=True)
class Row:
    """A person's labels as in the published files, in pixels. A missing joint is at (0, 0) and not visible."""

    center: np.ndarray  # (2,)
    scale: float
    part: np.ndarray  # (16, 2)
    visible: np.ndarray  # (16,) 0 or 1


@dataclass(frozen=True)
class Drawn:
    """One picture and its people."""

    name: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    rows: list[Row]
    data: bytes  # the JPEG file


def write_people(
    out: Path, train: int, test: int, seed: int, label_files: Mapping[str, str], workers: int | None = None,
    varied: bool = False,
) -> None:  # fmt: skip
    """Draw pictures with `train` and `test` labelled people into the new folder `out`.

    label_files: split -> the label file to write below `out`; varied: people, places and cameras vary as far as they
    can, to help with photographs.

    The same seed gives the same bytes with any number of `workers` (None: one per core), because each image is a pure
    function of (seed, split, index). If the last picture shows more people than are still needed, the extra ones stay
    unlabelled, like some people in MPII. The folder appears only once it is complete. Raises InputError if `out`
    exists and isn't an empty folder, and for counts or seeds out of range.
    """
    out = Path(out)
    check_request(out, train, test, seed, MOST_PEOPLE)
    with new_folder(out) as building:
        mark_drawn(building, train=train, test=test, seed=seed, **how_drawn(varied))
        (building / "images").mkdir()
        for split, count in zip(SPLITS, (train, test), strict=True):
            draw = partial(_write_image, building / "images", seed, split, varied)
            drawn = draw_all(draw, count_images(seed, split, count), split, workers)
            rows = [(name, row) for name, rows in drawn for row in rows]
            _write_rows(building / label_files[split], rows[:count])


def count_people(seed: int, split: str, index: int) -> int:
    """Return how many people image `index` of a split shows, 1 to 4."""
    rng = np.random.default_rng([seed, SPLITS.index(split), 0, index])
    return 1 + int(rng.choice(len(_GROUP_SHARES), p=_GROUP_SHARES))


def count_images(seed: int, split: str, people: int) -> int:
    """Return how many images are needed for `people` people."""
    images, shown = 0, 0
    while shown < people:
        shown += count_people(seed, split, images)
        images += 1
    return images


def draw_image(seed: int, split: str, index: int, varied: bool = False) -> Drawn:
    """Draw image `index` of a split: a pure function of the four arguments."""
    number = SPLITS.index(split)
    rng = np.random.default_rng([seed, number, 1, index])
    picture = draw_picture(rng, count_people(seed, split, index), varied)
    fine = 1.25 if max(picture.camera.size) > 1000 else 1.5
    canvas, covered = paint_picture(picture, fine, rng, varied)
    rows = [label(picture, k, covered, fine, rng) for k in range(len(picture.people))]
    brighter = np.clip(_MEAN_BRIGHTNESS / canvas.mean(), 1.0, 1.8)  # like a camera's automatic exposure
    canvas = cv2.convertScaleAbs(canvas, alpha=float(brighter)) if brighter > 1 else canvas
    image = expose(canvas, picture.camera.size, rng, steady=0.35)
    image = develop(image, rng) if varied else image
    return Drawn(f"{number + 1}{index:08d}.jpg", image, rows, encode_jpeg(image, rng))


def label(picture: Picture, number: int, covered: np.ndarray, fine: float, rng: np.random.Generator) -> Row:
    """Make a person's row of labels.

    covered: mask (H, W), `fine` times as large as the picture, of the objects in front of everyone.
    """
    person, camera = picture.people[number], picture.camera
    part = np.round(camera.project(person.figure.joints))
    part[PELVIS], part[THORAX] = (np.round(part[pair].mean(0)) for pair in ([2, 3], [12, 13]))
    at = np.round((part + 0.5) * fine - 0.5).astype(int)
    at = np.clip(at, 0, np.array(covered.shape[::-1]) - 1)
    shown = ~hidden(picture.people, number, camera) & (covered[at[:, 1], at[:, 0]] < 128)
    inside = is_inside(part, camera.size)
    for middle, pair in ((PELVIS, [2, 3]), (THORAX, [12, 13])):
        inside[middle] &= inside[pair].all()
        shown[middle] = shown[pair].all()
    inside &= (part != 0).any(1)
    side = _box_side(person, camera)
    low, high = np.clip([part.min(0), part.max(0)], 0, np.array(camera.size) - 1.0)
    center = (low + high) / 2 + side * (rng.normal(0, 0.025, 2) + (0, 0.035))
    return Row(center, side / _BOX_UNIT, np.where(inside[:, None], part, 0.0), (shown & inside).astype(float))


def _box_side(person: Person, camera: Camera) -> float:
    """Return the side of the person's box in pixels, from the head's size in the picture.

    A strongly foreshortened head counts as 0.85 of its full size.
    """
    neck, top = person.figure.joints[[NECK, HEAD_TOP]]
    seen = np.linalg.norm(np.subtract(*camera.project(np.stack([neck, top]))))
    upright = person.figure.build.head * camera.focal / camera.view(neck)[2]
    return float(HEADS_IN_BOX * max(seen, 0.85 * upright))


def _write_image(folder: Path, seed: int, split: str, varied: bool, index: int) -> tuple[str, list[Row]]:
    """Draw an image and write its file; return its name and rows."""
    drawn = draw_image(seed, split, index, varied)
    (folder / drawn.name).write_bytes(drawn.data)
    return drawn.name, drawn.rows


def _write_rows(path: Path, rows: list[tuple[str, Row]]) -> None:
    center = np.array([row.center for _, row in rows], float).reshape(-1, 2)
    part = np.array([row.part for _, row in rows], float).reshape(-1, 16, 2)
    seen = np.array([row.visible for _, row in rows], float).reshape(-1, 16)
    write_labels(path, [name for name, _ in rows], center, np.array([row.scale for _, row in rows], float), part, seen)


def write_labels(
    path: Path, images: list[str], center: np.ndarray, scale: np.ndarray, part: np.ndarray, seen: np.ndarray
) -> None:
    """Write a label file with the fields, shapes and types of the published ones.

    images: N names; center (N, 2), scale (N,), part (N, 16, 2), (0, 0) for a missing joint, seen (N, 16).
    """
    encoded = [image.encode() for image in images]
    fields = {
        "imgname": np.array(encoded, f"S{max(map(len, encoded), default=13)}"),
        "center": center,
        "scale": scale,
        "part": part,
        "visible": seen.astype(float),
        "normalize": _NORMALIZE * scale,
    }
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in fields.items():
            file.create_dataset(name, data=values)
