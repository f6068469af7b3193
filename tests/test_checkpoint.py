"""A checkpoint brings its recipe and every weight back, or says what it is instead."""

import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from networks import fresh

from posekit.errors import InputError
from posekit.models.checkpoint import load_network, read_checkpoint, save_checkpoint
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import override, to_json

TINY = get_recipe("poseestnet-tiny")


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu")


def test_weights_and_recipe_come_back(tmp_path: Path):
    recipe = override(TINY, ["sigma=1.75", "head_bias=true"])
    network = fresh(recipe)
    save_checkpoint(tmp_path / "a.ckpt", network, recipe, 3, 45)
    model = load_network(tmp_path / "a.ckpt")
    found, loaded = model.recipe, model.network
    assert found == recipe
    pairs = list(zip(network.get_parameters(), loaded.get_parameters(), strict=True))
    assert all(a.name == b.name and np.array_equal(a.asnumpy(), b.asnumpy()) for a, b in pairs) and len(pairs) > 50
    values = read_checkpoint(tmp_path / "a.ckpt")[1]
    assert (int(values["epoch"].asnumpy()), int(values["step"].asnumpy())) == (3, 45)


def test_a_checkpoint_replaces_the_one_before(tmp_path: Path):
    """MindSpore itself writes read-only files and removes the old one first."""
    for epoch in (1, 2):
        save_checkpoint(tmp_path / "a.ckpt", fresh(TINY), TINY, epoch, epoch)
    assert int(read_checkpoint(tmp_path / "a.ckpt")[1]["epoch"].asnumpy()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]
    shutil.rmtree(tmp_path)  # nothing in it resists


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch):
    save_checkpoint(tmp_path / "a.ckpt", fresh(TINY), TINY, 1, 1)
    before = (tmp_path / "a.ckpt").read_bytes()

    def fail(_, path: str, **__) -> None:
        Path(path).with_suffix(".tmp").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(ms, "save_checkpoint", fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "a.ckpt", fresh(TINY), TINY, 2, 2)
    assert (tmp_path / "a.ckpt").read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.mark.parametrize(
    "settings, message",
    [
        (["width=16"], r"have another shape, first transitions\.0\.1.* is \(16, 8, 3, 3\) instead of \(32, 8, 3, 3\)"),
        (["branch_blocks=2"], r"20 parameters are missing, first stages\.0\.0\.branches\.0\.1\.conv1\.weight"),
        (["head_bias=true"], "1 parameters are missing, first final_layer.bias"),
    ],
)
def test_weights_of_another_network_are_named(tmp_path: Path, settings, message):
    """The file's recipe asks for another network than the one whose weights it holds."""
    save_checkpoint(tmp_path / "a.ckpt", fresh(TINY), override(TINY, settings), 1, 1)
    with pytest.raises(InputError, match=message) as caught:
        load_network(tmp_path / "a.ckpt")
    assert "a.ckpt: belongs to another network" in str(caught.value) and "\n" not in str(caught.value)


def test_surplus_weights_are_named(tmp_path: Path):
    """A head's bias that the recipe does not have would otherwise be lost without a word."""
    save_checkpoint(tmp_path / "a.ckpt", fresh(override(TINY, ["head_bias=true"])), TINY, 1, 1)
    with pytest.raises(InputError, match="1 are not in the recipe's network, first final_layer.bias"):
        load_network(tmp_path / "a.ckpt")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path):
    save_checkpoint(tmp_path / "whole.ckpt", fresh(TINY), TINY, 1, 1)
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "whole.ckpt").read_bytes()[:20_000])
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    (tmp_path / "empty.ckpt").write_bytes(b"")
    for name in ("cut.ckpt", "text.ckpt", "empty.ckpt"):
        with pytest.raises(InputError, match=f"{name}: not a readable checkpoint") as caught:
            load_network(tmp_path / name)
        assert "\n" not in str(caught.value)
    whole = (tmp_path / "whole.ckpt").read_bytes()
    for place in (0, 5, len(whole) // 2, len(whole) - 18, len(whole) - 1):
        (tmp_path / "flipped.ckpt").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(InputError, match="flipped.ckpt: not a readable checkpoint .its checksum is wrong: it is"):
            load_network(tmp_path / "flipped.ckpt")
    ms.save_checkpoint(fresh(TINY), str(tmp_path / "plain.ckpt"))
    with pytest.raises(InputError, match="plain.ckpt: holds no recipe"):
        load_network(tmp_path / "plain.ckpt")
    with pytest.raises(InputError, match="none.ckpt: no such model file"):
        load_network(tmp_path / "none.ckpt")


def test_a_recipe_of_a_later_version_names_its_field(tmp_path: Path):
    text = to_json(TINY).replace('"width"', '"breadth"')
    ms.save_checkpoint(fresh(TINY), str(tmp_path / "a.ckpt"), append_dict={"recipe": text})
    with pytest.raises(InputError, match="a.ckpt: unknown field 'breadth'; did you mean"):
        load_network(tmp_path / "a.ckpt")
