"""COCO keypoint files: where they are in a folder, and what they hold, checked.

The format is that of COCO's keypoint task: `images`, `annotations` and `categories`, whose `keypoints` are the names
and whose `skeleton` are edges between them, counted from 1. A keypoint is x, y, v: v is 0 for one that is not labelled,
1 for one that is covered and 2 for one that can be seen.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from posekit import bounds
from posekit.errors import InputError, in_words, shown
from posekit.files import parse_json, read_text
from posekit.skeletons import MOST_KEYPOINTS, Skeleton, about_pairs, make_skeleton, parse_flip_pairs

FIX = "fix or remove it"
MOST_AWAY = 1  # longer sides of its image that a keypoint may be outside it
_UNFINISHED = "objects in pictures whose labelling isn't finished"  # as `label_keypoints` marks these pictures


@dataclass(frozen=True)
class CocoLabels:
    """The labelled objects of a file, in the file's order. Coordinates are pixels of each object's image."""

    skeleton: Skeleton
    names: list[str]  # "<file name>:<annotation id>"
    images: list[str]  # file names, perhaps with folders
    sizes: np.ndarray  # (N, 2) int64, width and height of the image, 0 where the file doesn't say
    boxes: np.ndarray  # (N, 4) float64: left, top, width, height
    keypoints: np.ndarray  # (N, K, 2) float64, (0, 0) for one that is not labelled
    visible: np.ndarray  # (N, K) bool: labelled; COCO trains and counts these, covered or not
    hidden: np.ndarray  # (N, K) bool: labelled, but covered
    truth: dict[str, list[dict]]  # as pycocotools takes it: all objects, those that aren't counted, too
    skipped: Counter[str] = field(default_factory=Counter)  # why objects are not among these
    notes: tuple[str, ...] = ()  # what else people should know

    @property
    def unit(self) -> np.ndarray:
        """(N,) float64: the longer side of the box, by which PCK divides."""
        return self.boxes[:, 2:].max(axis=1)

    def take(self, rows: Sequence[int]) -> "CocoLabels":
        """Some of the objects, and what is in their images and isn't counted."""
        rows = list(rows)
        images, kept = [self.images[row] for row in rows], {_annotation_id(self.names[row]) for row in rows}
        shown = set(images)
        ids = {image["id"] for image in self.truth["images"] if image["file_name"] in shown}
        counted = {_annotation_id(name) for name in self.names}
        truth = self.truth | {
            "images": [image for image in self.truth["images"] if image["id"] in ids],
            "annotations": [
                it
                for it in self.truth["annotations"]
                if it["image_id"] in ids and (it["id"] in kept or it["id"] not in counted)
            ],
        }  # fmt: skip
        arrays = {name: getattr(self, name)[rows] for name in ("sizes", "boxes", "keypoints", "visible", "hidden")}
        return replace(self, names=[self.names[row] for row in rows], images=images, truth=truth, **arrays)

    def noted(self, note: str) -> "CocoLabels":
        """The labels with one more note."""
        return replace(self, notes=(*self.notes, note))


def _annotation_id(name: str) -> int:
    return int(name.rpartition(":")[2])


def read_coco(path: Path, flip_pairs: str = "names") -> CocoLabels:
    """Read a COCO keypoint file; `flip_pairs` as in a recipe.

    Crowds and objects without keypoints are left out and counted. An `area` that is missing or 0 is the box's, missing
    `iscrowd` is 0, a missing box is that of the labelled keypoints. Raises InputError naming the file, the annotation
    and what to do.
    """
    content = _read(path)
    categories = _by_id(path, content["categories"], "category")
    images = _by_id(path, content["images"], "image")
    files = {number: _file_name(path, number, image) for number, image in images.items()}
    if double := [name for name, count in Counter(files.values()).items() if count > 1]:
        raise InputError(f"{path}: {len(double)} images are listed twice, the first is {shown(double[0])}; {FIX}")
    used, skipped, truth = [], Counter(), []
    for annotation in _by_id(path, content["annotations"], "annotation").values():
        where = f"{path}: annotation {annotation['id']}"
        for what, known in (("image", images), ("category", categories)):
            if not isinstance(number := annotation.get(f"{what}_id"), int | float) or number not in known:
                raise InputError(f"{where}: no {what} has the id {shown(number)}; {FIX}")
        if annotation.get("iscrowd") not in (None, 0, 1):
            raise InputError(f"{where}: iscrowd is {shown(annotation['iscrowd'])}, not 0 or 1; {FIX}")
        if not categories[annotation["category_id"]].get("keypoints"):
            skipped["objects of categories without keypoints"] += 1
            continue
        if images[annotation["image_id"]].get("unfinished"):
            skipped[_UNFINISHED] += 1
            continue
        used.append((where, annotation))
    if not used and any(category.get("keypoints") for category in categories.values()):
        raise _none_labelled(path, skipped)
    skeleton = _skeleton(
        path, [categories[number] for number in sorted({it["category_id"] for _, it in used})], flip_pairs
    )
    rows = []
    for where, annotation in used:
        points, box = _keypoints(where, annotation, skeleton), _box(where, annotation)
        reason = "crowds" if annotation.get("iscrowd") else "" if points[:, 2].any() else "objects without keypoints"
        if box is None and not reason:
            box = _around(where, points)
        if box is not None:
            truth.append(_for_pycocotools(where, annotation, points, box))
        if reason or box is None:
            skipped[reason] += 1
            continue
        size = _size(where, images[annotation["image_id"]])
        _check_places(where, points, box, size, skeleton)
        rows.append(
            (f"{files[annotation['image_id']]}:{annotation['id']}", files[annotation["image_id"]], size, box, points)
        )
    if not rows:
        raise _none_labelled(path, skipped)
    names, shows, sizes, boxes, points = zip(*rows, strict=True)
    values = np.array(points)  # (N, K, 3)
    labelled = values[..., 2] > 0
    truth = {
        "images": [{"id": number, "file_name": files[number]} for number in images],
        "annotations": truth,
        "categories": [{"id": number, "name": str(it.get("name", number))} for number, it in categories.items()],
    }
    return CocoLabels(
        skeleton, list(names), list(shows), np.array(sizes, np.int64), np.array(boxes),
        np.where(labelled[..., None], values[..., :2], 0), labelled, values[..., 2] == 1, truth, skipped,
        (about_pairs(skeleton), *(f"{path}: {count} {what} skipped" for what, count in skipped.items())),
    )  # fmt: skip


