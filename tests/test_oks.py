"""OKS and COCO's figures against values by hand, and against pycocotools on the files that are written."""

import io
import json
import math
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from coco_files import content, write
from pycocotools.coco import COCO as Tool
from pycocotools.cocoeval import COCOeval

from posekit.evaluation.oks import DEFAULT_K, about_oks, coco_pck, coco_table, constants, results, similarities
from posekit.layouts.coco import COCO
from posekit.predictions import Predictions, write_predictions
from posekit.skeletons import COCO_PERSON, PERSON, make_skeleton


def moved(labels: object, pixels: np.ndarray, scores: np.ndarray | None = None) -> Predictions:
    """Every keypoint moved along x by so many pixels of its object, (N,)."""
    points = labels.keypoints + np.stack([pixels, 0 * pixels], axis=1)[:, None]
    scores = np.ones(len(points)) if scores is None else scores
    return Predictions(labels.names, points, np.repeat(scores[:, None], points.shape[1], axis=1))


def test_similarity_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        truth, found = rng.uniform(0, 200, (2, 3, 4, 2))
        visible, area, k = rng.random((3, 4)) < 0.7, rng.uniform(1, 1e4, 3), rng.uniform(0.02, 0.3, 4)
        visible[:, 0] = True
        for n, value in enumerate(similarities(truth, found, visible, area, k)):
            near = [
                math.exp(-math.dist(truth[n, j], found[n, j]) ** 2 / (2 * area[n] * k[j] ** 2))
                for j in range(4) if visible[n, j]
            ]  # fmt: skip
            assert value == pytest.approx(sum(near) / len(near), rel=1e-9)


def test_constants_are_cocos_for_its_people_only() -> None:
    """By COCO's page on keypoint evaluation: sigma 0.026 for the nose, 0.107 for hips, k twice that."""
    names = [name.replace(" ", "_") for name in COCO_PERSON.keypoints]
    k = dict(zip(names, constants(make_skeleton("person", names)), strict=True))
    wanted = {"nose": 0.026, "left_eye": 0.025, "right_ear": 0.035, "left_shoulder": 0.079, "right_elbow": 0.072}
    wanted |= {"left_wrist": 0.062, "right_hip": 0.107, "left_knee": 0.087, "right_ankle": 0.089}
    assert {name: k[name] for name in wanted} == pytest.approx({name: 2 * sigma for name, sigma in wanted.items()})
    assert set(constants(make_skeleton("person", names[::-1]))) == {DEFAULT_K}
    assert set(constants(PERSON)) == {DEFAULT_K}


def test_average_precision_by_hand(tmp_path: Path) -> None:
    """Four objects at distances that give each a known OKS; one keypoint constant, one area, so it is one number.

    With an OKS of 0.92, 0.72, 0.52 and 0.32 and scores in that order, n of 4 objects are right at each threshold and
    they are the first n of the ranking, so precision is 1 up to a recall of n / 4 and AP is the share of the 101 recall
    levels that are at most n / 4.
    """
    labels = COCO.labels(write(tmp_path / "l.json", content(4)), "all")
    wanted = np.array([0.92, 0.72, 0.52, 0.32])
    pixels = np.sqrt(-2 * 900 * DEFAULT_K**2 * np.log(wanted))
    row = coco_table(labels, moved(labels, pixels, scores=np.array([0.9, 0.8, 0.7, 0.6])))["OKS"]
    counts = [int((wanted >= threshold).sum()) for threshold in np.arange(0.5, 0.951, 0.05)]
    assert counts == [3, 2, 2, 2, 2, 1, 1, 1, 1, 0]
    shares = [(25 * n + 1) / 101 if n else 0 for n in counts]
    assert row["AP"] == pytest.approx(100 * np.mean(shares))
    assert row["AP50"] == pytest.approx(100 * 76 / 101) and row["AP75"] == pytest.approx(100 * 26 / 101)
    assert row["AR"] == pytest.approx(100 * np.mean(counts) / 4)
    assert row["mean"] == pytest.approx(100 * wanted.mean())
    assert math.isnan(row["AP medium"]) and math.isnan(row["AP large"])  # 30 x 30 pixels are small


@pytest.mark.parametrize("first", [0, 1, -1, 2**60])
def test_ids_change_no_score(first: int, tmp_path: Path) -> None:
    """Label Studio and Roboflow count from 0, which pycocotools takes for an object that nothing was found for."""
    values = content(4)
    for n, annotation in enumerate(values["annotations"]):
        annotation["id"] = first + n
    labels = COCO.labels(write(tmp_path / "l.json", values), "all")
    row = coco_table(labels, moved(labels, np.zeros(4), scores=np.ones(4)))["OKS"]
    assert row["AP"] == row["AR"] == row["mean"] == pytest.approx(100)


