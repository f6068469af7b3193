"""Draw mugs with COCO labels: images/*.png, and one json file per split. The object of lesson 09.

A mug is seen nearly from the side, turned in the picture, in front of clutter; its handle is to the left or the right,
and something may cover a part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike

from posekit.errors import InputError
from posekit.files import new_folder, write_json
from posekit.synthetic.writing import check_request, draw_all, mark_drawn

NAMES = ("left_rim", "right_rim", "left_base", "right_base", "handle_top", "handle_bottom")
EDGES = ((0, 1), (0, 2), (1, 3), (2, 3), (4, 5))
LABEL_FILES = {"train": "annotations/train.json", "val": "annotations/val.json"}
MOST_MUGS = 100_000
WIDTH, HEIGHT = 320, 240
_FINE = 2  # drawn so much larger, then reduced


@dataclass(frozen=True)
class Mug:
    """One picture and the labels of its mug, in pixels."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    keypoints: np.ndarray  # (6, 3) x, y, v as in COCO
    box: np.ndarray  # (4,) left, top, width, height


def write_mugs(
    out: Path,
    train: int,
    test: int,
    seed: int,
    label_files: Mapping[str, str] = LABEL_FILES,
    workers: int | None = None,
    varied: bool = False,
) -> None:
    """Draw `train` and `test` pictures of a mug, labelled, into the new folder `out`.

    The same seed gives the same pictures with any number of `workers` (None: one per core). The folder appears only
    once it is complete. Raises InputError if `out` exists and isn't an empty folder, for counts out of range, and if
    `varied`: mugs are drawn in one way.
    """
    out = Path(out)
    if varied:
        raise InputError("mugs are drawn in one way only; set drawing to plain")
    check_request(out, train, test, seed, MOST_MUGS)
    with new_folder(out) as building:
        mark_drawn(building, train=train, test=test, seed=seed)
        (building / "images").mkdir()
        (building / "annotations").mkdir()
        for number, (split, count) in enumerate(zip(label_files, (train, test), strict=True)):
            draw = partial(_write_image, building / "images", seed, number)
            write_json(building / label_files[split], coco_file(draw_all(draw, count, split, workers)))


