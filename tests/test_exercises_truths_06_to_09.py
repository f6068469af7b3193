"""What the exercises of lessons 06 to 09 call right, held against posekit, NumPy and simulation."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from posekit.codecs import Codec
from posekit.course.exercises import get_exercise
from posekit.datasets.pipeline import normalise
from posekit.evaluation.diagnosis import KINDS, error_kinds, ranking, reliability
from posekit.evaluation.metrics import pooled, rates
from posekit.evaluation.oks import similarities
from posekit.evaluation.published import THRESHOLD, veri_published_table
from posekit.inference.predictors import mirror_heatmaps
from posekit.predictions import Predictions
from posekit.recipes import get_recipe
from posekit.reid.segments import is_convex
from posekit.skeletons import VEHICLE, make_skeleton


def truth(name: str, *arguments):
    function = get_exercise(name).truth
    assert function
    return function(*arguments)


def cases(name: str) -> list:
    return get_exercise(name).cases(np.random.default_rng(3))


def test_pck_and_its_interval() -> None:
    for distance, counted, threshold in cases("06.2"):
        wanted = pooled(rates(distance, counted, [threshold]), counted)[0]
        assert truth("06.2", distance, counted, threshold) == pytest.approx(wanted)
    for hits, counts, drawn in cases("06.4"):
        drawn_rates = [100 * hits[rows].sum() / counts[rows].sum() for rows in drawn]
        assert truth("06.4", hits, counts, drawn) == pytest.approx(np.percentile(drawn_rates, [2.5, 97.5]))


def test_a_threshold_in_cells_and_a_curve_of_doubled_distances() -> None:
    side, shown, stride = 96, 120, 4
    assert truth("06.1") == pytest.approx(0.1 * 60 * side / shown / stride)
    distance, counted = np.random.default_rng(0).exponential(0.1, (50, 4)), np.ones((50, 4), bool)
    assert truth("06.3") == "b" and np.array_equal(
        rates(2 * distance, counted, [0.1, 0.2]), rates(distance, counted, [0.05, 0.1])
    )


def test_rounding_to_cells() -> None:
    places = np.random.default_rng(0).uniform(8, 40, (20_000, 1, 2))  # cells
    codec = Codec(48, 48, 1.5, "round", offset="none")  # a cell is a pixel here
    found, _ = codec.decode(codec.encode(places, np.ones(places.shape[:2]))[0])
    share = 100 * (np.linalg.norm(found - places, axis=-1) <= 0.5).mean()
    assert truth("06b.1") == pytest.approx(share, abs=1)
    assert truth("06b.2", places[:, 0], 0.5) == pytest.approx(share, abs=0.1)


def test_the_published_evaluator() -> None:
    """Its Mean, of whole true coordinates, which that evaluator rounds."""
    assert truth("06b.3") == pytest.approx(2 * THRESHOLD * np.sqrt(256) / 2)
    rng = np.random.default_rng(0)
    points, scores = np.rint(rng.uniform(20, 80, (40, 36, 2))), rng.uniform(0.5, 1, (40, 36))
    visible, names = rng.random((40, 36)) < 0.7, [f"{n:03d}" for n in range(40)]
    found = points + rng.normal(0, 0.6, points.shape)
    labels: Any = SimpleNamespace(names=names, keypoints=points, visible=visible, hidden=~visible)
    table = veri_published_table(labels, Predictions(names, found, scores))
    assert truth("06b.4", points, found, scores, visible) == pytest.approx(table["Mean"])


def test_reading_and_turning_heatmaps() -> None:
    maps = np.zeros((1, 1, 9, 9))
    maps[0, 0, 4, 3:7] = 0.1, 0.6, 0.9, 0.7
    found, _ = Codec(36, 9, 1.5, offset="quarter").decode(maps)
    assert found[0, 0, 0] == truth("06c.1")
    heatmaps = np.random.default_rng(0).random((36, 8, 8))
    wanted = mirror_heatmaps(heatmaps[None], VEHICLE, 0)[0]
    assert np.array_equal(truth("06c.2", heatmaps, list(VEHICLE.flip_order)), wanted)


def test_swaps_are_those_of_the_error_kinds() -> None:
    skeleton = make_skeleton("thing", ["left_a", "right_a", "left_b", "right_b", "middle"])
    rng, order = np.random.default_rng(0), list(skeleton.flip_order)
    points = rng.uniform(0, 60, (40, 5, 2))
    found = np.where(rng.random((40, 5, 1)) < 0.4, points[:, order], points) + rng.normal(0, 2, points.shape)
    visible, unit = rng.random((40, 5)) < 0.8, rng.uniform(20, 60, 40)
    labels: Any = SimpleNamespace(keypoints=points, visible=visible, hidden=~visible, unit=unit)
    kinds = error_kinds(labels, found, skeleton, 0.1)
    wrong = (kinds > 0).sum()
    wanted = 100 * (kinds == KINDS.index("left/right swapped")).sum() / wrong
    assert truth("06c.3", points, found, visible, unit, 0.1, order) == pytest.approx(wanted)


def test_half_the_scores_rank_as_before_and_mean_something_else() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((60, 4))
    right, all_of_them, images = rng.random((60, 4)) < scores, np.ones((60, 4), bool), [str(n) for n in range(60)]
    assert ranking(scores[all_of_them], right[all_of_them]) == ranking(scores[all_of_them] / 2, right[all_of_them])
    errors = [reliability(scores * factor, right, all_of_them, images).error for factor in (1, 0.5)]
    assert truth("06c.4") == "c" and errors[1] > errors[0] + 10


def test_numbers_for_a_board() -> None:
    for reference, other in cases("07.1"):
        assert truth("07.1", reference, other) == pytest.approx(np.abs(other - reference).max() / np.ptp(reference))
    between = np.random.default_rng(0).uniform(1, 2, 200_000)
    relative = np.abs(between.astype(np.float16) - between) / between
    assert relative.max() == pytest.approx(truth("07.2"), rel=0.01) and relative.max() <= truth("07.2")
    assert truth("07.3") == np.zeros((3, 96, 96), np.float32).nbytes
    recipe = get_recipe("poseestnet")
    for picture, mean, std in cases("07.4"):
        assert (tuple(mean), tuple(std)) == (tuple(recipe.mean), tuple(recipe.std))
        assert np.allclose(truth("07.4", picture, mean, std), normalise(picture[None], recipe)[0], atol=1e-5)


def test_quads_and_thresholds() -> None:
    found = [truth("08.2", quad) for (quad,) in cases("08.2")]
    assert found == [is_convex(quad) for (quad,) in cases("08.2")] and {True, False} == set(found[6:])
    for grid, kept, share in cases("08.4"):
        assert truth("08.4", grid, kept, share) == grid[kept >= share].max()


def test_keypoints_of_ones_own() -> None:
    names = "left_rim right_rim left_base right_base handle_top handle_bottom".split()
    assert truth("09.1") == len(make_skeleton("mug", names).flip_pairs)
    for points, found, labelled, area, k in cases("09.4"):
        wanted = similarities(points[None], found[None], labelled[None], np.array([area]), k)[0]
        assert truth("09.4", points, found, labelled, area, k) == pytest.approx(wanted)
    away, k, area = np.array([[[3.0, 4.0]]]), np.array([0.25]), np.array([400.0])  # d = 5 = s k
    assert similarities(0 * away, away, np.ones((1, 1), bool), area, k)[0] == pytest.approx(truth("09.3"))