def _none_labelled(path: Path, skipped: Counter[str]) -> InputError:
    why = ", ".join(f"{count} {what}" for what, count in skipped.items())
    cure = "mark their pictures as done" if skipped[_UNFINISHED] else "label some"
    return InputError(f"{path}: no object with labelled keypoints{f' ({why})' if why else ''}; {cure}")


def _read(path: Path) -> dict[str, list]:
    """The three lists of the file."""
    text = read_text(path, "give a COCO keypoint file", bounds.COCO_BYTES)
    try:
        content = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({in_words(error)}); export the labels again") from error
    missing = "images, annotations, categories".split(", ")
    if isinstance(content, dict):
        missing = [name for name in missing if not isinstance(content.get(name), list)]
    if not isinstance(content, dict) or missing:
        raise InputError(f"{path}: not a COCO file (no list of {' and '.join(missing)}); export it as COCO keypoints")
    return content


def _by_id(path: Path, items: list, what: str) -> dict[int, dict]:
    """The items by their whole-number ids, each of which is there once."""
    found: dict[int, dict] = {}
    for place, item in enumerate(items):
        if not isinstance(item, dict) or type(item.get("id")) is not int:
            raise InputError(f"{path}: {what} {place} (from 0) has no whole number as its id; {FIX}")
        if item["id"] in found:
            raise InputError(f"{path}: two {what.replace('y', 'ie')}s have the id {item['id']}; give each its own")
        found[item["id"]] = item
    return found


def _file_name(path: Path, number: int, image: dict) -> str:
    """The name of an image's file, a path relative to the folder of images."""
    name = image.get("file_name")
    if not isinstance(name, str) or not name or set(name) & set("\0\r\n"):
        raise InputError(f"{path}: image {number}: file_name is no name of a file ({shown(name)}); {FIX}")
    if "\\" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise InputError(
            f"{path}: image {number}: file_name is not a path below the folder of images ({shown(name)}); {FIX}"
        )
    return name


def _skeleton(path: Path, categories: list[dict], flip_pairs: str) -> Skeleton:
    """The skeleton that the categories share."""
    if not categories:
        raise InputError(f"{path}: no category that is used has keypoints; export it as COCO keypoints")
    first = categories[0]
    names = _names(path, first)
    for category in categories[1:]:
        if (others := _names(path, category)) != names:
            differ = [name for name in (*names, *others) if name not in names or name not in others] or ["their order"]
            raise InputError(
                f"{path}: two skeletons: {shown(first.get('name'))} and {shown(category.get('name'))} differ in "
                f"{', '.join(map(shown, differ[:6]))}; give each kind of object its own file"
            )
    edges = first.get("skeleton") or []
    count = len(names)
    if not isinstance(edges, list) or not all(_is_edge(edge, count) for edge in edges):
        raise InputError(
            f"{path}: category {first['id']}: skeleton has an edge that is not two numbers from 1 to {count}; {FIX}"
        )
    limbs = tuple((int(a) - 1, int(b) - 1) for a, b in edges)
    pairs = {"names": None, "none": ()}.get(flip_pairs, ...)
    pairs = parse_flip_pairs(flip_pairs, names) if pairs is ... else pairs
    title = str(first.get("name") or "object") if len(categories) == 1 else str(first.get("supercategory") or "object")
    return make_skeleton(title[:100], names, limbs, pairs)


def _is_edge(edge: Any, count: int) -> bool:
    whole = isinstance(edge, list) and len(edge) == 2 and all(type(end) is int for end in edge)
    return whole and all(1 <= end <= count for end in edge)


