"""Pictures of figures and how sure they are: walks between evaluators, intervals, errors, reliability, robustness."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posekit.evaluation.compare import Estimate
from posekit.evaluation.diagnosis import KINDS, Reliability
from posekit.evaluation.published import Walk

DPI = 110
UP, DOWN, WHOLE = "#2e9e5b", "#d1495b", "#7d8794"
KIND_COLORS = ("#8fc7a3", "#f2b84b", "#7f5fc4", "#8a94a0", "#d1495b")  # of KINDS


def waterfall(walk: Walk) -> Figure:
    """From the first step's figure to the last's: a bar for what each step adds or takes, a panel a figure."""
    names = list(walk[0][1])
    figure = Figure(figsize=(10, 0.9 + 0.42 * (len(walk) + 1)), layout="constrained", dpi=DPI)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _draw_walk(axes, np.array([figures[name] for _, figures in walk]))
        axes.set(xlabel="percent", title=name, xlim=(0, 118))
    panels[0].set_yticks(range(len(walk) + 1), [*(step.name for step, _ in walk), "plain"])
    panels[0].invert_yaxis()
    return figure


def _draw_walk(axes: Axes, values: np.ndarray) -> None:
    """The first value as a whole bar, then changes, then the last value as a whole bar."""
    last = len(values)
    axes.barh([0, last], [values[0], values[-1]], color=WHOLE)
    before, change = values[:-1], np.diff(values)
    axes.barh(range(1, last), change, left=before, color=np.where(change >= 0, UP, DOWN))
    for row, text in enumerate([f"{values[0]:.2f}", *(f"{step:+.2f}" for step in change), f"{values[-1]:.2f}"]):
        end = values[0] if row == 0 else max(values[min(row, last - 1)], values[row - 1])
        axes.text(end + 1.5, row, text, va="center", fontsize=9)
    for row, value in enumerate(values):
        axes.plot([value, value], [row - 0.4, row + 1.4], color="0.5", linewidth=0.8)
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def intervals(estimates: Mapping[str, Mapping[str, Estimate]], label: str, zero: bool = False) -> Figure:
    """A row a part: a dot and a line over the interval for each name; `zero` marks where a difference is none.

    estimates: name -> part -> estimate.
    """
    parts = list(next(iter(estimates.values())))
    figure = Figure(figsize=(10, 0.9 + (0.14 + 0.12 * len(estimates)) * len(parts)), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    for i, (name, some) in enumerate(estimates.items()):
        rows = np.arange(len(parts)) + 0.5 * ((i + 0.5) / len(estimates) - 0.5)
        _whiskers(axes, rows, [some[part] for part in parts], f"C{i}", name)
    if zero:
        axes.axvline(0, color="0.3", linewidth=1)
    axes.set_yticks(range(len(parts)), parts, fontsize=9)
    axes.set(xlabel=label)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    if len(estimates) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _whiskers(axes: Axes, rows: np.ndarray, estimates: Sequence[Estimate], color: str, name: str) -> None:
    low, high = np.array([estimate.interval for estimate in estimates]).T
    axes.hlines(rows, low, high, color=color, linewidth=2)
    axes.plot([estimate.value for estimate in estimates], rows, "o", color=color, markersize=5, label=name)


def error_bars(kinds: np.ndarray, groups: Mapping[str, Sequence[int]]) -> Figure:
    """Which errors each group of keypoints has: shares of its counted keypoints; kinds (N, K) as in `error_kinds`."""
    shares = {name: _shares(kinds[:, list(keypoints)]) for name, keypoints in groups.items()}
    shares["all"] = _shares(kinds)
    figure = Figure(figsize=(10, 1.1 + 0.32 * len(shares)), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    left, longest = np.zeros(len(shares)), max(share[1:].sum() for share in shares.values())
    for i in range(1, len(KINDS)):
        width = np.array([share[i] for share in shares.values()])
        drawn = axes.barh(list(shares), width, left=left, color=KIND_COLORS[i], label=KINDS[i])
        texts = [f"{share:.1f}" if share > 0.04 * longest else "" for share in width]
        axes.bar_label(drawn, texts, label_type="center", fontsize=8)
        left += width
    axes.set(xlabel="percent of the counted keypoints")
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _shares(kinds: np.ndarray) -> np.ndarray:
    """Percent of the counted keypoints that have each kind."""
    counts = np.bincount(kinds[kinds >= 0], minlength=len(KINDS))
    return 100 * counts / max(counts.sum(), 1)


def reliability_diagram(curves: Mapping[str, Reliability]) -> Figure:
    """How often keypoints of a score are right, with intervals; on the diagonal a score is a probability."""
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 100], color="0.6", linestyle="--", linewidth=1, label="score = share right")
    for i, (name, curve) in enumerate(curves.items()):
        low, high = np.array([rate.interval for rate in curve.rate]).T
        axes.vlines(curve.score, low, high, color=f"C{i}", linewidth=1.5)
        rates = [rate.value for rate in curve.rate]
        axes.plot(curve.score, rates, "o-", color=f"C{i}", label=f"{name}: {curve.error:.1f} points off")
    axes.set(xlabel="score", ylabel="right (%)", ylim=(0, 102))
    axes.set_xlim(0, max(1.0, *(float(curve.score.max()) for curve in curves.values())) * 1.03)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def robustness_curves(curves: Mapping[str, Mapping[float, Estimate]], units: Mapping[str, str]) -> Figure:
    """PCK by the strength of each change, with its interval as a band; the axes share one scale of percent."""
    figure = Figure(figsize=(10, 2.9), layout="constrained", dpi=DPI)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for i, (axes, (kind, curve)) in enumerate(zip(panels, curves.items(), strict=True)):
        low, high = np.array([estimate.interval for estimate in curve.values()]).T
        strengths = list(curve)
        axes.fill_between(strengths, low, high, color=f"C{i}", alpha=0.2, linewidth=0)
        axes.plot(strengths, [estimate.value for estimate in curve.values()], "o-", color=f"C{i}", markersize=4)
        axes.set_title(kind, fontsize=10)
        axes.set_xlabel(units[kind], fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="PCK (%)", ylim=(0, 101))
    return figure


def ceilings(curves: Mapping[str, Mapping[int, Estimate]], threshold: str, mark: int) -> Figure:
    """What a perfect network scores with each codec, by the side of its input, with intervals; a line at `mark`."""
    figure = Figure(figsize=(10, 3.2), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    for (name, curve), style in zip(curves.items(), ("o-", "s-", "^--", "v:"), strict=False):
        low, high = np.array([estimate.interval for estimate in curve.values()]).T
        (line,) = axes.plot(list(curve), [estimate.value for estimate in curve.values()], style, label=name)
        axes.fill_between(list(curve), low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    sides = sorted({side for curve in curves.values() for side in curve})
    axes.axvline(mark, color="0.5", linestyle="--", linewidth=1)
    axes.set(xlabel="side of the input (pixels)", ylabel=f"{threshold} (%)", xticks=sides, ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="perfect network")
    return figure
