"""The pictures that the widgets show: pure functions of the data and of the selected options."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from posekit.codecs import Codec
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import Crop, augmented_crop, crop
from posekit.drawing import LEFT, MIDDLE, RIGHT, limb_colors, side_colors
from posekit.errors import InputError
from posekit.figures.canvas import BOX, QUIET, Canvas, Color, Panel
from posekit.geometry import fit_box, invert, transform_points
from posekit.recipes import Recipe
from posekit.skeletons import Skeleton

SIDE, _GAP, TOP, _FOOT = 410, 20, 28, 76  # page pixels: side of a panel, space between, above and below panels
SECOND = SIDE + _GAP  # x of the second panel
_WORDS = {LEFT: "its left", RIGHT: "its right", MIDDLE: "between"}


@dataclass(frozen=True)
class Picture:
    """A drawn page and a caption that describes it."""

    canvas: Canvas
    caption: str


@dataclass(frozen=True)
class Heatmaps:
    """Crops and the heatmaps predicted for them. Coordinates are in input pixels; K keypoints, N samples."""

    images: np.ndarray  # (N, H, W, 3) uint8 RGB
    stages: dict[str, np.ndarray]  # name of a stage, stack or variant -> heatmaps (N, K, h, w)
    keypoints: np.ndarray  # (N, K, 2) truth
    visible: np.ndarray  # (N, K) bool: keypoints that have a target and are counted
    skeleton: Skeleton
    codec: Codec
    names: Sequence[str]

    def __post_init__(self) -> None:
        wanted = self.visible.shape
        for name, maps in self.stages.items():
            if maps.ndim != 4 or maps.shape[:2] != wanted:
                raise InputError(f"heatmaps {name!r}: shape {maps.shape}; give (N, K, h, w) with (N, K) = {wanted}")
        if not self.stages or not len(self.images) == len(self.names) == wanted[0]:
            raise InputError("heatmaps: give at least one stage, and as many images and names as samples")


def heatmaps_of(dataset: PoseDataset, rows: Sequence[int], recipe: Recipe, stages: dict[str, np.ndarray]) -> Heatmaps:
    """Combine heatmaps (len(rows), K, h, w) per stage with the crops and labels of these rows of a data set."""
    cuts = [crop(dataset[int(row)], recipe) for row in rows]
    return Heatmaps(
        np.stack([cut.image for cut in cuts]), stages,
        np.stack([cut.keypoints for cut in cuts]), np.stack([cut.visible for cut in cuts]),
        dataset.skeleton, recipe.codec, [dataset.names[int(row)] for row in rows],
    )  # fmt: skip


def heatmap_picture(data: Heatmaps, sample: int, keypoint: int | None, stage: str, strength: float) -> Picture:
    """Draw ground truth beside prediction: target and predicted map of a keypoint (None: of all) over the crop.

    strength: opacity of the overlay, 0 to 1. Rings are true keypoints, crosses are decoded ones.
    """
    truth, visible = data.keypoints[sample], data.visible[sample]
    targets, _ = data.codec.encode(truth, visible)  # (K, h, w)
    maps = data.stages[stage][sample]  # (K, h, w)
    found, scores = data.codec.decode(maps)
    chosen = np.arange(len(truth)) if keypoint is None else np.array([keypoint])
    counted = chosen[visible[chosen]]
    colors, size = side_colors(data.skeleton), 0.65 if keypoint is None else 1.0
    first = Panel(data.images[sample], SIDE, strength)
    panels = [first, copy(first)]
    for panel, shown in zip(panels, (targets, maps), strict=True):
        panel.heatmap(shown[chosen].max(0), data.codec.stride, strength)
        panel.rings(truth[counted], [colors[k] for k in counted], 8 * size)
    placed = counted if keypoint is None else chosen
    panels[1].crosses(found[placed], [colors[k] for k in placed], 6 * size)
    lines = _numbers(data, truth, found, scores, keypoint, counted)
    name = "all keypoints" if keypoint is None else data.skeleton.keypoints[keypoint]
    title = f"{name} · sample {sample + 1} of {len(data.images)} · {data.names[sample]}"
    keys = {"rings": "truth", "crosses": "decoded from the prediction"}
    return page(panels, ("truth", f"prediction: {stage}"), title, lines, keys, colors)


def _numbers(
    data: Heatmaps, truth: np.ndarray, found: np.ndarray, scores: np.ndarray, keypoint: int | None, counted: np.ndarray
) -> list[str]:
    """Return two lines of text: decoded keypoint and score, and its error."""
    error, stride = np.linalg.norm(found - truth, axis=1), data.codec.stride
    if keypoint is None:
        if not len(counted):
            return ["no keypoint has a target in this sample"]
        mean, largest = error[counted].mean(), error[counted].max()
        return [
            f"{len(counted)} keypoints with a target, median score {np.median(scores[counted]):.2f}",
            f"error: mean {mean:.1f} input px = {mean / stride:.2f} cells, largest {largest:.1f} px",
        ]
    x, y = found[keypoint]
    lines = [f"decoded ({x:.1f}, {y:.1f}), score {scores[keypoint]:.2f}"]
    if not len(counted):
        return [*lines, "no target: it does not count in this sample"]
    x, y = truth[keypoint]
    away = error[keypoint]
    return [*lines, f"truth ({x:.1f}, {y:.1f}), error {away:.1f} input px = {away / stride:.2f} cells"]


def sample_picture(
    dataset: PoseDataset,
    row: int,
    recipe: Recipe,
    labels: bool = True,
    draw: int | None = None,
    seed: int = 0,
    note: str = "",
) -> Picture:
    """Draw a sample's image with its box, beside the crop that the network gets.

    draw: number of the random augmentation; None: no augmentation. The same (seed, row, draw) gives the same picture.
    note: text to add to the title.
    """
    sample, skeleton = dataset[row], dataset.skeleton
    rng = np.random.default_rng((seed, row, draw or 0))
    cut = crop(sample, recipe) if draw is None else augmented_crop(sample, recipe, rng)
    (height, width), (down, across) = sample.image.shape[:2], cut.image.shape[:2]
    box = np.array(fit_box(sample.box_size, sample.box, recipe.input_size))
    half = 0.52 * box  # show the box with a small margin, and all of the image
    low, high = np.minimum(sample.center - half, 0), np.maximum(sample.center + half, (width, height))
    image = Panel(sample.image, SIDE, extent=(*(low - 0.5), *(high - 0.5)))
    view = Panel(cut.image, SIDE)
    outline = transform_points(invert(cut.matrix), np.array([(0, 0), (across, 0), (across, down), (0, down)]) - 0.5)
    image.lines(outline, [(1, 2), (2, 3), (3, 0)], [BOX] * 4, 1.5)
    image.lines(outline, [(0, 1)], [BOX] * 4, 4)
    seen, hidden = dataset.visible[row] & ~dataset.hidden[row], dataset.hidden[row]
    if labels:
        order = list(skeleton.flip_order) if _mirrored(cut) else slice(None)
        _label(image, sample.keypoints, seen, hidden, skeleton)
        _label(view, cut.keypoints, seen[order], hidden[order], skeleton)
    kind = "crop" if draw is None else f"augmented crop, draw {draw + 1}"
    lines = [f"{seen.sum()} keypoints in sight, {hidden.sum()} hidden, of {len(seen)}", _change(box, cut)]
    titles = f"image, {width} × {height} pixels", f"{kind}, {across} × {down} pixels"
    title = " · ".join(text for text in (f"#{row}", dataset.names[row], note) if text)
    return page([image, view], titles, title, lines, {"discs": "in sight", "rings": "hidden"}, side_colors(skeleton))


def _label(panel: Panel, keypoints: np.ndarray, seen: np.ndarray, hidden: np.ndarray, skeleton: Skeleton) -> None:
    """Draw limbs, discs at visible keypoints and small rings at hidden ones."""
    colors = side_colors(skeleton)
    for (a, b), color in zip(skeleton.limbs, limb_colors(skeleton), strict=True):
        if seen[a] and seen[b]:
            panel.lines(keypoints[[a, b]], [(0, 1)], [color], 1.5)
    for draw, which, radius in ((panel.rings, hidden, 4.5), (panel.discs, seen, 3.5)):
        draw(keypoints[which], [colors[k] for k in np.flatnonzero(which)], radius)


def _mirrored(cut: Crop) -> bool:
    return bool(np.linalg.det(cut.matrix[:, :2]) < 0)


def _change(box: np.ndarray, cut: Crop) -> str:
    """Describe the augmentation, as derived from the crop's matrix."""
    zoom = np.sqrt(abs(np.linalg.det(cut.matrix[:, :2])))  # input pixels per image pixel
    taken = cut.image.shape[1] / zoom / box[0]
    sides = " × ".join(f"{side:.0f}" for side in (box if box[0] != box[1] else box[:1]))
    angle = round(np.degrees(np.arctan2(-cut.matrix[0, 1], cut.matrix[1, 1])))
    words = f"box of {sides} px × {taken:.2f}, turned by {angle}°"
    return f"{words}, mirrored" if _mirrored(cut) else words


