"""Notebook widgets, for any skeleton: a heatmap explorer, a data set browser, a playground for augmentation and codec,
a threshold explorer, labelling (see `labelling`), and a picture of one's own (see `own_picture`).

The first four are panels (see `panel`): a picture and controls. The picture is also shown above the widget as it is at
first, so that it stays in saved notebooks and pages, where widgets don't work.
"""

import numpy as np

from posekit.datasets.dataset import PoseDataset
from posekit.figures import panel
from posekit.figures.explorer import Heatmaps, heatmap_picture, message_picture, sample_picture
from posekit.figures.labelling import label_keypoints
from posekit.figures.own_picture import predict_own_picture
from posekit.figures.panel import Explorer, Shown, Values
from posekit.figures.playground import Playground
from posekit.figures.thresholds import threshold_explorer
from posekit.predictions import Predictions
from posekit.recipes import Recipe

__all__ = [
    "browse_dataset", "dataset_browser", "explore_heatmaps", "explore_threshold", "heatmap_explorer",
    "label_keypoints", "play_with_codec", "predict_own_picture",
]  # fmt: skip


def explore_heatmaps(data: Heatmaps, sample: int = 0, keypoint: int | None = None) -> None:
    """Show ground truth beside prediction, with controls for sample, keypoint (None: all), stage and overlay."""
    heatmap_explorer(data, sample, keypoint).show()


def browse_dataset(dataset: PoseDataset, recipe: Recipe, row: int = 0, seed: int = 0) -> None:
    """Show samples and their crops for the network, with controls to filter, label, crop and augment."""
    dataset_browser(dataset, recipe, row, seed).show()


def play_with_codec(dataset: PoseDataset, recipe: Recipe, row: int = 0) -> None:
    """Show a crop and a keypoint's heatmap; drag the keypoint, change augmentation and codec, and read the error."""
    playground = Playground(dataset, recipe, row)
    Explorer(playground.rows, playground.draw).show()


def explore_threshold(dataset: PoseDataset, predictions: Predictions, threshold: float) -> None:
    """Show what a PCK threshold counts: circles around true keypoints, and the curve; it starts at `threshold`."""
    threshold_explorer(dataset, predictions, threshold).show()


def heatmap_explorer(data: Heatmaps, sample: int = 0, keypoint: int | None = None) -> Explorer:
    """Make the heatmap explorer without showing it; it starts at the last stage."""
    names = ["all", *(f"{k}  {name}" for k, name in enumerate(data.skeleton.keypoints))]
    stages = list(data.stages)
    rows = [
        [
            panel.slider("sample", int(sample) + 1, 1, len(data.images), of=True),
            panel.choice("keypoint", names, names[0 if keypoint is None else int(keypoint) + 1]),
        ],
        [panel.choice("stage", stages, stages[-1]), panel.slider("overlay", 0.7, 0, 1, 0.05)],
    ]

    def draw(values: Values) -> Shown:
        chosen = names.index(values["keypoint"]) - 1
        one = None if chosen < 0 else chosen
        return Shown(heatmap_picture(data, values["sample"] - 1, one, values["stage"], values["overlay"]))

    return Explorer(rows, draw)


def dataset_browser(dataset: PoseDataset, recipe: Recipe, row: int = 0, seed: int = 0) -> Explorer:
    """Make the data set browser without showing it. "draw again" draws another augmentation of the same sample."""
    return Explorer(_browser_rows(dataset, int(row)), _Browser(dataset, recipe, int(row), seed).draw)


def _browser_rows(dataset: PoseDataset, row: int) -> list[list[Values]]:
    most, groups = dataset.skeleton.num_keypoints, ["any", *dataset.skeleton.groups]
    return [
        [
            panel.slider("sample", row + 1, 1, len(dataset), of=True),
            panel.choice("view", ["crop", "augmented"], "crop"),
            panel.press("draw again"),
            panel.tick("labels", True),
        ],
        [
            panel.text("name has", "part of a name"),
            panel.choice("sees all", groups, "any"),
            panel.number("in sight, from", 0, 0, most),
            panel.number("to", most, 0, most),
        ],
    ]


class _Browser:
    """What the data set browser shows, and which sample, through changes of the filters."""

    def __init__(self, dataset: PoseDataset, recipe: Recipe, row: int, seed: int) -> None:
        self.dataset, self.recipe, self.seed = dataset, recipe, seed
        self.row, self.presses, self.filters = row, 0, None
        self.seen = dataset.visible & ~dataset.hidden  # (N, K)
        self.rows = np.arange(len(dataset))  # that pass the filters

    def draw(self, values: Values) -> Shown:
        corrected = {}
        if values["draw again"] != self.presses:
            again = values["view"] == "augmented" and self.presses
            self.presses, corrected["view"] = values["draw again"], "augmented"
            self.number = self.number + 1 if again else 0
        filters = [values[name] for name in ("name has", "sees all", "in sight, from", "to")]
        if filters != self.filters:  # keep to the sample that is nearest to the present one
            self.filters, self.rows = filters, self._fitting(*filters)
            values["sample"] = int(np.searchsorted(self.rows, self.row)) + 1
        count = len(self.rows)
        corrected["sample"] = min(max(values["sample"], 1), count)
        said = f"{count:,} of {len(self.dataset):,} samples pass the filters"
        if not count:
            picture = message_picture(f"none of {len(self.dataset)} samples passes; loosen a filter")
        else:
            self.row = int(self.rows[corrected["sample"] - 1])
            number = self.number if {**values, **corrected}["view"] == "augmented" else None
            picture = sample_picture(self.dataset, self.row, self.recipe, values["labels"], number, self.seed)
        return Shown(picture, said, {"sample": count}, corrected)

    number = 0  # of the augmentation

    def _fitting(self, name: str, group: str, low: int, high: int) -> np.ndarray:
        """The rows of samples with a name that has `name`, the whole group in sight, and low to high keypoints."""
        skeleton, counts = self.dataset.skeleton, self.seen.sum(1)
        fits = self.seen[:, list(skeleton.groups.get(group, ()))].all(1) & (counts >= low) & (counts <= high)
        part = name.lower()
        return np.array([i for i in np.flatnonzero(fits) if part in self.dataset.names[i].lower()], int)
