"""One network's heatmaps read by several codecs, perfect ones as a ceiling, and the memory that takes."""

import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_robustness import pictures

from posekit.codecs import CODECS, Codec
from posekit.evaluation.ablation import perfect_predictions, read_by_codecs
from posekit.evaluation.metrics import normalised_distances
from posekit.inference.predictors import Predictor, predict_dataset
from posekit.layouts.veri import VERI
from posekit.recipes import get_recipe
from posekit.skeletons import VEHICLE

TINY = get_recipe("poseestnet-tiny")


def test_one_pass_reads_as_each_codec_alone_does(tiny_vehicles: Path):
    dataset, rng = VERI.read(tiny_vehicles, "test"), np.random.default_rng(0)
    answers = rng.random((5, 36, 16, 16))
    asked = []
    predictor = Predictor(
        TINY, VEHICLE, lambda images: asked.append(1) or answers * images.std((1, 2, 3))[:, None, None, None], 5
    )
    codecs = {name: replace(TINY.codec, offset=name) for name in ("none", "quarter", "dark", "udp")}
    read = read_by_codecs(predictor, dataset, codecs)
    assert len(asked) == 2 * math.ceil(len(dataset) / 5)  # once, and once mirrored
    for name in codecs:
        alone = predict_dataset(replace(predictor, recipe=replace(TINY, offset=name)), dataset, progress=False)
        np.testing.assert_array_equal(read[name].keypoints, alone.keypoints)
        np.testing.assert_array_equal(read[name].scores, alone.scores)
        assert read[name].names == dataset.names


@pytest.mark.parametrize(("name", "expected"), [("msra", math.pi * 0.3**2), ("dark", 1), ("udp", 1)])
def test_the_ceiling_on_a_data_set_is_the_codecs(name: str, expected: float):
    """A box of 64 pixels seen at 64 has cells of 4; 0.3 cells are 1.2 pixels, 0.06 of a unit of 20."""
    dataset = replace(pictures(300), box_size=np.full(300, 64, np.float32))
    found = perfect_predictions(dataset, Codec(64, 16, 1.5, **CODECS[name]))
    rate = (normalised_distances(dataset, found) <= 0.06).mean()
    assert rate == pytest.approx(expected, abs=0.02)  # udp's cells are 4.06 pixels


def test_heatmaps_are_dropped_once_they_are_read():
    """400 samples' heatmaps would take 236 MB."""
    tracemalloc.start()
    perfect_predictions(pictures(400), Codec(256, 64, 2.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
