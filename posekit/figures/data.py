"""Pictures of a data set: samples, label statistics, viewpoints. For any skeleton.

Keypoints on the object's left are orange, on its right blue, in the middle green; a hidden keypoint is a ring.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from posekit import palette
from posekit.datasets.dataset import PoseDataset, Sample
from posekit.drawing import limb_colors, side_colors
from posekit.figures.style import new_figure, show_picture
from posekit.geometry import Size, fit_box, sides
from posekit.skeletons import Skeleton, without_side

OUTLINE = [withStroke(linewidth=2, foreground="black")]  # path effects of text on pictures


def side_palette(skeleton: Skeleton) -> np.ndarray:
    """Return one colour per keypoint, (K, 3) in 0 to 1."""
    return np.array(side_colors(skeleton)) / 255


def limb_palette(skeleton: Skeleton) -> np.ndarray:
    """Return one colour per limb, (L, 3) in 0 to 1; grey where it joins left and right."""
    return np.array(limb_colors(skeleton)).reshape(-1, 3) / 255


def segment_palette(skeleton: Skeleton) -> np.ndarray:
    """Return a colour per segment, (S, 3) in 0 to 1: orange left, blue right, green to yellow between."""
    sides = [{skeleton.keypoints[k].split()[0] for k in segment} for segment in skeleton.segments]
    maps = {"left": ("Oranges", 0.45, 0.75), "right": ("Blues", 0.45, 0.8), "": ("viridis", 0.45, 1.0)}
    names = [next(iter(side)) if len(side) == 1 else "" for side in sides]
    colors = np.zeros((len(names), 3))
    for name, (cmap, low, high) in maps.items():
        these = [number for number, side in enumerate(names) if side == name]
        colors[these] = colormaps[cmap](np.linspace(low, high, len(these)))[:, :3]
    return colors


def labelled(keypoints: np.ndarray) -> np.ndarray:
    """Return which keypoints (..., K, 2) have coordinates, (..., K) bool; a missing one is at (0, 0)."""
    return (keypoints != 0).any(-1)


def seen(dataset: PoseDataset) -> np.ndarray:
    """Return which keypoints have coordinates and aren't occluded, (N, K) bool."""
    return dataset.visible & ~dataset.hidden


def clearest(dataset: PoseDataset, among: int = 2000) -> int:
    """Return the index of a good example: a large sample whose visible keypoints are far apart from each other."""
    points, visible = dataset.keypoints[:among], seen(dataset)[:among]
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)  # (N, K, K)
    apart[:, np.eye(points.shape[1], dtype=bool)] = np.inf
    apart[~(visible[:, :, None] & visible[:, None])] = np.inf
    nearest = apart.min(-1)  # (N, K)
    nearest[~np.isfinite(nearest)] = 0
    box_size = dataset.box_size[:among]
    score = nearest.sum(1) / box_size * (box_size >= np.quantile(box_size, 0.75))
    return int(score.argmax())


def show_pose(
    axes: Axes,
    image: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    skeleton: Skeleton,
    size: float = 18,
    hidden: bool = True,
    title: str = "",
) -> None:
    """Draw an image (H, W, 3) with keypoints (K, 2) in its pixels: visible ones filled, with limbs; hidden as rings.

    `size` is a marker's area in points². The axes keep to the image.
    """
    show_picture(axes, image, title)
    draw_skeleton(axes, keypoints, visible, skeleton, size)
    if hidden:
        rings = labelled(keypoints) & ~visible
        look = {"facecolors": "none", "edgecolors": side_palette(skeleton)[rings], "linewidths": 0.9, "zorder": 3}
        axes.scatter(*keypoints[rings].T, s=size * 0.6, **look)


def draw_skeleton(axes: Axes, keypoints: np.ndarray, visible: np.ndarray, skeleton: Skeleton, size: float = 18) -> None:
    """Draw the visible ones (K,) of the keypoints (K, 2), and the limbs between them, over a picture."""
    limbs = np.array([visible[a] and visible[b] for a, b in skeleton.limbs], bool)  # those that are drawn
    lines = keypoints[np.array(skeleton.limbs, int).reshape(-1, 2)[limbs]]  # (L, 2, 2)
    axes.add_collection(LineCollection(list(lines), colors=limb_palette(skeleton)[limbs], linewidths=1.1))
    look = {"color": side_palette(skeleton)[visible], "edgecolors": "white", "linewidths": 0.6, "zorder": 3}
    axes.scatter(*keypoints[visible].T, s=size, **look)


