"""Draw the worst and most surprising cases of a predictions table, on one self-contained HTML page."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posekit.datasets.dataset import PoseDataset
from posekit.drawing import side_colors
from posekit.evaluation.diagnosis import KINDS, error_kinds
from posekit.evaluation.metrics import distances, pck_unit
from posekit.figures.canvas import Panel
from posekit.figures.pages import write_page
from posekit.predictions import Predictions

SIDE = 230  # side of a picture, page pixels
FAR = 2.0  # errors are cut off here (in units), so that one lost keypoint doesn't make an image the worst


@dataclass(frozen=True)
class Case:
    """One picture: row of the data set, its keypoint (None: all), and a caption that says why it is shown."""

    row: int
    keypoint: int | None
    caption: str


SECTIONS = {
    "worst": "The images with the largest mean error.",
    "sure and wrong": "Wrong by more than two thresholds, but with the highest scores: here the score misleads you.",
    "left and right swapped": "Keypoints predicted at the place of their mirror partner.",
    "unsure and right": "Right, but with the lowest scores: a threshold on the score would discard them.",
}


def find_cases(
    dataset: PoseDataset, predictions: Predictions, threshold: float, count: int = 8
) -> dict[str, list[Case]]:
    """Find up to `count` cases per section, each image at most once per section; a section may be empty.

    threshold: in units of the plain protocol. Raises InputError if the predictions name other samples.
    """
    found, names = predictions.in_order(dataset.names), dataset.names
    distance = distances(dataset.keypoints, found.keypoints, pck_unit(dataset))
    kinds = error_kinds(dataset, found.keypoints, dataset.skeleton, threshold)
    counted = dataset.visible.sum(1)
    error = np.where(dataset.visible, np.minimum(distance, FAR), 0).sum(1) / np.maximum(counted, 1)
    swapped = (kinds == KINDS.index("left/right swapped")).sum(1)

    def by_keypoint(value: np.ndarray) -> list[Case]:
        """Rank the images by their highest value (N, K) and name its keypoint; -inf is left out."""
        cases, best = [], value.argmax(axis=1)
        for row in np.argsort(-value.max(axis=1), kind="stable")[:count]:
            k = int(best[row])
            why = f"{dataset.skeleton.keypoints[k]}, score {found.scores[row, k]:.2f}, error {distance[row, k]:.2f}"
            cases += [Case(row, k, f"{names[row]}: {why}")] if np.isfinite(value[row, k]) else []
        return cases

    wrong = dataset.visible & (distance > 2 * threshold)
    return {
        "worst": [Case(row, None, f"{names[row]}: mean error {error[row]:.2f}") for row in np.argsort(-error)[:count]],
        "sure and wrong": by_keypoint(np.where(wrong, found.scores, -np.inf)),
        "left and right swapped": [
            Case(row, None, f"{names[row]}: {swapped[row]} of {counted[row]} keypoints")
            for row in np.argsort(-swapped)[:count]
            if swapped[row]
        ],
        "unsure and right": by_keypoint(np.where(kinds == 0, -found.scores, -np.inf)),
    }


def draw_case(dataset: PoseDataset, predictions: Predictions, case: Case, side: int = SIDE) -> np.ndarray:
    """Draw a case's box as RGB pixels: rings at the truth, crosses at the predictions, lines between them.

    Only keypoints that count are drawn; if the case is about one keypoint, only that one.
    """
    found = predictions.keypoints[predictions.names.index(dataset.names[case.row])]
    image = dataset.image(case.row)
    left, top, right, bottom = dataset.window(case.row, image.shape)
    panel = Panel(image[top:bottom, left:right], side)
    shown = np.flatnonzero(dataset.visible[case.row]) if case.keypoint is None else [case.keypoint]
    colors = [side_colors(dataset.skeleton)[k] for k in shown]
    truth, points = (where[shown] - (left, top) for where in (dataset.keypoints[case.row], found))
    steps = [(i, i + len(shown)) for i in range(len(shown))]
    panel.lines(np.concatenate([truth, points]), steps, colors, 1.2)
    size = 1.0 if case.keypoint is not None else 0.55
    panel.rings(truth, colors, 7 * size)
    panel.crosses(points, colors, 5 * size)
    return panel.pixels


def write_gallery(
    path: Path, dataset: PoseDataset, predictions: Predictions, threshold: float, count: int = 8, title: str = ""
) -> int:
    """Write the cases as one HTML page with embedded pictures; return the number of pictures."""
    cases = find_cases(dataset, predictions, threshold, count)
    sections = [
        (name, SECTIONS[name], [(case.caption, _jpeg(draw_case(dataset, predictions, case))) for case in some])
        for name, some in cases.items()
        if some
    ]
    title = title or f"Failures among {len(dataset)} samples"
    write_page(path, "figures/gallery.html.j2", title=title, threshold=threshold, sections=sections)
    return sum(len(some) for some in cases.values())


def _jpeg(pixels: np.ndarray) -> str:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
    return b64encode(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1].tobytes()).decode()
