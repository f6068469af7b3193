"""Pictures of Stacked Hourglass: diagrams drawn from a recipe, and its feature maps at every depth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from posekit.figures.diagrams import STEM, area, block_height, box, line, plus
from posekit.figures.networks import BRANCH_COLORS, show_channels
from posekit.palette import INK, LIMIT, PALE
from posekit.recipes import Recipe
from posekit.skeletons import Skeleton

DPI = 110
_STEP = 1.35  # from a row's block to the next row's


# Diagrams of the network


def stacks(recipe: Recipe, skeleton: Skeleton) -> Figure:
    """Draw the network of an hourglass recipe for a skeleton.

    Each row is a resolution, each box a residual block and each narrow grey bar a convolution.
    """
    figure = Figure(layout="constrained", dpi=DPI)
    axes = figure.subplots()
    x = _draw_stem(axes, recipe)
    for stack in range(recipe.stacks):
        start, (x, *_) = x, _draw_hourglass(axes, x, recipe.depth)
        axes.text((start + x) / 2, 1.0, f"stack {stack + 1}", ha="center", fontsize=10, color=INK, weight="bold")
        x = _draw_supervision(axes, start, x, recipe, skeleton.num_keypoints, stack == recipe.stacks - 1)
    for row in range(1, recipe.depth + 1):
        text = f"1/{4 * 2**row}: {recipe.width} × {area(recipe, 4 * 2**row)}"
        axes.text(-0.15, -row, text, ha="right", va="center", fontsize=9.5, color=BRANCH_COLORS[row])
    _finish(figure, axes, (-6.6, x + 0.5), (-recipe.depth - 0.5, 1.3), 0.33)
    title = f"{recipe.name}: boxes are residual blocks, narrow grey bars convolutions; + adds maps"
    figure.suptitle(title, fontsize=11)
    return figure


def recursion(recipe: Recipe) -> Figure:
    """Draw one hourglass of a recipe: blocks have their names in the code, inner hourglasses have frames."""
    figure = Figure(layout="constrained", dpi=DPI)
    axes = figure.subplots()
    line(axes, (-1.0, 0), (0, 0), 0)
    end, middle, bottom = _draw_hourglass(axes, 0, recipe.depth)
    line(axes, (end, 0), (end + 1.0, 0), 0)
    for row in range(recipe.depth):
        _name_row(axes, row, middle, recipe.depth)
        reach = _reach(row, recipe.depth) + 0.28
        label = f"{'low2 = ' * (row > 0)}Hourglass, depth {recipe.depth - row}"
        _frame(axes, middle - reach, middle + reach, -bottom - 0.42, -row + 0.58, label)
    for name, place in zip(("low1", "low2", "low3"), (-1.1, 0, 1.1), strict=True):
        axes.text(middle + place, -bottom, name, ha="center", va="center", fontsize=8, color="white", zorder=6)
    for row in range(recipe.depth + 1):
        text = f"1/{4 * 2**row}: {recipe.width} × {area(recipe, 4 * 2**row)}"
        axes.text(-1.2, -row, text, ha="right", va="center", fontsize=9.5, color=BRANCH_COLORS[row])
    _finish(figure, axes, (-3.9, end + 1.1), (-bottom - 0.5, 0.75), 0.62)
    return figure


def _reach(row: int, depth: int) -> float:
    """Return the distance from an hourglass's middle to where the maps of a row branch off and are added again."""
    return 1.9 + _STEP * (depth - 1 - row)


def _draw_hourglass(axes: Axes, start: float, depth: int) -> tuple[float, float, int]:
    """Draw an hourglass with its input at `start`, row 0; return the x of its output and middle, and its lowest row."""
    middle = start + _reach(0, depth)
    for row in range(depth):
        reach = _reach(row, depth)
        outer = _reach(row - 1, depth) - 0.8 if row else reach
        line(axes, (middle - outer, row), (middle + outer, row), row)
        _block(axes, middle, row)
        line(axes, (middle - reach, row), (middle - reach + 0.4, row + 1), row)  # pool1
        line(axes, (middle + reach - 0.4, row + 1), (middle + reach, row), row + 1)  # up2
        for side in (-1, 1):
            _block(axes, middle + side * (reach - 0.8), row + 1)
    _block(axes, middle, depth)
    line(axes, (middle - 1.5, depth), (middle + 1.5, depth), depth)
    for row in range(depth):
        plus(axes, middle + _reach(row, depth), row)
    return middle + _reach(0, depth), middle, depth


def _block(axes: Axes, x: float, row: int) -> None:
    box(axes, x - 0.4, row, 0.8, block_height(row), BRANCH_COLORS[row])


def _name_row(axes: Axes, row: int, middle: float, depth: int) -> None:
    """Write the names of the layers of the hourglass with its input on this row, except the bottom."""
    style = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 6}
    reach = _reach(row, depth)
    axes.text(middle, -row, "up1", color="white", **style)
    axes.text(middle - reach + 0.5, -row - 0.25, "pool1", color=BRANCH_COLORS[row], **style)
    axes.text(middle + reach - 0.45, -row - 0.25, "up2", color=BRANCH_COLORS[row + 1], **style)
    if row < depth - 1:
        axes.text(middle - reach + 0.8, -row - 1, "low1", color="white", **style)
        axes.text(middle + reach - 0.8, -row - 1, "low3", color="white", **style)


