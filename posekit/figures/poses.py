"""Pictures of heatmaps and keypoints on images.

Cell (i, j) of a heatmap is drawn at the input pixel (i, j) * stride, as in the codec.
"""

from collections.abc import Sequence
from itertools import chain, product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import ScalarFormatter

from posekit import palette
from posekit.datasets.dataset import PoseDataset
from posekit.figures.data import draw_skeleton
from posekit.figures.style import BESIDE, new_figure, picture_rows, show_picture
from posekit.predictions import Predictions
from posekit.recipes import Recipe


def displayed(images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Convert network inputs (N, 3, H, W) back to pictures (N, H, W, 3) in 0–1."""
    return np.clip(images.transpose(0, 2, 3, 1) * np.array(recipe.std) + np.array(recipe.mean), 0, 1)


def target_pictures(images: np.ndarray, heatmaps: np.ndarray, most: int = 8) -> Figure:
    """Draw crops (N, H, W, 3) above the same crops overlaid with the maximum of their heatmaps (N, K, h, w)."""
    images = images[:most]
    figure = picture_rows([images, images])
    for axes, image, maps in zip(figure.axes[len(images) :], images, heatmaps, strict=False):
        overlay(axes, image, maps.max(0))
    return figure


def heatmap_rows(image: np.ndarray, rows: dict[str, np.ndarray], names: Sequence[str], chosen: Sequence[int]) -> Figure:
    """Draw a row per name: the maximum of its heatmaps (K, h, w) over the crop (H, W, 3), then the chosen maps.

    Each map is scaled to its highest value, which is written on it.
    """
    titles, shown = ["all", *(names[k] for k in chosen)], [[m.max(0), *m[list(chosen)]] for m in rows.values()]
    figure = picture_rows([[image] * len(titles)] * len(rows), titles, list(rows))
    for axes, heatmap in zip(figure.axes, chain(*shown), strict=True):
        overlay(axes, image, heatmap)
        axes.text(0.03, 0.05, f"highest {heatmap.max():.2g}", color="white", fontsize=7, transform=axes.transAxes)
    return figure


def map_panels(
    maps: dict[str, np.ndarray], shared: bool = False, signs: str = "", differences: Sequence[str] = ()
) -> Figure:
    """Draw maps (h, w) side by side, each with its colour bar.

    shared: use the same range and cell size for all maps, and one colour bar. signs: one per map, drawn after it, as in
    a sum. differences: names of maps that are differences. With signs, or if a map is a difference or has clearly
    negative values, it is blue below zero and red above.
    """
    widths = [values.shape[1] if shared else 1 for values in maps.values()]
    figure, panels = new_figure((2.6 if shared else 3.3) * len(maps), 3.1, len(maps), width_ratios=widths)
    together = [limit for values in maps.values() for limit in (values.min(), values.max())]
    for axes, (title, values), sign in zip(panels, maps.items(), signs.ljust(len(maps)), strict=True):
        low, high = (min(together), max(together)) if shared else (values.min(), values.max())
        signed = bool(signs) or title in differences or -low > 0.3 * high
        if signed:
            low, high = -max(-low, high), max(-low, high)
        title = f"{title}\n{values.shape[0]} × {values.shape[1]}"
        shown = show_picture(axes, values, title, cmap="RdBu_r" if signed else "inferno", vmin=low, vmax=high)
        style = {"fontsize": 18, "ha": "center", "va": "center"}
        axes.annotate(sign, (1, 0.5), (13, 0), "axes fraction", "offset points", **style)
        if not shared or axes is panels[-1]:
            bar = figure.colorbar(shown, ax=list(panels) if shared else axes, shrink=0.75)
            bar.ax.tick_params(labelsize=7)
            assert isinstance(bar.formatter, ScalarFormatter)
            bar.formatter.set_powerlimits((-3, 3))
    return figure


def beside_truth(dataset: PoseDataset, predictions: Predictions, rows: Sequence[int], titles: Sequence[str]) -> Figure:
    """Draw visible true keypoints above the same keypoints as predicted, one column per row of the data set."""
    cuts = [[_cut(dataset, row, points) for row in rows] for points in (dataset.keypoints, predictions.keypoints)]
    figure = picture_rows([[image for image, _ in line] for line in cuts], titles, ["truth", "prediction"])
    for axes, row, (_, points) in zip(figure.axes, [*rows, *rows], chain(*cuts), strict=True):
        draw_skeleton(axes, points, dataset.visible[row], dataset.skeleton, size=14)
    return figure


def threshold_circles(
    dataset: PoseDataset, predictions: Predictions, rows: Sequence[int], thresholds: Sequence[float]
) -> Figure:
    """Draw circles with each threshold's radius around the true keypoints, one row of panels per image.

    The prediction is a blue disc inside the circle, a red cross outside.
    """
    pictures = [[_cut(dataset, row, dataset.keypoints)[0]] * len(thresholds) for row in rows]
    figure = picture_rows(pictures, [""] * len(rows) * len(thresholds))  # its titles follow
    for axes, (row, threshold) in zip(figure.axes, product(rows, thresholds), strict=True):
        radius, visible = threshold * float(dataset.unit[row]), dataset.visible[row]
        truth, found = (_cut(dataset, row, points)[1] for points in (dataset.keypoints, predictions.keypoints))
        hits = np.linalg.norm(found - truth, axis=1) <= radius
        for k in np.flatnonzero(visible):
            color = palette.GOOD if hits[k] else palette.BAD
            axes.add_patch(Circle(truth[k], radius, fill=False, color=color, linewidth=1.2))
        mark_right(axes, found[visible], hits[visible], size=20)
        count = f"{hits[visible].sum()} of {visible.sum()}"
        axes.set_title(f"{threshold:g} × {dataset.unit[row]:.0f} px = {radius:.1f} px: {count}", fontsize=9)
    return figure


def mark_right(axes: Axes, points: np.ndarray, right: np.ndarray, size: float = 38, **options: Any) -> None:
    """Draw points (N, 2), those that are `right` (N,) as blue discs, the others as red crosses.

    size: area of a marker, in points²; options: as in `Axes.scatter`.
    """
    rim = {"edgecolors": "white", "linewidths": 0.5, "zorder": 3, **options}
    for some, look in ((right, palette.GOOD_LOOK), (~right, palette.BAD_LOOK)):
        axes.scatter(*points[some].T, s=size, **look, **rim)


def decoded_points(
    axes: Axes, heatmap: np.ndarray, points: dict[str, np.ndarray], truth: np.ndarray, stride: float, around: int = 4
) -> None:
    """Draw the cells around a heatmap's (h, w) peak, points (2,) decoded from it, in input pixels, and the truth."""
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    axes.imshow(heatmap, cmap="gray")
    for (name, point), marker in zip(points.items(), "os^Dv", strict=False):
        axes.plot(*(point / stride), marker, markersize=9, label=name, markeredgecolor="white", linestyle="none")
    ring = {"markersize": 24, "markerfacecolor": "none", "markeredgecolor": palette.BAD, "markeredgewidth": 2.5}
    axes.plot(*(truth / stride), "o", label="truth", linestyle="none", **ring)
    axes.set(xlim=(column - around - 0.5, column + around + 0.5), ylim=(row + around + 0.5, row - around - 0.5))
    axes.set(xlabel="cell", ylabel="cell")
    axes.grid(False)
    axes.legend(**BESIDE, labelspacing=1.4)


def pose_pictures(images: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw pictures side by side with titles."""
    return picture_rows([images], titles)


def overlay(axes: Axes, image: np.ndarray, heatmap: np.ndarray) -> None:
    """Overlay a heatmap (h, w) on a greyed crop (H, W, 3), brightest where it is highest."""
    grey, strength = image.mean(-1), np.clip(heatmap / max(float(heatmap.max()), 1e-9), 0, 1)
    show_picture(axes, grey, cmap="gray", vmax=grey.max() * 1.4)
    extent = cell_extent(image.shape, heatmap.shape)
    axes.imshow(strength, cmap="inferno", alpha=0.15 + 0.75 * strength, extent=extent, vmin=0, vmax=1)


def cell_extent(size: tuple[int, ...], cells: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Return the extent of a heatmap (h, w) over a crop (H, W, …), in its pixels: cell i is centred on i * stride."""
    (height, width), (rows, columns) = size[:2], cells
    right, down = width / columns, height / rows  # strides
    return -0.5 * right, width - 0.5 * right, height - 0.5 * down, -0.5 * down


def _cut(dataset: PoseDataset, row: int, keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a sample's box out of its image; return it and the sample's keypoints, from (N, K, 2), in its pixels."""
    image = dataset.image(row)
    left, top, right, bottom = dataset.window(row, image.shape)
    return image[top:bottom, left:right], keypoints[row] - (left, top)
