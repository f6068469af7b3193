"""Model files that were changed, cut, or are something else: refused in one line, or read to the same answers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest
import torch
from networks import fresh
from onnx import TensorProto, helper

from posekit.deploy.export import export_model
from posekit.errors import InputError
from posekit.inference.run_times import Request, load_predictor
from posekit.inference.run_times.description import beside, read_description, seal, write_description
from posekit.models.checkpoint import NOTES, load_network, read_checkpoint, save_checkpoint
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import to_json

RECIPE = get_recipe("hourglass-tiny")
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
BACKENDS = {"mindir": "mindir", "onnxruntime": "onnx", "openvino": "onnx"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One network as a checkpoint, ONNX and MINDIR."""
    set_up("cpu")
    ms.set_seed(0)
    folder = tmp_path_factory.mktemp("models")
    save_checkpoint(folder / "a.ckpt", fresh(RECIPE), RECIPE, 1, 1)
    files = {kind: export_model(folder / "a.ckpt", kind, folder / f"a.{kind}", 2) for kind in ("onnx", "mindir")}
    return {"ckpt": folder / "a.ckpt", **files}


@pytest.fixture
def copied(models, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a model, with its description, to where it may be damaged."""

    def copy(kind: str) -> Path:
        for path in models["ckpt"].parent.glob(f"a.{kind}*"):
            shutil.copy(path, tmp_path)
        return tmp_path / f"a.{kind}"

    return copy


def opened(path: Path, backend: str | None = None) -> np.ndarray:
    request = Request(path, "cpu", 2, backend=backend or ("onnxruntime" if path.suffix == ".onnx" else None))
    return load_predictor(request).heatmaps(IMAGES)


def refused(path: Path, backend: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        opened(path, backend)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


# Changed bytes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.onnx", "a.mindir", "a.mindir.json", "a.ckpt"])
def test_a_changed_byte_anywhere_is_found_or_changes_nothing(name: str, copied, models):
    path = copied(name.split(".")[1]).with_name(name)
    model = path.with_name(name.removesuffix(".json"))
    whole, wanted, rng = path.read_bytes(), opened(model), np.random.default_rng(1)
    refusals, places = 0, [*rng.integers(0, len(whole), 40), *(len(whole) - 1 - rng.integers(0, 1500, 30))]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            np.testing.assert_array_equal(opened(model), wanted)
        except InputError as error:
            assert str(path.parent) in str(error) and "\n" not in str(error)
            refusals += 1
    assert refusals >= len(places) - 4  # in ONNX the key of the digest may be hit


@pytest.mark.parametrize("kind", ["onnx", "mindir", "ckpt"])
def test_stretches_of_zeros_and_cuts_are_found(kind: str, copied):
    path = copied(kind)
    whole, rng = path.read_bytes(), np.random.default_rng(2)
    for start in rng.integers(0, len(whole) - 600, 8):
        path.write_bytes(whole[:start] + bytes(600) + whole[start + 600 :])
        refused(path)
    for share in (0.0, 0.001, 0.2, 0.7, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        assert "not a readable" in refused(path) or "carries no recipe" in refused(path)
    path.write_bytes(whole + bytes(1))
    refused(path)
    path.write_bytes(whole[: len(whole) - 17])
    refused(path)


def test_a_weight_changed_on_purpose_is_found_too(copied):
    path = copied("onnx")
    model = onnx.load(path)
    tensor = next(it for it in model.graph.initializer if len(it.raw_data) > 100)
    tensor.raw_data = tensor.raw_data[:-4] + np.float32(7).tobytes()
    onnx.save(model, path)
    for backend in ("onnxruntime", "openvino"):
        message = refused(path, backend)
        assert message.startswith(f"{path}: was changed or damaged after the export; export the model again, or remove")
    helper.set_model_props(model, {"recipe": to_json(RECIPE)})
    onnx.save(model, path)
    opened(path)


def test_the_recipe_is_part_of_what_is_checked(copied, models):
    path = copied("onnx")
    model = onnx.load(path)
    entry = next(it for it in model.metadata_props if it.key == "recipe")
    entry.value = entry.value.replace('"flip_shift": 0.75', '"flip_shift": 0.25')
    onnx.save(model, path)
    assert "was changed or damaged after the export" in refused(path)
    description = beside(copied("mindir"))
    description.write_text(description.read_text().replace('"flip_shift": 0.75', '"flip_shift": 0.25'))
    assert refused(description.with_suffix("")) == (
        f"{description}: was changed or damaged after the export; export the model again"
    )


def test_files_of_earlier_versions_are_read(copied, models):
    """They have a recipe and no checksum."""
    path = copied("onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {"recipe": to_json(RECIPE)})
    onnx.save(model, path)
    np.testing.assert_array_equal(opened(path), opened(models["onnx"]))
    path = copied("mindir")
    beside(path).write_text(json.dumps({"recipe": json.loads(to_json(RECIPE)), "batch": 2}))
    np.testing.assert_array_equal(opened(path), opened(models["mindir"]))


def test_a_description_is_of_one_file(copied, models, tmp_path: Path):
    """Two exports whose files were mixed up would give the one's answers by the other's recipe."""
    path = copied("mindir")
    path.write_bytes(path.read_bytes() + b"\n")
    message = refused(path)
    assert "a.mindir: not a readable MINDIR (" in message and "when exported); export the model again" in message


# Checkpoints


def with_value(path: Path, name: str, value: float) -> Path:
    """A checkpoint in which one parameter has this value somewhere."""
    network = fresh(RECIPE)
    parameter = next(it for it in network.get_parameters() if it.name.endswith(name))
    values = parameter.asnumpy().copy()
    values.reshape(-1)[3] = value
    parameter.set_data(ms.Tensor(values))
    save_checkpoint(path, network, RECIPE, 1, 1)
    return path


@pytest.mark.parametrize(
    "name, value, message",
    [
        (
            "conv1.conv.weight",
            float("nan"),
            "conv1.conv.weight holds NaN; use a file saved before the training diverged",
        ),
        ("bn1.gamma", float("inf"), "bn1.gamma holds infinite values"),
        ("bn1.moving_mean", float("-inf"), "bn1.moving_mean holds infinite values"),
        ("bn1.moving_variance", -0.5, "bn1.moving_variance is a variance and holds negative values"),
    ],
)
def test_weights_that_are_no_numbers_are_refused_by_name(name: str, value: float, message: str, tmp_path: Path):
    path = with_value(tmp_path / "a.ckpt", name, value)
    for use in (
        lambda: opened(path),
        lambda: export_model(path, "onnx", tmp_path / "a.onnx"),
        lambda: export_model(path, "mindir", tmp_path / "a.mindir"),
    ):
        with pytest.raises(InputError) as caught:
            use()
        assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    assert [it.name for it in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_checkpoint_without_its_checksum_is_refused(copied):
    """MindSpore only warns."""
    path = copied("ckpt")
    path.write_bytes(path.read_bytes()[:-17])
    assert "a.ckpt: not a readable checkpoint (its checksum is missing: the end was cut off)" in refused(path)


# Other kinds of files


@pytest.mark.parametrize("kind", ["onnx", "mindir", "ckpt"])
def test_other_kinds_are_called_by_their_name(kind: str, copied):
    path = copied(kind)
    for content, said in (
        ("<!DOCTYPE html><html>sign in</html>", "(it is an HTML page, perhaps a download's warning)"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "(it is a Git LFS pointer); run git lfs pull"),
        ('{"error": 404}', "(it is a JSON document)"),
        ("", "(it is an empty file)"),
    ):
        path.write_text(content)
        assert said in refused(path) and f"a.{kind}: not a readable " in refused(path)
    path.unlink()
    path.mkdir()
    assert "no such model file" in refused(path)


def test_a_checkpoint_of_pytorch_lightning_can_be_converted(tmp_path: Path):
    torch.save({"state_dict": {"model.w": torch.ones(3)}}, tmp_path / "a.ckpt")
    assert refused(tmp_path / "a.ckpt").endswith("convert it with posekit convert")
    ms.save_checkpoint(fresh(RECIPE), str(tmp_path / "b.ckpt"))
    assert refused(tmp_path / "b.ckpt").endswith("holds no recipe; use a checkpoint that posekit train wrote")


@pytest.mark.parametrize("kind", ["onnx", "mindir", "ckpt"])
def test_sizes_are_looked_at_first(kind: str, copied):
    path = copied(kind)
    with path.open("r+b") as file:
        file.truncate(2**33)  # sparse
    assert "has 8,589,934,592 bytes, posekit reads at most" in refused(path)


# What descriptions and metadata say

VALUES = [
    *(("batch", value, "batch is ") for value in (0, -1, 4097, 10**30, True, "2", 2.0, [2])),
    *(("precision", value, "precision is ") for value in ("fp64", None, 16)),
    ("run_time", 5, "run_time is "), ("recipe", 3, "expected a table"), ("recipe", None, "expected a table"),
    ("recipe", {"name": "x", "width": 10**9}, "width must be a whole number from 1 to 4,096, not 1000000000"),
    ("recipe", {"name": "x", "skeleton": "dog"}, "skeleton"), ("size", 12, "bytes, 12 when exported"),
    ("size", "many", "bytes, 'many' when exported"), ("sha256", "0" * 64, "its bytes were changed after the export"),
    ("sha256", 5, "its bytes were changed after the export"),
]  # fmt: skip


@pytest.mark.parametrize("field, value, message", VALUES)
def test_descriptions_have_ranges(field: str, value: object, message: str, copied):
    path = copied("mindir")
    values = json.loads(beside(path).read_text())
    del values["digest"]  # written by hand
    beside(path).write_text(json.dumps(values | {field: value}))
    assert message in refused(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "1", "null", '{"recipe": ' + '{"a":' * 5000, "\ufeff{}", "{}"])
def test_descriptions_that_are_none(text: str, copied):
    path = copied("mindir")
    beside(path).write_text(text)
    assert "a.mindir.json: " in refused(path)
    with beside(path).open("r+b") as file:
        file.truncate(2**30)
    assert "a.mindir.json: more than 1,048,576 bytes; export the model again" in refused(path)


def changed_graph(path: Path, change: Callable[[onnx.ModelProto], None], sealed: bool = True) -> Path:
    """The ONNX file with a change, and a digest that agrees with it."""
    model = onnx.load(path)
    change(model)
    if sealed:
        seal(model, RECIPE)
    path.write_bytes(model.SerializeToString())
    return path


def outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def batch_of(count: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = count

    return change


def nested(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))


CHANGES = {
    "weights elsewhere": (outside, "keeps weights in other files ("),
    "a negative batch": (batch_of(-3), "batch is a number from 1 to 4,096 or null, not -3"),
    "a large batch": (batch_of(10**12), "batch is a number from 1 to 4,096 or null"),
    "graphs in the graph": (nested, "isn't a plain graph"),
    "two inputs": (lambda it: it.graph.input.append(it.graph.input[0]), "something else than one batch of float32"),
    "no output": (lambda it: it.graph.output.pop(), "something else than one batch of float32"),
    "integers": (
        lambda it: setattr(it.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT8),
        "something else than one batch of float32",
    ),
    "an unknown operation": (
        lambda it: setattr(it.graph.node[0], "op_type", "Mystery"),
        "a.onnx: not a readable ONNX file (",
    ),
    "a node that finds nothing": (lambda it: it.graph.node.pop(0), "a.onnx: not a readable ONNX file ("),
    "huge numbers of dimensions": (
        lambda it: it.graph.input[0].type.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension()] * 5000),
        "but its recipe hourglass-tiny says",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_onnx_files_have_bounds(what: str, backend: str, copied):
    change, message = CHANGES[what]
    assert message in refused(changed_graph(copied("onnx"), change), backend)


@pytest.mark.parametrize("recipe", ["[" * 100_000, "{", "[]", '{"name": 1}', '{"width": 1e9}', "x" * 2**21])
def test_recipes_in_metadata_have_bounds(recipe: str, copied):
    path = copied("onnx")
    change = lambda it: helper.set_model_props(it, {"recipe": recipe})  # noqa: E731
    assert "a.onnx: " in refused(changed_graph(path, change, sealed=False))


def test_a_description_knows_the_file_while_it_is_made(copied):
    """`made` is where the content is when the description is written."""
    path = copied("mindir")
    write_description(path, RECIPE, 2, made=path)
    values = json.loads(beside(path).read_text())
    assert values["size"] == path.stat().st_size and len(values["sha256"]) == 64
    assert read_description(path).batch == 2


def test_a_checkpoint_of_another_recipe_does_not_make_a_network_first(copied):
    """Weights and recipe of one file agree: the network's parameters are those in the file."""
    path = copied("ckpt")
    names = {name for name in read_checkpoint(path)[1] if name not in NOTES}
    assert names == {it.name for it in load_network(path).network.get_parameters()}
