"""Label files of one layout as another's: VeRi, MPII and COCO to COCO, people in COCO's format to MPII."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from posekit.bars import progress_bar
from posekit.datasets.dataset import BOX_MARGIN, PoseDataset
from posekit.datasets.images import decode_image
from posekit.errors import InputError, shortened
from posekit.files import new_folder, write_json
from posekit.layouts import COCO, MPII, layout_of
from posekit.layouts.coco import label_file
from posekit.layouts.mpii import BOX_UNIT
from posekit.layouts.record import Layout
from posekit.skeletons import PERSON, Skeleton
from posekit.synthetic.person import write_labels
from posekit.synthetic.writing import check_request

# What the other layout has no place for, or counts otherwise.
_LOST = {
    ("veri", "coco"): "hidden keypoints (v = 1) train and count in COCO; in VeRi they don't",
    ("mpii", "coco"): "normalize, head boxes and the order of a file's rows per image; a box's margin is 1.25",
    ("coco", "coco"): "segmentations, licences and attributes of images",
    ("coco", "mpii"): "areas, categories, crowds, objects without keypoints; a box becomes square",
}
_MIDDLE = {"pelvis": ("left hip", "right hip"), "thorax": ("left shoulder", "right shoulder")}


@dataclass(frozen=True)
class Split:
    """A split, with the file name of each row's image."""

    data: PoseDataset
    labels: Any
    images: list[str]


def convert(data: Path, to: str, out: Path, images: Path | None = None) -> list[str]:
    """Write the data set at `data` in another layout into the new folder `out`; returns what is lost, and the counts.

    Every split is converted; one COCO file without splits is divided as a training divides it. Images are copied as
    they are. Raises InputError for a pair of layouts that share no keypoints, and when an image is missing, damaged, or
    has an orientation tag that only one of the layouts follows.
    """
    layout = layout_of(data)
    if (layout.name, to) not in _LOST:
        can = ", ".join(f"{a} to {b}" for a, b in _LOST)
        raise InputError(f"{data}: {layout.name} can't be converted to {to}; posekit converts {can}")
    check_request(out, 0, 0, 0, 0)
    splits = _open(data, layout, images)
    write = {"coco": _write_coco, "mpii": _write_mpii}[to]
    with new_folder(out) as building:
        names = {image: _plain(image) if to == "mpii" else image for split in splits.values() for image in split.images}
        if len(set(names.values())) < len(names):
            raise InputError(f"{data}: two images would have the same name; rename one")
        sizes = _copy_images(splits, names, building / "images", upright=to == "coco")
        counts = [f"{split}: {write(building, split, part, names, sizes)} objects" for split, part in splits.items()]
    return [f"lost: {_LOST[layout.name, to]}", *_lost_keypoints(splits, to), *counts]


def _open(data: Path, layout: Layout, images: Path | None) -> dict[str, Split]:
    """Every split that is there."""
    splits = {}
    for name in ("train", "val", "test") if layout is COCO else layout.label_files:
        try:
            labels = layout.labels(data, name)
        except InputError:
            if data.is_file() or not splits:
                raise
            continue
        if layout is COCO and name == "test" and label_file(data, "test") == label_file(data, "val"):
            continue
        dataset = layout.dataset_of(labels, data, name, images, True)
        splits[name] = Split(dataset, labels, getattr(labels, "images", labels.names))
        if data.is_file() and layout is not COCO:
            break
    return splits


def _plain(name: str) -> str:
    return "_".join(PurePosixPath(name).parts)


def _copy_images(
    splits: dict[str, Split], names: dict[str, str], folder: Path, upright: bool
) -> dict[str, tuple[int, int]]:
    """Copy every image, once; their widths and heights. upright: the new layout follows orientation tags."""
    sizes: dict[str, tuple[int, int]] = {}
    rows = [(split, row) for split in splits.values() for row in range(len(split.images))]
    for split, row in progress_bar(rows, desc="images", unit="row"):
        image = split.images[row]
        if image not in sizes:
            pixels, content = split.data.image(row), split.data.read_bytes(row)
            if split.data.upright != upright:
                _check_same_way_up(pixels, content, split.data.where(row), upright)
            sizes[image] = pixels.shape[1], pixels.shape[0]
            target = folder / names[image]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return sizes


def _check_same_way_up(pixels: np.ndarray, content: bytes, where: str, upright: bool) -> None:
    """InputError for an image that the new layout's readers turn otherwise, so that its labels would be wrong."""
    if np.array_equal(pixels, decode_image(content, where, upright)):
        return
    remedy = "remove the tag (exiftool -Orientation= FILE)" if upright else "turn it (mogrify -auto-orient FILE)"
    follow = "follow, and those of its layout don't" if upright else "don't follow, and COCO's do"
    raise InputError(f"{where}: has an orientation tag, which readers of the new layout {follow}; {remedy}")


