"""Pictures of heatmaps and keypoints on images.

A heatmap's cell (i, j) lies over the input pixel (i, j) * stride, as the codec has it.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from posekit.datasets.dataset import PoseDataset
from posekit.drawing import draw_pose
from posekit.predictions import Predictions
from posekit.recipes import Recipe

DPI = 110
GOOD, BAD = "#35d04a", "#ff3b30"


def displayed(images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Network inputs (N, 3, S, S) back to pictures (N, S, S, 3) in 0–1."""
    return np.clip(images.transpose(0, 2, 3, 1) * np.array(recipe.std) + np.array(recipe.mean), 0, 1)


def target_pictures(images: np.ndarray, heatmaps: np.ndarray, most: int = 8) -> Figure:
    """Crops (N, S, S, 3) above the same with the highest of all their keypoints' heatmaps (N, K, h, w) laid over."""
    count = min(most, len(images))
    figure = Figure(figsize=(1.25 * count, 2.6), layout="constrained", dpi=DPI)
    panels = figure.subplots(2, count, squeeze=False)
    for column in range(count):
        panels[0, column].imshow(images[column])
        overlay(panels[1, column], images[column], heatmaps[column].max(0))
    _bare(panels)
    return figure


def heatmap_rows(image: np.ndarray, rows: dict[str, np.ndarray], names: Sequence[str], chosen: Sequence[int]) -> Figure:
    """A row a name: the highest of all heatmaps (K, h, w) over the crop (S, S, 3), then the chosen keypoints' maps.

    Each map is scaled to its own highest value, which is written on it.
    """
    figure = Figure(figsize=(10, 2.15 * len(rows)), layout="constrained", dpi=DPI)
    panels = figure.subplots(len(rows), len(chosen) + 1, squeeze=False)
    for line, (title, maps) in zip(panels, rows.items(), strict=True):
        for axes, heatmap in zip(line, [maps.max(0), *maps[list(chosen)]], strict=True):
            overlay(axes, image, heatmap)
            axes.text(0.03, 0.05, f"highest {heatmap.max():.2g}", color="white", fontsize=7, transform=axes.transAxes)
        line[0].set_ylabel(title)
    for axes, title in zip(panels[0], ["all", *(names[k] for k in chosen)], strict=True):
        axes.set_title(title, fontsize=9)
    _bare(panels)
    return figure


def map_panels(maps: dict[str, np.ndarray], shared: bool = False) -> Figure:
    """Maps (h, w) side by side, each with its colour bar; `shared` gives all one range.

    A map with clearly negative values is drawn blue below zero and red above it.
    """
    one_range = (min(m.min() for m in maps.values()), max(m.max() for m in maps.values()))
    figure = Figure(figsize=(10, 10 / len(maps) * 0.85), layout="constrained", dpi=DPI)
    for axes, (title, values) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        low, high = one_range if shared else (values.min(), values.max())
        signed = -low > 0.3 * high
        if signed:
            low, high = -max(-low, high), max(-low, high)
        shown = axes.imshow(values, cmap="coolwarm" if signed else "inferno", vmin=low, vmax=high)
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
        bar = figure.colorbar(shown, ax=axes, shrink=0.75)
        bar.ax.tick_params(labelsize=7)
        bar.formatter.set_powerlimits((-3, 3))
    return figure


def beside_truth(dataset: PoseDataset, predictions: Predictions, rows: Sequence[int], titles: Sequence[str]) -> Figure:
    """Truth (its visible keypoints) above prediction (the same keypoints), a column a row of the data set."""
    figure = Figure(figsize=(10, 2 * 10 / max(4, len(rows)) * 0.95), layout="constrained", dpi=DPI)
    panels = figure.subplots(2, len(rows), squeeze=False)
    for column, (row, title) in enumerate(zip(rows, titles, strict=True)):
        shown = dataset.visible[row].astype(float)
        window = _window(dataset, row)
        for axes, keypoints in zip(panels[:, column], (dataset.keypoints, predictions.keypoints), strict=True):
            axes.imshow(draw_pose(*_cut(dataset.image(row), keypoints[row], window), shown, dataset.skeleton))
        panels[0, column].set_title(title, fontsize=9)
    panels[0, 0].set_ylabel("truth")
    panels[1, 0].set_ylabel("prediction")
    _bare(panels)
    return figure