def _frame(axes: Axes, left: float, right: float, bottom: float, top: float, label: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            right - left,
            top - bottom,
            boxstyle="round,pad=0,rounding_size=0.15",
            fc=INK,
            ec=INK,
            alpha=0.07,
            lw=1.2,
            zorder=0,
        )  # fmt: skip
    )
    axes.text(left + 0.12, top - 0.06, label, ha="left", va="top", fontsize=8.5, color=INK, zorder=6)


def _draw_stem(axes: Axes, recipe: Recipe) -> float:
    """Draw the image and the layers before the first stack; return the x where they end."""
    width = recipe.width
    box(axes, -6.2, 0, 1.0, 1.3, PALE, f"image\n3 × {area(recipe)}")
    box(axes, -4.4, 0, 0.3, 1.0, STEM, "conv / 2", below=True)
    box(axes, -3.6, 0, 0.8, 1.0, STEM, f"{width // 2} × {area(recipe, 2)}")
    line(axes, (-5.2, 0), (-2.0, 0), None)
    axes.text(-2.4, 0.08, "pool", ha="center", va="bottom", fontsize=8, color=INK)
    line(axes, (-2.0, 0), (0.0, 0), 0)
    _block(axes, -1.55, 0)
    _block(axes, -0.6, 0)
    axes.text(
        -1.05, 0.4, f"{width} × {area(recipe, 4)}", ha="center", va="bottom", fontsize=8.5, color=BRANCH_COLORS[0]
    )
    return 0.0


def _draw_supervision(axes: Axes, start: float, x: float, recipe: Recipe, keypoints: int, last: bool) -> float:
    """Draw what follows an hourglass: features, heatmaps with loss, the next stack's input; return the x of its end."""
    _block(axes, x + 1.0, 0)
    box(axes, x + 1.7, 0, 0.3, block_height(0), STEM)
    fork, row = x + 2.3, 1.3
    line(axes, (x, 0), (fork, 0), 0)
    line(axes, (fork, 0), (fork + 0.4, row), 0)
    box(axes, fork + 0.4, row, 0.3, block_height(0), STEM)
    line(axes, (fork + 0.7, row), (fork + 1.1, row), None)
    text = f"heatmaps\n{keypoints} × {area(recipe, 4)}"
    box(axes, fork + 1.1, row, 1.2, block_height(0), PALE, text, below=True)
    axes.text(fork + 1.7, -row, "loss", ha="center", va="center", fontsize=9, color=LIMIT, weight="bold", zorder=6)
    if last:
        return fork + 2.3
    node = fork + 3.4
    line(axes, (fork, 0), (node, 0), 0)
    box(axes, fork + 1.55, 0, 0.3, block_height(0), STEM)
    line(axes, (fork + 2.3, row), (node - 0.4, row), None)
    box(axes, fork + 2.6, row, 0.3, block_height(0), STEM)
    line(axes, (node - 0.4, row), (node, 0), 0)
    for a, b in (((start, 0), (start, -0.7)), ((start, -0.7), (node, -0.7)), ((node, -0.7), (node, 0))):
        line(axes, a, b, 0)
    plus(axes, node, 0)
    line(axes, (node, 0), (node + 0.6, 0), 0)
    return node + 0.6


def _finish(figure: Figure, axes: Axes, xlim: tuple[float, float], ylim: tuple[float, float], unit: float) -> None:
    axes.set(xlim=xlim, ylim=ylim)
    axes.axis("off")
    width = min(14.0, max(8.0, unit * (xlim[1] - xlim[0])))
    figure.set_size_inches(width, 0.4 + 0.8 * (ylim[1] - ylim[0]))


# Feature maps


def down_and_up(
    image: np.ndarray, down: Sequence[np.ndarray], up: Sequence[np.ndarray], heatmaps: np.ndarray
) -> Figure:
    """Draw four channels of an hourglass's maps at every depth: the way down in the top row, the way up below.

    image: (H, W, 3); down and up: (C, h, w) of each resolution, finest first; heatmaps: (K, h, w).
    """
    figure = Figure(figsize=(2.35 * (len(down) + 1), 5.2), layout="constrained", dpi=DPI)
    grid = figure.subplots(2, len(down) + 1)
    for axes in grid.flat:
        axes.axis("off")
    grid[0, 0].imshow(image)
    grid[0, 0].set_title(f"image\n{image.shape[1]} × {image.shape[0]}", fontsize=9)
    for column, (before, after) in enumerate(zip(down, up, strict=True), 1):
        coarsest = column == len(down)
        show_channels(grid[0, column], before, column - 1, f"{'bottom, in' if coarsest else 'down'}, 1/{2 * 2**column}")
        show_channels(grid[1, column], after, column - 1, f"{'bottom, out' if coarsest else 'up'}, 1/{2 * 2**column}")
    grid[1, 0].imshow(heatmaps.max(axis=0), cmap="magma", interpolation="nearest")
    grid[1, 0].set_title(f"maximum of the heatmaps\n{' × '.join(str(n) for n in heatmaps.shape)}", fontsize=9)
    for row, arrow in enumerate("→←"):
        for axes in grid[row, 1:]:
            place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "center"}
            axes.annotate(arrow, (0, 0.5), (-9, 0), fontsize=15, color=INK, **place)
    return figure