def _names(path: Path, category: dict) -> list[str]:
    names, where = category["keypoints"], f"{path}: category {category['id']}"
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f"{where}: keypoints is not a list of names; {FIX}")
    names = [" ".join(name.split()) for name in names]  # spaces at an end would hide a pair
    if len(names) > MOST_KEYPOINTS:
        raise InputError(f"{where}: has {len(names):,} keypoints, posekit takes at most {MOST_KEYPOINTS:,}")
    if double := [name for name, times in Counter(names).items() if times > 1]:
        raise InputError(f"{where}: {shown(double[0])} names two keypoints; rename one")
    return names


def _numbers(where: str, name: str, values: object, count: int, what: str) -> np.ndarray:
    """(count,) float64 of a list of finite numbers."""
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} values" if isinstance(values, list) else shown(values)
        raise InputError(f"{where}: {name} has {found} where {count} are expected ({what}); {FIX}")
    if not all(type(value) in (int, float) for value in values):
        raise InputError(f"{where}: {name} has something else than numbers; {FIX}")
    if not all(abs(value) <= bounds.LARGEST_NUMBER for value in values):  # NaN, too
        raise InputError(f"{where}: {name} has a value beyond ±{bounds.LARGEST_NUMBER:,.0f}; {FIX}")
    return np.array(values, np.float64)


def _keypoints(where: str, annotation: dict, skeleton: Skeleton) -> np.ndarray:
    """(K, 3) x, y, v; zeros where the annotation has none."""
    count = skeleton.num_keypoints
    if not annotation.get("keypoints"):
        return np.zeros((count, 3))
    what = f"x, y, v of {count} keypoints"
    points = _numbers(where, "keypoints", annotation["keypoints"], 3 * count, what).reshape(count, 3)
    if (odd := ~np.isin(points[:, 2], (0, 1, 2))).any():
        name, value = skeleton.keypoints[odd.argmax()], points[odd.argmax(), 2]
        raise InputError(f"{where}: {name} has the visibility {value:g}, not 0, 1 or 2; {FIX}")
    return points


def _box(where: str, annotation: dict) -> np.ndarray | None:
    """(4,) left, top, width, height; None where there is none."""
    if not annotation.get("bbox"):
        return None
    return _numbers(where, "bbox", annotation["bbox"], 4, "left, top, width, height")


def _around(where: str, points: np.ndarray) -> np.ndarray:
    """The box around the labelled keypoints."""
    labelled = points[points[:, 2] > 0, :2]
    size = np.ptp(labelled, axis=0)
    if size.max() < 1:
        raise InputError(f"{where}: has no bbox, and its keypoints span less than a pixel; give it a bbox")
    return np.concatenate([labelled.min(axis=0), np.maximum(size, 1)])


def _size(where: str, image: dict) -> tuple[int, int]:
    """Width and height of an image, 0 where the file doesn't say."""
    size = image.get("width") or 0, image.get("height") or 0
    if not all(type(side) is int and 0 <= side <= bounds.LARGEST_SIDE for side in size):
        raise InputError(f"{where}: its image {image['id']} has the size {shown(size)}; give whole numbers of pixels")
    return size


def _check_places(where: str, points: np.ndarray, box: np.ndarray, size: tuple[int, int], skeleton: Skeleton) -> None:
    """InputError for a box without a size, and for a labelled keypoint far outside the image."""
    if box[2:].min() <= 0 or not 1 <= box[2:].max() <= bounds.LARGEST_SIDE:
        raise InputError(f"{where}: a box of {box[2]:g} × {box[3]:g} pixels has no size; {FIX}")
    if all(size):
        reach = MOST_AWAY * max(size)
        far = bounds.outside(points[:, :2], -reach, np.array(size) + reach).any(axis=1) & (points[:, 2] > 0)
        if far.any():
            k = int(far.argmax())
            raise InputError(
                f"{where}: {skeleton.keypoints[k]} at ({points[k, 0]:g}, {points[k, 1]:g}) is far outside the image "
                f"of {size[0]} × {size[1]} pixels; {FIX}"
            )


def _for_pycocotools(where: str, annotation: dict, points: np.ndarray, box: np.ndarray) -> dict[str, Any]:
    """What pycocotools reads of an annotation, with what may be missing derived."""
    area = annotation.get("area")
    if area is not None and (type(area) not in (int, float) or not 0 <= area <= bounds.LARGEST_SIDE**2):
        raise InputError(f"{where}: area is {shown(area)}, not a number of pixels; {FIX}")
    return {
        "id": annotation["id"], "image_id": annotation["image_id"], "category_id": annotation["category_id"],
        "iscrowd": int(bool(annotation.get("iscrowd"))), "area": float(area or box[2] * box[3]),
        "bbox": box.tolist(), "num_keypoints": int((points[:, 2] > 0).sum()), "keypoints": points.ravel().tolist(),
    }  # fmt: skip
