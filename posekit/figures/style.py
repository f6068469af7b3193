"""Shared by all figures: the style sheet, pictures in rows without ticks, legends beside the axes."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from posekit.figures.fonts import use_chinese_font

use_chinese_font()
BESIDE = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}  # axes.legend(**BESIDE): to the right of the axes


def new_figure(width: float, height: float, *shape: int, grid: str = "both", **options: Any) -> tuple[Figure, Any]:
    """Return a figure of width × height inches and its axes: one; n in a row for `shape` n; m rows of n for m, n.

    grid: the axis that has grid lines, "x", "y", "both" or "" for none; options: as in `Figure.subplots`.
    """
    with style.context(["posekit.figures.style", {"axes.grid": bool(grid), "axes.grid.axis": grid or "both"}]):
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(*(1, 1, *shape)[-2:], squeeze=False, **options)
        for axes in panels.flat:  # Matplotlib reads it when a tick is first drawn, outside this style context
            axes.tick_params(which="both", grid_alpha=matplotlib.rcParams["grid.alpha"])
    return figure, panels.reshape(shape)[()]


def show_picture(axes: Axes, image: np.ndarray, title: str = "", **options: Any) -> AxesImage:
    """Show an image (H, W, 3), or a map (H, W) with a frame, under a title; the axes fit it and have no ticks.

    options: as in `Axes.imshow`.
    """
    height, width = image.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_frame_on(image.ndim == 2)
    if title:
        axes.set_title(title, fontsize=10)
    return axes.imshow(image, **options)


def picture_rows(
    rows: Sequence[Sequence[np.ndarray] | np.ndarray],
    titles: Sequence[str] = (),
    names: Sequence[str] = (),
    **options: Any,
) -> Figure:
    """Show pictures in rows; the figure is as high as they need.

    titles: of the pictures, row by row, or of the first row alone; names: of the rows; options: as in `Axes.imshow`.
    """
    count, heights = max(map(len, rows)), [max(p.shape[0] / p.shape[1] for p in row) for row in rows]
    lines = max((title.count("\n") + 1.3 for title in titles), default=0) * -(-len(titles) // count)
    height = (9.7 if names else 9.9) / count * sum(heights) + 0.16 * lines + 0.1
    figure, panels = new_figure(10, height, len(rows), count, height_ratios=heights)
    for line, row in zip(panels, rows, strict=True):
        for axes, picture in zip(line, row, strict=False):
            show_picture(axes, picture, **options)
        for axes in line[len(row) :]:
            axes.axis("off")
    for axes, title in zip(figure.axes, titles, strict=False):
        axes.set_title(title, fontsize=9)
    for axes, name in zip(panels[:, 0], names, strict=False):
        axes.set_ylabel(name)
    return figure