def contact_sheet(dataset: PoseDataset, indices: Sequence[int], columns: int = 6) -> Figure:
    """Draw samples side by side with their labels."""
    rows = -(-len(indices) // columns)
    figure, panels = new_figure(10, 10 / columns * rows * 0.92 + 0.2, rows, columns)
    for axes in panels.flat:
        axes.axis("off")
    for axes, index in zip(panels.flat, indices, strict=False):
        image, points, visible = dataset.image(index), dataset.keypoints[index], seen(dataset)[index]
        title = f"#{index}  {image.shape[1]}×{image.shape[0]}"
        show_pose(axes, image, points, visible, dataset.skeleton, size=9, title=title)
    return figure


def label_card(sample: Sample, skeleton: Skeleton) -> Figure:
    """Draw a sample with numbered visible keypoints; list number, name and visibility of all keypoints beside it."""
    figure, (picture, names) = new_figure(10, 5.6, 2, width_ratios=(1.25, 1))
    show_pose(picture, sample.image, sample.keypoints, sample.visible, skeleton, size=26)
    middle = sample.keypoints[sample.visible].mean(0)
    style = {"color": "white", "fontsize": 8, "ha": "center", "va": "center", "path_effects": OUTLINE}
    for k in np.flatnonzero(sample.visible):
        away = sample.keypoints[k] - middle
        shift = (8, -8) * away / max(np.linalg.norm(away), 1e-6)
        picture.annotate(str(k), sample.keypoints[k], shift, textcoords="offset points", **style)
    _list_names(names, sample.visible, skeleton)
    return figure


def _list_names(axes: Axes, visible: np.ndarray, skeleton: Skeleton) -> None:
    colors, half = side_palette(skeleton), -(-skeleton.num_keypoints // 2)
    for k, name in enumerate(skeleton.keypoints):
        column, row = divmod(k, half)
        face = colors[k] if visible[k] else "none"
        axes.scatter(column, -row, s=34, facecolors=[face], edgecolors=[colors[k]])
        axes.text(column + 0.05, -row, f"{k}  {name}", fontsize=8, va="center", color="black" if visible[k] else "0.5")
    axes.set(xlim=(-0.06, 1.95), ylim=(-max(half, 8) + 0.3, 0.9))  # few names aren't spread out
    axes.set_title("● visible   ○ hidden", fontsize=9)
    axes.set_axis_off()


def visibility_statistics(dataset: PoseDataset) -> Figure:
    """Draw how often each keypoint is visible, left next to right, and how many are visible per image."""
    skeleton, share = dataset.skeleton, 100 * seen(dataset).mean(0)
    colors, rows = side_palette(skeleton), parts(skeleton)
    figure, (bars, counts) = new_figure(10, 1.4 + 0.21 * len(rows), 2, grid="", width_ratios=(1.5, 1))
    for row, members in enumerate(rows.values()):
        for k in members:
            sign = -1 if skeleton.sides[k] == "left" else 1
            bars.barh(-row, sign * share[k], color=colors[k])
            style = {"ha": "right" if sign > 0 else "left", "va": "center", "fontsize": 8, "color": palette.INK}
            bars.text(sign * (share[k] - 2), -row, f"{share[k]:.0f}", **style)
    bars.axvline(0, color="white", linewidth=1)
    bars.set_yticks(range(0, -len(rows), -1), list(rows), fontsize=9)
    bars.set_xticks(range(-100, 101, 50), ["100", "50", "0", "50", "100"])
    middle = "" if all(skeleton.sides) else " (green: in the middle)"
    bars.set(xlabel="visible, % of the samples", title=f"← the object's left · its right →{middle}", xlim=(-100, 100))
    visible = seen(dataset).sum(1)
    counts.hist(visible, np.arange(skeleton.num_keypoints + 2) - 0.5, color="0.45")
    counts.axvline(visible.mean(), color="black", linestyle="--", label=f"mean {visible.mean():.1f}")
    counts.xaxis.set_major_locator(MaxNLocator(integer=True))
    counts.set(xlabel=f"visible keypoints, of {skeleton.num_keypoints}", ylabel="samples", title="Per sample")
    counts.legend(frameon=False)
    return figure


def parts(skeleton: Skeleton) -> dict[str, list[int]]:
    """Group keypoints by their name without their side, in the skeleton's order: the indices of one or two each."""
    partner = {b: a for a, b in skeleton.flip_pairs}
    rows: dict[str, list[int]] = {}
    for k in range(skeleton.num_keypoints):
        rows.setdefault(without_side(skeleton.keypoints[partner.get(k, k)]), []).append(k)
    return rows


def size_statistics(dataset: PoseDataset, input_size: Size) -> Figure:
    """Draw the sizes of the boxes, the scale of crops of `input_size`, and the extents of the objects."""
    figure, (boxes, zoom, extent) = new_figure(10, 3.2, 3, grid="")
    boxes.hist(dataset.box_size, 40, color="0.45")
    longer = max(sides(input_size))
    boxes.axvline(longer, color=palette.LIMIT, label=f"the network's input, {longer} px")
    boxes.set(xlabel="box side, pixels", ylabel="samples", title="The square box")
    boxes.legend(frameon=False, fontsize=8)
    scale = sides(input_size)[0] / fit_box(dataset.box_size, dataset.box, input_size)[0]
    zoom.hist(scale, np.geomspace(min(scale.min(), 0.5), max(scale.max(), 2), 40), color="0.45")
    zoom.axvline(1, color=palette.LIMIT)
    zoom.set_xscale("log", base=2)
    zoom.xaxis.set_major_formatter("{x:g}")
    zoom.set(xlabel="input pixels per image pixel", title=f"{100 * (scale < 1).mean():.0f} % of the crops are shrunk")
    points = np.where(labelled(dataset.keypoints)[..., None], dataset.keypoints, np.nan)
    width, height = (np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).T
    extent.plot(width, height, ".", color="0.35", markersize=3, alpha=0.4)
    extent.axline((0, 0), slope=1, color=palette.LIMIT, linewidth=1, label="width = height")
    extent.set(xlabel="width, pixels", ylabel="height, pixels", title="Box around the keypoints")
    extent.legend(frameon=False, fontsize=8)
    return figure


def viewpoint_wheel(dataset: PoseDataset, azimuths: np.ndarray, pictures: int = 12) -> Figure:
    """Draw the distribution of camera directions around the object, seen from above, with samples.

    azimuths (N,) in degrees: 0 in front of the object, 90 on its left, 180 behind, 270 on its right.
    """
    figure, rose = new_figure(9, 9, subplot_kw={"projection": "polar", "theta_offset": np.pi / 2})
    rose.set_position((0.275, 0.275, 0.45, 0.45))
    width = 15
    counts = np.histogram((azimuths + width / 2) % 360, np.arange(0, 361, width))[0]
    rose.bar(np.radians(np.arange(0, 360, width)), counts, np.radians(width) * 0.92, color="0.5", zorder=2)
    rose.set_xticks(np.radians([0, 90, 180, 270]), ["front", "left", "back", "right"], fontsize=11)
    rose.tick_params(axis="x", pad=9)
    rose.set_rlabel_position(70)
    rose.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    rose.tick_params(axis="y", labelsize=7)
    for angle in np.arange(pictures) * 360 / pictures:
        index, theta = int(np.abs((azimuths - angle + 180) % 360 - 180).argmin()), np.radians(angle)
        x, y = 0.5 - 0.4 * np.sin(theta), 0.5 + 0.4 * np.cos(theta)
        axes = figure.add_axes((x - 0.1, y - 0.09, 0.2, 0.165))
        image, points, visible = dataset.image(index), dataset.keypoints[index], seen(dataset)[index]
        title = f"{azimuths[index].round() % 360:.0f}°"
        show_pose(axes, image, points, visible, dataset.skeleton, size=8, hidden=False, title=title)
    return figure
