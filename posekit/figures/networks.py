"""Pictures of networks: arrays and tables in, matplotlib figures out. One colour stands for one resolution."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BRANCH_COLORS = ("#1f6fb2", "#26a189", "#e59a2f", "#c44e52", "#8561b5", "#6b6b6b")  # 1/4, 1/8, 1/16, …
_EXCHANGE, _OTHER, _UNUSED = "#5b6470", "#c3c9d0", "#e8b4b8"


# What flows through it


def map_row(maps: dict[str, np.ndarray], signs: str = "") -> Figure:
    """Single maps (h, w) side by side under their titles, `signs` between them, cells and colours on one scale."""
    figure = Figure(figsize=(2.6 * len(maps), 3.1), layout="constrained", dpi=110)
    limit = max(float(np.abs(values).max()) for values in maps.values()) or 1.0
    panels = np.atleast_1d(figure.subplots(1, len(maps), width_ratios=[m.shape[1] for m in maps.values()]))
    for axes, (title, values) in zip(panels, maps.items(), strict=True):
        image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(f"{title}\n{values.shape[0]} × {values.shape[1]}", fontsize=10)
        axes.set(xticks=[], yticks=[])
    for axes, sign in zip(panels, signs, strict=False):
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "center"}
        axes.annotate(sign, (1, 0.5), (13, 0), fontsize=18, **place)
    figure.colorbar(image, ax=list(panels), shrink=0.7, label="value")
    return figure


def feature_maps(image: np.ndarray, stages: Sequence[Sequence[np.ndarray]], heatmaps: np.ndarray) -> Figure:
    """Four channels of every branch after every stage, the image (S, S, 3) before and the heatmaps' maximum after.

    stages: for each the maps (C, h, w) of its branches, finest first; heatmaps: (K, h, w).
    """
    rows = max(len(maps) for maps in stages)
    columns = len(stages) + 2
    figure = Figure(figsize=(2.35 * columns, 2.5 * rows), layout="constrained", dpi=110)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    grid[0, 0].imshow(image)
    grid[0, 0].set_title(f"image\n{image.shape[1]} × {image.shape[0]}", fontsize=9)
    for column, maps in enumerate(stages, 1):
        for row, values in enumerate(maps):
            show_channels(grid[row, column], values, row, f"stage {column}, 1/{4 * 2**row}")
    peak = heatmaps.max(axis=0)
    grid[0, -1].imshow(peak, cmap="magma", interpolation="nearest")
    grid[0, -1].set_title(f"heatmaps, their maximum\n{len(heatmaps)} × {peak.shape[0]} × {peak.shape[1]}", fontsize=9)
    return figure


def show_channels(axes: Axes, values: np.ndarray, branch: int, title: str) -> None:
    """The four channels that vary most, each on its own scale, as a 2 × 2 mosaic."""
    color = BRANCH_COLORS[branch]
    strongest = np.argsort(values.std(axis=(1, 2)))[::-1][:4]
    for number, channel in enumerate(strongest):
        inset = axes.inset_axes((0.51 * (number % 2), 0.51 * (1 - number // 2), 0.49, 0.49))
        inset.imshow(values[channel], cmap="viridis", interpolation="nearest", aspect="auto")
        inset.set(xticks=[], yticks=[])
        for spine in inset.spines.values():
            spine.set(color=color, linewidth=1.6)
    axes.set(aspect="equal", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"{title}\n{' × '.join(str(n) for n in values.shape)}", fontsize=9, color=color)


def influence_maps(image: np.ndarray, maps: dict[str, np.ndarray], place: tuple[float, float]) -> Figure:
    """Where in the image (S, S, 3) the cell at `place` looks: |gradient| (S, S) as heat; the circle holds 90 % of it.

    place: (x, y) in pixels of the image.
    """
    figure = Figure(figsize=(2.9 * len(maps), 3.2), layout="constrained", dpi=110)
    grey = image.mean(axis=2) * 0.45
    for axes, (title, values) in zip(np.atleast_1d(figure.subplots(1, len(maps))), maps.items(), strict=True):
        axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
        axes.plot(*place, marker="+", markersize=9, color="white", zorder=3)
        axes.set(xticks=[], yticks=[], xlim=(-0.5, values.shape[1] - 0.5), ylim=(values.shape[0] - 0.5, -0.5))
        if not values.any():  # every channel of the cell was cut off at 0
            axes.set_title(f"{title}\nno response here", fontsize=10)
            continue
        strength = np.sqrt(values / values.max())
        axes.imshow(strength, cmap="inferno", alpha=np.clip(2 * strength, 0, 1), vmin=0, vmax=1)
        radius, angle = _radius_of(values, place, 0.9), np.linspace(0, 2 * np.pi, 100)
        axes.plot(place[0] + radius * np.cos(angle), place[1] + radius * np.sin(angle), color="white", lw=1.2)
        axes.set_title(f"{title}\n90 % within {radius:.0f} px", fontsize=10)
    return figure


def _radius_of(values: np.ndarray, place: tuple[float, float], share: float) -> float:
    """Of the smallest circle around (x, y) that holds this share of the sum of values (S, S)."""
    y, x = np.indices(values.shape)
    distance = np.hypot(x - place[0], y - place[1]).ravel()
    order = np.argsort(distance)
    held = np.cumsum(values.ravel()[order], dtype=np.float64)
    return float(distance[order][np.searchsorted(held, share * held[-1])])


# What it costs and what it brings


def stage_costs(table: pd.DataFrame, title: str) -> Figure:
    """Parameters and multiply-accumulates by stage, split by part; table as `models.summary.hrnet_table` makes it."""
    figure = Figure(figsize=(11, 0.9 + 0.48 * table["stage"].nunique()), layout="constrained", dpi=110)
    order = list(dict.fromkeys(table["stage"]))
    parts = sorted(set(table["part"]), key=_part_order)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, label in zip(panels, ("parameters", "macs"), ("parameters", "multiply-accumulates"), strict=True):
        sums = table.pivot_table(index="stage", columns="part", values=column, aggfunc="sum", fill_value=0).loc[order]
        total, left = sums.sum(axis=1), np.zeros(len(order))
        for part in parts:
            axes.barh(order, sums[part], left=left, color=_part_color(part), label=part, height=0.72)
            left = left + sums[part].to_numpy()
        for stage, value in total.items():
            share = value / total.sum()
            text = f" {_short(value)}, {'<1%' if share < 0.005 else f'{share:.0%}'}"
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
    return {"exchange": _EXCHANGE, "never used": _UNUSED}.get(part, _OTHER)


def _short(value: float) -> str:
    """1234567 as 1.23 M"""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f}"


def shared_cells(
    image: np.ndarray, keypoints: np.ndarray, shared: dict[int, np.ndarray], rates: dict[int, float]
) -> Figure:
    """The image (S, S, 3) under the grid of each stride, its keypoints (K, 2) red where a cell holds several.

    shared: stride in pixels -> (K,) bool; rates: stride -> the share over many images.
    """
    figure = Figure(figsize=(3.1 * len(shared), 3.5), layout="constrained", dpi=110)
    size = image.shape[0]
    for axes, (stride, mask) in zip(np.atleast_1d(figure.subplots(1, len(shared))), shared.items(), strict=True):
        axes.imshow(image, alpha=0.75)
        edges = np.arange(0, size + 1, stride) - 0.5
        axes.hlines(edges, -0.5, size - 0.5, color="white", lw=0.7, alpha=0.8)
        axes.vlines(edges, -0.5, size - 0.5, color="white", lw=0.7, alpha=0.8)
        colors = np.where(mask, "#e3262e", "#2ad65a")
        axes.scatter(keypoints[:, 0], keypoints[:, 1], s=26, c=colors, edgecolors="white", linewidths=0.7, zorder=3)
        axes.set(xticks=[], yticks=[], xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
        title = f"1/{stride}: {size // stride} × {size // stride} cells\n{mask.sum()} of {len(mask)} share one; "
        title += f"all images: {rates[stride]:.0%}"
        axes.set_title(title, fontsize=10)
    return figure


def accuracy_against_cost(results: pd.DataFrame, score: str) -> Figure:
    """Published results as points; columns name, family, parameters (millions), operations (G) and the score."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained", dpi=110)
    axes = figure.subplots()
    for color, (family, rows) in zip(BRANCH_COLORS[:4:3], results.groupby("family", sort=True), strict=False):
        rows = rows.sort_values("operations")
        axes.plot(rows["operations"], rows[score], color=color, alpha=0.4)
        axes.scatter(rows["operations"], rows[score], s=6 * rows["parameters"], color=color, alpha=0.8, label=family)
        for _, row in rows.iterrows():
            text = f"{row['name']}, {row['parameters']:g} M"
            axes.annotate(text, (row["operations"], row[score]), (0, 15), textcoords="offset points", ha="center")
    axes.set(xlabel="operations (G multiply-accumulates, G = 1024³)", ylabel=score)
    axes.margins(0.2)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title="disc area: parameters", loc="lower right", markerscale=0.5, frameon=False)
    return figure