def test_more_objects_in_an_image_than_coco_counts_are_said(tmp_path: Path) -> None:
    values = content(21)
    assert "at most" not in about_oks(COCO.labels(write(tmp_path / "l.json", values), "all"))
    for annotation in values["annotations"]:
        annotation["image_id"] = 1
    labels = COCO.labels(write(tmp_path / "l.json", values), "all")
    assert "of an image's 21 objects at most 20 count as found" in about_oks(labels)
    row = coco_table(labels, moved(labels, np.zeros(21), scores=np.ones(21)))["OKS"]
    assert row["AR"] == pytest.approx(100 * 20 / 21)


def test_a_wrong_ranking_costs_precision(tmp_path: Path) -> None:
    """The right one of two objects ranks second: precision is 1 / 2 up to a recall of 1 / 2."""
    labels = COCO.labels(write(tmp_path / "l.json", content(2)), "all")
    row = coco_table(labels, moved(labels, np.array([500.0, 0]), scores=np.array([0.9, 0.1])))["OKS"]
    assert row["AP"] == pytest.approx(100 * 0.5 * 51 / 101) and row["AR"] == pytest.approx(50)


def test_pck_is_over_the_longer_side_of_the_box(tmp_path: Path) -> None:
    labels = COCO.labels(write(tmp_path / "l.json", content(3)), "all")
    table = coco_pck(labels, moved(labels, np.array([0.05, 0.0501, 0.11]) * 45))
    counts = labels.visible.sum(axis=1)
    assert table["PCK@0.05"]["Mean"] == pytest.approx(100 * counts[0] / counts.sum())
    assert table["PCK@0.1"]["Mean"] == pytest.approx(100 * counts[:2].sum() / counts.sum())
    assert table["PCK@0.2"]["Mean"] == 100 and list(table["PCK@0.1"]) == ["rim", "handle", "Mean"]


@pytest.mark.parametrize("seed", range(5))
def test_photographs_score_as_pycocotools_scores_the_written_files(photos: Path, tmp_path: Path, seed: int) -> None:
    """Truth moved by random distances; crowds and unlabelled people are in the file and are ignored."""
    file, rng = photos / "coco_people/person_keypoints.json", np.random.default_rng(seed)
    labels = COCO.labels(file, "all")
    found = moved(labels, rng.exponential(6, len(labels.names)), rng.random(len(labels.names)))
    row = coco_table(labels, found)["OKS"]
    (tmp_path / "r.json").write_text(json.dumps(results(labels, found)))
    with redirect_stdout(io.StringIO()):
        truth = Tool(str(file))
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "r.json")), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert list(row.values())[:10] == pytest.approx((100 * evaluation.stats).tolist())
    k, area = constants(labels.skeleton), {it["id"]: it["area"] for it in truth.dataset["annotations"]}
    areas = np.array([area[int(name.split(":")[1])] for name in labels.names])
    by_hand = [
        np.mean([
            math.exp(-math.dist(a, b) ** 2 / (2 * areas[n] * kk**2))
            for a, b, kk, v in zip(labels.keypoints[n], found.keypoints[n], k, labels.visible[n], strict=True) if v
        ])
        for n in range(len(labels.names))
    ]  # fmt: skip
    assert row["mean"] == pytest.approx(100 * np.mean(by_hand))


def test_the_command_scores_and_writes_results(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from typer.testing import CliRunner

    from posekit.cli.main import app

    file = write(tmp_path / "l.json", content(4))
    labels = COCO.labels(file, "all")
    write_predictions(tmp_path / "p.csv", moved(labels, np.zeros(4)))
    arguments = [
        "score",
        "coco",
        str(file),
        "--predictions",
        str(tmp_path / "p.csv"),
        "--json",
        str(tmp_path / "s.json"),
    ]
    done = CliRunner().invoke(app, [*arguments, "--results", str(tmp_path / "r.json")])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "s.json").read_text())["OKS"]["AP"] == pytest.approx(100)
    (first, *_) = json.loads((tmp_path / "r.json").read_text())
    assert first["image_id"] == 1 and first["category_id"] == 7 and len(first["keypoints"]) == 9


def test_names_in_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture) -> None:
    """Rich takes [left] for a style, and [/x] for the end of one that never began."""
    from posekit.cli.models import print_parity
    from posekit.cli.score import print_scores
    from posekit.deploy.parity import Row

    rates = {"wing [left]": 50.0, "[/x]": 25.0}
    print_scores("pck", {"PCK@0.1": rates, "[b]": rates}, "about")
    print_parity([Row("onnxruntime", "fp32", tables={"pck": {"PCK@0.1": rates}})])
    assert capsys.readouterr().out.count("[/x]") == 2
