"""Verifying a data set on disk: everything that would spoil a training or a score, counted, with examples."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from posekit.layouts import mpii, veri
from posekit.datasets.dataset import PoseDataset, decode_image, is_truncated
from posekit.errors import InputError
from posekit.files import write_text

EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One row of a report. `severity` is "info" (a plain count), "ok", "warning" or "error"."""

    severity: str
    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a check of the folder `data` found, in order."""

    data: Path
    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        """Warnings and errors: what `--strict` stops on."""
        return [finding for finding in self.findings if finding.severity in ("warning", "error")]

    def table(self) -> Table:
        """The findings as a table for the terminal."""
        table = Table("", "count", "what", "for example", title=escape(str(self.data)), title_justify="left")
        colours = {"ok": "green", "warning": "yellow", "error": "red"}
        for finding in self.findings:
            more = ", …" if finding.count > len(finding.examples) > 0 else ""
            mark = f"[{colours.get(finding.severity, 'dim')}]{finding.severity}"
            table.add_row(mark, f"{finding.count:,}", escape(finding.what), escape(", ".join(finding.examples) + more))
        return table

    @property
    def errors(self) -> list[Finding]:
        """Errors only: what makes the data set unusable as it is."""
        return [finding for finding in self.findings if finding.severity == "error"]


def problem(severity: str, what: str, examples: list[str]) -> Finding:
    """A finding with the number of `examples` and the first few of them; "ok" when there are none."""
    return Finding(severity if examples else "ok", what, len(examples), tuple(examples[:EXAMPLES]))


def of_split(split: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings with the split's name before what they say."""
    return [replace(finding, what=f"{split}: {finding.what}") for finding in findings]


def check_veri(data: str | Path, images: str | Path | None = None, write_index: bool = True) -> Report:
    """Check both splits of a folder in the VeRi layout and write the seed's annot/image_test.json (`seed_index`).

    Counts rows, images, identities and visible keypoints; finds repeated names, names out of order, images that are
    missing, truncated or unreadable, sizes that disagree with the label, keypoints outside the image, rows without a
    visible keypoint, and names or identities in both splits. Reads every image. Raises InputError for another layout or
    a malformed label file.
    """
    data = Path(data)
    splits, findings = _splits(data, {split: f"annot/label_{split}.csv" for split in veri.SPLITS})
    labels = {split: veri.read_labels(veri.label_path(data, split)) for split in splits}
    for split, rows in labels.items():
        dataset = veri.dataset_of(rows, data, split, images, require_images=False)
        findings += check_dataset(dataset, rows.sizes)
        identities = {identity(name) for name in rows.names}
        findings += of_split(split, [_check_order(rows.names), Finding("info", "identities", len(identities))])
    findings += _across("images", "error", [set(rows.names) for rows in labels.values()])
    findings += _across("identities", "warning", [{identity(name) for name in rows.names} for rows in labels.values()])
    if write_index and "test" in labels:
        findings.append(_write_index(data, labels["test"].names))
    return Report(data, findings)


def check_mpii(data: str | Path, images: str | Path | None = None) -> Report:
    """Check both splits of a folder in the MPII layout.

    Counts people, images, joints, missing and hidden joints; finds images that are missing, truncated or unreadable,
    joints outside the image, people without a joint, people labelled twice, missing joints that are called visible,
    `normalize` other than 20 x scale, and images or people in both splits. Decodes every image once. Raises InputError
    for another layout or a malformed label file.
    """
    data = Path(data)
    splits, findings = _splits(data, mpii.LABEL_FILES)
    labels = {split: mpii.read_labels(mpii.label_path(data, split)) for split in splits}
    for split, people in labels.items():
        dataset = mpii.dataset_of(people, data, split, images, require_images=False)
        # MPII labels some heads above the picture's border, so this is no reason to refuse the set.
        findings += check_dataset(dataset, outside="warning")
        findings += of_split(split, _check_people(people))
    findings += _across("images", "warning", [set(people.images) for people in labels.values()])
    findings += _across("people", "error", [set(_identities(people)) for people in labels.values()])
    return Report(data, findings)


