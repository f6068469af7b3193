"""Pictures of networks, from arrays and tables to Matplotlib figures. Each resolution has its colour."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posekit import palette
from posekit.figures.poses import map_panels
from posekit.figures.style import new_figure, show_picture

BRANCH_COLORS = palette.SERIES[:6]  # 1/4, 1/8, 1/16, …
_PART_COLORS = {"exchange": palette.INK, "never used": palette.PALE}  # parts that aren't a branch


def map_row(maps: dict[str, np.ndarray], signs: str = "") -> Figure:
    """Draw maps (h, w) side by side with `signs` between them, all with the same cell size and colour range."""
    return map_panels(maps, shared=True, signs=signs)


def show_channels(axes: Axes, values: np.ndarray, branch: int, title: str) -> None:
    """Draw the four channels that vary most as a 2 × 2 mosaic, each on its own scale."""
    color = BRANCH_COLORS[branch]
    strongest = np.argsort(values.std(axis=(1, 2)))[::-1][:4]
    for number, channel in enumerate(strongest):
        inset = axes.inset_axes((0.51 * (number % 2), 0.51 * (1 - number // 2), 0.49, 0.49))
        show_picture(inset, values[channel], cmap="viridis", aspect="auto")
        inset.spines[:].set(color=color, linewidth=1.6)
    axes.set(aspect=values.shape[1] / values.shape[2], xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"{title}\n{' × '.join(map(str, values.shape))}", fontsize=9, color=color)


def influence_maps(image: np.ndarray, maps: dict[str, np.ndarray], place: tuple[float, float]) -> Figure:
    """Draw which pixels of the image (H, W, 3) influence the cell at `place`: |gradient| (H, W), a circle around 90 %.

    place: (x, y) in pixels of the image.
    """
    figure, panels = new_figure(2.9 * len(maps), 3.2, len(maps))
    for axes, (title, values) in zip(panels, maps.items(), strict=True):
        show_picture(axes, image.mean(axis=2) * 0.45, f"{title}\nno response here", cmap="gray", vmin=0, vmax=255)
        axes.plot(*place, marker="+", markersize=9, color="white", zorder=3)
        if not values.any():  # ReLU set every channel of the cell to 0
            continue
        strength = np.sqrt(values / values.max())
        axes.imshow(strength, cmap="inferno", alpha=np.clip(2 * strength, 0, 1), vmin=0, vmax=1)
        radius, angle = _radius_of(values, place, 0.9), np.linspace(0, 2 * np.pi, 100)
        axes.plot(place[0] + radius * np.cos(angle), place[1] + radius * np.sin(angle), color="white", lw=1.2)
        axes.set_title(f"{title}\n90 % within {radius:.0f} px", fontsize=10)
    return figure


def _radius_of(values: np.ndarray, place: tuple[float, float], share: float) -> float:
    """Return the radius of the smallest circle around (x, y) with this share of the sum of `values` (H, W)."""
    y, x = np.indices(values.shape)
    distance = np.hypot(x - place[0], y - place[1]).ravel()
    order = np.argsort(distance)
    held = np.cumsum(values.ravel()[order], dtype=np.float64)
    return float(distance[order][np.searchsorted(held, share * held[-1])])


def stage_costs(table: pd.DataFrame, title: str) -> Figure:
    """Draw parameters and multiply-accumulates by stage, split by part.

    table: as returned by `models.summary.hrnet_table` or `hourglass_table`.
    """
    order, parts = list(dict.fromkeys(table["stage"])), sorted(set(table["part"]), key=_part_order)
    figure, panels = new_figure(11, 0.9 + 0.48 * len(order), 2, grid="x", sharey=True)
    for axes, column, label in zip(panels, ("parameters", "macs"), ("parameters", "multiply-accumulates"), strict=True):
        sums = table.pivot_table(index="stage", columns="part", values=column, aggfunc="sum", fill_value=0).loc[order]
        total, left = sums.sum(axis=1), np.zeros(len(order))
        for part in parts:
            axes.barh(order, sums[part], left=left, color=_part_color(part), label=part, height=0.72)
            left = left + sums[part].to_numpy()
        for stage, value in total.items():
            share = value / total.sum()
            text = f" {_short(value)}, {'<1%' if 0 < share < 0.005 else f'{share:.0%}'}"
            axes.text(value, stage, text, va="center", fontsize=9)
        axes.set(xlim=(0, 1.3 * total.max()), title=f"{label}: {_short(total.sum())}", xticks=[])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(parts), frameon=False, fontsize=9)
    figure.suptitle(title)
    return figure


def _part_order(part: str) -> tuple[int, int]:
    return (0, int(part.split("/")[1])) if part.startswith("branch") else (1, len(part))


def _part_color(part: str) -> str:
    if part.startswith("branch"):
        return BRANCH_COLORS[int(np.log2(int(part.split("/")[1]))) - 2]
    return _PART_COLORS.get(part, palette.GREY)


def _short(value: float) -> str:
    """Format 1234567 as 1.23 M."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f}"
