"""Readers of the published layouts; every one gives a `PoseDataset`."""

from pathlib import Path

from posekit.datasets.dataset import PoseDataset, Sample
from posekit.layouts.mpii import read_mpii
from posekit.layouts.veri import read_veri
from posekit.errors import InputError

__all__ = ["PoseDataset", "Sample", "open_dataset"]


def open_dataset(kind: str, data: str | Path, split: str, images: str | Path | None = None) -> PoseDataset:
    """Read a split of a folder in the layout `kind`, "veri" or "mpii"; `images` is where they lie, when elsewhere."""
    readers = {"veri": read_veri, "mpii": read_mpii}
    if kind not in readers:
        raise InputError(f"{kind}: no kind of data set; known are {', '.join(readers)}")
    return readers[kind](data, split, images)
