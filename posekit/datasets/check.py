"""Verifying a data set on disk: everything that would spoil a training or a score, counted, with examples."""

import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from posekit.datasets.dataset import PoseDataset, decode_image, is_truncated
from posekit.datasets.veri import SPLITS, VeriLabels, dataset_of, label_path, read_labels
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


def check_veri(data: str | Path, images: str | Path | None = None, write_index: bool = True) -> Report:
    """Check both splits of a folder in the VeRi layout and write the seed's annot/image_test.json (`seed_index`).

    Counts rows, images, identities and visible keypoints; finds repeated names, names out of order, images that are
    missing, truncated or unreadable, sizes that disagree with the label, keypoints outside the image, rows without a
    visible keypoint, and names or identities in both splits. Reads every image. Raises InputError for another layout or
    a malformed label file.
    """
    data = Path(data)
    present = [split for split in SPLITS if (data / "annot" / f"label_{split}.csv").is_file()]
    labels = {split: read_labels(label_path(data, split)) for split in present or SPLITS}
    absent = [split for split in SPLITS if split not in labels]
    findings = [problem("warning", f"{split}: no label file", [f"annot/label_{split}.csv"]) for split in absent]
    for split, rows in labels.items():
        dataset = dataset_of(rows, data, split, images, require_images=False)
        findings += check_dataset(dataset, rows.sizes)
        identities = {identity(name) for name in rows.names}
        findings.append(Finding("info", f"{split}: identities", len(identities)))
    findings += _across(labels)
    if write_index and "test" in labels:
        findings.append(_write_index(data, labels["test"]))
    return Report(data, findings)


def check_dataset(dataset: PoseDataset, sizes: np.ndarray | None = None) -> list[Finding]:
    """The checks that every data set shares. `sizes` (N, 2) are the labels' width and height, when they state them."""
    damage, actual = _read_images(dataset)
    findings = [
        Finding("info", "rows", len(dataset)),
        Finding("info", "readable images", int((actual > 0).all(axis=1).sum())),
        Finding("info", "keypoints", dataset.visible.size),
        Finding("info", "visible keypoints", int(dataset.visible.sum())),
    ]
    findings += _check_names(dataset.names)
    findings += [problem("error", f"{kind} images", names) for kind, names in damage.items()]
    if sizes is not None:
        findings.append(_check_sizes(dataset.names, sizes, actual))
    findings += _check_keypoints(dataset, actual if sizes is None else np.where(actual > 0, actual, sizes))
    return [replace(finding, what=f"{dataset.split}: {finding.what}") for finding in findings]


def _check_sizes(names: list[str], stated: np.ndarray, actual: np.ndarray) -> Finding:
    wrong = np.flatnonzero((actual > 0).all(axis=1) & (actual != stated).any(axis=1))
    text = [f"{names[i]}: label {stated[i, 0]}x{stated[i, 1]}, image {actual[i, 0]}x{actual[i, 1]}" for i in wrong]
    return problem("error", "sizes that disagree with the label", text)


def _check_names(names: list[str]) -> list[Finding]:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    # The seed's evaluator pairs predictions in sorted order with truth in file order.
    late = [f"{b} after {a}" for a, b in zip(names, names[1:], strict=False) if b < a]
    return [
        problem("error", "repeated names", repeated),
        problem("warning", "names not in sorted order", late),
    ]


def _check_keypoints(dataset: PoseDataset, bounds: np.ndarray) -> list[Finding]:
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
        problem("error", "visible keypoints outside the image", examples(outside & dataset.visible)),
        problem("warning", "hidden keypoints outside the image", examples(outside & ~dataset.visible)),
        problem("error", "keypoint boxes without area", flat),
        problem("warning", "rows without a visible keypoint", blind),
    ]


def _read_images(dataset: PoseDataset) -> tuple[dict[str, list[str]], np.ndarray]:
    """Decode every image: names of damaged ones by kind, and the sizes (N, 2) as width and height, 0 where unknown."""
    damage: dict[str, list[str]] = {"missing": [], "truncated": [], "unreadable": []}
    sizes = np.zeros((len(dataset), 2), np.int64)
    for i in tqdm(range(len(dataset)), desc=f"checking {dataset.split}", unit="image", disable=None):
        try:
            data = dataset.read_bytes(i)
        except InputError:
            damage["missing"].append(dataset.names[i])
            continue
        try:
            sizes[i] = decode_image(data, dataset.where(i)).shape[1::-1]
        except InputError:
            damage["truncated" if is_truncated(data) else "unreadable"].append(dataset.names[i])
    return damage, sizes


def identity(name: str) -> str:
    """The vehicle's number in a VeRi image name, `IDENTITY_CAMERA_TIME_BINARY.jpg`."""
    return name.split("_")[0]


def _across(labels: dict[str, VeriLabels]) -> list[Finding]:
    """What both splits share and should not."""
    if len(labels) < 2:
        return []
    train, test = (set(labels[split].names) for split in SPLITS)
    both = {identity(name) for name in train} & {identity(name) for name in test}
    return [
        problem("error", "images in both splits", sorted(train & test)),
        problem("warning", "identities in both splits", sorted(both)),
    ]


def seed_index(data: Path, names: list[str]) -> dict[str, str]:
    """What the seed's evaluation keeps in annot/image_test.json.

    A JSON object from the row's number, as a string, to the image's path: rows count from 0 in the order of sorted
    names, paths begin with the data folder as it was given; for images in images.zip with `images.zip@`.
    Source: MindSpore models, research/cv/PAMTRI/PoseEstNet/src/dataset: dataset.py (`get_label`), veri.py (`_get_db`).
    """
    zipped = not (data / "images").is_dir() and (data / "images.zip").is_file()
    folder = os.path.join(str(data), "images.zip@" if zipped else "images", "image_test")
    return {str(row): os.path.join(folder, name) for row, name in enumerate(sorted(set(names)))}


def _write_index(data: Path, labels: VeriLabels) -> Finding:
    path = data / "annot" / "image_test.json"
    try:
        write_text(path, json.dumps(seed_index(data, labels.names)))
    except OSError as error:
        return Finding("warning", f"annot/image_test.json not written ({error.strerror})", 1, (str(path),))
    return Finding("info", "annot/image_test.json: paths written", len(set(labels.names)))
