"""Notebook widgets, for any skeleton: a heatmap explorer, a data set browser, labelling (see `labelling`), and a
picture of one's own (see `own_picture`).

The picture of the first two is a separate output above the controls, replaced in place when a control changes. So it
is shown once, and it stays in saved notebooks and pages, even where widgets don't work.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import ipywidgets as widgets
import numpy as np
from IPython.display import display

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.figures.explorer import Heatmaps, Picture, heatmap_picture, message_picture, sample_picture
from posekit.figures.labelling import label_keypoints
from posekit.figures.own_picture import predict_own_picture
from posekit.recipes import Recipe

__all__ = [
    "Explorer", "browse_dataset", "dataset_browser", "explore_heatmaps", "heatmap_explorer", "label_keypoints",
    "predict_own_picture",
]  # fmt: skip

_STYLE = {"description_width": "70px"}
_WIDE, _NARROW = ({"layout": {"width": width}, "style": _STYLE} for width in ("410px", "203px"))


@dataclass(frozen=True)
class Explorer:
    """Controls by name, their arrangement in rows, and a function that draws the picture for their present values."""

    controls: dict[str, widgets.Widget]
    rows: Sequence[Sequence[str]]
    draw: Callable[[], Picture]


def explore_heatmaps(data: Heatmaps, sample: int = 0, keypoint: int | None = None) -> None:
    """Show ground truth beside prediction, with controls for sample, keypoint (None: all), stage and overlay."""
    show(heatmap_explorer(data, sample, keypoint))


def browse_dataset(dataset: PoseDataset, recipe: Recipe, row: int = 0, seed: int = 0) -> None:
    """Show samples and their crops for the network, with controls to filter, label, crop and augment."""
    show(dataset_browser(dataset, recipe, row, seed))


def heatmap_explorer(data: Heatmaps, sample: int = 0, keypoint: int | None = None) -> Explorer:
    """Make the heatmap explorer without showing it; it starts at the last stage."""
    names = [("all", -1), *((f"{k}  {name}", k) for k, name in enumerate(data.skeleton.keypoints))]
    stages, opened = list(data.stages), -1 if keypoint is None else keypoint
    c = {
        "sample": widgets.IntSlider(sample, 0, len(data.images) - 1, description="sample", readout=False, **_WIDE),
        "keypoint": widgets.Dropdown(options=names, value=opened, description="keypoint", **_WIDE),
        "stage": widgets.SelectionSlider(options=stages, value=stages[-1], description="stage", **_WIDE),
        "overlay": widgets.FloatSlider(0.7, min=0, max=1, step=0.05, description="overlay", **_WIDE),
    }

    def draw() -> Picture:
        chosen = None if c["keypoint"].value == -1 else c["keypoint"].value
        return heatmap_picture(data, c["sample"].value, chosen, c["stage"].value, c["overlay"].value)

    return Explorer(c, [("sample", "keypoint"), ("stage", "overlay")], draw)


def dataset_browser(dataset: PoseDataset, recipe: Recipe, row: int = 0, seed: int = 0) -> Explorer:
    """Make the data set browser without showing it. "draw again" draws another augmentation of the same sample."""
    c = _browser_controls(dataset, row)
    seen, groups = dataset.visible & ~dataset.hidden, dataset.skeleton.groups
    rows = np.arange(len(dataset))  # rows that pass the filters

    def choose(_: object) -> None:
        """Apply the filters; select the sample nearest to the present one."""
        nonlocal rows
        now = rows[c["sample"].value] if len(rows) else 0
        low, high = c["in sight"].value
        fits = seen[:, list(groups.get(c["group"].value, ()))].all(1)
        fits &= (seen.sum(1) >= low) & (seen.sum(1) <= high)
        part = c["name"].value.lower()
        rows = np.array([i for i in np.flatnonzero(fits) if part in dataset.names[i].lower()], int)
        with c["sample"].hold_trait_notifications():
            c["sample"].max = max(0, len(rows) - 1)
            c["sample"].value = min(int(np.searchsorted(rows, now)), c["sample"].max)

    def draw() -> Picture:
        if not len(rows):
            return message_picture(f"none of {len(dataset)} samples fits; loosen a filter")
        number = c["draw"].value if c["view"].value == "augmented" else None
        chosen = int(rows[c["sample"].value])
        note = "" if len(rows) == len(dataset) else f"{c['sample'].value + 1} of {len(rows)} that fit"
        return sample_picture(dataset, chosen, recipe, c["labels"].value, number, seed, note)

    for name in ("name", "group", "in sight"):
        c[name].observe(choose, "value")
    return Explorer(c, [("sample", "view", "again", "labels"), ("name", "group", "in sight")], draw)


def _browser_controls(dataset: PoseDataset, row: int) -> dict[str, widgets.Widget]:
    most = dataset.skeleton.num_keypoints
    c = {
        "sample": widgets.IntSlider(row, 0, len(dataset) - 1, description="sample", readout=False, **_WIDE),
        "view": widgets.ToggleButtons(options=["crop", "augmented"], style={"button_width": "96px"}),
        "again": widgets.Button(description="draw again", layout={"width": "100px"}),
        "labels": widgets.Checkbox(True, description="labels", indent=False, layout={"width": "80px"}),
        "name": widgets.Text(description="name has", placeholder="part of a name", **_WIDE),
        "group": widgets.Dropdown(options=["any", *dataset.skeleton.groups], description="sees all", **_NARROW),
        "in sight": widgets.IntRangeSlider(value=(0, most), min=0, max=most, description="in sight", **_NARROW),
        "draw": widgets.IntText(0),  # not shown: how often "draw again" was pressed
    }

    def again(_: object) -> None:
        c["draw"].value += c["view"].value == "augmented"
        c["view"].value = "augmented"

    c["again"].on_click(again)
    return c


def show(explorer: Explorer) -> None:
    """Display the picture as PNG, then the controls; when a control changes, replace the picture."""
    data, size = _bundle(explorer.draw(), "png")
    handle = display(data, metadata=size, raw=True, display_id=True)
    shown = _values(explorer)

    def redraw(_: object) -> None:
        nonlocal shown
        if shown == _values(explorer):
            return
        shown = _values(explorer)
        try:
            picture = explorer.draw()
        except InputError as error:
            picture = message_picture(str(error))
        data, size = _bundle(picture, "jpeg")
        if handle:  # None outside a notebook
            handle.update(data, metadata=size, raw=True)

    for control in explorer.controls.values():
        if control.has_trait("value"):
            control.observe(redraw, "value")
    box = widgets.VBox([widgets.HBox([explorer.controls[name] for name in row]) for row in explorer.rows])
    names = ", ".join(chain(*explorer.rows))
    text = {"text/plain": f"Run this cell in JupyterLab to change the picture: {names}"}
    display({**box._repr_mimebundle_(), **text}, raw=True)


def _values(explorer: Explorer) -> dict[str, object]:
    return {name: control.value for name, control in explorer.controls.items() if control.has_trait("value")}


def _bundle(picture: Picture, kind: str) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Return the picture as a Jupyter MIME bundle, and its size on the page as metadata."""
    mime, canvas = f"image/{kind}", picture.canvas
    data = {mime: b64encode(canvas.encoded(kind)).decode(), "text/plain": picture.caption}
    return data, {mime: {"width": canvas.width, "height": canvas.height}}
