"""The seed's values, changes from the command and from files, and what is refused."""

import dataclasses
import json
from pathlib import Path

import pytest

from posekit.errors import InputError
from posekit.recipes import RECIPES, get_recipe
from posekit.settings import from_json, override, override_from_file, to_json
from posekit.skeletons import get_skeleton

TINY = get_recipe("poseestnet-tiny")


def test_poseestnet_is_the_seeds():
    """The seed's published parameters: HRNet-W32, its augmentation, targets, loss, optimiser and test."""
    r = get_recipe("poseestnet")
    assert (r.width, r.stem_width, r.layer1_block, r.layer1_blocks) == (32, 64, "bottleneck", 4)
    assert (r.stage_modules, r.branch_blocks, r.head_bias) == ((1, 4, 3), 4, False)
    assert (r.input_size, r.heatmap_size, r.sigma, r.target_centre, r.supervise_missing) == (256, 64, 2, "round", False)
    assert (r.mean, r.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (r.scale_factor, r.rotation_factor, r.augment_shape) == (0.25, 30, "normal")
    assert (r.rotation_probability, r.flip_probability) == (0.6, 0.5)
    assert r.loss_factor == 0.5 * 36**3 == pytest.approx(0.5 / 36 * 1_679_616)
    assert (r.learning_rate, r.weight_decay, r.decay_factor) == (1e-3, 1e-4, 0.1)
    assert (r.schedule, r.milestones, r.epochs, r.batch) == ("step", (170, 200), 210, 32)
    assert (r.flip_test, r.flip_shift, r.offset) == (True, 1.0, "quarter")
    assert get_skeleton(r.skeleton).num_keypoints == 36


def test_only_the_seeds_hourglass_trains_in_mixed_precision():
    """Its amp_level is O2, which MindSpore's own training wrapper combines with dynamic loss scaling."""
    mixed = {name: (recipe.amp, recipe.loss_scale) for name, recipe in RECIPES.items() if recipe.amp != "O0"}
    assert mixed == {"hourglass": ("O2", 2**16)}
    assert not any(recipe.loss_scale for name, recipe in RECIPES.items() if name not in mixed)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name):
    recipe = get_recipe(name)
    assert from_json(to_json(recipe), "here") == recipe
    assert from_json(json.dumps(json.loads(to_json(recipe)), indent=2), "here") == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_its_own_checks(name):
    assert override(get_recipe(name), ["epochs=1"]).epochs == 1


def test_settings_take_each_fields_type():
    settings = [
        "stage_modules=1,4,3",
        "flip_test=false",
        "head_bias=True",
        "learning_rate=2e-4",
        "epochs=7",
        "offset=none",
    ]
    changed = override(get_recipe("poseestnet"), settings)
    assert changed.stage_modules == (1, 4, 3) and changed.flip_test is False and changed.head_bias is True
    assert changed.learning_rate == 2e-4 and changed.epochs == 7 and changed.offset == "none"
    assert override(TINY, ["stage_modules=1"]).stage_modules == (1,)
    assert override(TINY, [" sigma = 2 "]).sigma == 2.0 and isinstance(override(TINY, ["sigma=2"]).sigma, float)


def test_no_setting_changes_nothing():
    assert override(TINY, []) == TINY


