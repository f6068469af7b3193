"""Pictures of trainings, scores and timings, from numbers to Matplotlib figures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from posekit import palette
from posekit.figures.data import parts, side_palette
from posekit.figures.style import BESIDE, new_figure
from posekit.palette import series
from posekit.skeletons import Skeleton


def training_curves(log: pd.DataFrame) -> Figure:
    """Draw loss and learning rate by step, and the validation PCK by epoch; `log` is a run's log.csv.

    If the log has these columns, also draw images per second, the share of time spent waiting for images, and memory.
    """
    rows = 2 if {"images_per_second", "wait_share", "memory_mb"} <= set(log) else 1
    figure, axes = new_figure(10, 1.8 + 1.8 * rows, rows, 2, height_ratios=(2, 1)[:rows])
    (left, right), *below = axes
    left.semilogy(log["step"], log["loss"], color=palette.BLUE)
    left.set(ylabel="training loss", title="Loss and learning rate")
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("{x:g}" if log["loss"].max() < 10 * log["loss"].min() else "")
    rate = left.twinx()
    rate.plot(log["step"], log["learning_rate"], color=palette.GREY, linewidth=1, linestyle="--")
    rate.set_ylabel("learning rate (dashed)", color=palette.GREY)
    valid = log.dropna(subset=["valid_pck"])
    right.plot(valid["epoch"], valid["valid_pck"], marker="o", color=palette.ORANGE)
    for epoch, pck in zip(valid["epoch"], valid["valid_pck"], strict=True):
        beside = (0, -14 if pck > 15 else 8)
        right.annotate(f"{pck:.1f}", (epoch, pck), beside, textcoords="offset points", ha="center", fontsize=8)
    right.set(xlabel="epoch", ylabel="PCK (%)", title="Validation", ylim=(0, 100))
    right.margins(x=0.08)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    for speed, memory in below:
        _machine_curves(speed, memory, log)
    axes[-1, 0].set_xlabel("step")
    return figure


def _machine_curves(speed: Axes, memory: Axes, log: pd.DataFrame) -> None:
    """Draw images per second, waiting time and memory by step."""
    speed.plot(log["step"], log["images_per_second"], color=palette.GREEN)
    speed.set(ylabel="images per second", ylim=(0, 1.15 * log["images_per_second"].max()))
    waiting = speed.twinx()
    waiting.plot(log["step"], 100 * log["wait_share"], color=palette.VERMILLION, linewidth=1, linestyle="--")
    waiting.set_ylim(0, 100)
    waiting.set_ylabel("waiting, % (dashed)", color=palette.VERMILLION)
    memory.plot(log["step"], log["memory_mb"], color=palette.PURPLE)
    memory.set(xlabel="step", ylabel="memory (MB)", ylim=(0, 1.15 * log["memory_mb"].max()))


def keypoint_dots(values: dict[str, np.ndarray], counts: np.ndarray, skeleton: Skeleton) -> Figure:
    """Draw a panel per quantity, a row per part, a dot per keypoint: left (orange), right (blue) or middle (green).

    values: (K,) each; counts: (K,), how often each keypoint counts, shown after the part's name.
    """
    first = next(iter(values.values()))
    rows = sorted(parts(skeleton).items(), key=lambda part: np.nanmean(first[part[1]]))
    figure, panels = new_figure(10, 0.6 + 0.24 * len(rows), len(values), sharey=True)
    for axes, (name, value) in zip(panels, values.items(), strict=True):
        for row, (_, members) in enumerate(rows):
            axes.plot(value[members], [row] * len(members), color="0.8", zorder=1)
            axes.scatter(value[members], [row] * len(members), c=side_palette(skeleton)[members], zorder=2, s=28)
        axes.set(xlabel=name)
    labels = [f"{part} ({counts[members].sum()})" for part, members in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=8)
    return figure


def table_bars(tables: dict[str, dict[str, float]], label: str) -> Figure:
    """Draw a group of bars per column, with one bar per table; values are written on top."""
    columns = list(dict.fromkeys(column for table in tables.values() for column in table))
    figure, axes = new_figure(10, 3.6, grid="y")
    width = 0.8 / len(tables)
    for i, (name, table) in enumerate(tables.items()):
        at = [j + (i - (len(tables) - 1) / 2) * width for j, column in enumerate(columns) if column in table]
        bars = axes.bar(at, [table[column] for column in columns if column in table], width * 0.94, label=name)
        axes.bar_label(bars, fmt="%.1f", fontsize=7, rotation=90 if len(tables) * len(columns) > 24 else 0, padding=2)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set(ylabel=label)
    axes.margins(y=0.16)
    axes.legend(**BESIDE)
    return figure


def histograms(values: dict[str, np.ndarray], label: str, bins: int = 40) -> Figure:
    """Draw a histogram per name, in percent of its number of values."""
    figure, axes = new_figure(10, 2.8)
    everything = np.concatenate(list(values.values()))
    edges = np.linspace(min(0, everything.min()), everything.max(), bins + 1)
    for i, (name, some) in enumerate(values.items()):
        heights = 100 * np.histogram(some, edges)[0] / max(len(some), 1)
        axes.stairs(heights, edges, fill=True, alpha=0.45, color=series(i), label=f"{name} ({len(some)})")
    axes.set(xlabel=label, ylabel="share (%)")
    axes.legend()
    return figure


def bars(values: Mapping[str, float], label: str, fmt: str = "%.2f") -> Figure:
    """Draw one horizontal bar per name, the longest at the bottom."""
    names, lengths = zip(*sorted(values.items(), key=lambda item: -item[1]), strict=True)
    figure, axes = new_figure(10, 0.9 + 0.4 * len(names), grid="x")
    axes.bar_label(axes.barh(names, lengths, height=0.6), fmt=fmt, padding=4)
    axes.set(xlabel=label)
    axes.margins(x=0.1)
    return figure


def run_bars(names: Sequence[str], statuses: Sequence[str], values: Mapping[str, Sequence[float]]) -> Figure:
    """Draw one row per run and one panel per quantity; values are (runs,), NaN where a run has none.

    Completed runs are blue. Other runs are grey, with their status in red in the first panel.
    """
    figure, panels = new_figure(10, 1.1 + 0.3 * len(names), len(values), grid="x", sharey=True)
    colors = [palette.BLUE if status == "completed" else "0.85" for status in statuses]
    for axes, (label, value) in zip(panels, values.items(), strict=True):
        drawn = axes.barh(range(len(names)), np.nan_to_num(np.asarray(value, float)), height=0.7, color=colors)
        axes.bar_label(drawn, ["" if np.isnan(v) else f"{v:.4g}" for v in value], padding=3, fontsize=8)
        axes.set(xlabel=label)
        axes.margins(x=0.2)
    for row, status in enumerate(statuses):
        if status != "completed":
            panels[0].annotate(status, (0, row), (4, 0), textcoords="offset points", color=palette.ALARM, va="center")
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].invert_yaxis()
    return figure


def parity_and_speed(
    differences: dict[str, float], milliseconds: dict[str, float], precisions: dict[str, str], limits: dict[str, float]
) -> Figure:
    """Draw a row per run time: left, the largest heatmap difference / range of the heatmaps; right, the time per image.

    precisions: fp32, fp16, bf16 or int8 for each run time; limits: for each precision, drawn as a red bar.
    """
    colors = {"fp32": palette.BLUE, "fp16": palette.ORANGE, "bf16": palette.PURPLE, "int8": palette.GREEN}
    figure, (left, right) = new_figure(10, 1.1 + 0.36 * len(differences), 2, grid="x", sharey=True, width_ratios=(3, 2))
    for row, (name, value) in enumerate(differences.items()):
        color, limit = colors[precisions[name]], limits[precisions[name]]
        left.plot([limit, limit], [row - 0.4, row + 0.4], color=palette.LIMIT, linewidth=2.5)
        left.plot(max(value, 1e-9), row, "o", color=color, markersize=8)
        side = {"xytext": (-8, 0), "ha": "right"} if limit / 100 < value < limit else {"xytext": (8, 0)}
        text = f"{value:.0e}" if value else "no difference at all"
        left.annotate(text, (max(value, 1e-9), row), textcoords="offset points", va="center", fontsize=8, **side)
        right.bar_label(right.barh(row, milliseconds[name], height=0.6, color=color), fmt="%.1f", padding=4, fontsize=8)
    left.set_yticks(range(len(differences)), list(differences))
    left.set(xscale="log", xlim=(3e-10, 1), xlabel="largest difference / range of the heatmaps; red: the limit")
    left.invert_yaxis()
    right.set(xlabel="ms per image, decoding included")
    right.margins(x=0.14)
    return figure