def _splits(data: Path, files: dict[str, str]) -> tuple[list[str], list[Finding]]:
    """The splits whose label file is there, and a finding for each other; all of them when there is none."""
    absent = [split for split, file in files.items() if not (data / file).is_file()]
    if len(absent) == len(files):
        return list(files), []
    findings = [problem("warning", f"{split}: no label file", [files[split]]) for split in absent]
    return [split for split in files if split not in absent], findings


def check_dataset(dataset: PoseDataset, sizes: np.ndarray | None = None, outside: str = "error") -> list[Finding]:
    """The checks that every data set shares.

    `sizes` (N, 2) are the labels' width and height, when they state them; `outside` is how severe a keypoint is that
    can be seen and yet lies outside the image.
    """
    damage, actual = _read_images(dataset)
    readable = {dataset.where(int(i)) for i in np.flatnonzero((actual > 0).all(axis=1))}
    findings = [
        Finding("info", "rows", len(dataset)),
        Finding("info", "readable images", len(readable)),
        Finding("info", "keypoints", dataset.visible.size),
        Finding("info", "visible keypoints", int(dataset.visible.sum())),
        Finding("info", "hidden keypoints", int(dataset.hidden.sum())),
        problem("error", "repeated names", [name for name, n in Counter(dataset.names).items() if n > 1]),
    ]
    findings += [problem("error", f"{kind} images", names) for kind, names in damage.items()]
    if sizes is not None:
        findings.append(_check_sizes(dataset.names, sizes, actual))
    findings += _check_keypoints(dataset, actual if sizes is None else np.where(actual > 0, actual, sizes), outside)
    return of_split(dataset.split, findings)


def _check_sizes(names: list[str], stated: np.ndarray, actual: np.ndarray) -> Finding:
    wrong = np.flatnonzero((actual > 0).all(axis=1) & (actual != stated).any(axis=1))
    text = [f"{names[i]}: label {stated[i, 0]}x{stated[i, 1]}, image {actual[i, 0]}x{actual[i, 1]}" for i in wrong]
    return problem("error", "sizes that disagree with the label", text)


def _check_order(names: list[str]) -> Finding:
    # The seed's evaluator pairs predictions in sorted order with truth in file order.
    late = [f"{b} after {a}" for a, b in zip(names, names[1:], strict=False) if b < a]
    return problem("warning", "names not in sorted order", late)


def _check_keypoints(dataset: PoseDataset, bounds: np.ndarray, severity: str) -> list[Finding]:
    """Keypoints outside images of width and height `bounds` (N, 2); images of unknown size (0) are passed over."""
    points, known = dataset.keypoints, (bounds > 0).all(axis=1)[:, None]
    outside = ((points < -0.5) | (points > bounds[:, None] - 0.5)).any(axis=2) & known  # (N, K)

    def examples(which: np.ndarray) -> list[str]:
        return [
            f"{dataset.names[i]}: {dataset.skeleton.keypoints[k]} at ({points[i, k, 0]:g}, {points[i, k, 1]:g})"
            for i, k in np.argwhere(which)
        ]

    flat = [dataset.names[i] for i in np.flatnonzero(~(dataset.unit > 0))]
    blind = [dataset.names[i] for i in np.flatnonzero(~dataset.visible.any(axis=1))]
    return [
        problem(severity, "visible keypoints outside the image", examples(outside & dataset.visible & ~dataset.hidden)),
        problem("warning", "hidden keypoints outside the image", examples(outside & dataset.hidden)),
        problem("error", "keypoint boxes without area", flat),
        problem("warning", "rows without a visible keypoint", blind),
    ]


def _read_images(dataset: PoseDataset) -> tuple[dict[str, list[str]], np.ndarray]:
    """Decode every image file once: damaged ones by kind, each by the name of its first row, and the sizes (N, 2) as
    width and height, 0 where unknown."""
    damage: dict[str, list[str]] = {"missing": [], "truncated": [], "unreadable": []}
    sizes: dict[str, tuple[int, int]] = {}
    rows = tqdm(range(len(dataset)), desc=f"checking {dataset.split}", unit="row", disable=None)
    for i in rows:
        if dataset.where(i) in sizes:
            continue
        kind, sizes[dataset.where(i)] = _read_image(dataset, i)
        if kind:
            damage[kind].append(dataset.names[i])
    return damage, np.array([sizes[dataset.where(i)] for i in range(len(dataset))], np.int64)


