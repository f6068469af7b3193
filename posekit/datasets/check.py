"""Verifying a data set on disk: everything that would spoil a training or a score, counted, with examples."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from posekit.bars import progress_bar
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.images import KINDS, BadImage
from posekit.errors import shortened

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
    shown = tuple(shortened(example, 160) for example in examples[:EXAMPLES])
    return Finding(severity if examples else "ok", what, len(examples), shown)


def of_split(split: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings with the split's name before what they say."""
    return [replace(finding, what=f"{split}: {finding.what}") for finding in findings]


def splits_present(data: Path, files: dict[str, str]) -> tuple[list[str], list[Finding]]:
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


def _check_keypoints(dataset: PoseDataset, bounds: np.ndarray, severity: str) -> list[Finding]:
    """Keypoints outside images of width and height `bounds` (N, 2); images of unknown size (0) are passed over."""
    points, known = dataset.keypoints, (bounds > 0).all(axis=1)[:, None]
    outside = ((points < -0.5) | (points > bounds[:, None] - 0.5)).any(axis=2) & known  # (N, K)

    def examples(which: np.ndarray) -> list[str]:
        return [
            f"{dataset.names[i]}: {dataset.skeleton.keypoints[k]} at ({points[i, k, 0]:g}, {points[i, k, 1]:g})"
            for i, k in np.argwhere(which)
        ]

    apart = [
        name
        for i, name in enumerate(dataset.names)
        if known[i, 0] and not dataset.overlaps(i, (bounds[i, 1], bounds[i, 0]))
    ]
    flat = [dataset.names[i] for i in np.flatnonzero(~(dataset.unit > 0))]
    blind = [dataset.names[i] for i in np.flatnonzero(~dataset.visible.any(axis=1))]
    return [
        problem(severity, "visible keypoints outside the image", examples(outside & dataset.visible & ~dataset.hidden)),
        problem("warning", "hidden keypoints outside the image", examples(outside & dataset.hidden)),
        problem("error", "boxes outside the image", apart),
        problem("error", "keypoint boxes without area", flat),
        problem("warning", "rows without a visible keypoint", blind),
    ]


def _read_images(dataset: PoseDataset) -> tuple[dict[str, list[str]], np.ndarray]:
    """Decode every image file once, as a training does.

    Returns the bad ones by kind, each by the name of its first row, and the sizes (N, 2) as width and height, 0 where
    unknown.
    """
    damage: dict[str, list[str]] = {kind: [] for kind in KINDS}
    sizes: dict[str, tuple[int, int]] = {}
    rows = progress_bar(range(len(dataset)), desc=f"checking {dataset.split}", unit="row")
    for i in rows:
        where = dataset.where(i)
        if where in sizes:
            continue
        try:
            height, width, _ = dataset.image(i).shape
            sizes[where] = width, height
        except BadImage as error:
            sizes[where] = 0, 0
            damage.setdefault(error.kind, []).append(dataset.names[i])
    return damage, np.array([sizes[dataset.where(i)] for i in range(len(dataset))], np.int64)


def across(what: str, severity: str, splits: list[set[str]]) -> list[Finding]:
    """What both splits share and should not; nothing to say about a lone split."""
    return [problem(severity, f"{what} in both splits", sorted(set.intersection(*splits)))] if len(splits) > 1 else []