@pytest.mark.parametrize(
    "setting, message",
    [
        ("learning_rat=1", "unknown field 'learning_rat'; did you mean learning_rate?"),
        ("qqq=1", "unknown field 'qqq'"),
        ("epochs", "write field=value"),
        ("epochs=many", "epochs takes int, not 'many'"),
        ("epochs=1.5", "epochs takes int, not '1.5'"),
        ("flip_test=perhaps", "flip_test takes bool, not 'perhaps'"),
        ("stage_modules=1,b", "stage_modules takes ints, as 1,2,3"),
        ("offset=darker", "offset is one of none, quarter, "),
        ("schedule=", "schedule is one of step, exponential, cosine"),
        ("epochs=0", "epochs must be above 0, not 0"),
        ("batch=-4", "batch must be above 0, not -4"),
        ("sigma=nan", "sigma must be finite, not nan"),
        ("learning_rate=inf", "learning_rate must be finite"),
        ("seed=-1", "seed must be 0 or more, not -1"),
        ("flip_probability=1.2", "flip_probability must be at most 1, not 1.2"),
        ("scale_factor=1", "scale_factor must be below 1"),
        ("ema=1", "ema must be below 1, not 1"),
        ("amp=O1", "amp is one of O0, O2, O3, auto, not 'O1'"),
        ("decayed=norms", "decayed is one of weights, weights+biases, all"),
        ("loss_scale=0.5", "loss_scale must be 0 or at least 1, not 0.5"),
        ("accumulate=0", "accumulate must be above 0"),
        ("std=1,1", "mean and std take three values each"),
        ("input_size=100", "input_size that is a multiple of 8"),
        ("heatmap_size=32", "heatmap_size = input_size / 4, not 64 and 32"),
    ],
)
def test_what_cannot_be_set_is_refused(setting, message):
    with pytest.raises(InputError) as caught:
        override(TINY, [setting])
    assert message in str(caught.value) and str(caught.value).startswith("--set") and "\n" not in str(caught.value)


def test_intervals_need_no_flip_shift():
    udp = ["intervals=true", "target_centre=exact", "offset=udp"]
    with pytest.raises(InputError, match="with intervals .*flip_shift to 0, not 0.75"):
        override(TINY, udp)
    assert override(TINY, [*udp, "flip_shift=0"]).intervals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["width=3"], "an hourglass needs a width of at least 4, not 3"),
        (["depth=20000"], "20000 halvings of the maps are too many; at most 10 can be"),
        (["input_size=8", "heatmap_size=2"], "heatmap_size must be at least 4, not 2"),
    ],
)
def test_an_hourglass_that_cannot_be_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        override(get_recipe("hourglass-tiny"), settings)


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(InputError, match="unknown recipe 'posenet'; choose one of poseestnet, .*poseestnet-smoke"):
        get_recipe("posenet")


def test_a_toml_or_json_file_changes_fields(tmp_path: Path):
    (tmp_path / "a.toml").write_text("epochs = 3\nstage_modules = [1]\nflip_test = false\nlearning_rate = 1\n")
    (tmp_path / "a.json").write_text('{"epochs": 3, "stage_modules": [1], "flip_test": false, "learning_rate": 1}')
    wanted = dataclasses.replace(TINY, epochs=3, stage_modules=(1,), flip_test=False, learning_rate=1.0)
    assert override_from_file(TINY, tmp_path / "a.toml") == override_from_file(TINY, tmp_path / "a.json") == wanted


def test_a_runs_recipe_is_a_config_file(tmp_path: Path):
    recipe = get_recipe("poseestnet-smoke")
    (tmp_path / "recipe.json").write_text(to_json(recipe))
    assert override_from_file(get_recipe("poseestnet"), tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.toml", "epochs = = 3", "a.toml: not valid toml (.*line 1.*)"),
        ("a.json", '{"epochs": 3', "a.json: not valid json"),
        ("a.json", "[1, 2]", "a.json: expected a table"),
        ("a.json", '{"epochs": 2.5}', "a.json: epochs takes int, not 2.5"),
        ("a.json", '{"stage_modules": 3}', "a.json: stage_modules takes ints"),
        ("a.toml", "epoch = 3", "a.toml: unknown field 'epoch'; did you mean epochs"),
        ("b.toml", None, "b.toml: cannot read"),
    ],
)
def test_a_bad_config_file_is_refused(tmp_path: Path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        override_from_file(TINY, tmp_path / name)


def test_an_unreadable_carried_recipe_names_the_file():
    with pytest.raises(InputError, match="model.ckpt: holds no readable recipe"):
        from_json("{", "model.ckpt")
    with pytest.raises(InputError, match="model.ckpt: unknown field 'teeth'"):
        from_json('{"teeth": 32}', "model.ckpt")
