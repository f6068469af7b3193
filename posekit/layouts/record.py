"""What a data-set layout is, as one record: how it is read, checked, scored and drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posekit.datasets.check import Report
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.sources import labels_missing
from posekit.errors import InputError
from posekit.evaluation.protocols import Protocol
from posekit.evaluation.published import Walk
from posekit.predictions import Predictions


@dataclass(frozen=True)
class Reading:
    """How label files are read that leave something open; the fields are a recipe's."""

    flip_pairs: str = "names"
    validation_share: float = 0.2
    validation_seed: int = 0


READING = Reading()


@dataclass(frozen=True)
class Layout:
    """One layout of data sets.

    name: as recipes and commands say it; title: as its authors do.
    label_files: split -> its label file below the data folder; remedy: what to do when it isn't there; aliases:
        other words for a split; validation: the split that validates during training.
    read_split: the rows of a split, with what scoring needs, their skeleton among it, as
        `read_split(data, split, reading)`, data being a folder or a label file; dataset_of: the data set of such rows,
        as `dataset_of(labels, data, split, images, require_images)`.
    check: `check(data, images)` finds what is wrong with a data set.
    protocols: name -> evaluator, the published one first; walk: from the published figures to the plain ones.
    threshold: the usual one of the plain protocol, in units of `Labels.unit`.
    drawn: what the data that posekit draws in this layout shows; draw:
        `draw(out, train, test, seed, varied=False)` draws it.
    """

    name: str
    title: str
    label_files: Mapping[str, str]
    read_split: Callable[[Path, str, Reading], Any]
    dataset_of: Callable[..., PoseDataset]
    check: Callable[..., Report]
    protocols: Mapping[str, Protocol]
    walk: Callable[[Any, Predictions], Walk]
    threshold: float
    drawn: str
    draw: Callable[..., None]
    remedy: str = ""
    validation: str = "test"
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """Of label files."""
        return Path(next(iter(self.label_files.values()))).suffix

    def split(self, name: str) -> str:
        """The split that a word means; InputError lists the words."""
        split = self.aliases.get(name, name)
        if split not in (*self.label_files, *self.aliases):
            same = {alias: split for alias, split in self.aliases.items() if alias != split}
            also = "".join(f" ({alias} is the same as {split})" for alias, split in same.items())
            raise InputError(f"{name}: no split of {self.title}; use {' or '.join(self.label_files)}{also}")
        return split

    def label_path(self, data: str | Path, split: str) -> Path:
        """The label file of a split below the folder `data`, or `data` itself if it is a file."""
        if Path(data).is_file():
            return Path(data)
        path = Path(data) / self.label_files[self.split(split)]
        if not path.is_file():
            raise labels_missing(data, path, self.title, self.remedy)
        return path

    def labels(self, data: str | Path, split: str, how: Reading = READING) -> Any:
        """The rows of a label file, or of a split of a folder; images need not be there.

        Raises InputError for a bad label file, and for a sample that is labelled twice: it would count twice.
        """
        return self.read_split(Path(data), split if Path(data).is_file() else self.split(split), how)

    def read(
        self,
        data: str | Path,
        split: str,
        images: str | Path | None = None,
        require_images: bool = True,
        how: Reading = READING,
    ) -> PoseDataset:
        """One split of the folder `data`; pixels are read when asked for.

        `images` is a folder or zip to take instead of DATA/images. Raises InputError for another layout, a bad label
        file, an archive with unsafe paths and, unless `require_images` is false, images that are not there.
        """
        return self.dataset_of(self.labels(data, split, how), Path(data), self.split(split), images, require_images)
