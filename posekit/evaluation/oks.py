"""Object keypoint similarity and average precision, as COCO's keypoint task scores, by pycocotools.

OKS of an object is the mean, over its labelled keypoints, of exp(-d² / (2 s² k²)): d is the distance in pixels, s² the
object's area, k a constant of the keypoint. COCO gives k for its 17 keypoints of people; everywhere else it is
DEFAULT_K for all.
"""

import io
from collections import Counter
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from posekit.errors import InputError
from posekit.evaluation.metrics import Labels, Scores, normalised_distances, pck_table
from posekit.evaluation.published import Step
from posekit.predictions import Predictions
from posekit.skeletons import Skeleton

# COCO's k is twice the standard deviation of people who labelled the same keypoint, in units of s.
_SIGMAS = {
    "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107, "knee": 0.087,
    "ankle": 0.089,
}  # fmt: skip
_COCO_K = {"nose": 2 * 0.026} | {f"{side} {name}": 2 * s for name, s in _SIGMAS.items() for side in ("left", "right")}
DEFAULT_K = 0.1  # as if each keypoint had a standard deviation of 0.05
THRESHOLDS = (0.05, 0.1, 0.2)  # of the box's longer side
MOST = 20  # detections of an image that COCO's keypoint task counts, those with the highest scores
LIMIT = 0.2  # to which the area under the curve goes
_STATISTICS = ("AP", "AP50", "AP75", "AP medium", "AP large", "AR", "AR50", "AR75", "AR medium", "AR large")


def constants(skeleton: Skeleton) -> np.ndarray:
    """k of each keypoint, (K,): COCO's for COCO's 17 keypoints, by their names in order, else DEFAULT_K."""
    plain = [name.replace("_", " ").lower() for name in skeleton.keypoints]
    return np.array(list(_COCO_K.values())) if plain == list(_COCO_K) else np.full(skeleton.num_keypoints, DEFAULT_K)


def similarities(
    truth: np.ndarray, found: np.ndarray, visible: np.ndarray, area: np.ndarray, k: np.ndarray
) -> np.ndarray:
    """OKS of each object, (N,): truth and found (N, K, 2) in pixels, visible (N, K), area (N,), k (K,)."""
    squared = ((found - truth) ** 2).sum(axis=2)
    near = np.exp(-squared / (2 * (area[:, None] + np.spacing(1)) * k**2))
    return (near * visible).sum(axis=1) / visible.sum(axis=1)


def results(labels: Any, predictions: Predictions) -> list[dict]:
    """Predictions as COCO's results format; the score of an object is the mean of its keypoints' scores.

    labels: of the COCO layout; the predictions are in their order afterwards.
    """
    found = predictions.in_order(labels.names)
    by_id = {annotation["id"]: annotation for annotation in labels.truth["annotations"]}
    rows = []
    for name, points, scores in zip(found.names, found.keypoints, found.scores, strict=True):
        annotation = by_id[int(name.rpartition(":")[2])]
        values = np.column_stack([points, scores]).ravel().tolist()
        rows.append(
            {name: annotation[name] for name in ("image_id", "category_id")}
            | {"keypoints": values, "score": float(scores.mean())}
        )
    return rows


def coco_table(labels: Any, predictions: Predictions) -> Scores:
    """COCO's ten figures, and the mean OKS, in percent; NaN where there is no object of that size.

    Objects without labelled keypoints and crowds are ignored as COCO does: what is found there counts neither way.
    """
    truth, found = labels.truth, predictions.in_order(labels.names)
    if truth is None:
        raise InputError("OKS needs labels of the COCO layout; score with protocol pck")
    k = constants(labels.skeleton)
    figures = _evaluate(truth, results(labels, found), k)
    by_id = {annotation["id"]: annotation["area"] for annotation in truth["annotations"]}
    area = np.array([by_id[int(name.rpartition(":")[2])] for name in labels.names])
    mean = 100 * float(similarities(labels.keypoints, found.keypoints, labels.visible, area, k).mean())
    percent = {
        name: 100 * value if value >= 0 else float("nan") for name, value in zip(_STATISTICS, figures, strict=True)
    }
    return {"OKS": percent | {"mean": mean}}


def _evaluate(truth: dict, found: list[dict], k: np.ndarray) -> list[float]:
    """The ten figures of pycocotools, -1 where there is nothing to average."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbered = [it | {"id": number} for number, it in enumerate(truth["annotations"], 1)]  # 0 is pycocotools' no match
    with redirect_stdout(io.StringIO()):
        labelled: Any = COCO()
        labelled.dataset = {"info": {}, **truth, "annotations": numbered}
        labelled.createIndex()
        evaluation = COCOeval(labelled, labelled.loadRes(found), "keypoints")
        evaluation.params.kpt_oks_sigmas = k / 2
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def about_oks(labels: Any) -> str:
    """What COCO's figures measure."""
    most = max(Counter(name.rpartition(":")[0] for name in labels.names).values())
    limit = f"; of an image's {most} objects at most {MOST} count as found, as in COCO" if most > MOST else ""
    whose = "COCO's for its 17 keypoints" if len(set(constants(labels.skeleton))) > 1 else f"{DEFAULT_K:g} for all"
    return (
        "AP and AR over OKS 0.50 to 0.95 by pycocotools, in boxes that are given; OKS = mean of exp(-d² / (2 s² k²)), "
        f"s² the object's area, k {whose}; mean: of all objects' OKS{limit}"
    )


def coco_pck(labels: Labels, predictions: Predictions) -> Scores:
    """PCK with the longer side of the box as the unit."""
    distance = normalised_distances(labels, predictions)
    return pck_table(distance, labels.visible, labels.skeleton.groups, THRESHOLDS, LIMIT)  # pyright: ignore


def coco_walk(labels: Any, predictions: Predictions) -> list[tuple[Step, dict[str, float]]]:
    """From AP to the plain PCK, by what each asks of a prediction."""
    table, pck = coco_table(labels, predictions)["OKS"], coco_pck(labels, predictions)
    figures = (
        (
            Step("AP", "objects above each of ten OKS thresholds, 0.50 to 0.95, by rank of their scores", {}),
            table["AP"],
        ),
        (Step("one threshold", "AP50: an OKS of 0.50 is enough", {}), table["AP50"]),
        (Step("no ranking", "AR50: the share of objects above it, whatever their scores", {}), table["AR50"]),
        (Step("no threshold", "the mean OKS: how near, not whether near enough", {}), table["mean"]),
        (Step("single keypoints", "PCK: the share of keypoints within a tenth of the box", {}), pck["PCK@0.1"]["Mean"]),
    )
    return [(step, {"AP, OKS, PCK@0.1": value}) for step, value in figures]
