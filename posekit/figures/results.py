"""Pictures of trainings, scores and timings: numbers in, matplotlib figures out."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from posekit.drawing import side_colors
from posekit.skeletons import Skeleton

DPI = 110


def training_curves(log: pd.DataFrame) -> Figure:
    """Loss and learning rate by step, and the validation's PCK where it was measured; log as in a run's log.csv.

    Below them, where the log has these, images a second, the share of time spent waiting for them, and memory.
    """
    rows = 2 if {"images_per_second", "wait_share", "memory_mb"} <= set(log) else 1
    figure = Figure(figsize=(10, 1.8 + 1.8 * rows), layout="constrained", dpi=DPI)
    axes = figure.subplots(rows, 2, squeeze=False, height_ratios=(2, 1)[:rows])
    (left, right), *below = axes
    left.semilogy(log["step"], log["loss"], color="tab:blue")
    left.set(ylabel="training loss", title="Loss and learning rate")
    rate = left.twinx()
    rate.plot(log["step"], log["learning_rate"], color="tab:grey", linewidth=1, linestyle="--")
    rate.set_ylabel("learning rate (dashed)", color="tab:grey")
    valid = log.dropna(subset=["valid_pck"])
    right.plot(valid["epoch"], valid["valid_pck"], marker="o", color="tab:orange")
    for epoch, pck in zip(valid["epoch"], valid["valid_pck"], strict=True):
        beside = (0, -14 if pck > 15 else 8)
        right.annotate(f"{pck:.1f}", (epoch, pck), beside, textcoords="offset points", ha="center", fontsize=8)
    right.set(xlabel="epoch", ylabel="PCK (%)", title="Validation", ylim=(0, 100))
    right.margins(x=0.08)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panels in below:
        _machine_curves(*panels, log)
    axes[-1, 0].set_xlabel("step")
    for panel in axes.flat:
        panel.grid(alpha=0.3)
    return figure


def _machine_curves(speed: Axes, memory: Axes, log: pd.DataFrame) -> None:
    """What the machine did by step."""
    speed.plot(log["step"], log["images_per_second"], color="tab:green")
    speed.set(ylabel="images a second", ylim=(0, 1.15 * log["images_per_second"].max()))
    waiting = speed.twinx()
    waiting.plot(log["step"], 100 * log["wait_share"], color="tab:red", linewidth=1, linestyle="--")
    waiting.set_ylim(0, 100)
    waiting.set_ylabel("waiting, % (dashed)", color="tab:red")
    memory.plot(log["step"], log["memory_mb"], color="tab:purple")
    memory.set(xlabel="step", ylabel="memory (MB)", ylim=(0, 1.15 * log["memory_mb"].max()))


def keypoint_dots(values: dict[str, np.ndarray], counts: np.ndarray, skeleton: Skeleton) -> Figure:
    """A panel a quantity: a row a part, a dot each for its left (orange), right (blue) or middle (green) keypoint.

    values: (K,) each; counts: (K,), how often each keypoint counts, written beside the part's name.
    """
    parts: dict[str, list[int]] = {}
    for k, name in enumerate(skeleton.keypoints):
        parts.setdefault(name.removeprefix("left ").removeprefix("right "), []).append(k)
    order = sorted(parts, key=lambda part: np.nanmean(next(iter(values.values()))[parts[part]]))
    colors = _side_colors(skeleton)
    figure = Figure(figsize=(10, 0.6 + 0.24 * len(parts)), layout="constrained", dpi=DPI)
    panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for axes, (name, value) in zip(panels, values.items(), strict=True):
        for row, part in enumerate(order):
            axes.plot(value[parts[part]], [row] * len(parts[part]), color="0.8", zorder=1)
            axes.scatter(value[parts[part]], [row] * len(parts[part]), c=colors[parts[part]], zorder=2, s=28)
        axes.set(xlabel=name)
        axes.grid(alpha=0.3)
    labels = [f"{part} ({counts[parts[part]].sum()})" for part in order]
    panels[0].set_yticks(range(len(order)), labels, fontsize=8)
    return figure


def pck_curves(
    curves: dict[str, np.ndarray],
    thresholds: np.ndarray,
    mark: float,
    label: str = "threshold",
    dashed: Collection[str] = (),
) -> Figure:
    """PCK in percent by threshold (T,), one curve (T,) a name, with a line at the threshold `mark`.

    The curve named "Mean" is drawn black and thick, those in `dashed` dashed in the colours that the others begin with.
    """
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    at = int(np.argmin(np.abs(thresholds - mark)))
    solid = [name for name in curves if name not in dashed and name != "Mean"]
    colors = {name: f"C{i}" for names in (solid, list(dashed)) for i, name in enumerate(names)} | {"Mean": "black"}
    for name, curve in sorted(curves.items(), key=lambda item: -item[1][at]):
        style = {"linestyle": "--" if name in dashed else "-", "linewidth": 2.5 if name == "Mean" else 1.4}
        axes.plot(thresholds, curve, label=f"{name}  {curve[at]:.1f} %", color=colors[name], **style)
    axes.axvline(mark, color="0.5", linestyle="--", linewidth=1)
    axes.set(xlabel=label, ylabel="PCK (%)", ylim=(0, 101), xlim=(0, thresholds[-1]))
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title=f"at {mark:g}", fontsize=9)
    return figure


def table_bars(tables: dict[str, dict[str, float]], label: str) -> Figure:
    """Groups of bars: a group a column, a bar a table; values are written on top."""
    columns = list(dict.fromkeys(column for table in tables.values() for column in table))
    figure = Figure(figsize=(10, 3.6), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    width = 0.8 / len(tables)
    for i, (name, table) in enumerate(tables.items()):
        at = [j + (i - (len(tables) - 1) / 2) * width for j, column in enumerate(columns) if column in table]
        bars = axes.bar(at, [table[column] for column in columns if column in table], width * 0.94, label=name)
        axes.bar_label(bars, fmt="%.1f", fontsize=7, rotation=90 if len(tables) * len(columns) > 24 else 0, padding=2)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set(ylabel=label)
    axes.margins(y=0.16)
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def score_and_error(scores: np.ndarray, errors: np.ndarray, threshold: float, bins: int = 10) -> Figure:
    """How far a score can be trusted, over M keypoints with scores (M,) and normalised errors (M,).

    Left each keypoint; right the share within the threshold for each range of scores, with the number of keypoints.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained", dpi=DPI)
    left, right = figure.subplots(1, 2)
    good = errors <= threshold
    for chosen, color, name in ((good, "tab:green", "within"), (~good, "tab:red", "beyond")):
        left.scatter(scores[chosen], errors[chosen], s=4, alpha=0.35, color=color, label=name, rasterized=True)
    left.axhline(threshold, color="0.3", linestyle="--", linewidth=1)
    left.set(xlabel="score", ylabel="error / reference length", yscale="log", title="every counted keypoint")
    left.set_ylim(bottom=max(threshold / 100, 1e-6))
    left.legend(markerscale=3, loc="lower left")
    edges = np.linspace(0, max(1.0, float(scores.max())), bins + 1)
    which = np.clip(np.digitize(scores, edges) - 1, 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    share = 100 * np.bincount(which, good, bins) / np.maximum(counts, 1)
    bars = right.bar(edges[:-1], share, np.diff(edges) * 0.94, align="edge", color="tab:green", alpha=0.8)
    right.bar_label(bars, [str(n) if n else "" for n in counts], fontsize=8)
    right.set(xlabel="score", ylabel="within the threshold (%)", ylim=(0, 108), title="by score, with counts")
    return figure


def histograms(values: dict[str, np.ndarray], label: str, bins: int = 40) -> Figure:
    """Distribution of each name's values, in percent of that name's own."""
    figure = Figure(figsize=(10, 2.8), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    everything = np.concatenate(list(values.values()))
    edges = np.linspace(min(0, everything.min()), everything.max(), bins + 1)
    for i, (name, some) in enumerate(values.items()):
        heights = 100 * np.histogram(some, edges)[0] / max(len(some), 1)
        axes.stairs(heights, edges, fill=True, alpha=0.45, color=f"C{i}", label=f"{name} ({len(some)})")
    axes.set(xlabel=label, ylabel="share (%)")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def differences(values: dict[str, np.ndarray], limit: float) -> Figure:
    """Which share of the cells differs by more than x, a line a name with its largest value, and the limit to keep."""
    figure = Figure(figsize=(10, 3.4), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    for i, (name, apart) in enumerate(values.items()):
        ordered = np.sort(np.abs(apart).ravel())
        share = 100 * np.arange(ordered.size, 0, -1) / ordered.size
        shown = ordered > 0
        largest = f"at most {ordered[-1]:.1e}" if shown.any() else "no difference at all"
        axes.plot(ordered[shown], share[shown], color=f"C{i}", label=f"{name}: {largest}")
        axes.plot(ordered[-1:][shown[-1:]], share[-1:][shown[-1:]], "o", color=f"C{i}")
    axes.axvline(limit, color="tab:red", linestyle="--", linewidth=1.2, label=f"limit {limit:g}")
    axes.set(xscale="log", yscale="log", xlim=(1e-9, 1), ylim=(None, 130))
    axes.set(xlabel="x: difference / range of the heatmaps", ylabel="cells that differ by more (%)")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    return figure


def bars(values: Mapping[str, float], label: str, fmt: str = "%.2f") -> Figure:
    """A horizontal bar a name, the shortest on top."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    figure = Figure(figsize=(10, 0.9 + 0.4 * len(ordered)), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    drawn = axes.barh([name for name, _ in ordered], [value for _, value in ordered], height=0.6, color="tab:blue")
    axes.bar_label(drawn, fmt=fmt, padding=4)
    axes.set(xlabel=label)
    axes.margins(x=0.1)
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    return figure


def run_bars(names: Sequence[str], statuses: Sequence[str], values: Mapping[str, Sequence[float]]) -> Figure:
    """A row a run and a panel a quantity, (runs,) each, NaN where a run has none.

    Runs that are completed are blue; another's bar is grey, and its status stands in red in the first panel.
    """
    figure = Figure(figsize=(10, 1.1 + 0.3 * len(names)), layout="constrained", dpi=DPI)
    colors = ["tab:blue" if status == "completed" else "0.85" for status in statuses]
    panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for axes, (label, value) in zip(panels, values.items(), strict=True):
        value = np.asarray(value, float)
        drawn = axes.barh(range(len(names)), np.nan_to_num(value), height=0.7, color=colors)
        axes.bar_label(drawn, ["" if np.isnan(v) else f"{v:.4g}" for v in value], padding=3, fontsize=8)
        axes.set(xlabel=label)
        axes.margins(x=0.2)
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    for row, status in enumerate(statuses):
        if status != "completed":
            panels[0].annotate(status, (0, row), (4, 0), textcoords="offset points", color="tab:red", va="center")
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].invert_yaxis()
    return figure


def _side_colors(skeleton: Skeleton) -> np.ndarray:
    """(K, 3) in 0–1."""
    return np.array(side_colors(skeleton)) / 255
