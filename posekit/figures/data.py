"""Pictures of a data set: its samples, its labels in numbers, its viewpoints. For any skeleton.

The object's left is orange, its right blue, what has no side green; a hidden keypoint is a ring.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from posekit.datasets.dataset import PoseDataset, Sample
from posekit.drawing import side_colors
from posekit.skeletons import Skeleton

DPI = 110


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, in the style of all of them."""
    return Figure(figsize=(width, height), layout="constrained", dpi=DPI)


def side_palette(skeleton: Skeleton) -> np.ndarray:
    """A colour a keypoint, (K, 3) in 0 to 1."""
    return np.array(side_colors(skeleton)) / 255


def labelled(keypoints: np.ndarray) -> np.ndarray:
    """Which keypoints (..., K, 2) have coordinates at all, (..., K): a missing one is at (0, 0)."""
    return (keypoints != 0).any(-1)


def seen(dataset: PoseDataset) -> np.ndarray:
    """Which keypoints have coordinates and nothing in front of them, (N, K)."""
    return dataset.visible & ~dataset.hidden


def clearest(dataset: PoseDataset, among: int = 2000) -> int:
    """The index of a large sample whose visible keypoints lie farthest apart from each other, for one to look at."""
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
) -> None:
    """Draw an image (H, W, 3) with keypoints (K, 2) in its pixels: visible ones filled, with limbs; hidden as rings.

    `size` is a marker's area in points². The axes keep to the image.
    """
    palette, known = side_palette(skeleton), labelled(keypoints)
    axes.imshow(image)
    limbs = [(a, b) for a, b in skeleton.limbs if visible[a] and visible[b]]
    axes.add_collection(
        LineCollection([keypoints[[a, b]] for a, b in limbs], colors=[palette[a] for a, _ in limbs], linewidths=1.1)
    )
    axes.scatter(*keypoints[visible].T, s=size, color=palette[visible], edgecolors="white", linewidths=0.6, zorder=3)
    if hidden:
        rings = known & ~visible
        axes.scatter(
            *keypoints[rings].T, s=size * 0.6, facecolors="none", edgecolors=palette[rings], linewidths=0.9, zorder=3
        )
    height, width = image.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def contact_sheet(dataset: PoseDataset, indices: Sequence[int], columns: int = 6) -> Figure:
    """Samples side by side with their labels."""
    rows = -(-len(indices) // columns)
    figure = new_figure(10, 10 / columns * rows * 0.92 + 0.2)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, index in zip(cells, indices, strict=False):
        image = dataset.image(index)
        show_pose(axes, image, dataset.keypoints[index], seen(dataset)[index], dataset.skeleton, size=9)
        height, width = image.shape[:2]
        axes.set_title(f"#{index}  {width}×{height}", fontsize=8, pad=2)
    for axes in cells[len(indices) :]:
        axes.set_axis_off()
    return figure


def label_card(sample: Sample, skeleton: Skeleton) -> Figure:
    """One sample large, its visible keypoints numbered, with every keypoint's number, name and visibility beside it."""
    figure = new_figure(10, 5.6)
    picture, names = figure.subplots(1, 2, width_ratios=(1.25, 1))
    show_pose(picture, sample.image, sample.keypoints, sample.visible, skeleton, size=26)
    middle = sample.keypoints[sample.visible].mean(0)
    outline = [withStroke(linewidth=2, foreground="black")]
    for k in np.flatnonzero(sample.visible):
        away = sample.keypoints[k] - middle
        shift = 8 * away / max(np.linalg.norm(away), 1e-6)
        picture.annotate(
            str(k), sample.keypoints[k], xytext=(shift[0], -shift[1]), textcoords="offset points", color="white",
            fontsize=8, ha="center", va="center", path_effects=outline,
        )  # fmt: skip
    _list_names(names, sample.visible, skeleton)
    return figure


def _list_names(axes: Axes, visible: np.ndarray, skeleton: Skeleton) -> None:
    palette, half = side_palette(skeleton), -(-skeleton.num_keypoints // 2)
    for k, name in enumerate(skeleton.keypoints):
        column, row = divmod(k, half)
        face = palette[k] if visible[k] else "none"
        axes.scatter(column, -row, s=34, facecolors=[face], edgecolors=[palette[k]])
        axes.text(column + 0.05, -row, f"{k}  {name}", fontsize=8, va="center", color="black" if visible[k] else "0.5")
    axes.set(xlim=(-0.06, 1.95), ylim=(-half + 0.3, 0.9))
    axes.set_title("● visible   ○ hidden", fontsize=9)
    axes.set_axis_off()


def visibility_statistics(dataset: PoseDataset) -> Figure:
    """How often each keypoint is visible, left against right, and how many are in one image."""
    skeleton, share = dataset.skeleton, 100 * seen(dataset).mean(0)
    palette, rows = side_palette(skeleton), _rows(skeleton)
    figure = new_figure(10, 1.4 + 0.21 * len(rows))
    bars, counts = figure.subplots(1, 2, width_ratios=(1.5, 1))
    for row, members in enumerate(rows.values()):
        for k in members:
            sign = -1 if skeleton.keypoints[k].startswith("left") else 1
            bars.barh(-row, sign * share[k], color=palette[k])
            bars.text(sign * (share[k] - 2), -row, f"{share[k]:.0f}", ha="right" if sign > 0 else "left", va="center",
                fontsize=8, color="white")  # fmt: skip
    bars.axvline(0, color="white", linewidth=1)
    ticks = range(-100, 101, 50)
    bars.set_yticks(range(0, -len(rows), -1), list(rows), fontsize=9)
    bars.set_xticks(ticks, [str(abs(t)) for t in ticks])
    bars.set(xlabel="visible in % of the images", title="← the object's left · its right →", xlim=(-100, 100))
    visible = seen(dataset).sum(1)
    counts.hist(visible, np.arange(skeleton.num_keypoints + 2) - 0.5, color="0.45")
    counts.axvline(visible.mean(), color="black", linestyle="--", label=f"mean {visible.mean():.1f}")
    counts.set(xlabel=f"visible keypoints of {skeleton.num_keypoints}", ylabel="images", title="In one image")
    counts.legend(frameon=False)
    return figure


def _rows(skeleton: Skeleton) -> dict[str, list[int]]:
    """Keypoints by their name without the side, in the skeleton's order."""
    rows: dict[str, list[int]] = {}
    for k, name in enumerate(skeleton.keypoints):
        side, _, rest = name.partition(" ")
        rows.setdefault(rest if side in ("left", "right") else name, []).append(k)
    return rows


def size_statistics(dataset: PoseDataset, input_size: int) -> Figure:
    """How large the boxes are, how much a crop of `input_size` enlarges them, and the objects' extents."""
    figure = new_figure(10, 3.2)
    boxes, zoom, extent = figure.subplots(1, 3)
    boxes.hist(dataset.box_size, 40, color="0.45")
    boxes.axvline(input_size, color="crimson", label=f"the network's input, {input_size} px")
    boxes.set(xlabel="box side, pixels", ylabel="samples", title="The square box")
    boxes.legend(frameon=False, fontsize=8)
    scale = input_size / dataset.box_size
    zoom.hist(scale, np.geomspace(min(scale.min(), 0.5), max(scale.max(), 2), 40), color="0.45")
    zoom.axvline(1, color="crimson")
    zoom.set(
        xscale="log",
        xlabel="input pixels per image pixel",
        title=f"{100 * (scale < 1).mean():.0f} % of the crops are shrunk",
    )
    ticks = [t for t in (0.1, 0.25, 0.5, 1, 2, 4) if min(scale.min(), 0.5) <= t <= max(scale.max(), 2)]
    zoom.set_xticks(ticks, [f"{t:g}" for t in ticks])
    zoom.set_xticks([], minor=True)
    points = np.where(labelled(dataset.keypoints)[..., None], dataset.keypoints, np.nan)
    width, height = (np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).T
    extent.plot(width, height, ".", color="0.35", markersize=3, alpha=0.4)
    longest = max(np.nanmax(width), np.nanmax(height))
    extent.plot([0, longest], [0, longest], color="crimson", linewidth=1)
    extent.set(xlabel="width, pixels", ylabel="height, pixels", title="Box around the keypoints")
    return figure


def viewpoint_wheel(dataset: PoseDataset, azimuths: np.ndarray, pictures: int = 12) -> Figure:
    """Where the cameras stand around the object, seen from above, with samples at their places.

    azimuths (N,) in degrees: 0 in front of the object, 90 on its left, 180 behind, 270 on its right.
    """
    figure = Figure(figsize=(9, 9), dpi=DPI)
    rose = figure.add_axes((0.275, 0.275, 0.45, 0.45), projection="polar", theta_offset=np.pi / 2)
    width = 15
    counts = np.histogram((azimuths + width / 2) % 360, np.arange(0, 361, width))[0]
    rose.bar(np.radians(np.arange(0, 360, width)), counts, np.radians(width) * 0.92, color="0.5", zorder=2)
    rose.set_xticks(np.radians([0, 90, 180, 270]), ["front", "left", "back", "right"], fontsize=11)
    rose.set_rlabel_position(70)
    rose.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    rose.tick_params(axis="y", labelsize=7)
    rose.grid(alpha=0.4)
    for angle in np.arange(pictures) * 360 / pictures:
        apart = np.abs((azimuths - angle + 180) % 360 - 180)
        index = int(apart.argmin())
        theta = np.radians(angle)
        x, y = 0.5 - 0.4 * np.sin(theta), 0.5 + 0.4 * np.cos(theta)
        axes = figure.add_axes((x - 0.1, y - 0.09, 0.2, 0.165))
        image, points, visible = dataset.image(index), dataset.keypoints[index], seen(dataset)[index]
        show_pose(axes, image, points, visible, dataset.skeleton, size=8, hidden=False)
        axes.set_title(f"{azimuths[index]:.0f}°", fontsize=9, pad=2)
    return figure


def visibility_by_viewpoint(dataset: PoseDataset, azimuths: np.ndarray, sectors: int = 24) -> Figure:
    """Share of the images in which each keypoint is visible, by azimuth (N,) in degrees; empty sectors are white."""
    skeleton = dataset.skeleton
    sector = ((azimuths % 360) / 360 * sectors).astype(int) % sectors
    share = np.full((skeleton.num_keypoints, sectors), np.nan)
    for s in np.unique(sector):
        share[:, s] = 100 * seen(dataset)[sector == s].mean(0)
    figure = new_figure(10, 1.4 + 0.17 * skeleton.num_keypoints)
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="viridis", vmin=0, vmax=100, aspect="auto",
        extent=(0, 360, skeleton.num_keypoints - 0.5, -0.5))  # fmt: skip
    axes.set_yticks(range(skeleton.num_keypoints), skeleton.keypoints, fontsize=8)
    for label, color in zip(axes.get_yticklabels(), side_palette(skeleton), strict=True):
        label.set_color(color * 0.8)
    axes.set_xticks(range(0, 361, 90), ["front", "left", "back", "right", "front"])
    axes.set(xlabel="the camera stands at the object's …")
    figure.colorbar(picture, ax=axes, label="visible in % of the images", pad=0.01)
    return figure


def skeleton_3d(shape: np.ndarray, skeleton: Skeleton) -> Figure:
    """A shape (K, 3) (forward, left, up) as three orthographic cameras see it, to one scale, the near side on top."""
    x, y, z = (shape - (shape.max(0) + shape.min(0)) / 2).T
    # what goes right and up on the page, and towards the camera
    views = {"from its left": (-x, z, y), "from the front": (y, z, x), "from above, front to the left": (-x, -y, z)}
    palette = side_palette(skeleton)
    widths = [np.ptp(right) * 1.15 for right, _, _ in views.values()]
    height = max(np.ptp(up) for _, up, _ in views.values()) * 1.15
    figure = new_figure(10, 10 * height / sum(widths) + 0.4)
    panels = figure.subplots(1, 3, width_ratios=widths)
    for axes, width, (title, (right, up, near)) in zip(panels, widths, views.items(), strict=True):
        points = np.stack([right, up], 1)
        limbs = sorted(skeleton.limbs, key=lambda limb: near[list(limb)].sum())
        lines = [points[[a, b]] for a, b in limbs]
        axes.add_collection(LineCollection(lines, colors=[palette[a] for a, _ in limbs], linewidths=1.4))
        order = near.argsort()
        axes.scatter(*points[order].T, s=16, color=palette[order], zorder=3)
        axes.set(xlim=(-width / 2, width / 2), ylim=(-height / 2, height / 2), aspect="equal")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure
