"""A training that was stopped in any way goes on to the very bits of one that was not, or says why it can't."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kills import kill, same_results, start, wait_for
from mindspore import Tensor, ops
from networks import fresh

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError, Stopped
from posekit.layouts import open_split
from posekit.models.checkpoint import load_network, read_checkpoint, read_training, save_checkpoint
from posekit.recipes import Recipe, get_recipe
from posekit.runtime import set_up
from posekit.settings import override
from posekit.skeletons import make_skeleton
from posekit.training.loop import _prepare, train
from posekit.training.progress import LAST, PREVIOUS, _last_whole, check_finite, resumed
from posekit.training.step import TrainStep

TINY = get_recipe("poseestnet-tiny")
# All that has a state: the average, the loss scale, which doubles, and sums of gradients.
FULL = override(TINY, ["epochs=3", "ema=0.5", "clip_norm=1", "loss_scale=64", "loss_scale_window=5", "batch=2",
                       "accumulate=2"])  # fmt: skip

pytestmark = pytest.mark.slow
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu")


@pytest.fixture
def splits(tiny_vehicles: Path) -> list[PoseDataset]:
    return [open_split(TINY, tiny_vehicles, split) for split in ("train", "test")]


@pytest.fixture
def rng() -> np.random.Generator:
    """For random moments. pytest shows the seed when the test fails."""
    seed = np.random.SeedSequence().entropy
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def go(recipe: Recipe, splits: list[PoseDataset], out: Path, **options: object) -> pd.DataFrame:
    return train(recipe, *splits, out, progress=False, **options)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


@posix
def test_a_finished_run_without_its_checkpoint_is_not_trained_anew(tmp_path: Path):
    """It would replace best.ckpt without a word."""
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="holds a finished run without last.ckpt"):
        resumed(tmp_path, TINY, None, None, None)


def test_stopped_killed_killed_while_saving_and_damaged(
    tiny_vehicles, splits, tmp_path: Path, monkeypatch, rng, capsys
):
    """One after the other; what is left of it ends as the training that ran in one go."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    log = go(FULL, splits, whole)
    assert log["skipped"].tolist() == [0] * 18 and log["loss_scale"].iloc[-1] > 64

    learn, calls = TrainStep.learn, []

    def terminated(step: TrainStep, batches: list) -> float:
        calls.append(os.kill(os.getpid(), signal.SIGTERM) if len(calls) == 3 else None)
        return learn(step, batches)

    with (
        monkeypatch.context() as patch,
        pytest.raises(Stopped, match=r"at step 4 of 18; \S+last.ckpt has it all: continue"),
    ):
        patch.setattr(TrainStep, "learn", terminated)
        go(FULL, splits, out)
    assert int(read_checkpoint(out / LAST)[1]["step"].asnumpy()) == 4  # the step under way was made whole

    process = start(FULL, tiny_vehicles, out, save_seconds=0)
    wait_for(out / PREVIOUS, process)  # it has made a step
    time.sleep(rng.uniform(0, 1))
    process.kill()
    assert process.wait() == -signal.SIGKILL

    process = start(FULL, tiny_vehicles, out, save_seconds=0)
    assert kill(process, out, 0, saving=True)
    flip_a_bit(out / LAST)

    log = go(FULL, splits, out, resume=True)
    assert "last.ckpt: not a readable checkpoint" in (said := capsys.readouterr().err) and said.count("\n") == 1
    assert log["step"].tolist() == list(range(1, 19)) and same_results(whole, out)
    names = {"recipe.json", "log.csv", "curves.png", "best.ckpt", "last.ckpt", "manifest.json"}
    assert {path.name for path in out.iterdir()} == names | {"damaged.ckpt"}
    assert json.loads((out / "manifest.json").read_text())["results"] == {"best PCK@0.1": log["valid_pck"].max()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_vehicles: Path) -> Path:
    """A training from first to last on this process's cores: on another number of them its last bits differ."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    recipe = override(TINY, ["epochs=8", "validate_every=4"])
    go(recipe, [open_split(recipe, tiny_vehicles, split) for split in ("train", "test")], out)
    return out


@posix
@pytest.mark.parametrize("saving", [False, True])
def test_killed_at_any_moment(saving: bool, undisturbed: Path, tiny_vehicles, splits, tmp_path: Path, rng):
    recipe, _ = read_checkpoint(undisturbed / LAST)
    seconds = json.loads((undisturbed / "manifest.json").read_text())["seconds"]
    killed, out = False, tmp_path / "out"
    while not killed:  # one that ended before is made again, to be killed earlier
        shutil.rmtree(out, ignore_errors=True)
        process, seconds = start(recipe, tiny_vehicles, out, save_seconds=0.2), rng.uniform(0, seconds)
        killed = kill(process, out, seconds, saving)
    go(recipe, splits, out, resume=True)
    assert same_results(undisturbed, out)


def test_the_kept_weights_are_the_average(tiny_vehicles, splits, tmp_path: Path):
    recipe = override(TINY, ["epochs=1", "ema=0.5"])
    go(recipe, splits, tmp_path / "run")
    _, weights, state = read_training(tmp_path / "run" / LAST)
    best = {p.name: p.asnumpy() for p in load_network(tmp_path / "run" / "best.ckpt").network.get_parameters()}
    assert all(np.array_equal(value, state[f"average.{name}"].asnumpy()) for name, value in best.items())
    assert not np.array_equal(best["conv1.weight"], weights["conv1.weight"].asnumpy())


def test_a_finished_training_is_left_as_it_is(tiny_run: Path, tiny_vehicles: Path, tmp_path: Path):
    recipe, _ = read_checkpoint(tiny_run / LAST)
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    before = {path: path.stat().st_mtime_ns for path in run.iterdir() if path.suffix in (".ckpt", ".json")}
    before.pop(run / "recipe.json")
    log = go(recipe, [open_split(recipe, tiny_vehicles, split) for split in ("train", "test")], run, resume=True)
    assert len(log) == 72 and {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            ["epochs=13", "sigma=2"],
            r"was trained with sigma=1\.5, epochs=12, not sigma=2\.0, epochs=13; resume with",
        ),
        ([], "tiny: was trained with other data; resume it with the same --data, or give another --out"),
    ],
)
def test_another_training_is_not_resumed(tiny_run: Path, splits, settings, message):
    recipe, _ = read_checkpoint(tiny_run / LAST)
    before = (tiny_run / "recipe.json").read_bytes()
    other = replace(splits[0], keypoints=splits[0].keypoints + 1)
    with pytest.raises(InputError, match=message) as caught:
        go(override(recipe, settings), [other, splits[1]], tiny_run, resume=True)
    assert "\n" not in str(caught.value) and (tiny_run / "recipe.json").read_bytes() == before


def test_another_skeleton_is_named_in_short(tiny_run: Path, splits):
    recipe, _ = read_checkpoint(tiny_run / LAST)
    names = splits[0].skeleton.keypoints
    other = replace(recipe, skeleton=make_skeleton("car", names, flip_pairs=()))
    with pytest.raises(InputError, match=r"not skeleton=car \(36 keypoints, 0 flip pairs\); resume with"):
        go(other, splits, tiny_run, resume=True)


def test_weights_alone_cannot_go_on(tiny_run: Path, splits, tmp_path: Path):
    recipe, _ = read_checkpoint(tiny_run / LAST)
    shutil.copy(tiny_run / "best.ckpt", tmp_path / LAST)
    with pytest.raises(
        InputError, match=r"last.ckpt: global_step is missing, so this training can't continue; start one"
    ):
        go(recipe, splits, tmp_path, resume=True)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def two_checkpoints(folder: Path) -> None:
    for step in (1, 2):
        save_checkpoint(folder / LAST, fresh(TINY), TINY, 0, step, {"progress": "{}"}, folder / PREVIOUS)


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path, capsys):
    def step(found: tuple) -> int:
        return int(found[1][1]["step"].asnumpy())

    assert _last_whole(tmp_path) is None
    two_checkpoints(tmp_path)
    assert step(_last_whole(tmp_path)) == 2
    (tmp_path / LAST).unlink()  # a kill between the two renamings
    assert step(_last_whole(tmp_path)) == 1 and capsys.readouterr().err == ""
    for damage in (
        flip_a_bit,
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(b""),
    ):
        two_checkpoints(tmp_path)
        damage(tmp_path / LAST)
        assert step(_last_whole(tmp_path)) == 1
        assert f"continuing from {tmp_path / PREVIOUS}, the one before\n" in capsys.readouterr().err
    flip_a_bit(tmp_path / PREVIOUS)
    with pytest.raises(InputError, match="previous.ckpt: not a readable checkpoint"):
        _last_whole(tmp_path)


def test_weights_that_are_no_numbers_are_not_kept(splits, tmp_path: Path):
    training = _prepare(TINY, *splits, tmp_path, resume=False, pretrained=None)
    check_finite(training)
    weight = training.network.trainable_params()[3]
    ops.assign(weight, Tensor(np.full(weight.shape, np.nan, np.float32)))
    with pytest.raises(InputError, match=f"{weight.name} became infinite or NaN by step 0; .*nothing was saved"):
        check_finite(training)


def test_a_diverging_training_names_its_last_good_checkpoint(splits, tmp_path: Path):
    """A rate of 1e30 makes weights that are numbers first, and then a loss or weights that are none."""
    recipe = override(TINY, ["epochs=1", "batch=8", "learning_rate=1e30", "warmup_epochs=0"])
    message = r"became \w+.* step 2; lower learning_rate, or set clip_norm; \S+last.ckpt is good, at step 1$"
    with pytest.raises(InputError, match=message):
        go(recipe, splits, tmp_path, save_minutes=0)
    assert int(read_checkpoint(tmp_path / LAST)[1]["step"].asnumpy()) == 1
    assert all(np.isfinite(p.asnumpy()).all() for p in load_network(tmp_path / LAST).network.get_parameters())
