"""Kinds of error by hand, reliability against scores whose worth is known."""

import numpy as np
import pytest
from test_compare import Labels, names

from posekit.evaluation.diagnosis import KINDS, calibration, error_kinds, ranking, reliability
from posekit.skeletons import PERSON

ANKLES, PELVIS = (0, 5), 6  # right and left


def person(hidden: tuple[int, ...] = (), missing: tuple[int, ...] = ()) -> Labels:
    """One person whose joint k lies at (100 k, 50), in units of 100 pixels."""
    points = np.stack([100.0 * np.arange(1, 17), np.full(16, 50.0)], -1)[None]
    visible, covered = np.ones((1, 16), bool), np.zeros((1, 16), bool)
    visible[0, list(missing)], covered[0, list(hidden)] = False, True
    return Labels(["a"], points, visible, covered, np.array([100.0]))


@pytest.mark.parametrize(
    ("step", "hidden", "kind"),
    [
        ((0, 0), (), "right"),
        ((10, 0), (), "right"),  # the border is inside
        ((10.1, 0), (), "near miss"),
        ((0, 20), (), "near miss"),
        ((0, 20.1), (), "missed"),
        ((0, 20.1), (0,), "hidden"),
        ((10.1, 0), (0,), "near miss"),  # nearness comes before hiddenness
        ((500, 0), (), "left/right swapped"),  # where the left ankle is
        ((505, 5), (0,), "left/right swapped"),
        ((511, 0), (), "missed"),
    ],
)
def test_the_kind_of_one_error(step: tuple[float, float], hidden: tuple[int, ...], kind: str):
    labels = person(hidden)
    points = labels.keypoints.copy()
    points[0, 0] += step
    kinds = error_kinds(labels, points, PERSON, 0.1)
    assert KINDS[kinds[0, 0]] == kind and (kinds[0, 1:] == 0).all()


def test_a_partner_without_coordinates_and_a_joint_without_partner_are_no_swap():
    labels = person(missing=(5,))
    points = labels.keypoints.copy()
    points[0, 0] = points[0, 5]
    points[0, PELVIS] += (0, 40)
    kinds = error_kinds(labels, points, PERSON, 0.1)
    assert kinds[0, 5] == -1 and KINDS[kinds[0, 0]] == KINDS[kinds[0, PELVIS]] == "missed"


def test_scores_that_are_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(0)
    chance = rng.random((1500, 16))
    right, counted = rng.random(chance.shape) < chance, rng.random(chance.shape) < 0.8
    good = reliability(chance, right, counted, names(1500), draws=300)
    assert good.count.sum() == counted.sum() and np.ptp(good.count) <= 1
    assert good.error < 1.5
    inside = [
        low <= 100 * s <= high for s, (low, high) in zip(good.score, (r.interval for r in good.rate), strict=True)
    ]
    assert sum(inside) >= 6
    boastful = reliability(0.5 + chance / 2, right, counted, names(1500), draws=100)
    assert boastful.error == pytest.approx(25, abs=1.5)  # the mean of 0.5 - chance / 2


def test_one_score_for_all_is_one_bin():
    right = np.tile([[True], [False]], (50, 4))
    curve = reliability(np.full(right.shape, 0.7), right, np.ones_like(right), names(100), draws=100)
    assert len(curve.rate) == 1 and curve.rate[0].value == 50 and curve.error == pytest.approx(20)


def test_ranking_counts_pairs():
    rng = np.random.default_rng(0)
    scores, right = rng.integers(0, 6, 60) / 5, rng.random(60) < 0.6
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[right] for b in scores[~right]]
    assert ranking(scores, right) == pytest.approx(np.mean(pairs))
    assert ranking(np.arange(4.0), np.array([False, False, True, True])) == 1
    assert np.isnan(ranking(scores, np.ones(60, bool)))


def test_calibration_learns_what_a_score_is_worth():
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    right = rng.random(20_000) < scores**3  # a score is worth its cube
    x, y = calibration(scores, right)
    assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
    grid = np.linspace(0.2, 0.95, 20)
    np.testing.assert_allclose(np.interp(grid, x, y), grid**3, atol=0.06)