def _read_image(dataset: PoseDataset, row: int) -> tuple[str, tuple[int, int]]:
    """What is wrong with a row's image ("" when nothing is) and its width and height (0 when unknown)."""
    try:
        data = dataset.read_bytes(row)
    except InputError:
        return "missing", (0, 0)
    try:
        height, width = decode_image(data, dataset.where(row)).shape[:2]
    except InputError:
        return "truncated" if is_truncated(data) else "unreadable", (0, 0)
    return "", (width, height)


def _check_people(people: mpii.MpiiLabels) -> list[Finding]:
    """What only the MPII layout can have wrong, and its counts."""

    def joints(which: np.ndarray) -> list[str]:
        return [f"{people.names[n]}: {mpii.PERSON.keypoints[k]}" for n, k in np.argwhere(which)]

    missing, present = ~people.visible, people.visible
    by_joint = sorted(zip(missing.sum(axis=0).tolist(), mpii.PERSON.keypoints, strict=True), reverse=True)
    most = tuple(f"{joint} {count:,}" for count, joint in by_joint[:EXAMPLES] if count)
    counts = Counter(_identities(people))
    repeated = [name for name, person in zip(people.names, _identities(people), strict=True) if counts[person] > 1]
    expected = mpii.UNIT_OF_SCALE * people.scale
    odd = np.flatnonzero(~np.isclose(people.unit, expected, rtol=1e-6))
    return [
        Finding("info", "images", len(set(people.images))),
        Finding("info", "missing joints", int(missing.sum()), most),
        # The seed's evaluator takes x = 0 alone for missing.
        Finding("info", "joints at x = 0, not missing", int((present & (people.keypoints[..., 0] == 0)).sum())),
        problem("warning", "missing joints that are called visible", joints(missing & people.seen)),
        problem("error", "people labelled twice (the same image and center)", repeated),
        problem(
            "warning", f"normalize other than {mpii.UNIT_OF_SCALE} x scale",
            [f"{people.names[n]}: {people.unit[n]:g}, not {expected[n]:g}" for n in odd],
        ),
    ]  # fmt: skip


def _identities(people: mpii.MpiiLabels) -> list[str]:
    """What tells one labelled person from another: the image and the center."""
    return [f"{image} at ({x:g}, {y:g})" for image, (x, y) in zip(people.images, people.center, strict=True)]


def identity(name: str) -> str:
    """The vehicle's number in a VeRi image name, `IDENTITY_CAMERA_TIME_BINARY.jpg`."""
    return name.split("_")[0]


def _across(what: str, severity: str, splits: list[set[str]]) -> list[Finding]:
    """What both splits share and should not; nothing to say about a lone split."""
    return [problem(severity, f"{what} in both splits", sorted(set.intersection(*splits)))] if len(splits) > 1 else []


def seed_index(data: Path, names: list[str]) -> dict[str, str]:
    """What the seed's evaluation keeps in annot/image_test.json.

    A JSON object from the row's number, as a string, to the image's path: rows count from 0 in the order of sorted
    names, paths begin with the data folder as it was given; for images in images.zip with `images.zip@`.
    Source: MindSpore models, research/cv/PAMTRI/PoseEstNet/src/dataset: dataset.py (`get_label`), veri.py (`_get_db`).
    """
    zipped = not (data / "images").is_dir() and (data / "images.zip").is_file()
    folder = os.path.join(str(data), "images.zip@" if zipped else "images", "image_test")
    return {str(row): os.path.join(folder, name) for row, name in enumerate(sorted(set(names)))}


def _write_index(data: Path, names: list[str]) -> Finding:
    path = data / "annot" / "image_test.json"
    try:
        write_text(path, json.dumps(seed_index(data, names)))
    except OSError as error:
        return Finding("warning", f"annot/image_test.json not written ({error.strerror})", 1, (str(path),))
    return Finding("info", "annot/image_test.json: paths written", len(set(names)))