def threshold_circles(
    dataset: PoseDataset, predictions: Predictions, rows: Sequence[int], thresholds: Sequence[float]
) -> Figure:
    """Circles of each threshold's radius around the true keypoints, a line of panels an image.

    A cross marks the prediction, green within the circle and red beyond it.
    """
    windows = [_window(dataset, row) for row in rows]
    shapes = [(bottom - top) / (right - left) for left, top, right, bottom in windows]
    height = sum(10 / len(thresholds) * shape + 0.35 for shape in shapes)
    figure = Figure(figsize=(10, height), layout="constrained", dpi=DPI)
    panels = figure.subplots(len(rows), len(thresholds), squeeze=False, height_ratios=shapes)
    for line, row in zip(panels, rows, strict=True):
        for axes, threshold in zip(line, thresholds, strict=True):
            radius = threshold * float(dataset.unit[row])
            hits, count = _draw_circles(axes, dataset, predictions, row, radius)
            title = f"{threshold:g} of {dataset.unit[row]:.0f} px = {radius:.1f} px: {hits} of {count}"
            axes.set_title(title, fontsize=9)
    _bare(panels)
    return figure


def decoded_points(
    heatmap: np.ndarray, points: dict[str, np.ndarray], truth: np.ndarray, stride: float, around: int = 4
) -> Figure:
    """The cells around a heatmap's (h, w) highest one, points (2,) in input pixels decoded from it, and the truth."""
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    figure = Figure(figsize=(6, 4), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    axes.imshow(heatmap, cmap="gray")
    for (name, point), marker in zip(points.items(), "os^Dv", strict=False):
        axes.plot(*(point / stride), marker, markersize=9, label=name, markeredgecolor="white", linestyle="none")
    ring = {"markersize": 24, "markerfacecolor": "none", "markeredgecolor": BAD, "markeredgewidth": 2.5}
    axes.plot(*(truth / stride), "o", label="truth", linestyle="none", **ring)
    axes.set(xlim=(column - around - 0.5, column + around + 0.5), ylim=(row + around + 0.5, row - around - 0.5))
    axes.set(xlabel="cell", ylabel="cell")
    axes.legend(loc="center left", bbox_to_anchor=(1.03, 0.5), labelspacing=1.4)
    return figure


def pose_pictures(images: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Pictures side by side with titles."""
    figure = Figure(figsize=(10, 10 / len(images) * 1.1), layout="constrained", dpi=DPI)
    panels = figure.subplots(1, len(images), squeeze=False)
    for axes, image, title in zip(panels[0], images, titles, strict=True):
        axes.imshow(image)
        axes.set_title(title, fontsize=9)
    _bare(panels)
    return figure


def overlay(axes: Axes, image: np.ndarray, heatmap: np.ndarray) -> None:
    """A heatmap (h, w) over a greyed crop (S, S, 3), brightest where it is highest."""
    grey = image.mean(-1)
    stride = image.shape[0] / heatmap.shape[0]
    height, width = heatmap.shape
    extent = (-0.5 * stride, (width - 0.5) * stride, (height - 0.5) * stride, -0.5 * stride)
    strength = np.clip(heatmap / max(float(heatmap.max()), 1e-9), 0, 1)
    axes.imshow(grey, cmap="gray", vmax=grey.max() * 1.4)
    axes.imshow(strength, cmap="inferno", alpha=0.15 + 0.75 * strength, extent=extent, vmin=0, vmax=1)
    axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))


def _draw_circles(
    axes: Axes, dataset: PoseDataset, predictions: Predictions, row: int, radius: float
) -> tuple[int, int]:
    """Returns how many predictions of the image's visible keypoints lie within, and how many there are."""
    window = _window(dataset, row)
    image, truth = _cut(dataset.image(row), dataset.keypoints[row], window)
    found = predictions.keypoints[row] - window[:2]
    axes.imshow(image)
    hits = np.linalg.norm(found - truth, axis=1) <= radius
    visible = dataset.visible[row]
    for k in np.flatnonzero(visible):
        color = GOOD if hits[k] else BAD
        axes.add_patch(Circle(truth[k], radius, fill=False, color=color, linewidth=1.2))
        axes.plot(*found[k], "x", color=color, markersize=4, markeredgewidth=1.5)
    axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    return int(hits[visible].sum()), int(visible.sum())


def _window(dataset: PoseDataset, row: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the sample's box inside its image."""
    return dataset.window(row, dataset.image(row).shape)


def _cut(image: np.ndarray, keypoints: np.ndarray, window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    left, top, right, bottom = window
    return image[top:bottom, left:right], keypoints - (left, top)


def _bare(panels: np.ndarray) -> None:
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.set_frame_on(False)
