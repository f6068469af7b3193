"""The originals' values, changes from the command and from files, and what is refused: the same however it comes."""

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import get_args

import numpy as np
import pytest

from posekit.cli.main import main
from posekit.codecs import CENTRES, OFFSETS
from posekit.datasets.pipeline import AUGMENT_SHAPES, COLOR_JITTER
from posekit.errors import InputError
from posekit.fields import is_size, written
from posekit.inference.run_times.description import read_description
from posekit.layouts import LAYOUTS
from posekit.models import NETWORKS
from posekit.models.layers import BLOCKS
from posekit.recipes import HALVINGS, POSEESTNET, PURPOSES, RECIPES, Recipe, get_recipe
from posekit.settings import from_json, override, override_from_file, to_json
from posekit.skeletons import FROM_DATA, SKELETONS, get_skeleton
from posekit.training.step import DECAYED, SCHEDULES

TINY = get_recipe("poseestnet-tiny")


def refusal(make: Callable[[], object]) -> str:
    """The one line that an InputError says."""
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


@pytest.mark.parametrize("text", ["48,64", "48x64", "48×64", " 48 , 64 "])
def test_a_size_is_one_side_or_width_and_height(text, tmp_path: Path):
    recipe = override(TINY, [f"input_size={text}", "heatmap_size=12,16"])
    assert (recipe.input_size, recipe.heatmap_size) == ((48, 64), (12, 16))
    assert (recipe.input_shape, recipe.heatmap_shape) == ((3, 64, 48), (16, 12))
    assert json.loads(to_json(recipe))["input_size"] == [48, 64] and from_json(to_json(recipe), "here") == recipe
    (tmp_path / "a.toml").write_text("input_size = [48, 64]\nheatmap_size = [12, 16]\n")
    assert override_from_file(TINY, tmp_path / "a.toml") == recipe
    assert written(recipe.input_size) == "48,64"


def test_a_square_has_one_form_and_is_what_it_was():
    """Two equal sides are a side; model files of squares hold the whole number that they always held."""
    assert override(TINY, ["input_size=64,64", "heatmap_size=16x16"]) == TINY
    values = json.loads(to_json(replace(TINY, input_size=(64, 64))))
    assert (values["input_size"], values["heatmap_size"]) == (64, 16)
    assert (TINY.input_shape, TINY.heatmap_shape) == ((3, 64, 64), (16, 16))


def test_no_setting_changes_nothing():
    assert override(TINY, []) == TINY


@pytest.mark.parametrize(
    "setting, message",
    [
        (
            "learning_rat=1",
            "unknown field 'learning_rat'; did you mean learning_rate? See posekit recipe show poseestnet",
        ),
        ("qqq=1", "unknown field 'qqq'; see posekit recipe show poseestnet"),
        ("epochs", "write field=value"),
        ("epochs=many", "epochs must be a whole number from 1 to 100,000, not 'many'"),
        ("epochs=1.5", "epochs must be a whole number from 1 to 100,000, not 1.5"),
        ("epochs=0", "epochs must be a whole number from 1 to 100,000, not 0"),
        ("epochs=1e999", "epochs must be a whole number from 1 to 100,000, not inf"),
        ("flip_test=perhaps", "flip_test must be true or false, not 'perhaps'"),
        (
            "stage_modules=1,b",
            "stage_modules must be a tuple of 1 to 10 whole numbers from 1 to 100, such as 1,4,3, not (1, 'b')",
        ),
        (
            "stage_modules=",
            "stage_modules must be a tuple of 1 to 10 whole numbers from 1 to 100, such as 1,4,3, not ()",
        ),
        ("offset=darker", "offset must be one of none, quarter, forced, dark, udp, not 'darker'"),
        ("schedule=", "schedule must be one of step, exponential, cosine, not ''"),
        ("batch=-4", "batch must be a whole number from 1 to 65,536, not -4"),
        ("sigma=nan", "sigma must be a number from 0.1 to 100 cells, not nan"),
        ("learning_rate=inf", "learning_rate must be a number from 1e-12 to 1e+30, not inf"),
        ("seed=-1", "seed must be a whole number from 0 to 4,294,967,295, not -1"),
        ("seed=99999999999999999999", "seed must be a whole number from 0 to 4,294,967,295, not 99999999999999999999"),
        ("flip_probability=1.2", "flip_probability must be a number from 0 to 1, not 1.2"),
        ("scale_factor=1", "scale_factor must be a number from 0 to 0.99, not 1"),
        ("ema=1", "ema must be a number from 0 to 0.999999, not 1"),
        ("amp=O1", "amp must be one of O0, O2, O3, auto, not 'O1'"),
        ("decayed=norms", "decayed must be one of weights, weights+biases, all, not 'norms'"),
        ("accumulate=0", "accumulate must be a whole number from 1 to 65,536, not 0"),
        ("std=1,1", "std must be a tuple of 3 numbers from 1e-06 to 1,000, such as 0.229,0.224,0.225, not (1, 1)"),
        ("depth=20000", "depth must be a whole number from 1 to 10, not 20000"),
        ("input_size=8", "input_size must be a whole number from 16 to 4,096 pixels, or two, as width,height, not 8"),
        ("heatmap_size=2", "heatmap_size must be a whole number from 4 to 1,024 cells, or two, as width,height, not 2"),
        (
            "input_size=64,64,64",
            "input_size must be a whole number from 16 to 4,096 pixels, or two, as width,height, not (64, 64, 64)",
        ),
        (
            "input_size=0x64",
            "input_size must be a whole number from 16 to 4,096 pixels, or two, as width,height, not (0, 64)",
        ),
        (
            "input_size=wide",
            "input_size must be a whole number from 16 to 4,096 pixels, or two, as width,height, not 'wide'",
        ),
        ("name=a\tb", "name must be text of 1 to 100 printable characters, not 'a\\tb'"),
    ],
)
def test_what_cannot_be_set_is_refused(setting, message):
    assert refusal(lambda: override(TINY, [setting])) in (
        f"--set: {message}",
        f"--set {setting!r}: {message}, for example epochs=10",
    )


