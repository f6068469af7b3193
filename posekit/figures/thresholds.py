"""What a PCK threshold counts: circles of its radius in a picture, beside the curve over all thresholds."""

from collections.abc import Sequence

import numpy as np

from posekit.datasets.dataset import PoseDataset
from posekit.evaluation.metrics import normalised_distances, pck_unit, pooled, rates
from posekit.figures import panel as controls
from posekit.figures.canvas import DENSITY, INK, QUIET, Color, Panel
from posekit.figures.explorer import SECOND, SIDE, TOP, Picture, page
from posekit.figures.panel import Explorer, Shown, Values
from posekit.predictions import Predictions

WITHIN, OUTSIDE = (0, 114, 178), (213, 94, 0)  # RGB: Okabe and Ito's blue and vermilion
_LIGHT = (200, 206, 214)
_STEPS = 100  # of the slider, up to twice the threshold that it starts at
_ALL = "all keypoints"


def threshold_explorer(dataset: PoseDataset, predictions: Predictions, threshold: float) -> Explorer:
    """Make the explorer without showing it. Raises InputError if the predictions are of other samples."""
    return Explorer(*Thresholds(dataset, predictions, threshold).parts())


class Thresholds:
    """The test's distances, and what the explorer shows of them."""

    def __init__(self, dataset: PoseDataset, predictions: Predictions, threshold: float) -> None:
        self.dataset, self.found, self.start = dataset, predictions.in_order(dataset.names), threshold
        self.distance = normalised_distances(dataset, self.found)  # (N, K)
        self.unit = pck_unit(dataset)  # (N,) image pixels
        self.grid = np.linspace(0, 2 * threshold, _STEPS + 1)
        of_keypoints = rates(self.distance, dataset.visible, self.grid)  # (thresholds, K)
        self.groups = {_ALL: range(dataset.skeleton.num_keypoints), **dataset.skeleton.groups}
        self.curves = {name: pooled(of_keypoints, dataset.visible, list(part)) for name, part in self.groups.items()}

    def parts(self) -> tuple:
        """The rows of controls and the function that draws."""
        step = float(f"{2 * self.start / _STEPS:.6g}")
        rows = [
            [
                controls.slider("threshold", self.start, 0, 2 * self.start, step),
                controls.choice("keypoints", list(self.groups), _ALL),
            ],
            [controls.slider("sample", 1, 1, len(self.dataset), of=True)],
        ]
        return rows, self.draw

    def draw(self, values: Values) -> Shown:
        """Draw the sample's circles and the curves."""
        threshold, row = values["threshold"], values["sample"] - 1
        chosen = np.zeros(self.dataset.skeleton.num_keypoints, bool)
        chosen[list(self.groups[values["keypoints"]])] = True
        counted = self.dataset.visible & chosen  # (N, K)
        right = counted & (self.distance <= threshold)
        radius = threshold * float(self.unit[row])
        picture = self._circles(row, counted[row], right[row], radius)
        curve = self._curve(threshold, values["keypoints"])
        total, hits = int(counted.sum()), int(right.sum())
        rate = f"{100 * hits / total:.1f} %" if total else "no keypoint counts"
        all_in_all = f"PCK@{threshold:g} of {values['keypoints']}: {rate} ({hits:,} of {total:,})"
        here = f"in this picture {right[row].sum()} of {counted[row].sum()}"
        lines = [all_in_all, f"{here}; the circles' radius: {radius:.1f} px of the image"]
        titles = "true keypoints, circled", "PCK (%) over the threshold"
        keys = {"discs": "found within", "crosses": "found outside"}
        drawn = page([picture, curve], titles, self.dataset.names[row], lines, keys, [])
        self._label(drawn)
        return Shown(drawn)

    def _circles(self, row: int, counted: np.ndarray, right: np.ndarray, radius: float) -> Panel:
        """Circles around the true keypoints; a disc where the prediction is inside, a cross where it is outside."""
        image = self.dataset.image(row)
        left, top, end, bottom = self.dataset.window(row, image.shape)
        panel = Panel(image[top:bottom, left:end], SIDE)
        truth, found = (points[row] - (left, top) for points in (self.dataset.keypoints, self.found.keypoints))
        on_page = radius * panel.matrix[0, 0] / DENSITY
        for which, color, mark in ((right, WITHIN, "discs"), (counted & ~right, OUTSIDE, "crosses")):
            colors: list[Color] = [color] * int(which.sum())
            panel.rings(truth[which], colors, max(1.0, on_page))
            size = (3,) if mark == "discs" else (4,)
            getattr(panel, mark)(found[which], colors, *size)
        return panel

    def _curve(self, threshold: float, name: str) -> Panel:
        """The curves in a square of 100 by 100: groups light, the chosen one dark, and the threshold."""
        panel = Panel(np.full((101, 101, 3), 255, np.uint8), SIDE)
        x = 100 * self.grid / self.grid[-1]
        for level in range(0, 101, 25):
            _polyline(panel, np.array([[0, level], [100, level]]), _LIGHT, 0.7)
        for other, curve in sorted(self.curves.items(), key=lambda item: item[0] == name):
            points = np.stack([x, 100 - curve], 1)
            _polyline(panel, points[np.isfinite(curve)], *((INK, 2.5) if other == name else (_LIGHT, 1.2)))
        at = 100 * threshold / self.grid[-1]
        _polyline(panel, np.array([[at, 0], [at, 100]]), OUTSIDE, 1.5)
        height = np.interp(threshold, self.grid, self.curves[name])
        if np.isfinite(height):
            panel.discs(np.array([[at, 100 - height]]), [OUTSIDE], 5)
        return panel

    def _label(self, drawn: Picture) -> None:
        """Write the axes' numbers onto the page."""
        for level in (25, 50, 75):
            drawn.canvas.text(SECOND + 3, TOP + SIDE * (1 - level / 101) - 3, f"{level}", 11, QUIET)
        for share in (0.25, 0.5, 0.75):
            text = f"{share * self.grid[-1]:.3g}"
            drawn.canvas.text(SECOND + SIDE * share - 10, TOP + SIDE - 5, text, 11, QUIET)


def _polyline(panel: Panel, points: np.ndarray, color: Color, width: float) -> None:
    pairs: Sequence[tuple[int, int]] = [(i, i + 1) for i in range(len(points) - 1)]
    panel.lines(points, pairs, [color] * len(points), width)
