"""The worst and the most surprising cases of a predictions table, drawn, and as one HTML page that opens anywhere."""

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posekit.datasets.dataset import PoseDataset
from posekit.drawing import side_colors
from posekit.evaluation.diagnosis import KINDS, error_kinds
from posekit.evaluation.metrics import distances, pck_unit
from posekit.figures.canvas import Panel
from posekit.files import write_text
from posekit.predictions import Predictions

SIDE = 230  # page pixels of a picture
FAR = 2.0  # units beyond which an error is no worse, so that one lost keypoint does not make an image the worst


@dataclass(frozen=True)
class Case:
    """One picture: a row of the data set, the keypoint it is about (None: all), and a line that says why."""

    row: int
    keypoint: int | None
    caption: str


SECTIONS = {
    "worst": "The images with the largest mean error.",
    "sure and wrong": "Wrong by more than two thresholds, with the highest scores: what trust in scores falls for.",
    "left and right swapped": "Keypoints that lie where their mirror partner should be.",
    "unsure and right": "Right, with the lowest scores: what a threshold on the score would throw away.",
}


def find_cases(
    dataset: PoseDataset, predictions: Predictions, threshold: float, count: int = 8
) -> dict[str, list[Case]]:
    """Up to `count` cases of each section, an image at most once in a section; a section may be empty.

    `threshold` is in units of the plain protocol. Raises InputError when predictions name other samples.
    """
    found = predictions.in_order(dataset.names)
    distance = distances(dataset.keypoints, found.keypoints, pck_unit(dataset))
    kinds = error_kinds(dataset, found.keypoints, dataset.skeleton, threshold)
    error = np.where(dataset.visible, np.minimum(distance, FAR), 0).sum(1) / np.maximum(dataset.visible.sum(1), 1)
    swapped = (kinds == KINDS.index("left/right swapped")).sum(1)
    wrong = dataset.visible & (distance > 2 * threshold)
    say = _Words(dataset, found, distance)
    return {
        "worst": [Case(row, None, say.image(row, error[row])) for row in np.argsort(-error)[:count]],
        "sure and wrong": _by_keypoint(np.where(wrong, found.scores, -np.inf), say, count),
        "left and right swapped": [
            Case(row, None, f"{dataset.names[row]}: {swapped[row]} of {dataset.visible[row].sum()} keypoints")
            for row in np.argsort(-swapped)[:count]
            if swapped[row]
        ],
        "unsure and right": _by_keypoint(np.where(kinds == 0, -found.scores, -np.inf), say, count),
    }


@dataclass(frozen=True)
class _Words:
    dataset: PoseDataset
    found: Predictions
    distance: np.ndarray

    def image(self, row: int, error: float) -> str:
        return f"{self.dataset.names[row]}: mean error {error:.2f}"

    def keypoint(self, row: int, k: int) -> str:
        name, score = self.dataset.skeleton.keypoints[k], self.found.scores[row, k]
        return f"{self.dataset.names[row]}: {name}, score {score:.2f}, error {self.distance[row, k]:.2f}"


def _by_keypoint(value: np.ndarray, say: _Words, count: int) -> list[Case]:
    """The keypoint of the highest value (N, K) in each of the images where that is highest; -inf is out."""
    best = value.argmax(axis=1)
    rows = np.argsort(-value.max(axis=1), kind="stable")[:count]
    return [Case(row, int(best[row]), say.keypoint(row, best[row])) for row in rows if np.isfinite(value[row].max())]


def draw_case(dataset: PoseDataset, predictions: Predictions, case: Case, side: int = SIDE) -> np.ndarray:
    """The case's box: rings at the truth, crosses at the predictions, a line between the two; RGB pixels.

    Only keypoints that count are drawn, and only the case's own where it is about one.
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


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2330; background: #f4f6f9; margin: 0; }
main { max-width: 1012px; margin: 0 auto; padding: 24px; } h1 { margin: 0 0 4px; } h2 { margin: 28px 0 2px; }
p { margin: 2px 0 10px; color: #5b6675; } section > div { display: flex; flex-wrap: wrap; gap: 14px; }
figure { margin: 0; width: 230px; background: #fff; border: 1px solid #dde3ea; border-radius: 8px; padding: 5px; }
img { width: 230px; height: 230px; display: block; } figcaption { font-size: 12px; overflow-wrap: anywhere; }
"""


def write_gallery(
    path: Path, dataset: PoseDataset, predictions: Predictions, threshold: float, count: int = 8, title: str = ""
) -> int:
    """Write the cases as one HTML page with its pictures in it; returns how many pictures it shows."""
    cases = find_cases(dataset, predictions, threshold, count)
    sections = [_section(name, some, dataset, predictions) for name, some in cases.items() if some]
    heading = html.escape(title or f"Failures among {len(dataset)} samples")
    page = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{heading}</title><style>{_STYLE}</style></head>
<body><main><h1>{heading}</h1>
<p>Rings: truth. Crosses: predictions. Orange is the object's left, blue its right, green between. Errors are shares of
the reference length, the threshold is {threshold:g}.</p>
{"".join(sections)}
</main></body></html>
"""
    write_text(path, page)
    return sum(len(some) for some in cases.values())


def _section(name: str, cases: Sequence[Case], dataset: PoseDataset, predictions: Predictions) -> str:
    figures = [_figure(draw_case(dataset, predictions, case), case.caption) for case in cases]
    heading = f"<h2>{name.capitalize()}</h2><p>{SECTIONS[name]}</p>"
    return f"<section>{heading}<div>{''.join(figures)}</div></section>\n"


def _figure(pixels: np.ndarray, caption: str) -> str:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
    encoded = b64encode(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1]).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{encoded}"><figcaption>{text}</figcaption></figure>'
