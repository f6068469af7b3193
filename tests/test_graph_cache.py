"""Graphs that are kept from one start to the next are the right ones, or are compiled anew."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kills import same_results, start
from mindspore import Tensor
from networks import fresh

from posekit import graph_cache
from posekit.files import ROOT
from posekit.inference.predictors import network_predictor
from posekit.models.checkpoint import load_network
from posekit.recipes import Recipe, get_recipe
from posekit.runtime import set_up
from posekit.settings import graph_text, override

TINY = override(get_recipe("poseestnet-tiny"), ["epochs=1"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Where graphs are kept in this test, and in the processes that it starts."""
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "graphs"


@pytest.fixture
def enabled(folder: Path, monkeypatch) -> Path:
    """The folder, with the cache switched on in this process."""
    monkeypatch.setattr(graph_cache, "_enabled", time.time())
    set_up("cpu")
    return folder


def trained(recipe: Recipe, data: Path, out: Path) -> Path:
    """`posekit train` in a process of its own."""
    assert start(recipe, data, out, 600).wait() == 0
    return out


def files(folder: Path) -> dict[str, int]:
    """The graphs by name, with a number that changes when one is written again."""
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


def forward(network, recipe: Recipe = TINY, batch: int = 2) -> np.ndarray:
    """The heatmaps of a fixed batch, as an evaluation computes them."""
    images = np.random.default_rng(0).normal(size=(batch, *recipe.input_shape)).astype(np.float32)
    return network_predictor(network, recipe, None, batch).run(images)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [[], ["ema=0.5", "clip_norm=1", "accumulate=2"], ["loss_scale=64"]])
def test_a_second_start_uses_the_graphs_and_trains_to_the_same_bits(settings, tiny_vehicles, tmp_path: Path, folder):
    """Loss scaling's graph can't be stored, so it is compiled both times."""
    recipe = override(TINY, settings)
    first = trained(recipe, tiny_vehicles, tmp_path / "first")
    kept = files(folder)
    assert len(kept) == (1 if recipe.loss_scale else 2)  # the validation's, and the training step's
    second = trained(recipe, tiny_vehicles, tmp_path / "second")
    assert files(folder) == kept
    shutil.rmtree(folder.parent)
    assert same_results(first, second) and same_results(first, trained(recipe, tiny_vehicles, tmp_path / "third"))


@pytest.mark.slow
def test_damaged_graphs_are_compiled_anew(tiny_vehicles, tmp_path: Path, folder):
    first = trained(TINY, tiny_vehicles, tmp_path / "first")
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    cut, flipped = whole
    cut.write_bytes(whole[cut][:-1000])
    flipped.write_bytes(whole[flipped][:5000] + bytes([whole[flipped][5000] ^ 1]) + whole[flipped][5001:])
    assert same_results(first, trained(TINY, tiny_vehicles, tmp_path / "second"))
    kept = files(folder)
    assert same_results(first, trained(TINY, tiny_vehicles, tmp_path / "third")) and files(folder) == kept


@pytest.mark.slow
def test_two_starts_at_once(tiny_vehicles, tmp_path: Path, folder):
    runs = [tmp_path / "first", tmp_path / "second"]
    assert [process.wait() for process in [start(TINY, tiny_vehicles, run, 600) for run in runs]] == [0, 0]
    assert same_results(*runs) and len(files(folder)) == 2
    kept = files(folder)
    assert same_results(runs[0], trained(TINY, tiny_vehicles, tmp_path / "third")) and files(folder) == kept