def test_intervals_need_no_flip_shift():
    udp = ["intervals=true", "target_centre=exact", "offset=udp"]
    with pytest.raises(InputError, match="with intervals .*flip_shift to 0, not 0.75"):
        override(TINY, udp)
    assert override(TINY, [*udp, "flip_shift=0"]).intervals


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(InputError, match="unknown recipe 'posenet'; choose one of poseestnet, .*poseestnet-smoke"):
        get_recipe("posenet")


def test_a_toml_or_json_file_changes_fields(tmp_path: Path):
    (tmp_path / "a.toml").write_text("epochs = 3\nstage_modules = [1]\nflip_test = false\nlearning_rate = 1\n")
    (tmp_path / "a.json").write_text('{"epochs": 3, "stage_modules": [1], "flip_test": false, "learning_rate": 1}')
    wanted = dataclasses.replace(TINY, epochs=3, stage_modules=(1,), flip_test=False, learning_rate=1.0)
    assert override_from_file(TINY, tmp_path / "a.toml") == override_from_file(TINY, tmp_path / "a.json") == wanted


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "text"),
    [("我的 a.toml", '# é\nepochs = 3\n\noffset = "dark"\n'), ("A.TOML", 'epochs = 3\noffset = "dark"')]
    + [("a.json", '{\n  "epochs": 3,\n  "offset": "dark"\n}\n')],
)
def test_a_config_file_of_any_editor(name: str, text: str, ends: str, encoding: str, tmp_path: Path):
    (tmp_path / name).write_bytes(text.replace("\n", ends).encode(encoding))
    assert override_from_file(TINY, tmp_path / name) == override(TINY, ["epochs=3", "offset=dark"])


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
        ("a.json", '{"epochs": 2.5}', "a.json: epochs must be a whole number from 1 to 100,000, not 2.5"),
        ("a.json", '{"stage_modules": 3}', "a.json: stage_modules must be a tuple of 1 to 10 whole numbers .*, not 3"),
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


# Every field


def wrong_values(field: dataclasses.Field) -> Iterator[object]:
    """Values that the field doesn't take, by what it says of itself."""
    about, (fewest, most) = field.metadata, field.metadata["length"]
    several = bool(get_args(field.type)) and not isinstance(field.type, UnionType)
    kind = (get_args(field.type) or [field.type])[0]
    if kind is bool:
        items: list[object] = ["perhaps", 2, 0.5]
    elif kind is str:
        items = [5, True, "x" * (most + 1), "", "two\nlines"]
    else:
        items = ["many", True, about["low"] - 1, about["high"] * 2 + 1, float("nan"), float("inf"), 10**30 + 10**60]
        items += [about["low"] + 0.5] if kind is int else []
    if is_size(field):  # also as one of two
        yield from (*items, *((item, field.default) for item in items), (field.default,) * 3, ())
        return
    yield from ((item, *field.default[1:]) if several else item for item in items)
    if several:
        yield from (field.default * (most + 1), "none", *([()] if fewest else []))