def coco_file(mugs: list[tuple[str, np.ndarray, np.ndarray]]) -> dict:
    """A COCO file of named mugs: name, keypoints (6, 3) and box (4,) each."""
    category = {"id": 1, "name": "mug", "keypoints": list(NAMES), "skeleton": [[a + 1, b + 1] for a, b in EDGES]}
    images = [{"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT} for n, (name, _, _) in enumerate(mugs, 1)]
    annotations = [
        {
            "id": n, "image_id": n, "category_id": 1, "iscrowd": 0, "bbox": box.tolist(),
            "area": float(box[2] * box[3]), "num_keypoints": int((points[:, 2] > 0).sum()),
            "keypoints": points.ravel().tolist(),
        }
        for n, (_, points, box) in enumerate(mugs, 1)
    ]  # fmt: skip
    return {"images": images, "annotations": annotations, "categories": [category]}


def _write_image(folder: Path, seed: int, split: int, index: int) -> tuple[str, np.ndarray, np.ndarray]:
    mug, name = draw_mug(seed, split, index), f"{split}{index:05d}.png"
    (folder / name).write_bytes(cv2.imencode(".png", mug.image[..., ::-1])[1].tobytes())
    return name, mug.keypoints, mug.box


def draw_mug(seed: int, split: int, index: int) -> Mug:
    """Draw picture `index` of a split: a pure function of the three arguments."""
    rng = np.random.default_rng([seed, split, 2, index])
    canvas = _background(rng)
    radius, height = rng.uniform(26, 52), rng.uniform(60, 110)
    taper, tilt = rng.uniform(0.75, 1.0), rng.uniform(0.12, 0.32)  # base to rim; short to long axis of the rim
    angle = np.radians(rng.uniform(-22, 22))
    middle = np.array([rng.uniform(0.3, 0.7) * WIDTH, rng.uniform(0.38, 0.62) * HEIGHT])
    side = 1 if rng.random() < 0.5 else -1
    colour = rng.uniform(40, 235, 3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def place(points: ArrayLike) -> np.ndarray:
        return np.asarray(points, float) @ turn + middle

    top, bottom = -height / 2, height / 2
    _handle(canvas, place, side, radius, taper, height, colour, (reach := rng.uniform(0.55, 0.8) * radius))
    body = np.concatenate(
        [_arc(radius, radius * tilt, top, np.pi, 0), _arc(radius * taper, radius * taper * tilt, bottom, 0, np.pi)]
    )
    _shade(canvas, place(body), place([[-radius, 0], [radius, 0]]), colour)
    rim = _arc(radius, radius * tilt, top, 0, 2 * np.pi)
    _fill(canvas, place(rim), colour * 0.55)
    _line(canvas, place(rim), np.minimum(colour * 1.15 + 12, 255), 2)
    ends = _handle_ends(side, radius, taper, height)
    points = place([[-radius, top], [radius, top], [-radius * taper, bottom], [radius * taper, bottom], *ends])
    covered = _cover(canvas, rng, points)
    outline = np.concatenate([place(body), place(rim), place([[side * (radius + reach), 0]])])
    low, high = outline.min(axis=0), outline.max(axis=0)
    low, high = np.clip(low, 0, (WIDTH, HEIGHT)), np.clip(high, 0, (WIDTH, HEIGHT))
    inside = ((points >= 0) & (points <= (WIDTH - 1, HEIGHT - 1))).all(axis=1)
    v = np.where(inside, np.where(covered, 1, 2), 0)
    labels = np.column_stack([np.where(inside[:, None], points.round(1), 0), v])
    image = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return Mug(noisy, labels, np.concatenate([low, high - low]).round(1))


def _arc(a: float, b: float, y: float, start: float, end: float) -> np.ndarray:
    """Points (24, 2) of an ellipse about (0, y), from one angle to another; y grows downwards."""
    t = np.linspace(start, end, 24)
    return np.column_stack([a * np.cos(t), y + b * np.sin(t)])


def _handle_ends(side: int, radius: float, taper: float, height: float) -> list[list[float]]:
    """Where the handle's outer edge leaves the body, top and bottom: on the line from rim to base."""
    ends = []
    for share in (0.2, 0.78):
        ends.append([side * radius * (1 + share * (taper - 1)), height * (share - 0.5)])
    return ends


def _handle(
    canvas, place, side: int, radius: float, taper: float, height: float, colour: np.ndarray, reach: float
) -> None:  # noqa: ANN001
    (x0, y0), (x1, y1) = _handle_ends(side, radius, taper, height)
    t = np.linspace(-np.pi / 2, np.pi / 2, 24)
    share = (np.sin(t) + 1) / 2
    curve = np.column_stack([x0 + share * (x1 - x0) + side * reach * np.cos(t), y0 + share * (y1 - y0)])
    _line(canvas, place(curve), colour * 0.7, int(max(7, radius * 0.24)), closed=False)
    _line(canvas, place(curve), colour * 0.9, int(max(4, radius * 0.15)), closed=False)


def _background(rng: np.random.Generator) -> np.ndarray:
    """A wall and a table with things on them, `_FINE` times as large as the picture."""
    size = (HEIGHT * _FINE, WIDTH * _FINE)
    wall, table = rng.uniform(60, 230, 3), rng.uniform(40, 200, 3)
    canvas = np.empty((*size, 3))
    edge = int(size[0] * rng.uniform(0.5, 0.8))
    fade = np.linspace(0.85, 1.1, size[0])[:, None, None]
    canvas[:edge], canvas[edge:] = wall * fade[:edge], table * fade[edge:]
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(3, 8)):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        reach = rng.uniform(0.5, 1, (len(angles), 1)) * rng.uniform(8, 45, 2)
        _fill(canvas, rng.uniform(0, (WIDTH, HEIGHT)) + reach * _directions(angles), rng.uniform(30, 220, 3))
    return canvas


def _directions(angles: np.ndarray) -> np.ndarray:
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _cover(canvas: np.ndarray, rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """Perhaps put a bar in front; which keypoints it covers, (6,)."""
    if rng.random() > 0.3:
        return np.zeros(len(points), bool)
    at, angle, thick = (
        points[rng.integers(len(points))] + rng.normal(0, 6, 2),
        rng.uniform(0, np.pi),
        rng.uniform(7, 15),
    )
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    bar = np.array(
        [
            at + 60 * along + thick * across,
            at + 60 * along - thick * across,
            at - 60 * along - thick * across,
            at - 60 * along + thick * across,
        ]
    )
    _fill(canvas, bar, rng.uniform(20, 240, 3))
    offset = points - at
    return (np.abs(offset @ along) <= 60) & (np.abs(offset @ across) <= thick)


def _pixels(points: np.ndarray) -> np.ndarray:
    """Positions in the picture as OpenCV's fixed-point ones in the canvas, whose pixels are smaller."""
    return np.round(((points + 0.5) * _FINE - 0.5) * 16).astype(np.int32)


def _fill(canvas: np.ndarray, points: np.ndarray, colour: np.ndarray) -> None:
    cv2.fillPoly(canvas, [_pixels(points)], np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, shift=4)


def _line(canvas: np.ndarray, points: np.ndarray, colour: np.ndarray, width: int, closed: bool = True) -> None:
    cv2.polylines(
        canvas, [_pixels(points)], closed, np.clip(colour, 0, 255).tolist(), width * _FINE, cv2.LINE_AA, shift=4
    )


def _shade(canvas: np.ndarray, outline: np.ndarray, across: np.ndarray, colour: np.ndarray) -> None:
    """Fill with a colour that is bright left of the middle and dark at the right, as light on a cylinder."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_pixels(outline)], (255,), cv2.LINE_AA, shift=4)
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]] / _FINE
    direction = across[1] - across[0]
    where = ((x - across[0, 0]) * direction[0] + (y - across[0, 1]) * direction[1]) / (direction @ direction)  # 0–1
    light = 0.62 + 0.55 * np.sin(np.pi * np.clip(where + 0.15, 0, 1)) - 0.15 * where
    share = mask[..., None] / 255
    canvas[:] = np.clip(canvas * (1 - share) + share * light[..., None] * colour, 0, 255).astype(np.uint8)
