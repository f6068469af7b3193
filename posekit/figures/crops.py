"""Pictures of one sample on its way: crop, mirror, augmentation, heatmaps, and decoding. For any skeleton."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from posekit.codecs import Codec
from posekit.datasets.dataset import Sample
from posekit.datasets.pipeline import Augmentation, Crop
from posekit.figures.data import new_figure, show_pose, side_palette
from posekit.geometry import invert, transform_points
from posekit.skeletons import Skeleton


def show_box(axes: Axes, crop: Crop, color: object = "crimson") -> None:
    """Outline in the image what the crop takes; the thick side is the crop's top."""
    size = crop.image.shape[0]
    corners = np.array([(0, 0), (size, 0), (size, size), (0, size), (0, 0)], float) - 0.5
    outline = transform_points(invert(crop.matrix), corners)
    axes.plot(*outline.T, color=color, linewidth=1)
    axes.plot(*outline[:2].T, color=color, linewidth=2.5)


def show_heatmaps(axes: Axes, image: np.ndarray, heatmaps: np.ndarray, skeleton: Skeleton) -> None:
    """Heatmaps (K, h, w) over the darkened crop (S, S, 3), each in its side's colour; cells stay square."""
    grey = image.mean(-1) / 255 * 0.5
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1)
    strength = np.clip(heatmaps.max(0), 0, 1)
    tint = side_palette(skeleton)[heatmaps.argmax(0)]  # (h, w, 3)
    axes.imshow(np.dstack([tint, strength]), extent=_cell_extent(image.shape[0], heatmaps.shape[-1]))
    _bare(axes, image.shape[0])


def _cell_extent(size: int, cells: int) -> tuple[float, float, float, float]:
    """Where a heatmap lies on its input: cell i is centred on the pixel i * stride."""
    stride = size / cells
    return -0.5 * stride, size - 0.5 * stride, size - 0.5 * stride, -0.5 * stride


def _bare(axes: Axes, size: int) -> None:
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xticks=[], yticks=[])


def data_flow(sample: Sample, crop: Crop, heatmaps: np.ndarray, found: np.ndarray, skeleton: Skeleton) -> Figure:
    """The way of one image: file, crop, heatmaps (K, h, w), and keypoints (K, 2) back in image pixels."""
    figure = new_figure(11, 3.3)
    figure.get_layout_engine().set(wspace=0.09)
    panels = figure.subplots(1, 4)
    nothing = np.zeros(len(sample.visible), bool)
    show_pose(panels[0], sample.image, sample.keypoints, nothing, skeleton, hidden=False)
    show_box(panels[0], crop)
    panels[0].autoscale()
    panels[1].imshow(crop.image)
    _bare(panels[1], crop.image.shape[0])
    show_heatmaps(panels[2], crop.image, heatmaps, skeleton)
    show_pose(panels[3], sample.image, found, sample.visible, skeleton, hidden=False)
    height, width = sample.image.shape[:2]
    half = max(height, width) / 2  # a square like the others
    panels[3].set(xlim=(width / 2 - half, width / 2 + half), ylim=(height / 2 + half, height / 2 - half))
    cells, side = heatmaps.shape[-1], crop.image.shape[0]
    titles = (
        f"1  image and box\n{width}×{height} pixels",
        f"2  crop: the input\n{side}×{side} pixels",
        f"3  heatmaps\n{len(heatmaps)} of {cells}×{cells} cells",
        f"4  keypoints\n{len(found)} × (x, y, score)",
    )
    rooms = ("datasets", "geometry, pipeline", "models · codecs", "codecs · metrics")
    for axes, title, room in zip(panels, titles, rooms, strict=True):
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(f"posekit.{room}", fontsize=9, color="0.4")
    for left, right in zip(panels, panels[1:], strict=False):
        _arrow(figure, left, right)
    return figure


def _arrow(figure: Figure, left: Axes, right: Axes) -> None:
    """An arrow from one panel to the next; it takes no part in the layout."""
    arrow = ConnectionPatch(
        (1.0, 0.5), (0.0, 0.5), "axes fraction", "axes fraction", axesA=left, axesB=right,
        arrowstyle="-|>", mutation_scale=22, color="0.3", linewidth=1.5, shrinkA=2, shrinkB=2,
    )  # fmt: skip
    arrow.set_in_layout(False)
    figure.add_artist(arrow)


def mirrored(plain: Crop, wrong: Crop, right: Crop, skeleton: Skeleton) -> Figure:
    """A crop, its mirror image with the labels' order kept (wrong), and with left and right exchanged."""
    titles = (
        "the crop and its labels",
        "mirrored, labels only moved: wrong\n(the side we see is called what it was)",
        "mirrored, then each pair exchanged: correct\n(the side we see has the other name)",
    )
    low, high = plain.keypoints[:, 1].min(), plain.keypoints[:, 1].max()
    margin = 0.12 * (high - low)
    height = (high - low + 2 * margin) / plain.image.shape[0]
    figure = new_figure(11, 11 / 3 * height + 0.6)
    for axes, crop, title in zip(figure.subplots(1, 3), (plain, wrong, right), titles, strict=True):
        show_pose(axes, crop.image, crop.keypoints, crop.visible, skeleton)
        axes.set_ylim(high + margin, low - margin)
        axes.set_title(title, fontsize=10)
    return figure


