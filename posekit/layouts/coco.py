"""Keypoints of any object in COCO's format, one file or a folder as COCO and labelling tools write it.

```
DATA.json                                     images beside it, in images/, or where --images says
DATA/annotations/*train*.json, *val*.json     DATA/images/, or DATA/train2017/ as COCO has it
DATA/{train,valid,test}/_annotations.coco.json      images beside them, as Roboflow exports
DATA/result.json                              DATA/images/, as Label Studio exports; CVAT's is in annotations/
```

The skeleton, its names, edges and flip pairs, comes from the file. A file without splits is divided by image.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np

from posekit.bounds import COCO_BYTES
from posekit.datasets.check import Finding, Report, across, check_dataset, of_split, problem
from posekit.datasets.dataset import BOX_MARGIN, PoseDataset
from posekit.datasets.sources import found_in, open_images, readers
from posekit.errors import InputError, shortened
from posekit.evaluation.oks import about_oks, coco_pck, coco_table, coco_walk
from posekit.evaluation.protocols import PUBLISHED, Protocol
from posekit.files import reading
from posekit.layouts.coco_files import CocoLabels, read_coco
from posekit.layouts.record import Layout, Reading
from posekit.synthetic.mug import write_mugs

WORDS = ("train", "val", "test")  # splits, and what says so in a split's file or folder name
INSTEAD = {"val": "test", "test": "val"}  # of a split that isn't there
ALL = "all"  # the split that is the whole of a file
FEWEST = 5  # images that can be divided


def is_coco(data: Path) -> bool:
    """Whether this is a COCO file, there or not, by its suffix, or a folder with some, and with no other layout's."""
    if not data.is_dir():
        return data.suffix.lower() == ".json"
    found = any(any(data.glob(pattern)) for pattern in ("annotations/*.json", "*/*.coco.json"))
    return not (data / "annot").exists() and (found or any(map(_lists_annotations, data.glob("*.json"))))


def _lists_annotations(path: Path) -> bool:
    """Whether a JSON file's text has what a COCO file must have; other files are beside data sets, too."""
    with reading(path):
        return path.stat().st_size <= COCO_BYTES and b'"annotations"' in path.read_bytes()


def label_file(data: Path, split: str) -> tuple[Path, bool]:
    """A split's label file, and whether it holds other splits, too. InputError if there is none, or several."""
    if not data.is_dir() and is_coco(data):
        return data, True
    for word in dict.fromkeys((split, INSTEAD.get(split, split))):
        if found := _with_word(data, word):
            return _only(data, found), False
    lone = [*data.glob("annotations/*.json"), *filter(_lists_annotations, data.glob("*.json"))]
    if lone and not any(_with_word(data, word) for word in WORDS):
        return _only(data, lone), True
    _missing(data, split)


def _with_word(data: Path, split: str) -> list[Path]:
    """Label files whose name, or folder's name, says that split."""
    for pattern in ("annotations/*{}*.json", "*{}*/*.json", "*{}*/annotations/*.json", "*{}*.json"):
        if split in WORDS and (found := sorted(data.glob(pattern.format(split)))):
            return found
    return []


def _only(data: Path, found: Sequence[Path]) -> Path:
    """The only file, or the only one about keypoints."""
    about = [path for path in found if "keypoints" in path.name]
    if len(found) > 1 and len(about) != 1:
        names = ", ".join(shortened(path.relative_to(data).as_posix()) for path in found[:5])
        raise InputError(f"{data}: several label files ({names}); give one of them as the data set")
    return found[0] if len(found) == 1 else about[0]


def _missing(data: Path, split: str) -> NoReturn:
    raise InputError(
        f"{data}: no COCO file of the {split} split: looked for annotations/*{split}*.json, *{split}*/*.json and "
        f"*{split}*.json, found {found_in(data)}; give the label file itself, or name it so"
    )


