"""Pictures of training on several devices: what each worker computes in an update, and a rank table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from posekit.figures.style import new_figure
from posekit.palette import GREY, INK, PALE, series


def rank_color(rank: int) -> str:
    """Return the colour of a rank."""
    return series(rank)


def data_parallel(batches: Sequence[np.ndarray]) -> Figure:
    """Draw one update twice: by one worker per batch, and by a single worker that accumulates the batches.

    batches: images (B, H, W, 3) uint8 RGB of each rank.
    """
    ranks, means = len(batches), " + ".join(f"g{rank}" for rank in range(len(batches)))
    figure, (left, right) = new_figure(11, 6, 2, width_ratios=(ranks, 1))
    for rank, images in enumerate(batches):
        label = f"worker {rank}: its {len(images)} images"
        _column(left, rank, label, images, [rank] * len(images), f"gradient g{rank}", rank_color(rank))
    _box(left, -0.46, ranks - 0.54, 3, f"AllReduce: every worker gets ({means}) / {ranks}")
    joined = np.concatenate([images[:2] for images in batches])
    label, owners = f"{ranks} batches of {len(batches[0])}, one by one", [k // 2 for k in range(len(joined))]
    _column(right, 0, label, joined, owners, f"adds up {means}", GREY)
    _box(right, -0.46, 0.46, 3, f"divides by {ranks}")
    for axes, width, title in ((left, ranks, f"{ranks} workers"), (right, 1, f"1 worker, accumulate={ranks}")):
        axes.set(xlim=(-0.52, width - 0.48), ylim=(-4.75, 0.95))
        axes.set_title(title, fontsize=12, weight="bold", color=INK)
        axes.axis("off")
    return figure


def _column(
    axes: Axes, x: float, label: str, images: np.ndarray, owners: Sequence[int], gradient: str, color: str
) -> None:
    """Draw a worker, from its images down to its new weights; `owners` are the ranks whose colours frame the images."""
    count = min(len(images), 4)
    for k in range(count):
        left, width = x - 0.44 + 0.88 * k / count, 0.81 / count
        axes.imshow(images[k], extent=(left, left + width, -0.2, 0.5), aspect="auto", zorder=2)
        frame = {"fill": False, "edgecolor": rank_color(owners[k]), "linewidth": 3, "zorder": 3}
        axes.add_patch(Rectangle((left, -0.2), width, 0.7, **frame))
    axes.text(x, 0.64, label, ha="center", fontsize=9.5, color=INK)
    for row, text, shade in ((1, "network, weights w", GREY), (2, gradient, color), (4, "w ← Adam(w, mean)", GREY)):
        _box(axes, x - 0.36, x + 0.36, row, text, shade)
    for row in range(4):
        axes.annotate("", (x, -row - 0.7), (x, -row - 0.3), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.3})
    axes.text(x, -4.55, "the same weights again", ha="center", fontsize=9, color=GREY)


def rank_table(table: Mapping[str, Any]) -> Figure:
    """Draw a rank table for Ascend: one box per host, in it the devices with their ranks and network addresses.

    table: the parsed JSON file, in the layout "1.0".
    """
    servers = table["server_list"]
    columns, count = max(len(server["device"]) for server in servers), sum(len(server["device"]) for server in servers)
    figure, axes = new_figure(11, 0.6 + 1.75 * len(servers))
    style = {"ha": "center", "va": "center", "color": "white", "zorder": 4}
    for row, server in enumerate(servers):
        _box(axes, -0.08, columns - 0.06, row, "", PALE, 0.84)
        axes.text(-0.2, -row, f"server_id\n{server['server_id']}", ha="right", va="center", fontsize=10, color=INK)
        for column, device in enumerate(server["device"]):
            _box(axes, column, column + 0.86, row, "", rank_color(row), 0.66)
            axes.text(column + 0.43, 0.18 - row, f"rank_id {device['rank_id']}", fontsize=9, weight="bold", **style)
            below = f"device_id {device['device_id']}\ndevice_ip\n{device['device_ip']}"
            axes.text(column + 0.43, -0.1 - row, below, fontsize=8, **style)
    axes.set_title(f"server_count {table['server_count']}, {count} ranks, status {table['status']}", fontsize=11)
    axes.set(xlim=(-1.3, columns), ylim=(-len(servers) + 0.5, 0.5))
    axes.axis("off")
    return figure


def _box(axes: Axes, left: float, right: float, row: float, text: str, color: str = INK, height: float = 0.56) -> None:
    """Draw a box with white text, centred on the row; rows are counted downwards."""
    corner, shape = (left, -row - height / 2), "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch(corner, right - left, height, boxstyle=shape, fc=color, ec="none", zorder=3))
    axes.text((left + right) / 2, -row, text, ha="center", va="center", color="white", fontsize=9.5, zorder=4)