def _write_coco(out: Path, name: str, split: Split, names: dict[str, str], sizes: dict[str, tuple[int, int]]) -> int:
    """Write annotations/NAME.json."""
    truth = split.data.truth
    category = {
        "keypoints": list(split.data.skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in split.data.skeleton.limbs],
    }
    if truth is None:
        numbers = {image: number for number, image in enumerate(dict.fromkeys(split.images), 1)}
        listed = [{"id": number, "file_name": names[image]} for image, number in numbers.items()]
        annotations = [_annotation(split, row, numbers[split.images[row]], sizes) for row in range(len(split.images))]
        categories = [{"id": 1, "name": split.data.skeleton.name, **category}]
    else:
        shown = {image["id"]: image["file_name"] for image in truth["images"]}
        listed = [image for image in truth["images"] if image["file_name"] in sizes]
        annotations = [it for it in truth["annotations"] if shown[it["image_id"]] in sizes]
        used = {it["category_id"] for it in annotations}
        categories = [it | category if it["id"] in used else it for it in truth["categories"]]
    for image in listed:
        image["width"], image["height"] = sizes[image["file_name"]]  # names stay as they are
    (out / "annotations").mkdir(exist_ok=True)
    write_json(
        out / "annotations" / f"{name}.json", {"images": listed, "annotations": annotations, "categories": categories}
    )
    return len(split.images)


def _annotation(split: Split, row: int, image: int, sizes: dict[str, tuple[int, int]]) -> dict:
    """A row of another layout as COCO's; the box is the object's, without the margin that a crop adds."""
    data = split.data
    if hasattr(split.labels, "sizes"):  # VeRi: the whole image
        box = [0.0, 0.0, *map(float, sizes[split.images[row]])]
    else:  # MPII
        side = BOX_UNIT * float(split.labels.scale[row]) / BOX_MARGIN
        box = [*(split.labels.center[row].astype(float) - side / 2).tolist(), side, side]
    v = np.where(data.hidden[row], 1, np.where(data.visible[row], 2, 0))
    points = np.where(v[:, None] > 0, data.keypoints[row], 0)
    return {
        "id": row + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box, "area": box[2] * box[3],
        "num_keypoints": int((v > 0).sum()), "keypoints": np.column_stack([points, v]).ravel().tolist(),
    }  # fmt: skip


def _joints(skeleton: Skeleton) -> list[Callable[[np.ndarray], np.ndarray]]:
    """For each of MPII's joints, what takes it from (N, K, 3); unnamed, pelvis and thorax are midpoints."""
    index = {name.replace("_", " ").lower(): k for k, name in enumerate(skeleton.keypoints)}

    def one(k: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda points: points[:, k]

    def middle(a: int, b: int) -> Callable[[np.ndarray], np.ndarray]:
        def between(points: np.ndarray) -> np.ndarray:
            both = (points[:, a, 2] > 0) & (points[:, b, 2] > 0)
            mean = np.column_stack(
                [(points[:, a, :2] + points[:, b, :2]) / 2, np.minimum(points[:, a, 2], points[:, b, 2])]
            )
            return np.where(both[:, None], mean, 0)

        return between

    found = []
    for joint in PERSON.keypoints:
        pair = _MIDDLE.get(joint, ())
        if joint in index:
            found.append(one(index[joint]))
        elif pair and all(name in index for name in pair):
            found.append(middle(*(index[name] for name in pair)))
        else:
            found.append(lambda points: np.zeros((len(points), 3)))
    return found


def _lost_keypoints(splits: dict[str, Split], to: str) -> list[str]:
    """Which keypoints MPII has no place for, and which of its joints stay empty."""
    if to != "mpii":
        return []
    names = [name.replace("_", " ").lower() for name in next(iter(splits.values())).data.skeleton.keypoints]
    lost = [name for name in names if name not in PERSON.keypoints]
    empty = [
        joint for joint in PERSON.keypoints if joint not in names and not set(_MIDDLE.get(joint, ("-",))) <= set(names)
    ]
    return [f"lost: the keypoints {', '.join(lost)}"] * bool(lost) + [f"empty: {', '.join(empty)}"] * bool(empty)


def _write_mpii(out: Path, name: str, split: Split, names: dict[str, str], sizes: dict[str, tuple[int, int]]) -> int:
    """Write the split's h5 file, with the fields and types of the published ones."""
    labels, joints = split.labels, _joints(split.data.skeleton)
    values = np.dstack([labels.keypoints, np.where(labels.hidden, 1, np.where(labels.visible, 2, 0))])  # (N, K, 3)
    points = np.stack([take(values) for take in joints], axis=1)  # (N, 16, 3)
    if not points[..., 2].any():
        raise InputError(
            f"{shortened(split.data.skeleton.name)}: none of its keypoints is one of MPII's joints; convert it to coco"
        )
    scale = labels.boxes[:, 2:].max(axis=1) * BOX_MARGIN / BOX_UNIT
    path = out / MPII.label_files["train" if name == "train" else "test"]
    part = np.where(points[..., 2:] > 0, points[..., :2], 0)
    center = labels.boxes[:, :2] + labels.boxes[:, 2:] / 2
    write_labels(path, [names[image] for image in split.images], center, scale, part, points[..., 2] == 2)
    return len(split.images)
