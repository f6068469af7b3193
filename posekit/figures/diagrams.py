"""A diagram of HRNet, drawn from a recipe's fields. Each resolution has its colour."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from posekit.figures.networks import BRANCH_COLORS
from posekit.figures.style import new_figure
from posekit.geometry import sides
from posekit.models.layers import BLOCKS
from posekit.palette import GREY, INK, PALE
from posekit.recipes import Recipe
from posekit.skeletons import Skeleton

STEM = GREY


def hrnet_branches(recipe: Recipe, skeleton: Skeleton) -> Figure:
    """Draw the network of an HRNet recipe for a skeleton.

    Each row is a resolution and each box a residual block; lines show where branches are fused.
    """
    figure, axes = new_figure(9, 5)
    end = _draw_stem(axes, recipe)
    starts = [0.0]
    last = len(recipe.stage_modules) - 1
    for index, modules in enumerate(recipe.stage_modules):
        branches = index + 2
        start = end + 1.7
        starts.append(start)
        for i in range(branches):
            line(axes, (end, min(i, branches - 2)), (start, i), min(i, branches - 2))
        for module in range(modules):
            final = index == last and module == modules - 1
            end = _draw_module(axes, start, branches, recipe.branch_blocks, 1 if final else branches)
            start = end + 0.6
            for i in range(branches if module < modules - 1 else 0):
                line(axes, (end, i), (start, i), i)
        _bracket(axes, starts[-1], end, f"stage {index + 2}: {modules} module{'s' * (modules > 1)}")
    end = _draw_head(axes, end, recipe, skeleton.num_keypoints)
    _label_rows(axes, starts, recipe)
    rows = len(recipe.stage_modules) + 1
    axes.set(xlim=(-6.4, end + 0.3), ylim=(-rows + 0.5, 1.15))
    axes.axis("off")
    figure.set_size_inches(min(14.0, max(9.0, 0.36 * (end + 7))), 1.1 + 0.95 * rows)
    title = f"{recipe.name}: a box is a residual block, a line carries a branch's maps, + sums them"
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_stem(axes: Axes, recipe: Recipe) -> float:
    """Draw the input, two strided convolutions and stage 1; return the x where they end."""
    box(axes, -6.0, 0, 1.0, 1.3, PALE, f"image\n3 × {area(recipe)}")
    box(axes, -4.0, 0, 0.5, 1.0, STEM, f"conv / 2\n{recipe.stem_width} × {area(recipe, 2)}", below=True)
    box(axes, -2.4, 0, 0.5, 0.62, STEM, f"conv / 2\n{recipe.stem_width} × {area(recipe, 4)}")
    for a, b in ((-5.0, -4.0), (-3.5, -2.4), (-1.9, 0.0)):
        line(axes, (a, 0), (b, 0), None)
    end = _draw_blocks(axes, 0.0, 0, recipe.layer1_blocks)
    _bracket(axes, 0.0, end, "stage 1")
    wide = recipe.stem_width * BLOCKS[recipe.layer1_block].expansion
    axes.text(0.0, -0.36, f"{wide} × {area(recipe, 4)}", va="top", fontsize=8.5, color=BRANCH_COLORS[0])
    return end


def _draw_module(axes: Axes, start: float, branches: int, blocks: int, outputs: int) -> float:
    """Draw parallel blocks and their fusion into `outputs` sums; return the x of the sums."""
    ends = [_draw_blocks(axes, start, i, blocks) for i in range(branches)]
    node = ends[0] + 1.5
    for to in range(outputs):
        for source in range(branches):
            line(axes, (ends[source], source), (node, to), source)
        plus(axes, node, to)
    return node


def _draw_blocks(axes: Axes, start: float, branch: int, blocks: int) -> float:
    for block in range(blocks):
        box(axes, start + block, branch, 0.8, block_height(branch), BRANCH_COLORS[branch])
    end = start + blocks - 0.2
    line(axes, (start, branch), (end, branch), branch)
    return end


def _draw_head(axes: Axes, start: float, recipe: Recipe, keypoints: int) -> float:
    line(axes, (start, 0), (start + 0.9, 0), 0)
    box(axes, start + 0.9, 0, 0.35, block_height(0), STEM, "1 × 1\nconv", below=True)
    line(axes, (start + 1.25, 0), (start + 2.2, 0), None)
    box(axes, start + 2.2, 0, 0.9, block_height(0), PALE, f"heatmaps\n{keypoints} × {area(recipe, 4)}")
    return start + 3.1


def _bracket(axes: Axes, start: float, end: float, label: str) -> None:
    axes.plot([start, end], [0.62, 0.62], color=INK, lw=2, solid_capstyle="butt")
    axes.text((start + end) / 2, 0.7, label, ha="center", va="bottom", fontsize=9, color=INK)


def _label_rows(axes: Axes, starts: Sequence[float], recipe: Recipe) -> None:
    for row in range(1, len(starts)):
        text = f"1/{4 * 2**row}: {recipe.width * 2**row} × {area(recipe, 4 * 2**row)}"
        axes.text(starts[row] - 1.9, -row, text, ha="right", va="center", fontsize=9.5, color=BRANCH_COLORS[row])
    text = f"1/4: {recipe.width} × {area(recipe, 4)}"
    axes.text(starts[1], -0.36, text, ha="left", va="top", fontsize=8.5, color=BRANCH_COLORS[0])


# Shared with the diagrams of other networks; places are (x, row), row 0 is the top row


def area(recipe: Recipe, halved: int = 1) -> str:
    """Return the size of maps that are 1 / `halved` of the input's: 64², or width × height."""
    width, height = (side // halved for side in sides(recipe.input_size))
    return f"{width}²" if width == height else f"{width} × {height}"


def box(
    axes: Axes, x: float, row: float, width: float, height: float, color: str, label: str = "", below: bool = False
) -> None:
    """Draw a layer with its left edge at x, centred on the row, and its label above or below."""
    style = "round,pad=0,rounding_size=0.08"
    corner = (x, -row - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, fc=color, ec="white", lw=0.8, zorder=3))
    y = -row - height / 2 - 0.08 if below else -row + height / 2 + 0.08
    axes.text(x + width / 2, y, label, ha="center", va="top" if below else "bottom", fontsize=8, color=INK)


def line(axes: Axes, start: tuple[float, float], end: tuple[float, float], branch: int | None) -> None:
    """Draw a line between two places (x, row) in the colour of the branch from which it comes."""
    color = STEM if branch is None else BRANCH_COLORS[branch]
    axes.plot([start[0], end[0]], [-start[1], -end[1]], color=color, lw=1.4, zorder=2, solid_capstyle="round")


def plus(axes: Axes, x: float, row: float) -> None:
    """Draw the sum of all lines that end here."""
    axes.text(
        x, -row, "+", ha="center", va="center", fontsize=9, color="white", weight="bold", zorder=5,
        bbox={"boxstyle": "circle,pad=0.12", "facecolor": INK, "edgecolor": "white"},
    )  # fmt: skip


def block_height(branch: int) -> float:
    """Return the height of a block's box: smaller for coarser maps, but not in proportion."""
    return 0.62 * 0.78**branch
