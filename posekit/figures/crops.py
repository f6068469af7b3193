"""Pictures of how one sample is processed: image, crop, augmentation, heatmaps, keypoints. For any skeleton."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import ConnectionPatch

from posekit import palette
from posekit.datasets.dataset import Sample
from posekit.datasets.pipeline import Augmentation, Crop
from posekit.figures.data import show_pose, side_palette
from posekit.figures.poses import cell_extent
from posekit.figures.style import new_figure, show_picture
from posekit.geometry import invert, transform_points
from posekit.skeletons import Skeleton


def show_box(axes: Axes, crop: Crop, color: object = palette.LIMIT) -> None:
    """Outline the crop in the image; the thick side is the crop's top. The axes grow to show all of the outline."""
    height, width = crop.image.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height), (0, 0)], float) - 0.5
    outline = transform_points(invert(crop.matrix), corners)
    axes.plot(*outline.T, color=color, linewidth=1)
    axes.plot(*outline[:2].T, color=color, linewidth=2.5)
    axes.autoscale()


def show_heatmaps(axes: Axes, image: np.ndarray, heatmaps: np.ndarray, skeleton: Skeleton, title: str = "") -> None:
    """Draw heatmaps (K, h, w) over the darkened crop (H, W, 3), each in the colour of its side; cells stay square."""
    show_picture(axes, image.mean(-1) / 255 * 0.5, title, cmap="gray", vmin=0, vmax=1)
    tint = side_palette(skeleton)[heatmaps.argmax(0)]  # (h, w, 3)
    layer = np.dstack([tint, np.clip(heatmaps.max(0), 0, 1)])
    axes.imshow(layer, extent=cell_extent(image.shape, heatmaps.shape[1:]))


def data_flow(sample: Sample, crop: Crop, heatmaps: np.ndarray, found: np.ndarray, skeleton: Skeleton) -> Figure:
    """Draw the data flow of one image: image, crop, heatmaps (K, h, w), and keypoints (K, 2) in image pixels."""
    (height, width), sides, cells = sample.image.shape[:2], crop.image.shape[1::-1], heatmaps.shape[:0:-1]
    figure, panels = new_figure(11, 3.3, 4)
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(wspace=0.09)
    show_picture(panels[0], sample.image, f"1  image and box\n{width}×{height} pixels")
    show_box(panels[0], crop)
    show_picture(panels[1], crop.image, f"2  crop: the input\n{sides[0]}×{sides[1]} pixels")
    show_heatmaps(
        panels[2], crop.image, heatmaps, skeleton, f"3  heatmaps\n{len(heatmaps)} of {cells[0]}×{cells[1]} cells"
    )
    title = f"4  keypoints\n{len(found)} × (x, y, score)"
    show_pose(panels[3], sample.image, found, sample.visible, skeleton, hidden=False, title=title)
    half = max(height, width) / 2  # a square like the others
    panels[3].set(xlim=(width / 2 - half, width / 2 + half), ylim=(height / 2 + half, height / 2 - half))
    modules = ("posekit.datasets", "posekit.datasets.pipeline", "posekit.models, posekit.codecs", "posekit.codecs")
    for axes, module in zip(panels, modules, strict=True):
        axes.set_xlabel(module, fontsize=9, color="0.4")
    for left, right in zip(panels, panels[1:], strict=False):
        arrow = ConnectionPatch(
            (1, 0.5), (0, 0.5), "axes fraction", axesA=left, axesB=right, arrowstyle="-|>", mutation_scale=22,
            color="0.3", linewidth=1.5, shrinkA=2, shrinkB=2, in_layout=False,
        )  # fmt: skip
        figure.add_artist(arrow)
    return figure


def augmentations(sample: Sample, draws: Sequence[tuple[Augmentation, Crop]], skeleton: Skeleton) -> Figure:
    """Draw the image with the augmented boxes, and each crop as the network gets it."""
    rows = -(-(len(draws) + 1) // 4)
    figure, panels = new_figure(10, 2.75 * rows, rows, 4)
    first, *others = panels.flat
    show_picture(first, sample.image, "image and random boxes\n(thick: the crop's top)")
    for axes, (drawn, crop) in zip(others, draws, strict=False):
        show_box(first, crop, color=(palette.LIMIT, 0.5))
        title = f"×{drawn.scale:.2f}, {drawn.rotation:+.0f}°{', mirrored' if drawn.flip else ''}"
        show_pose(axes, crop.image, crop.keypoints, crop.visible, skeleton, size=12, hidden=False, title=title)
    for axes in others[len(draws) :]:
        axes.axis("off")
    return figure
