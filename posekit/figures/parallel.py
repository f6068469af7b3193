"""Training on several devices as pictures: who computes what in an update, losses, a rank table, how a job went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from posekit.figures.diagrams import INK

DPI = 110
RANK_COLORS = ("#1b9e77", "#7b5ea7", "#c4557a", "#8a8a1f", "#3c7dbf", "#a6611a", "#5f6b76", "#b03fb0")
PALE, QUIET, ALARM = "#eef1f4", "#5b6675", "#c0392b"


@dataclass(frozen=True)
class Span:
    """What a process did for a while, in seconds."""

    start: float
    end: float
    what: str  # "starts", "trains" or "waits"


# An update


def data_parallel(batches: Sequence[np.ndarray]) -> Figure:
    """One update, by a worker for each of the batches, and by one worker that takes them one after the other.

    batches: images (B, S, S, 3) uint8 RGB of each rank.
    """
    ranks = len(batches)
    figure = Figure(figsize=(11, 6), layout="constrained", dpi=DPI)
    left, right = figure.subplots(1, 2, width_ratios=(ranks, 1))
    for rank, images in enumerate(batches):
        _column(left, rank, f"worker {rank}: its {len(images)} images", images, [rank], f"gradient g{rank}")
    means = " + ".join(f"g{rank}" for rank in range(ranks))
    _bar(left, -0.46, ranks - 0.54, f"AllReduce: every worker gets ({means}) / {ranks}")
    joined = np.concatenate([images[:2] for images in batches])
    owners = [rank for rank, images in enumerate(batches) for _ in images[:2]]
    _column(right, 0, f"{ranks} batches of {len(batches[0])}, one by one", joined, owners, f"adds up {means}")
    _bar(right, -0.46, 0.46, f"divides by {ranks}")
    for axes, width, title in ((left, ranks, f"{ranks} workers"), (right, 1, f"1 worker, accumulate={ranks}")):
        axes.set(xlim=(-0.52, width - 0.48), ylim=(-4.75, 0.95))
        axes.set_title(title, fontsize=12, weight="bold", color=INK)
        axes.axis("off")
    return figure


def _column(axes: Axes, x: float, label: str, images: np.ndarray, owners: Sequence[int], gradient: str) -> None:
    """A worker from its images down to its new weights; `owners` are the ranks whose colours frame the images."""
    count = min(len(images), 4)
    for k, image in enumerate(images[:count]):
        place = (x - 0.44 + 0.88 * k / count, x - 0.44 + 0.88 * (k + 0.92) / count, -0.2, 0.5)
        axes.imshow(image, extent=place, aspect="auto", zorder=2)
        color = RANK_COLORS[owners[min(k, len(owners) - 1)] % len(RANK_COLORS)]
        axes.plot([place[i] for i in (0, 1, 1, 0, 0)], [place[i] for i in (2, 2, 3, 3, 2)], color=color, lw=3, zorder=3)
    axes.text(x, 0.64, label, ha="center", fontsize=9.5, color=INK)
    color = RANK_COLORS[owners[0] % len(RANK_COLORS)] if len(set(owners)) == 1 else QUIET
    for row, text, shade in (
        (-1, "network, weights w", QUIET),
        (-2, gradient, color),
        (-4, "w ← Adam(w, mean)", QUIET),
    ):
        _bar(axes, x - 0.36, x + 0.36, text, row, shade)
    for top, bottom in ((-0.3, -0.7), (-1.3, -1.7), (-2.3, -2.7), (-3.3, -3.7)):
        axes.annotate("", (x, bottom), (x, top), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.3})
    axes.text(x, -4.55, "the same weights again", ha="center", fontsize=9, color=QUIET)


def _bar(axes: Axes, left: float, right: float, text: str, row: float = -3, color: str = INK) -> None:
    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(
        FancyBboxPatch((left, row - 0.28), right - left, 0.56, boxstyle=style, fc=color, ec="none", zorder=3)
    )
    axes.text((left + right) / 2, row, text, ha="center", va="center", color="white", fontsize=9.5, zorder=4)


# A job


def rank_losses(log: pd.DataFrame, note: str = "") -> Figure:
    """The loss of each rank's own images by update, and their mean; log as in log.csv of a run by several workers."""
    figure = Figure(figsize=(10, 3.4), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    own = [column for column in log.columns if column.startswith("loss_") and column[5:].isdigit()]
    for rank, column in enumerate(own):
        color = RANK_COLORS[rank % len(RANK_COLORS)]
        axes.plot(log["step"], log[column], "o-", color=color, ms=4, lw=1.2, label=f"rank {rank}")
    if own:
        axes.plot(log["step"], log["loss"], color=INK, lw=2.8, alpha=0.7, label="mean")
        axes.legend(loc="upper right")
    axes.set(xlabel="update", ylabel="loss")
    axes.set_title(note, loc="left", fontsize=10, color=QUIET)
    axes.grid(alpha=0.3)
    return figure


def same_weights(ours: np.ndarray, theirs: np.ndarray, start: np.ndarray, labels: tuple[str, str]) -> Figure:
    """Each weight (M,) of two trainings as a dot, which lies on the line where they agree, and how far it has come.

    start: (M,), the weights before training; labels: of `ours` and `theirs`.
    """
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=DPI)
    left, right = figure.subplots(1, 2)
    apart = np.abs(ours - theirs).max()
    verdict = f"at most {apart:.1g} apart" if apart else "equal to the last bit"
    for axes, y, name, title in (
        (left, start, "before training", "how far they have come"),
        (right, ours, labels[0], verdict),
    ):
        axes.axline((0, 0), slope=1, color="0.7", lw=1, zorder=1)
        axes.scatter(theirs, y, s=6, alpha=0.5, color=RANK_COLORS[0], linewidths=0, rasterized=True, zorder=2)
        axes.set(xlabel=f"each weight, {labels[1]}", ylabel=name, title=title)
        axes.grid(alpha=0.3)
    return figure