def augmentations(sample: Sample, draws: Sequence[tuple[Augmentation, Crop]], skeleton: Skeleton) -> Figure:
    """The image with the boxes that were cut out of it, and each crop as the network gets it."""
    columns = 4
    rows = -(-(len(draws) + 1) // columns)
    figure = new_figure(10, 2.75 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    panels[0].imshow(sample.image)
    for _, crop in draws:
        show_box(panels[0], crop, color=(0.9, 0.1, 0.3, 0.5))
    panels[0].autoscale()
    panels[0].set(xticks=[], yticks=[])
    panels[0].set_title("image and drawn boxes\n(thick: the crop's top)", fontsize=9)
    for axes, (drawn, crop) in zip(panels[1:], draws, strict=False):
        show_pose(axes, crop.image, crop.keypoints, crop.visible, skeleton, size=12, hidden=False)
        flipped = ", mirrored" if drawn.flip else ""
        axes.set_title(f"×{drawn.scale:.2f}, {drawn.rotation:+.0f}°{flipped}", fontsize=9)
    for axes in panels[len(draws) + 1 :]:
        axes.set_axis_off()
    return figure


def heatmap_layers(
    crop: Crop, heatmaps: np.ndarray, weights: np.ndarray, skeleton: Skeleton, shown: Sequence[int]
) -> Figure:
    """A crop, all its heatmaps (K, h, w) over it, and the maps of the keypoints `shown` one by one."""
    columns = -(-len(shown) // 2)
    figure = new_figure(11, 11 / (4 + columns) * 2 + 0.8)
    grid = figure.add_gridspec(2, 4 + columns)
    whole, all_maps = figure.add_subplot(grid[:, :2]), figure.add_subplot(grid[:, 2:4])
    show_pose(whole, crop.image, crop.keypoints, crop.visible, skeleton, size=14)
    whole.set_title("crop and labels", fontsize=10)
    show_heatmaps(all_maps, crop.image, heatmaps, skeleton)
    all_maps.set_title(f"all {len(heatmaps)} heatmaps", fontsize=10)
    for place, k in enumerate(shown):
        axes = figure.add_subplot(grid[place // columns, 4 + place % columns])
        axes.imshow(heatmaps[k], cmap="magma", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        title = f"{k}  {skeleton.keypoints[k]}\nweight {weights[k]:g}"
        axes.set_title(title, fontsize=8, pad=3, color=side_palette(skeleton)[k] * 0.8)
    return figure


def sigma_effect(crop: Crop, keypoint: int, codecs: Sequence[Codec], skeleton: Skeleton) -> Figure:
    """The target of one keypoint under several codecs, over the crop, and a row of cells through each peak."""
    figure = new_figure(10, 2.9)
    panels = figure.subplots(1, len(codecs) + 1, width_ratios=(*(1 for _ in codecs), 1.45))
    profile, size = panels[-1], crop.image.shape[0]
    for axes, codec, color in zip(panels, codecs, ("C0", "C1", "C2", "C3"), strict=False):
        heatmap = codec.encode(crop.keypoints, crop.visible)[0][keypoint]  # (h, w)
        axes.imshow(crop.image.mean(-1) * 0.6, cmap="gray", vmin=0, vmax=255)
        glow = np.clip(heatmap * 1.2, 0, 0.95)
        axes.imshow(heatmap, cmap="hot", vmin=0, vmax=1, alpha=glow, extent=_cell_extent(size, codec.heatmap_size))
        axes.plot(*crop.keypoints[keypoint], "+", color="deepskyblue", markersize=9)
        _bare(axes, size)
        axes.set_title(f"σ = {codec.sigma:g} cells", fontsize=10, color=color)
        row = heatmap[np.unravel_index(heatmap.argmax(), heatmap.shape)[0]]
        profile.step(np.arange(len(row)) * codec.stride, row, where="mid", color=color, label=f"σ = {codec.sigma:g}")
    profile.axvline(crop.keypoints[keypoint, 0], color="0.3", linestyle=":", label="keypoint")
    profile.set(xlabel="x, input pixels", ylabel="target", title=skeleton.keypoints[keypoint])
    profile.legend(frameon=False, fontsize=8)
    return figure


def decoding(
    heatmap: np.ndarray, stride: float, true: np.ndarray, found: dict[str, np.ndarray], errors: dict[str, np.ndarray]
) -> Figure:
    """One heatmap (h, w) around its peak with the true keypoint and each decoder's, and each decoder's errors.

    true (2,), found (2,) and errors (M,) are in input pixels.
    """
    figure = new_figure(10, 4.2)
    zoom, spread = figure.subplots(1, 2, width_ratios=(1, 1.35))
    zoom.imshow(heatmap, cmap="Greys", vmin=0, vmax=1.6)
    zoom.plot(*(true / stride), "+", color="black", markersize=18, markeredgewidth=2, label="true keypoint")
    x, y = np.round(true / stride)
    for (name, point), marker, color in zip(found.items(), "sDo", ("C3", "C1", "C2"), strict=False):
        zoom.plot(*(point / stride), marker, color=color, markersize=8, linestyle="none", label=name)
        error = np.sort(errors[name])
        share = np.arange(1, len(error) + 1) / len(error) * 100
        spread.plot(error, share, color=color, label=f"{name}: mean {error.mean():.2f} px")
    zoom.set(xlim=(x - 2.5, x + 2.5), ylim=(y + 2.5, y - 2.5), xlabel="cell", title="A heatmap's peak, cell by cell")
    zoom.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, markerscale=0.7)
    spread.set(xlabel="error, input pixels", ylabel="% of the keypoints", title="Keypoint → heatmap → keypoint")
    spread.set(ylim=(0, 101), xlim=(0, None))
    spread.legend(frameon=False, loc="lower right")
    spread.grid(alpha=0.3)
    return figure