def read_split(data: Path, split: str, how: Reading) -> CocoLabels:
    """The labelled objects of a split; a file that holds all is divided by image, unless `split` is all.

    Too few images to divide: all of them, for every split.
    """
    path, whole = label_file(data, split)
    labels = read_coco(path, how.flip_pairs)
    if not whole or split == ALL:
        return labels
    images = sorted(set(labels.images))
    if len(images) < FEWEST:
        few = (
            f"warning: {path} has only {len(images)} images with labels, too few to divide: all train and all validate"
        )
        return labels.noted(few)
    held = held_out(images, how.validation_share, how.validation_seed)
    labels = labels.take([row for row, image in enumerate(labels.images) if (image in held) == (split != "train")])
    return labels.noted(
        f"{path} divided by image: {len(images) - len(held)} train, {len(held)} validate (validation_share "
        f"{how.validation_share:g}, validation_seed {how.validation_seed})"
    )


def held_out(images: list[str], share: float, seed: int) -> set[str]:
    """The images, of a sorted list, that validate: a share of them, at least one, drawn with a seed."""
    count = min(max(1, round(share * len(images))), len(images) - 1)
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    return {images[index] for index in chosen}


def dataset_of(
    labels: CocoLabels, data: Path, split: str, images: str | Path | None, require_images: bool
) -> PoseDataset:
    """The data set of labels already read, its images where the labelling tools put them, or in `images`.

    Coordinates are those of the picture as people see it: labelling tools turn it as its orientation tag says, and so
    do COCO's readers. The box to cut out is 1.25 times the label's, cut off at the image's border, from pixel to pixel,
    as HRNet's code has it; square, its side is 1.25 times the longer one.
    """
    root, names = _place(data, split, images, labels.images)
    if root.is_file():
        found = open_images(data, root, "images", split, names, "coco", require_images)
    else:
        if require_images:
            _check_present(root, names)
        found = readers(root, names)
    corner, size = _cut_boxes(labels)
    return PoseDataset(
        skeleton=labels.skeleton,
        split=split,
        names=labels.names,
        keypoints=labels.keypoints,
        visible=labels.visible,
        hidden=labels.hidden,
        center=(corner + size / 2).astype(np.float32),
        box_size=(size.max(axis=1) * BOX_MARGIN).astype(np.float32),
        unit=labels.unit,
        **found._asdict(),
        box=(size * BOX_MARGIN).astype(np.float32),
        truth=labels.truth,
        sizes=labels.sizes,
        upright=True,
        notes=labels.notes,
    )


def _cut_boxes(labels: CocoLabels) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, 2) and sizes (N, 2) of the boxes from their first pixel in the image to their last; at least 1."""
    first = np.maximum(labels.boxes[:, :2], 0)
    last = first + np.maximum(labels.boxes[:, 2:] - 1, 0)
    last = np.where(labels.sizes > 0, np.minimum(last, labels.sizes - 1), last)
    whole = (last > first).all(axis=1, keepdims=True)  # else it isn't in the image, or thinner than a pixel
    corner = np.where(whole, first, labels.boxes[:, :2])
    return corner, np.where(whole, last - first, np.maximum(labels.boxes[:, 2:], 1))


def _place(data: Path, split: str, images: str | Path | None, names: list[str]) -> tuple[Path, list[str]]:
    """The folder or zip of the images, and their names in it; of several the one that has most of the first images."""
    if images and Path(images).is_file():
        return Path(images), names
    labels, _ = label_file(data, split)
    above = (
        [Path(images)]
        if images
        else list(dict.fromkeys([labels.parent, labels.parent.parent, data.parent if data.is_file() else data]))
    )
    words = [word for word in (split, INSTEAD.get(split)) if word in WORDS]
    roots = [root for folder in above for root in (folder / "images", folder)]
    roots += [path for root in roots for word in words for path in sorted(root.glob(f"*{word}*")) if path.is_dir()]
    roots += [path for root in roots for path in sorted(root.glob("images/*")) if path.is_dir()]
    plain = [PurePosixPath(name).name for name in names]
    lists = [names, plain] if len(set(plain)) == len(set(names)) else [names]
    choices = [
        (sum((root / name).is_file() for name in list(dict.fromkeys(which))[:20]), root, which)
        for root in roots
        for which in lists
    ]
    best = max(choices, key=lambda choice: choice[0])
    return (best[1], best[2]) if best[0] else ((roots[0] if roots[0].is_dir() else above[0]), names)


def _check_present(root: Path, names: list[str]) -> None:
    """InputError for images that are missing."""
    wanted = list(dict.fromkeys(names))
    missing = [name for name in wanted if not (root / name).is_file()]
    if missing:
        raise InputError(
            f"{root}: {len(missing)} of {len(wanted)} images are missing, the first is {shortened(missing[0])} (found "
            f"{found_in(root)}); complete the data set, or give the folder of images with --images"
        )


def check(data: str | Path, images: str | Path | None = None) -> Report:
    """Check every split of COCO files: counts, the pairs that were found, images, keypoints, boxes, double labels."""
    data = Path(data)
    if data.is_file() or label_file(data, "train")[1]:
        splits = [ALL]
    else:
        splits = [split for split in WORDS if _with_word(data, split)]
    findings, found = [], {}
    for split in splits:
        labels = found[split] = read_split(data, split, Reading())
        dataset = dataset_of(labels, data, split, images, require_images=False)
        findings += check_dataset(dataset, outside="warning") + of_split(split, _check_objects(labels))
    findings += _about_skeleton(found[splits[0]])
    findings += across("images", "warning", [set(labels.images) for labels in found.values()][:2])
    return Report(data, findings)


def _check_objects(labels: CocoLabels) -> list[Finding]:
    """What only COCO files can have wrong, and their counts."""
    same = Counter((image, points.tobytes()) for image, points in zip(labels.images, labels.keypoints, strict=True))
    twice = [
        n
        for n, image, points in zip(labels.names, labels.images, labels.keypoints, strict=True)
        if same[image, points.tobytes()] > 1
    ]
    left, top = labels.boxes[:, 0, None], labels.boxes[:, 1, None]
    right, bottom = left + labels.boxes[:, 2, None], top + labels.boxes[:, 3, None]
    x, y = labels.keypoints[..., 0], labels.keypoints[..., 1]
    beyond = ((x < left - 1) | (x > right + 1) | (y < top - 1) | (y > bottom + 1)) & labels.visible
    outside = [f"{labels.names[n]}: {labels.skeleton.keypoints[k]}" for n, k in np.argwhere(beyond)]
    return [
        Finding("info", "images", len(set(labels.images))),
        *(Finding("info", f"{what}, skipped", count) for what, count in labels.skipped.items()),
        problem("warning", "labelled keypoints outside their box", outside),
        problem("error", "objects labelled twice (the same keypoints)", twice),
    ]


def _about_skeleton(labels: CocoLabels) -> list[Finding]:
    """The skeleton: which keypoints were paired, and which weren't."""
    names, pairs = labels.skeleton.keypoints, labels.skeleton.flip_pairs
    paired = {k for pair in pairs for k in pair}
    alone = tuple(name for k, name in enumerate(names) if k not in paired)
    return [
        Finding("info", "keypoint names", len(names), (labels.skeleton.name,)),
        Finding("info", "left/right pairs", len(pairs), tuple(f"{names[a]}:{names[b]}" for a, b in pairs)),
        Finding("info", "keypoints without a partner", len(alone), alone),
    ]


COCO = Layout(
    name="coco",
    title="COCO keypoints",
    label_files={"train": "annotations/train.json", "val": "annotations/val.json"},
    read_split=read_split,
    dataset_of=dataset_of,
    check=check,
    protocols={
        PUBLISHED: Protocol(coco_table, about_oks),
        "pck": Protocol(coco_pck, "within a share of the longer side of the label's box; covered keypoints count"),
    },
    walk=coco_walk,
    threshold=0.1,
    drawn="mugs",
    draw=write_mugs,
    validation="val",
    aliases={"valid": "val", ALL: ALL, "test": "test"},
)
