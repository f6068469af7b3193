"""Pictures of re-identification data: surface segments, what MultiTaskNet is given, and what a score says."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke

from posekit.figures.data import new_figure, side_palette
from posekit.skeletons import Skeleton

_OUTLINE = [withStroke(linewidth=2, foreground="black")]


def segment_palette(skeleton: Skeleton) -> np.ndarray:
    """A colour a segment, (S, 3) in 0 to 1: orange on the object's left, blue on its right, green to red between."""
    sides = [{skeleton.keypoints[k].split()[0] for k in segment} for segment in skeleton.segments]
    maps = {"left": ("Oranges", 0.45, 0.75), "right": ("Blues", 0.45, 0.8), "": ("rainbow", 0.4, 0.95)}
    names = [next(iter(side)) if len(side) == 1 else "" for side in sides]
    colors = np.zeros((len(names), 3))
    for name, (cmap, low, high) in maps.items():
        these = [number for number, side in enumerate(names) if side == name]
        colors[these] = colormaps[cmap](np.linspace(low, high, len(these)))[:, :3]
    return colors


def segment_pictures(
    images: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    shown: np.ndarray,
    titles: Sequence[str],
    skeleton: Skeleton,
) -> Figure:
    """Images (H, W, 3) side by side; segments of keypoints (K, 2) are filled and numbered where shown (N, S) says."""
    figure = _page(images)
    for axes, image, points, visible, title in zip(
        figure.subplots(1, len(images), squeeze=False)[0], images, keypoints, shown, titles, strict=True
    ):
        _picture(axes, image, title)
        _fill(axes, points, np.flatnonzero(visible), skeleton)
    return figure


def corner_pictures(
    image: np.ndarray, keypoints: np.ndarray, numbers: Sequence[int], titles: Sequence[str], skeleton: Skeleton
) -> Figure:
    """A panel a segment of `numbers`: arrows from corner to corner, keypoints (K, 2) in the image, in their order."""
    figure = _page([image] * len(numbers))
    for axes, number, title in zip(figure.subplots(1, len(numbers), squeeze=False)[0], numbers, titles, strict=True):
        _picture(axes, image, title)
        corners = keypoints[list(skeleton.segments[number])]
        axes.add_patch(Polygon(corners, facecolor=segment_palette(skeleton)[number], alpha=0.5))
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            axes.annotate("", b, a, arrowprops={"arrowstyle": "-|>", "color": "white", "shrinkA": 0, "shrinkB": 0})
        for k, corner in zip(skeleton.segments[number], corners, strict=True):
            axes.plot(*corner, "o", color=side_palette(skeleton)[k], markersize=5, markeredgecolor="white")
            axes.annotate(str(k), corner, (4, 4), textcoords="offset points", color="white", fontsize=8,
                          path_effects=_OUTLINE)  # fmt: skip
    return figure


def map_rows(rows: dict[str, np.ndarray], names: Sequence[str]) -> Figure:
    """A row of small maps (M, h, w) a name, 0–255 from black to white; `names` (M,) stand above the first."""
    count = len(names)
    figure = new_figure(10, 0.25 + 10 / count * 1.1 * len(rows))
    panels = figure.subplots(len(rows), count, squeeze=False)
    for line, (title, maps) in zip(panels, rows.items(), strict=True):
        for axes, picture in zip(line, maps, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, fontsize=8)
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize=8)
    return figure


def channel_pictures(
    image: np.ndarray,
    heatmaps: dict[str, np.ndarray],
    segments: dict[str, np.ndarray],
    points: np.ndarray,
    skeleton: Skeleton,
) -> Figure:
    """What MultiTaskNet is given, laid over the image (H, W, 3): above heatmaps (M, H, W), below segments (S, H, W).

    Maps are 0–255, of the image's size. Green dots on the heatmaps are points (M, 2) in the image, the decoded ones.
    """
    columns = max(1 + len(heatmaps), len(segments))
    figure = new_figure(10, 2 * (10 / columns * image.shape[0] / image.shape[1] + 0.35))
    upper, lower = figure.subplots(2, columns)
    _picture(upper[0], image, "colours")
    for axes, (name, maps) in zip(upper[1:], heatmaps.items(), strict=False):
        highest = maps.max(0) / 255
        _picture(axes, image, name)
        axes.imshow(highest, cmap="inferno", alpha=np.clip(1.3 * highest, 0, 0.9), vmin=0, vmax=1)
        axes.scatter(*points.T, s=24, color="#35d04a", edgecolors="black", linewidths=0.6)
    for axes, (name, maps) in zip(lower, segments.items(), strict=False):
        _picture(axes, image, name)
        for color, picture in zip(segment_palette(skeleton), maps / 255, strict=True):
            axes.imshow(np.broadcast_to(color, (*picture.shape, 3)), alpha=0.6 * picture)
    for axes in (*upper[1 + len(heatmaps) :], *lower[len(segments) :]):
        axes.set_axis_off()
    return figure


