"""Which cases a gallery shows, and that its page stands alone."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_compare import run
from test_robustness import pictures
from veri_files import write_veri

from posekit.datasets.dataset import PoseDataset
from posekit.figures.gallery import SECTIONS, draw_case, find_cases, write_gallery
from posekit.layouts.veri import VERI
from posekit.predictions import Predictions, write_predictions
from posekit.skeletons import VEHICLE


@pytest.fixture
def dataset() -> PoseDataset:
    """Six vehicles whose keypoints lie far apart, in units of 20 pixels."""
    points = np.stack([np.arange(36) * 30.0, np.full(36, 45.0)], -1).astype(np.float32)
    return replace(pictures(6), keypoints=np.tile(points, (6, 1, 1)))


def test_each_section_finds_its_own(dataset: PoseDataset):
    points, scores = dataset.keypoints.astype(float), np.full((6, 36), 0.5)
    points[1] += (0, 500)  # everything is lost
    points[2, 7] += (0, 11)
    scores[2, 7] = 0.9  # wrong by more than two thresholds, and sure
    points[3] = points[3, list(VEHICLE.flip_order)]
    scores[4, 12] = 0.01  # right, and unsure
    scores[1, 5] = 0.95
    dataset.visible[1, 5] = False  # does not count, however sure
    found = Predictions(dataset.names[::-1], points[::-1], scores[::-1])
    cases = find_cases(dataset, found, 0.1, count=2)
    assert list(cases) == list(SECTIONS)
    assert {case.row for case in cases["worst"]} == {1, 3} and cases["worst"][0].keypoint is None
    first = cases["sure and wrong"][0]
    assert (first.row, first.keypoint) == (2, 7)
    assert first.caption == f"2.png: {VEHICLE.keypoints[7]}, score 0.90, error 0.55"
    assert [case.row for case in cases["left and right swapped"]] == [3]
    assert (cases["unsure and right"][0].row, cases["unsure and right"][0].keypoint) == (4, 12)


def test_a_perfect_table_has_no_failures_but_its_images(dataset: PoseDataset):
    found = Predictions(dataset.names, dataset.keypoints.astype(float), np.ones((6, 36)))
    cases = find_cases(dataset, found, 0.1)
    assert not cases["sure and wrong"] and not cases["left and right swapped"] and len(cases["worst"]) == 6


def test_truth_and_prediction_are_drawn(dataset: PoseDataset):
    found = Predictions(dataset.names, dataset.keypoints + np.array([6.0, 6.0]), np.ones((6, 36)))
    whole, one = (draw_case(dataset, found, case) for case in find_cases(dataset, found, 0.1)["worst"][:2])
    assert whole.shape == one.shape and whole.shape[0] == whole.shape[1] == 345


def test_the_page_stands_alone(tmp_path: Path):
    data = write_veri(tmp_path / "data", test=5)
    dataset = VERI.read(data, "test")
    noise = np.random.default_rng(0).normal(0, 8, dataset.keypoints.shape)
    scores = np.random.default_rng(1).random(dataset.visible.shape)
    write_predictions(tmp_path / "p.csv", Predictions(dataset.names, dataset.keypoints + noise, scores))
    out = tmp_path / "page.html"
    said = run("gallery", data, "--predictions", tmp_path / "p.csv", "--out", out, "--count", 3)
    page = out.read_text()
    sources = re.findall(r'src="([^"]*)"', page)
    assert f"{len(sources)} pictures" in said and len(sources) >= 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page and dataset.names[0] in page


def test_names_are_escaped(dataset: PoseDataset, tmp_path: Path):
    odd = replace(dataset, names=[f"<b>'\"{i}" for i in range(6)])
    found = Predictions(odd.names, odd.keypoints.astype(float), np.ones((6, 36)))
    write_gallery(tmp_path / "page.html", odd, found, 0.1, 1, title="<b>title</b>")
    page = (tmp_path / "page.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;&#39;&#34;0: mean error" in page and "&lt;b&gt;title" in page
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:;" in page
