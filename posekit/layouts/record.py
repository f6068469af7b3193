"""What a data-set layout is, as one record: how it is read, checked, scored and drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posekit.datasets.check import Report
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.sources import labels_missing
from posekit.errors import InputError
from posekit.evaluation.metrics import Labels
from posekit.evaluation.protocols import Protocol
from posekit.evaluation.published import Walk
from posekit.predictions import Predictions
from posekit.skeletons import Skeleton
from posekit.tables import check_unique


@dataclass(frozen=True)
class Layout:
    """One published layout.

    name: as recipes and commands say it; title: as its authors do.
    label_files: split -> its label file below the data folder; aliases: other words for a split.
    read_labels: a label file's rows, with what scoring needs; dataset_of: the data set of such rows, as
        `dataset_of(labels, data, split, images, require_images)`.
    check: `check(data, images)` finds what is wrong with a data set.
    protocols: name -> evaluator, the published one first; walk: from the published figures to the plain ones.
    threshold: the usual one of the plain protocol, in units of `Labels.unit`.
    drawn: what the data that posekit draws in this layout shows; draw: `draw(out, train, test, seed)` draws it.
    remedy: what to do when a folder is of another layout.
    """

    name: str
    title: str
    skeleton: Skeleton
    label_files: Mapping[str, str]
    read_labels: Callable[[Path], Any]
    dataset_of: Callable[..., PoseDataset]
    check: Callable[..., Report]
    protocols: Mapping[str, Protocol]
    walk: Callable[[Any, Predictions], Walk]
    threshold: float
    drawn: str
    draw: Callable[..., None]
    remedy: str
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """Of label files."""
        return Path(next(iter(self.label_files.values()))).suffix

    def split(self, name: str) -> str:
        """The split that a word means; InputError lists the words."""
        split = self.aliases.get(name, name)
        if split not in self.label_files:
            also = "".join(f" ({alias} is the same as {split})" for alias, split in self.aliases.items())
            raise InputError(f"{name}: no split of {self.title}; use {' or '.join(self.label_files)}{also}")
        return split

    def label_path(self, data: str | Path, split: str) -> Path:
        """The label file of a split below the folder `data`; InputError if it isn't there."""
        path = Path(data) / self.label_files[self.split(split)]
        if not path.is_file():
            raise labels_missing(data, path, self.title, self.remedy)
        return path

    def labels(self, data: str | Path, split: str) -> Labels:
        """The rows of a label file, or of a split of a folder; images need not be there.

        Raises InputError for a bad label file, and for a sample that is labelled twice: it would count twice.
        """
        path = Path(data) if Path(data).is_file() else self.label_path(data, split)
        labels = self.read_labels(path)
        check_unique(path, labels.names)
        return labels

    def read(
        self, data: str | Path, split: str, images: str | Path | None = None, require_images: bool = True
    ) -> PoseDataset:
        """One split of the folder `data`; pixels are read when asked for.

        `images` is a folder or zip to take instead of DATA/images. Raises InputError for another layout, a bad label
        file, an archive with unsafe paths and, unless `require_images` is false, images that are not there.
        """
        return self.dataset_of(self.labels(data, split), Path(data), self.split(split), images, require_images)