def score_and_visibility(scores: np.ndarray, visible: np.ndarray, mark: float, bins: int = 20) -> Figure:
    """What scores (M,) say about visible (M,). Left their distributions; right how many of each score can be seen.

    The dashed diagonal is a score that is the probability of being visible; the line at `mark` is MultiTaskNet's limit.
    """
    figure = new_figure(10, 3.6)
    left, right = figure.subplots(1, 2)
    edges = np.linspace(0, max(1.0, float(scores.max())), bins + 1)
    for name, these, color in (("visible", visible, "tab:green"), ("hidden", ~visible, "tab:red")):
        share = 100 * np.histogram(scores[these], edges)[0] / max(these.sum(), 1)
        left.stairs(share, edges, fill=True, alpha=0.45, color=color, label=f"{name} ({these.sum():,})")
    left.set(xlabel="score", ylabel="share (%)", title="scores of visible and hidden keypoints")
    left.legend(loc="upper left")
    counts, good = np.histogram(scores, edges)[0], np.histogram(scores[visible], edges)[0]
    enough = counts >= 10
    middle = (edges[:-1] + edges[1:]) / 2
    right.plot([0, 1], [0, 100], linestyle="--", color="0.5", linewidth=1, label="if it were a probability")
    right.plot(middle[enough], 100 * good[enough] / counts[enough], "o-", color="tab:blue", label="this network")
    right.set(xlabel="score", ylabel="visible (%)", ylim=(0, 103), title="of the keypoints with that score")
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.axvline(mark, color="0.3", linestyle=":", linewidth=1.5)
        axes.grid(alpha=0.3)
    return figure


def gate_curves(ways: dict[str, tuple[np.ndarray, np.ndarray]], marks: dict[str, int]) -> Figure:
    """Gates by threshold: a curve a name of what they keep of the visible segments (T,) and how much of what they keep
    is visible (T,), both in percent; a dot at the index `marks` has for it."""
    figure = new_figure(8, 4.4)
    axes = figure.subplots()
    for color, (name, (kept, right)) in enumerate(ways.items()):
        axes.plot(kept, right, color=f"C{color}", label=name)
        if name in marks:
            at = marks[name]
            axes.plot(kept[at], right[at], "o", color=f"C{color}", markersize=9)
    axes.set(xlabel="visible segments that are kept (%)", ylabel="kept segments that are visible (%)")
    axes.set(xlim=(0, 101), ylim=(None, 101))
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _page(images: Sequence[np.ndarray]) -> Figure:
    """A figure for images side by side, as high as the highest needs."""
    return new_figure(10, 10 / len(images) * max(image.shape[0] / image.shape[1] for image in images) + 0.35)


def _picture(axes: Axes, image: np.ndarray, title: str) -> None:
    height, width = image.shape[:2]
    axes.imshow(image)
    axes.set_title(title, fontsize=9)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_frame_on(False)


def _fill(axes: Axes, points: np.ndarray, numbers: Sequence[int], skeleton: Skeleton) -> None:
    palette = segment_palette(skeleton)
    for number in numbers:
        corners = points[list(skeleton.segments[number])]
        axes.add_patch(Polygon(corners, facecolor=palette[number], alpha=0.5, edgecolor="white", linewidth=0.8))
        axes.annotate(str(number), corners.mean(0), color="white", fontsize=8, ha="center", va="center",
                      path_effects=_OUTLINE)  # fmt: skip