def alone(test: str, folder: Path) -> None:
    """Run a function of this file in a process of its own: MindSpore keeps to the first cache folder of a process."""
    code = (
        "import sys, time, pathlib; import test_graph_cache as t; from posekit import graph_cache\n"
        f"graph_cache.enable(); t.set_up('cpu'); graph_cache._own_folder(); t.{test}(pathlib.Path(sys.argv[1]))"
    )
    script = folder.parents[2] / "alone.py"  # MindSpore wants a file that Python was started with
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{ROOT}"}
    subprocess.run([sys.executable, script, folder], env=environment, check=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("test", ["get_graphs_of_their_own", "keep_their_own_weights"])
def test_other_networks(test: str, folder: Path) -> None:
    alone(test, folder)


def get_graphs_of_their_own(enabled: Path) -> None:
    """In one process, in any order; each compared with the network that computes without a cache."""
    recipes = [TINY, replace(TINY, width=16), get_recipe("hourglass-tiny"), replace(TINY, head_bias=True)]
    for count, (recipe, batch) in enumerate([*((recipe, 2) for recipe in recipes), (TINY, 3)], 1):
        network = fresh(recipe)
        plain = network.set_train(False)(Tensor(np.zeros((1, *recipe.input_shape), np.float32)))  # compiles, unkept
        assert len(plain) >= 1
        first = forward(network, recipe, batch)
        assert len(files(enabled)) == count
        again = fresh(recipe)
        for mine, other in zip(again.get_parameters(), network.get_parameters(), strict=True):
            mine.set_data(other.value())
        assert np.array_equal(forward(again, recipe, batch), first) and len(files(enabled)) == count


def keep_their_own_weights(enabled: Path) -> None:
    """The graph is kept, not its weights."""
    first, second = fresh(TINY), fresh(TINY)
    images = Tensor(np.ones((2, *TINY.input_shape), np.float32))
    text = graph_text(TINY)
    assert not graph_cache.compile_cached(first.set_train(False), text, images)
    assert graph_cache.compile_cached(second.set_train(False), text, images)
    assert not np.array_equal(first(images)[-1].asnumpy(), second(images)[-1].asnumpy())


def test_the_key_says_all_that_the_graph_depends_on(tmp_path: Path, monkeypatch):
    set_up("cpu")
    network, images = fresh(TINY).set_train(False), Tensor(np.ones((2, *TINY.input_shape), np.float32))
    text = graph_text(TINY)
    keys = [graph_cache._key(network, text, (images,))]
    assert graph_cache._key(fresh(TINY).set_train(False), text, (images,)) == keys[0]  # the weights' values don't
    keys.append(graph_cache._key(network, graph_text(replace(TINY, weight_decay=0.5)), (images,)))
    keys.append(graph_cache._key(network, text, (images[:1],)))
    keys.append(graph_cache._key(fresh(replace(TINY, width=16)).set_train(False), text, (images,)))
    keys.append(graph_cache._key(fresh(TINY).set_train(True), text, (images,)))
    for target, value in (("mindspore.__version__", "2.11.0"), ("sys.version", "3.12")):
        with monkeypatch.context() as patch:
            patch.setattr(target, value)
            keys.append(graph_cache._key(network, text, (images,)))
    with monkeypatch.context() as patch:
        patch.setenv("MS_DEV_SIDE_EFFECT_LOAD_ELIM", "3")
        keys.append(graph_cache._key(network, text, (images,)))
    shutil.copytree(ROOT / "posekit", tmp_path / "posekit", ignore=shutil.ignore_patterns("__pycache__"))
    loss = tmp_path / "posekit" / "models" / "loss.py"
    loss.write_text(loss.read_text(encoding="utf-8").replace("0.5", "0.25") + "\n", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(graph_cache, "_code", graph_cache._code.__wrapped__)
        assert graph_cache._key(network, text, (images,)) == keys[0]
        patch.setattr(graph_cache, "__file__", str(tmp_path / "posekit" / "graph_cache.py"))
        keys.append(graph_cache._key(network, text, (images,)))
        patch.setattr(graph_cache, "_enabled", time.time() - 60)
        with pytest.raises(OSError, match="has changed"):  # after the start: another code than this runs
            graph_cache._key(network, text, (images,))
    assert len(set(keys)) == len(keys) == 9


def test_what_a_training_says_of_its_model_is_no_part_of_the_graph(tiny_run: Path):
    recipe = load_network(tiny_run / "best.ckpt").recipe
    assert recipe.trained_on == "drawings"
    assert graph_text(recipe) == graph_text(replace(recipe, trained_on="unknown", sure=0.0))


def test_only_commands_keep_graphs(folder: Path):
    """A notebook may have changed a network or the loss."""
    set_up("cpu")
    forward(fresh(TINY))
    assert not folder.exists()


def test_the_folder_can_be_out_of_reach(enabled: Path, monkeypatch):
    monkeypatch.setenv("POSEKIT_HOME", os.devnull)
    assert np.isfinite(forward(fresh(TINY))).all()


def test_unused_and_surplus_graphs_are_removed(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(graph_cache, "GRAPH_BYTES", 3 * (32 + len(b"graph")))
    now = time.time()
    for minute, name in enumerate("abcd"):
        graph_cache._write(tmp_path / name, b"graph")
        os.utime(tmp_path / name, (now - 600 + 60 * minute,) * 2)
    assert {path.name for path in tmp_path.iterdir()} == {"b", "c", "d"}
    os.utime(tmp_path / "b", (now - 31 * 86_400,) * 2)
    graph_cache._write(tmp_path / "d", b"other")
    assert {path.name for path in tmp_path.iterdir()} == {"c", "d"} and graph_cache._read(tmp_path / "d") == b"other"
