"""Schedules in closed form; a tiny training learns, repeats itself to the bit and leaves a whole run folder."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import pandas as pd
import pytest

from posekit.errors import InputError
from posekit.layouts import open_split
from posekit.models.checkpoint import load_network
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import from_json, override
from posekit.training.loop import train, validate
from posekit.training.step import learning_rates

TINY = get_recipe("poseestnet-tiny")


def test_step_schedule_drops_at_the_seeds_milestones():
    rates = learning_rates(get_recipe("poseestnet"), steps=3)
    assert rates.shape == (210 * 3,)
    expected = [1e-3] * (170 * 3) + [1e-4] * (30 * 3) + [1e-5] * (10 * 3)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_exponential_schedule():
    rates = learning_rates(replace(TINY, schedule="exponential", decay_factor=0.985, warmup_epochs=0, epochs=100), 2)
    np.testing.assert_allclose(rates[[0, 1, 2, 199]] / 2e-3, [1, 1, 0.985, 0.985**99], rtol=1e-5)


def test_cosine_schedule_falls_from_the_rate_to_nothing():
    rates = learning_rates(replace(TINY, warmup_epochs=0, epochs=10, learning_rate=0.5), 10)
    np.testing.assert_allclose(rates[[0, 50]], [0.5, 0.25], rtol=1e-6)
    assert 0 < rates[-1] < 0.5e-3 and (np.diff(rates) < 0).all()


def test_warm_up_rises_in_a_line():
    flat = replace(TINY, schedule="step", milestones=(99,), warmup_epochs=2, epochs=4, learning_rate=1.0)
    np.testing.assert_allclose(learning_rates(flat, 5), [*np.arange(0.1, 1.01, 0.1), *[1.0] * 10], rtol=1e-6)


def test_a_tiny_network_learns(tiny_run: Path, tiny_vehicles: Path):
    """It ends well under what it began with, and finds more training keypoints than a constant guess does."""
    log = pd.read_csv(tiny_run / "log.csv")
    assert log["loss"].iloc[-3:].mean() < 0.75 * log["loss"].iloc[0]
    model = load_network(tiny_run / "last.ckpt")
    recipe, network = model.recipe, model.network
    data = open_split(recipe, tiny_vehicles, "train")
    middle = np.linalg.norm(data.keypoints - data.center[:, None], axis=-1) / data.unit[:, None]
    guess = 100 * (middle <= recipe.validation_threshold)[data.visible].mean()
    assert validate(network, recipe, data)[0] > 2 * guess


def test_the_log_has_every_update(tiny_run: Path):
    log = pd.read_csv(tiny_run / "log.csv")
    assert log["step"].tolist() == list(range(1, 73)) and log["epoch"].tolist() == [
        e for e in range(1, 13) for _ in range(6)
    ]
    recipe = from_json((tiny_run / "recipe.json").read_text(), "recipe.json")
    np.testing.assert_allclose(log["learning_rate"], learning_rates(recipe, 6), rtol=1e-4)
    assert log["valid_pck"].notna().tolist() == [row in (35, 71) for row in range(72)]
    assert np.isfinite(log["loss"]).all() and (log["images_per_second"] > 0).all()


def test_the_run_folder_is_whole(tiny_run: Path):
    names = {"recipe.json", "log.csv", "curves.png", "best.ckpt", "last.ckpt", "manifest.json"}
    assert {path.name for path in tiny_run.iterdir()} == names
    picture = cv2.imread(str(tiny_run / "curves.png"))
    assert picture is not None and picture.std() > 10
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    log = pd.read_csv(tiny_run / "log.csv")
    assert manifest["recipe"]["epochs"] == 12
    assert {split: entry["samples"] for split, entry in manifest["data"].items()} == {"train": 24, "test": 12}
    assert manifest["device"].startswith("CPU:0") and manifest["versions"]["mindspore"] == "2.10.0"
    assert list(manifest["results"].values()) == [pytest.approx(log["valid_pck"].max(), rel=1e-4)]


def test_the_best_checkpoint_is_the_best(tiny_run: Path, tiny_vehicles: Path):
    log = pd.read_csv(tiny_run / "log.csv")
    model = load_network(tiny_run / "best.ckpt")
    recipe, network = model.recipe, model.network
    found, _ = validate(network, recipe, open_split(recipe, tiny_vehicles, "test"))
    assert found == pytest.approx(log["valid_pck"].max(), rel=1e-4)


def weights(path: Path) -> dict[str, np.ndarray]:
    return {
        name: value.asnumpy() for name, value in ms.load_checkpoint(str(path)).items() if not isinstance(value, str)
    }


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(tiny_vehicles: Path, tmp_path: Path):
    set_up("cpu")
    recipe = override(TINY, ["epochs=1", "batch=12"])
    data, validation = (open_split(recipe, tiny_vehicles, split) for split in ("train", "test"))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(replace(recipe, seed=seed), data, validation, tmp_path / name, progress=False)
    a, b, c = (weights(tmp_path / name / "last.ckpt") for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a) and set(a) == set(b)
    assert not all(np.array_equal(a[name], c[name]) for name in a)


def test_a_run_is_not_overwritten(tiny_run: Path, tiny_vehicles: Path):
    before = (tiny_run / "last.ckpt").read_bytes()
    data = open_split(TINY, tiny_vehicles, "test")
    with pytest.raises(InputError, match="already holds a run; give another --out"):
        train(TINY, data, data, tiny_run, progress=False)
    assert (tiny_run / "last.ckpt").read_bytes() == before


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_training(tiny_vehicles: Path, tmp_path: Path):
    set_up("cpu")
    recipe = override(TINY, ["epochs=1", "batch=8", "loss_factor=1e39"])
    data = open_split(recipe, tiny_vehicles, "train")
    with pytest.raises(InputError, match="the loss became inf in epoch 1, step 1; lower learning_rate"):
        train(recipe, data, data, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "best.ckpt").exists()