def message_picture(text: str) -> Picture:
    """Draw an empty page with a message."""
    blank = Panel(np.full((2, 2, 3), 240, np.uint8), SIDE)
    return page([blank, blank], ("", ""), text, [], {}, [])


def page(
    panels: list[Panel], titles: Sequence[str], title: str, lines: list[str], keys: dict[str, str], colors: list[Color]
) -> Picture:
    """Draw two panels with titles above; below them a title, the lines of text, and a legend of symbols and colours."""
    canvas, below = Canvas(SECOND + SIDE, TOP + SIDE + _FOOT), TOP + SIDE
    for x, panel, heading in zip((0, SECOND), panels, titles, strict=True):
        canvas.text(x, TOP - 9, heading, 14, bold=True)
        canvas.place(panel.pixels, x, TOP)
    canvas.text(0, below + 23, title, 14, bold=True)
    for number, line in enumerate(lines):
        canvas.text(0, below + 46 + 20 * number, line)
    x = y = float(SECOND)
    for kind, meaning in keys.items():
        x = canvas.key(x, below + 46, kind, QUIET, meaning) + 18
    for color in filter(colors.__contains__, _WORDS):
        y = canvas.key(y, below + 66, "discs", color, _WORDS[color]) + 18
    return Picture(canvas, ": ".join([title, "; ".join(lines)]) if lines else title)