def job(spans: Mapping[str, Sequence[Span]], events: Mapping[str, float]) -> Figure:
    """A row a process with what it did and when, and a line at each event, in seconds from the start."""
    figure = Figure(figsize=(10, 1.5 + 0.5 * len(spans)), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    for row, parts in enumerate(spans.values()):
        color = RANK_COLORS[row % len(RANK_COLORS)]
        for span in parts:
            look = {"trains": {"color": color}, "starts": {"color": color, "alpha": 0.35}}
            look = look.get(span.what, {"color": PALE, "hatch": "///", "ec": "0.7", "lw": 0})
            axes.barh(row, span.end - span.start, left=span.start, height=0.6, **look)
            if span.end > span.start:
                axes.text((span.start + span.end) / 2, row, span.what, ha="center", va="center", fontsize=9)
    for k, (name, second) in enumerate(events.items()):
        axes.axvline(second, color=ALARM, lw=1.5)
        axes.annotate(
            f"{name} ({second:.0f} s)", (second, 1), (-4, 4 + 13 * k), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right", fontsize=9, color=ALARM,
        )  # fmt: skip
    axes.set_yticks(range(len(spans)), list(spans))
    axes.invert_yaxis()
    last = max(*events.values(), *(span.end for parts in spans.values() for span in parts))
    axes.set(xlabel="seconds", xlim=(0, 1.01 * last))
    return figure


# A rank table


def rank_table(table: Mapping) -> Figure:
    """What a rank table for Ascend says: a box a host, and in it each device with its rank and network address.

    table: the parsed JSON file, in the layout "1.0".
    """
    servers = table["server_list"]
    columns = max(len(server["device"]) for server in servers)
    figure = Figure(figsize=(11, 0.6 + 1.75 * len(servers)), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    for row, server in enumerate(servers):
        _box(axes, -0.08, -row - 0.42, columns - 0.02, 0.84, PALE)
        axes.text(-0.2, -row, f"server_id\n{server['server_id']}", ha="right", va="center", fontsize=10, color=INK)
        for column, device in enumerate(server["device"]):
            _box(axes, column, -row - 0.33, 0.86, 0.66, RANK_COLORS[row % len(RANK_COLORS)])
            style = {"ha": "center", "va": "center", "color": "white"}
            axes.text(column + 0.43, -row + 0.18, f"rank_id {device['rank_id']}", fontsize=9, weight="bold", **style)
            below = f"device_id {device['device_id']}\ndevice_ip\n{device['device_ip']}"
            axes.text(column + 0.43, -row - 0.1, below, fontsize=8, **style)
    count = sum(len(server["device"]) for server in servers)
    axes.set_title(f"server_count {table['server_count']}, {count} ranks, status {table['status']}", fontsize=11)
    axes.set(xlim=(-1.3, columns), ylim=(-len(servers) + 0.5, 0.5))
    axes.axis("off")
    return figure


def _box(axes: Axes, x: float, y: float, width: float, height: float, color: str) -> None:
    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, fc=color, ec="none"))