WRONG = [(field, value) for field in fields(Recipe) for value in wrong_values(field)]


def toml(value: object) -> str:
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def ways(name: str, value: object, folder: Path) -> Iterator[tuple[str, Callable[[], Recipe]]]:
    """Of setting a field: where a refusal says that it was, and how it's done."""
    (folder / "a.toml").write_text(f"{name} = {toml(value)}\n")
    (folder / "a.json").write_text(json.dumps({name: value}))
    for path in (folder / "a.toml", folder / "a.json"):
        yield str(path), lambda path=path: override_from_file(TINY, path)
    model = json.dumps(json.loads(to_json(TINY)) | {name: value})
    yield "best.ckpt", lambda: from_json(model, "best.ckpt")
    yield "--set", lambda: override(TINY, [f"{name}={written(value)}"])


def can_be_set(field: dataclasses.Field, value: object) -> bool:
    """By --set: it gives text to a field of text, and a tuple to a tuple."""
    if is_size(field):
        return value != ()
    kind = str if isinstance(field.type, UnionType) else field.type
    return isinstance(value, {str: str, bool: object, int: object, float: object}.get(kind, tuple))


@pytest.mark.parametrize("field, value", WRONG, ids=lambda value: getattr(value, "name", repr(value)[:20]))
def test_a_wrong_value_has_the_same_message_however_it_comes(field, value, tmp_path: Path):
    said = refusal(lambda: replace(TINY, **{field.name: value}))
    assert said.startswith(f"{field.name} must be ") and f", not {value!r}"[:70] in said and len(said) < 300
    assert all(choice in said for choice in field.metadata["choices"])
    for where, way in ways(field.name, value, tmp_path):
        if where != "--set" or can_be_set(field, value):
            assert refusal(way) == f"{where}: {said}"


NOT_TOGETHER = [
    (
        {"input_size": 100},
        "this hrnet needs an input_size that is a multiple of 8 and heatmap_size = input_size / 4, not 100 and 16",
    ),
    (
        {"heatmap_size": 32},
        "this hrnet needs an input_size that is a multiple of 8 and heatmap_size = input_size / 4, not 64 and 32",
    ),
    (
        {"input_size": (96, 92), "heatmap_size": (24, 23)},
        "this hrnet needs an input_size that is a multiple of 8 and heatmap_size = input_size / 4, not 96,92 and 24,23",
    ),
    (
        {"input_size": (96, 64), "heatmap_size": (16, 24)},
        "this hrnet needs an input_size that is a multiple of 8 and heatmap_size = input_size / 4, not 96,64 and 16,24",
    ),
    (
        {"stage_modules": (1, 1, 1, 1, 1)},
        "this hrnet needs an input_size that is a multiple of 128 and heatmap_size = input_size / 4, not 64 and 16",
    ),
    (
        {"network": "hourglass", "depth": 5},
        "this hourglass needs an input_size that is a multiple of 128 and heatmap_size = input_size / 4, not 64 and 16",
    ),
    ({"network": "hourglass", "width": 3}, "an hourglass needs a width of at least 4, not 3"),
    ({"milestones": (5, 3)}, "milestones must be in ascending order, not (5, 3)"),
    ({"loss_scale": 0.5}, "loss_scale must be 0 or at least 1, not 0.5"),
    ({"intervals": True}, "with intervals mirrored maps need no shift; set flip_shift to 0, not 0.75"),
]


@pytest.mark.parametrize("values, message", NOT_TOGETHER, ids=lambda value: str(value)[:30])
def test_values_that_do_not_go_together_have_the_same_message(values, message, tmp_path: Path):
    said = refusal(lambda: replace(TINY, **values))
    assert said == message
    (tmp_path / "a.toml").write_text("".join(f"{name} = {toml(value)}\n" for name, value in values.items()))
    assert refusal(lambda: override_from_file(TINY, tmp_path / "a.toml")) == f"{tmp_path / 'a.toml'}: {said}"
    model = json.dumps(json.loads(to_json(TINY)) | values)
    assert refusal(lambda: from_json(model, "best.ckpt")) == f"best.ckpt: {said}"
    changes = [f"{name}={written(value)}" for name, value in values.items()]
    assert refusal(lambda: override(TINY, changes)) == f"--set: {said}"


