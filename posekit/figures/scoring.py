"""Pictures of scores and their uncertainty: steps between protocols, intervals, error kinds, reliability."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posekit import palette
from posekit.evaluation.compare import Estimate
from posekit.evaluation.diagnosis import KINDS, Reliability
from posekit.evaluation.published import Walk
from posekit.figures.style import BESIDE, new_figure
from posekit.palette import series

# Of KINDS: right, near miss, left/right swapped, hidden, missed.
KIND_COLORS = (palette.GOOD, palette.ORANGE, palette.PURPLE, palette.GREY, palette.BAD)


def waterfall(walk: Walk) -> Figure:
    """Draw how each step of a walk changes a score, from the first to the last protocol; one panel per score."""
    names = list(walk[0][1])
    figure, panels = new_figure(10, 0.9 + 0.42 * (len(walk) + 1), len(names), grid="x", sharey=True)
    for axes, name in zip(panels, names, strict=True):
        _draw_walk(axes, np.array([figures[name] for _, figures in walk]))
        axes.set(xlabel="percent", title=name, xlim=(0, 118))
    panels[0].set_yticks(range(len(walk) + 1), [*(step.name for step, _ in walk), "plain"])
    panels[0].invert_yaxis()
    return figure


def _draw_walk(axes: Axes, values: np.ndarray) -> None:
    """Draw the first value as a full bar, then the changes, then the last value as a full bar."""
    last = len(values)
    axes.barh([0, last], [values[0], values[-1]], color=palette.GREY)
    before, change = values[:-1], np.diff(values)
    axes.barh(range(1, last), change, left=before, color=np.where(change >= 0, palette.GOOD, palette.BAD))
    for row, text in enumerate([f"{values[0]:.2f}", *(f"{step:+.2f}" for step in change), f"{values[-1]:.2f}"]):
        end = max(values[max(row - 1, 0) : row + 1])
        axes.text(end + 1.5, row, text, va="center", fontsize=9)
    for row, value in enumerate(values):
        axes.plot([value, value], [row - 0.4, row + 1.4], color="0.5", linewidth=0.8)


def intervals(estimates: Mapping[str, Mapping[str, Estimate]], label: str, zero: bool = False) -> Figure:
    """Draw estimates as dots with lines for their intervals: one row per part, one colour per name.

    estimates: name -> part -> estimate; zero: draw a line at 0, for differences.
    """
    parts = list(next(iter(estimates.values())))
    figure, axes = new_figure(10, 0.9 + (0.14 + 0.12 * len(estimates)) * len(parts))
    for i, (name, some) in enumerate(estimates.items()):
        rows = np.arange(len(parts)) + 0.5 * ((i + 0.5) / len(estimates) - 0.5)
        values, low, high = _split(some[part] for part in parts)
        axes.hlines(rows, low, high, color=series(i), linewidth=2)
        axes.plot(values, rows, "o", color=series(i), markersize=5, label=name)
    if zero:
        axes.axvline(0, color="0.3", linewidth=1)
    axes.set_yticks(range(len(parts)), parts, fontsize=9)
    axes.set(xlabel=label)
    axes.invert_yaxis()
    if len(estimates) > 1:
        axes.legend(**BESIDE)
    return figure


def _split(estimates: Iterable[Estimate]) -> np.ndarray:
    """Return values, lower ends and upper ends of the intervals, (3, M)."""
    return np.array([(estimate.value, *estimate.interval) for estimate in estimates]).T


def error_bars(kinds: np.ndarray, groups: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the kinds of errors per group, as shares of its counted keypoints; kinds (N, K) from `error_kinds`."""
    some = {**{name: kinds[:, list(keypoints)] for name, keypoints in groups.items()}, "all": kinds}
    counts = np.array([np.bincount(part[part >= 0], minlength=len(KINDS)) for part in some.values()])  # (rows, kinds)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = new_figure(10, 1.1 + 0.32 * len(some), grid="x")
    left, longest = np.zeros(len(some)), shares[:, 1:].sum(1).max()
    for name, color, width in list(zip(KINDS, KIND_COLORS, shares.T, strict=True))[1:]:
        drawn = axes.barh(list(some), width, left=left, color=color, label=name)
        texts = [f"{share:.1f}" if share > 0.04 * longest else "" for share in width]
        axes.bar_label(drawn, texts, label_type="center", fontsize=8)
        left += width
    axes.set(xlabel="percent of the counted keypoints")
    axes.invert_yaxis()
    axes.legend(**BESIDE)
    return figure


def reliability_diagram(curves: Mapping[str, Reliability], what: str = "right") -> Figure:
    """Draw how often keypoints are right by score, with intervals; on the diagonal the score is a probability.

    what: what the share counts, if it isn't right keypoints.
    """
    figure, axes = new_figure(10, 4)
    axes.plot([0, 1], [0, 100], color="0.6", linestyle="--", linewidth=1, label=f"score = share {what}")
    for i, (name, curve) in enumerate(curves.items()):
        rates, low, high = _split(curve.rate)
        axes.vlines(curve.score, low, high, color=series(i), linewidth=1.5)
        axes.plot(curve.score, rates, "o-", color=series(i), label=f"{name}: {curve.error:.1f} points off")
    axes.set(xlabel="score", ylabel=f"{what} (%)", ylim=(0, 102))
    axes.set_xlim(0, max(1.0, *(float(curve.score.max()) for curve in curves.values())) * 1.03)
    axes.legend(**BESIDE)
    return figure


def draw_curve(axes: Axes, curve: Mapping[float, Estimate], style: str = "o-", **options: Any) -> None:
    """Draw estimates over their key (a strength or a size), with their intervals as a band."""
    values, low, high = _split(curve.values())
    (line,) = axes.plot(list(curve), values, style, markersize=5, **options)
    axes.fill_between(list(curve), low, high, color=line.get_color(), alpha=0.2, linewidth=0)