def test_a_wrong_word_is_named_with_its_choices():
    """Of several wrong fields the first."""
    said = refusal(lambda: replace(POSEESTNET, network="simplebaseline", offset="drak"))
    assert said == "network must be one of hrnet, hourglass, not 'simplebaseline'"
    said = refusal(lambda: replace(POSEESTNET, offset="drak"))
    assert said == "offset must be one of none, quarter, forced, dark, udp, not 'drak'"
    assert refusal(lambda: Recipe(name="mine", epochs=True)).endswith("whole number from 1 to 100,000, not True")


@pytest.fixture
def posekit(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process; returns its exit code and what it wrote to standard output and error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["posekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code or 0, *capfd.readouterr()

    return run


@pytest.mark.parametrize("field", fields(Recipe), ids=lambda field: field.name)
def test_the_command_refuses_every_field_in_one_line(field, posekit, tmp_path: Path):
    value = next(value for value in wrong_values(field) if can_be_set(field, value))
    said = refusal(lambda: replace(TINY, **{field.name: value}))
    config, model = tmp_path / "a.toml", tmp_path / "a.mindir"
    config.write_text(f"{field.name} = {toml(value)}\n")
    model.write_bytes(b"")
    described = Path(f"{model}.json")
    described.write_text(json.dumps({"recipe": json.loads(to_json(TINY)) | {field.name: value}, "batch": 1}))
    train, out = ("train", TINY.name, "--out", tmp_path / "run"), tmp_path / "out"
    for where, arguments in (
        ("--set", (*train, "--set", f"{field.name}={written(value)}")),
        (config, (*train, "--config", config)),
        (described, ("evaluate", model, "--out", out, "--device", "cpu")),
    ):
        assert posekit(*arguments) == (2, "", f"posekit: {where}: {said}\n")


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_survives_toml_and_set(name, tmp_path: Path):
    """To the last bit and type: what is written of the recipe afterwards is the same."""
    recipe, other = get_recipe(name), "hourglass" if name.startswith("pose") else "poseestnet"
    values = dataclasses.asdict(recipe)
    (tmp_path / "a.toml").write_text("".join(f"{field} = {toml(value)}\n" for field, value in values.items()))
    settings = [f"{field}={written(value)}" for field, value in values.items()]
    for made in (override_from_file(get_recipe(other), tmp_path / "a.toml"), override(get_recipe(other), settings)):
        assert made == recipe and to_json(made) == to_json(recipe)


def test_a_model_file_that_lacks_a_newer_field_has_its_default():
    values = json.loads(to_json(get_recipe("hourglass-tiny")))
    del values["intervals"], values["accumulate"]
    assert from_json(json.dumps(values), "old.ckpt") == get_recipe("hourglass-tiny")


def test_numpys_numbers_are_numbers():
    made = replace(
        TINY, epochs=np.int64(3), sigma=np.float32(1.5), std=(np.float64(1), 1, 1), flip_test=np.bool_(False)
    )
    assert made == replace(TINY, epochs=3, sigma=1.5, std=(1, 1, 1), flip_test=False)
    assert from_json(to_json(made), "here") == made
    assert type(replace(TINY, sigma=2).sigma) is int  # a recipe changes no value that it is given


def test_choices_are_what_there_is():
    """A network, a layout, a skeleton, … is added by its file, its line in the table and its name here."""
    choices = {field.name: set(field.metadata["choices"]) for field in fields(Recipe) if field.metadata["choices"]}
    tables = {
        "skeleton": {*SKELETONS, FROM_DATA}, "dataset": LAYOUTS, "network": NETWORKS, "layer1_block": BLOCKS,
        "target_centre": CENTRES, "augment_shape": AUGMENT_SHAPES, "color_jitter": COLOR_JITTER, "decayed": DECAYED,
        "schedule": SCHEDULES, "offset": OFFSETS, "validation": ("split", "share"), "shrinking": ("samples", "means"),
        "trained_on": ("unknown", "drawings", "other"), "drawing": ("plain", "varied"),
    }  # fmt: skip
    assert choices.pop("amp") < {"O0", "O1", "O2", "O3", "auto"}  # the levels of MindSpore's auto_mixed_precision
    assert choices == {name: set(table) for name, table in tables.items()}
    assert set(HALVINGS) == choices["network"] and set(PURPOSES) == set(RECIPES)


# What is long, deep or endless


@pytest.mark.parametrize("name", ["epochs", "sigma", "offset", "name", "stage_modules", "flip_test"])
def test_a_long_value_has_a_short_message(name, tmp_path: Path):
    value = "x" * 100_000
    for where, way in ways(name, value, tmp_path):
        assert len(refusal(way)) < len(where) + 300


def test_a_long_name_has_a_short_message(tmp_path: Path):
    for where, way in ways("x" * 100_000, 1, tmp_path):
        said = refusal(way)
        assert said.startswith(f"{where}: unknown field 'xxx") and len(said) < len(where) + 300
    assert len(refusal(lambda: override(TINY, ["x" * 100_000]))) < 300
    assert len(refusal(lambda: get_recipe("x" * 100_000))) < 400


@pytest.mark.parametrize(
    "suffix, text",
    [
        ("json", "[" * 100_000),
        ("json", '{"epochs": ' + "[" * 100_000),
        ("json", '{"epochs": ' + "[" * 900 + "]" * 900 + "}"),
        ("json", '{"epochs": ' + "9" * 100_000 + "}"),
        ("json", '{"epochs": NaN, "sigma": -Infinity}'),
        ("json", '{"name": "' + "x" * 2_000_000 + '"}'),
        ("toml", "epochs = " + "[" * 100_000),
        ("toml", "epochs" + ".a" * 2_000 + " = 1"),
        ("toml", "epochs = " + "9" * 100_000),
        ("toml", f"[{'x' * 100_000}]\n[{'x' * 100_000}]"),
        ("toml", "epochs = 2024-01-01T00:00:00"),
        ("toml", "epochs = 1e999"),
    ],
    ids=lambda text: text[:24],
)
def test_files_that_are_no_settings_are_refused_in_one_line(suffix, text, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    path.write_text(text)
    said = refusal(lambda: override_from_file(TINY, path))
    assert said.startswith(f"{path}: ") and len(said) < len(str(path)) + 300
    if suffix == "json":
        assert refusal(lambda: from_json(text, "model.ckpt")).startswith("model.ckpt: ")
        described = tmp_path / "a.mindir.json"
        described.write_text(f'{{"batch": 1, "recipe": {text}}}')
        assert len(refusal(lambda: read_description(tmp_path / "a.mindir"))) < len(str(described)) + 300


def test_a_number_too_long_to_show():
    said = refusal(lambda: replace(TINY, seed=10**5000))
    assert said.endswith("from 0 to 4,294,967,295, not something too large to show (int)")


# The commands


def cells(line: str) -> list[str]:
    """Of a table's row."""
    return [cell.strip() for cell in re.split("[│|]", line)[1:-1]]


def test_recipe_list_names_every_recipe(posekit):
    code, out, _ = posekit("recipe", "list")
    rows = [cells(line) for line in out.splitlines() if "│" in line]
    assert code == 0 and [row[0] for row in rows] == list(RECIPES)
    assert ["poseestnet-smoke", "hrnet", "96 px", "6"] in [row[:4] for row in rows] and all(row[4] for row in rows)


def test_recipe_show_has_every_field_in_a_line(posekit):
    """Nothing is cut where it isn't a terminal, and each value is written as --set takes it."""
    code, out, _ = posekit("recipe", "show", "hourglass")
    rows = {row[0]: row[1:] for row in (cells(line) for line in out.splitlines() if "│" in line)}
    assert code == 0 and list(rows) == [field.name for field in fields(Recipe)]
    for field in fields(Recipe):
        _, takes, meaning = rows[field.name]
        assert all(choice in takes for choice in field.metadata["choices"]) and meaning == field.metadata["help"]
    assert override(TINY, [f"{name}={row[0]}" for name, row in rows.items()]) == get_recipe("hourglass")
    assert rows["input_size"][:2] == ["256", "a whole number from 16 to 4,096 pixels, or two, as width,height"]


def test_recipe_show_against_another_has_what_differs(posekit):
    code, out, _ = posekit("recipe", "show", "poseestnet-smoke", "--against", "poseestnet-laptop")
    rows = {row[0]: row[1:3] for row in (cells(line) for line in out.splitlines() if "│" in line)}
    one, two = (dataclasses.asdict(get_recipe(name)) for name in ("poseestnet-smoke", "poseestnet-laptop"))
    assert code == 0 and set(rows) == {name for name in one if one[name] != two[name]}
    assert rows["width"] == ["16", "18"] and rows["stage_modules"] == ["1,1", "1,1,1"]


def test_an_unknown_recipe_cannot_be_shown(posekit):
    for arguments in (["posenet"], ["poseestnet", "--against", "posenet"]):
        code, _, err = posekit("recipe", "show", *arguments)
        assert code == 2 and err.startswith("posekit: unknown recipe 'posenet'; choose one of poseestnet, ")
