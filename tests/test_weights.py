"""Weights as people have them: whatever stands before their names, whichever dict, type or storage they are in.

What can't be read exactly is refused with its cause: damage, other kinds of files, values that float32 can't hold.
"""

import argparse
import collections
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from posekit.errors import InputError
from posekit.models.checkpoint import NOTES, read_checkpoint, save_checkpoint
from posekit.models.convert import from_published, load_pretrained
from posekit.models.report import summary
from posekit.recipes import POSEESTNET, get_recipe
from posekit.runtime import set_up
from posekit.settings import override
from posekit.training.torch_networks import HRNet, StackedHourglass, with_random_values

SMALL = {"width": 8, "modules": (1,), "blocks": 1}
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu")


@pytest.fixture(scope="module")
def pose() -> Tensors:
    """A small pose network of 16 keypoints."""
    return with_random_values(HRNet(16, **SMALL), 1).state_dict()


@pytest.fixture(scope="module")
def other() -> Tensors:
    """The same with other values."""
    return with_random_values(HRNet(16, **SMALL), 2).state_dict()


@pytest.fixture(scope="module")
def wanted(pose: Tensors, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The parameters of `pose`, converted from a plain state dict."""
    folder = tmp_path_factory.mktemp("plain")
    torch.save(pose, folder / "a.pth")
    from_published(folder / "a.pth", folder / "a.ckpt", "hrnet-pose")
    return parameters(folder / "a.ckpt")


def parameters(checkpoint: Path) -> dict[str, np.ndarray]:
    return {name: it.asnumpy() for name, it in read_checkpoint(checkpoint)[1].items() if name not in NOTES}


def converted(content: object, folder: Path, **options: object) -> tuple[dict[str, np.ndarray], str]:
    """The parameters that a file of this content gives, and the summary."""
    torch.save(content, folder / "a.pth")
    _, report = from_published(folder / "a.pth", folder / "a.ckpt", **options)
    return parameters(folder / "a.ckpt"), summary(report)


def refused(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        from_published(path, path.with_name("out.ckpt"), **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert not path.with_name("out.ckpt").exists()
    return str(caught.value)


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def prefixed(tensors: Tensors, prefix: str, head: str | None = None) -> Tensors:
    """Names with a prefix; the head's with another."""
    head = prefix if head is None else head
    return {(head if name.startswith("final_layer.") else prefix) + name: it for name, it in tensors.items()}


def optimizer(tensors: Tensors) -> dict:
    moments = {i: {"step": 3, "exp_avg": it.float() * 0.1} for i, it in enumerate(tensors.values())}
    return {"state": moments, "param_groups": [{"lr": 1e-3, "params": list(moments)}]}


# Names

FORMS: dict[str, Callable[[Tensors], object]] = {
    **{
        prefix: lambda it, prefix=prefix: prefixed(it, prefix)
        for prefix in (
            "backbone.", "net.", "module.", "model.", "_orig_mod.", "student.", "ema.", "module.model._orig_mod.",
            "pose_net.encoder.0.", "layer1.net.",
        )
    },
    **{
        key: lambda it, key=key: {"epoch": 3, key: it, "optimizer": optimizer(it)}
        for key in (
            "state_dict", "model_state_dict", "model", "ema", "ema_state_dict", "state_dict_ema", "network", "net",
            "weights", "params", "best_state_dict",
        )
    },
    "nested keys": lambda it: {"checkpoint": {"model": {"module": it}}, "best": 0.5},
    "lightning": lambda it: {
        "epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.5.0", "state_dict": prefixed(it, "model.net."),
        "optimizer_states": [optimizer(it)], "lr_schedulers": [], "hyper_parameters": {"width": 8, "lr": 1e-3},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}}, "loops": {"fit_loop": {"x": {}}},
    },
    "mmpose 0": lambda it: {"meta": {"CLASSES": None}, "state_dict": prefixed(it, "backbone.", "keypoint_head.")},
    "mmpose 1": lambda it: {"meta": {"seed": 1}, "state_dict": prefixed(it, "backbone.", "head."), "message_hub": {}},
    "a dict for each part": lambda it: {
        "backbone": {name: it for name, it in it.items() if "final" not in name},
        "head": {name: it for name, it in it.items() if "final" in name},
    },
    "compiled parts": lambda it: {name.replace("stage2.", "stage2._orig_mod."): v for name, v in it.items()},
    "timm": lambda it: {"arch": "hrnet", "args": argparse.Namespace(lr=1e-3), "state_dict": it, "metric": 1.5},
    "a defaultdict beside": lambda it: {"model": it, "log": collections.defaultdict(list, {"loss": [1, 2]})},
    "arrays beside": lambda it: {"state_dict": it, "meta": {"sigmas": np.arange(17) / 7, "names": np.array(["a"])}},
    "paths and objects beside": lambda it: {"model": it, "cfg": Path("/x"), "when": Odd(1), "kinds": {1, 2}},
    "the same twice": lambda it: {"model": it, "ema": {name: value.clone() for name, value in it.items()}},
    "one object twice": lambda it: {"model": it, "state_dict": it},
    "an ordered dict with metadata": lambda it: collections.OrderedDict(it),
    "parameters": lambda it: {n: torch.nn.Parameter(v) if v.is_floating_point() else v for n, v in it.items()},
    "arrays": lambda it: {name: value.numpy() for name, value in it.items()},
}  # fmt: skip


class Odd:
    def __init__(self, value: int) -> None:
        self.value = value


@pytest.mark.parametrize("form", FORMS)
def test_a_network_is_found_from_its_names(form: str, pose: Tensors, wanted, tmp_path: Path):
    found, text = converted(FORMS[form](pose), tmp_path)
    assert_same(found, wanted)
    assert "unexpected" not in text and "missing" not in text
    if form.endswith("."):
        assert f"found as {form.replace('_orig_mod.', '')}* (hrnet-pose)" in text or form == "_orig_mod."


def test_old_files_and_safetensors_are_read_the_same(pose: Tensors, wanted, tmp_path: Path):
    content = {"model": prefixed(pose, "net."), "args": argparse.Namespace(a=1)}
    torch.save(content, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(prefixed(pose, "net."), tmp_path / "a.safetensors", {"format": "pt"})
    (tmp_path / "named.bin").write_bytes((tmp_path / "a.safetensors").read_bytes())
    torch.save(content, tmp_path / "lightning.ckpt")
    for name in ("old.pth.tar", "a.safetensors", "named.bin", "lightning.ckpt"):
        recipe, _ = from_published(tmp_path / name, tmp_path / "out.ckpt")
        assert recipe.name == "hrnet-pose"
        assert_same(parameters(tmp_path / "out.ckpt"), wanted)


def test_what_is_beside_is_reported(pose: Tensors, other: Tensors, tmp_path: Path):
    content = {
        "epoch": 3, "state_dict": prefixed(pose, "module.") | {"loss.sigma": torch.ones(2)},
        "optimizer": optimizer(pose), "note": "by hand",
    }  # fmt: skip
    torch.save(content, tmp_path / "a.pth")
    _, report = from_published(tmp_path / "a.pth", tmp_path / "a.ckpt")
    assert list(report.file[report.status == "no tensor"]) == ["epoch", "optimizer", "note"]
    assert list(report.file[report.status == "unexpected"]) == ["loss.sigma"]
    assert "found as state_dict.module.* (hrnet-pose)" in summary(report)
    torch.save({"model": pose, "ema": other}, tmp_path / "b.pth")
    _, report = from_published(tmp_path / "b.pth", tmp_path / "b.ckpt", weights="model")
    assert list(report.file[report.status == "left out"]) == ["ema"]


TWO: dict[str, tuple[Callable[[Tensors, Tensors], object], list[str]]] = {
    "model and ema": (lambda a, b: {"model": a, "ema": b}, ["model", "ema"]),
    "student and teacher": (lambda a, b: prefixed(a, "student.") | prefixed(b, "teacher."), ["student", "teacher"]),
    "averaged": (lambda a, b: {"state_dict": a | prefixed(b, "ema.module.")}, ["state_dict", "state_dict.ema.module"]),
    "distilled": (
        lambda a, b: {
            "state_dict": prefixed(a, "student.backbone.", "student.keypoint_head.")
            | prefixed(b, "teacher.backbone.", "teacher.keypoint_head.")
        },
        ["state_dict.student.keypoint_head", "state_dict.teacher.keypoint_head"],
    ),
    "two heads": (
        lambda a, b: prefixed(a, "backbone.", "head_a.") | prefixed(a, "backbone.", "head_b.") | {
            f"head_b.{name}": it for name, it in b.items() if name.startswith("final_layer")
        },
        ["head_a", "head_b"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", TWO)
def test_two_networks_are_refused_with_both_names(form: str, pose: Tensors, other: Tensors, wanted, tmp_path: Path):
    make, names = TWO[form]
    torch.save(make(pose, other), tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth")
    assert "a.pth: holds 2 networks whose values differ; choose one: posekit convert --weights NAME" in message
    assert all(repr(name) in message for name in names)
    found, text = converted(make(pose, other), tmp_path, weights=names[0])
    assert_same(found, wanted)
    assert f"has no network named 'mine' that fits; choose '{names[0]}'" in refused(tmp_path / "a.pth", weights="mine")


def test_two_backbones_are_refused_as_pretrained_weights(pose: Tensors, other: Tensors, tmp_path: Path):
    from networks import fresh

    torch.save({"model": pose, "ema": other}, tmp_path / "a.pth")
    recipe = override(POSEESTNET, ["width=8", "layer1_blocks=1", "stage_modules=1", "branch_blocks=1"])
    with pytest.raises(InputError, match="holds 2 networks whose values differ; choose one: posekit convert --weights"):
        load_pretrained(fresh(recipe), tmp_path / "a.pth")
    torch.save({"state_dict": prefixed(pose, "backbone.", "keypoint_head."), "x": Odd(1)}, tmp_path / "b.ckpt")
    network = fresh(override(recipe, ["head_bias=true", "skeleton=person16", "dataset=mpii"]))
    report = load_pretrained(network, tmp_path / "b.ckpt")
    assert "found as state_dict.backbone.* and state_dict.keypoint_head.* (hrnet-pose)" in summary(report)
    np.testing.assert_array_equal(network.final_layer.weight.asnumpy(), pose["final_layer.weight"].numpy())


def test_a_wrong_layout_says_which_it_is(pose: Tensors, tmp_path: Path):
    torch.save({"net": pose}, tmp_path / "a.pth")
    assert refused(tmp_path / "a.pth", layout="hourglass").endswith("it looks like hrnet-pose: check --from")
    torch.save(with_random_values(StackedHourglass(16, 1, 16, 1), 1).state_dict(), tmp_path / "b.pth")
    assert refused(tmp_path / "b.pth", layout="hrnet-pose").endswith("it looks like hourglass: check --from")
    assert from_published(tmp_path / "b.pth", tmp_path / "b.ckpt")[0].network == "hourglass"
    torch.save(HRNet(None, **SMALL).state_dict(), tmp_path / "c.pth")
    assert "holds no final_layer.weight, as hrnet-pose files do" in refused(tmp_path / "c.pth", layout="hrnet-pose")
    assert from_published(tmp_path / "c.pth", tmp_path / "c.ckpt")[0].name == "hrnet-imagenet"
    torch.save(torch.nn.Conv2d(3, 8, 3).state_dict(), tmp_path / "d.pth")
    assert "d.pth: holds none of the known networks (hrnet-imagenet, hrnet-pose, hourglass), but weight and 1 more" in (
        refused(tmp_path / "d.pth")
    )


def test_the_input_size_is_said_to_be_assumed(pose: Tensors, tmp_path: Path):
    _, text = converted(pose, tmp_path)
    assert "input size: not in the file, 256×256 is assumed; if it is another, add --set input_size=WIDTH" in text
    hourglass = with_random_values(StackedHourglass(16, 1, 16, 1), 1).state_dict()
    assert "input size: not in the file, 256×256 is assumed" in converted(hourglass, tmp_path)[1]
    seventeen = with_random_values(HRNet(17, **SMALL), 1).state_dict()
    assert "not in the file, 256×192 is assumed" in converted(seventeen, tmp_path)[1]  # what most of COCO's are
    recipe = read_checkpoint(tmp_path / "a.ckpt")[0]
    assert (recipe.skeleton, recipe.input_size, recipe.heatmap_size) == ("person17", (192, 256), (48, 64))


@pytest.mark.parametrize(
    "name, size",
    [("pose_hrnet_w32_384x288.pth", (288, 384)), ("hrnet_w32_coco_256x192-c78dce93_20200708.pth", (192, 256))]
    + [("hrnet_w48_mpii_256x256.pth", 256), ("frames_1920x1081.pth", (192, 256))],
)
def test_the_files_name_says_its_input_size(name: str, size: int | tuple[int, int], tmp_path: Path):
    """Height × width, as COCO's are named; what can't be one is no size."""
    torch.save(with_random_values(HRNet(17, **SMALL), 1).state_dict(), tmp_path / name)
    recipe, report = from_published(tmp_path / name, tmp_path / "a.ckpt")
    assert recipe.input_size == read_checkpoint(tmp_path / "a.ckpt")[0].input_size == size
    assert any("by the file's name" in note for note in report.attrs["notes"]) == ("1920" not in name)
    settings = ["input_size=96,128", "heatmap_size=24,32"]
    assert from_published(tmp_path / name, tmp_path / "a.ckpt", settings=settings)[0].input_size == (96, 128)


MORE_LAYERS = {
    "stage2.0.branches.0.0.se.fc1.weight": "attention in a branch",
    "layer1.0.conv1.bias": "a bias where there is none",
    "keypoint_head.deconv_layers.0.weight": "layers before the head's last",
    "head.conv_layers.0.weight": "another head's",
}


@pytest.mark.parametrize("name", MORE_LAYERS)
def test_a_network_that_computes_more_is_refused(name: str, pose: Tensors, tmp_path: Path):
    """It would load, and give other heatmaps without a word."""
    head = name.split(".")[0] + "." if "head" in name else None
    tensors = prefixed(pose, "backbone." if head else "", head)
    torch.save(tensors | {name: torch.ones(8)}, tmp_path / "a.pth")
    assert f"its network has layers that posekit's doesn't have, {name}; only what fits" in refused(tmp_path / "a.pth")


# Types and storages

TYPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "float64": lambda it: it.double(),
    "float16": lambda it: it.half(),
    "bfloat16": lambda it: it.bfloat16(),
    "float8_e4m3fn": lambda it: it.clamp(-400, 400).to(torch.float8_e4m3fn),
    "int8": lambda it: (it * 9).to(torch.int8),
    "int64": lambda it: (it * 999).long(),
}


@pytest.mark.parametrize("kind", TYPES)
def test_types_become_float32_with_the_same_values(kind: str, pose: Tensors, tmp_path: Path):
    tensors = {n: TYPES[kind](it) if it.is_floating_point() and "var" not in n else it for n, it in pose.items()}
    found, text = converted(tensors, tmp_path)
    name = "stages.0.0.branches.1.0.conv1.weight"
    expected = tensors["stage2.0.branches.1.0.conv1.weight"].double().numpy()
    assert found[name].dtype == np.float32
    np.testing.assert_array_equal(found[name].astype(float), expected.astype(np.float32))
    assert f" from {kind}" in text and "converted to float32: " in text
    if kind in ("bfloat16", "float16"):
        safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
        from_published(tmp_path / "a.safetensors", tmp_path / "b.ckpt")
        assert_same(parameters(tmp_path / "b.ckpt"), found)


STORAGES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a transposed view": lambda it: it.permute(1, 0, 2, 3).contiguous().permute(1, 0, 2, 3),
    "channels last": lambda it: it.to(memory_format=torch.channels_last),
    "a part of a larger storage": lambda it: torch.cat([it * 0 + 5, it, it])[len(it) : 2 * len(it)],
    "every second value": lambda it: torch.stack([it, it + 1], -1)[..., 0],
    "sparse": lambda it: it.to_sparse(),
    "negated": lambda it: torch._neg_view(-it),
}


@pytest.mark.parametrize("kind", STORAGES)
def test_views_and_sparse_tensors_are_read_right(kind: str, pose: Tensors, wanted, tmp_path: Path):
    assert_same(
        converted({n: STORAGES[kind](it) if it.ndim == 4 else it for n, it in pose.items()}, tmp_path)[0], wanted
    )


def test_shared_and_quantized_tensors(pose: Tensors, tmp_path: Path):
    shared = dict(pose)
    first, second = (f"stage2.0.branches.0.0.conv{i}.weight" for i in (1, 2))
    shared[second] = shared[first]
    found, _ = converted(shared, tmp_path)
    np.testing.assert_array_equal(found["stages.0.0.branches.0.0.conv2.weight"], pose[first].numpy())
    quantized = dict(pose)
    quantized[first] = torch.quantize_per_tensor(pose[first], 0.01, 3, torch.qint8)
    found, text = converted(quantized, tmp_path)
    expected = quantized[first].dequantize().numpy()
    np.testing.assert_array_equal(found["stages.0.0.branches.0.0.conv1.weight"], expected)
    assert "1 from qint8" in text


BAD_VALUES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "NaN": (lambda it: it.index_fill(0, torch.tensor([2]), float("nan")), "conv1.weight holds NaN"),
    "infinite": (lambda it: it * float("-inf"), "conv1.weight holds"),
    "beyond float32": (lambda it: it.double() + 1e300, "conv1.weight holds values beyond the range of float32"),
    "a flipped exponent": (lambda it: it * 2.0**64, "conv1.weight holds 1.98e+19, which no trained network does"),
    "complex": (lambda it: it * 1j, "conv1.weight is complex64, which can't be a weight; save it as float32"),
    "bool": (lambda it: it > 0, "conv1.weight is bool, which can't be a weight"),
    "meta": (lambda it: it.to("meta"), "conv1.weight has a shape but no values (it is a meta tensor)"),
    "large integers": (lambda it: it.long() + 2**40 + 1, "conv1.weight holds int64 values that float32 can't hold"),
    "another shape": (lambda it: it[:, :1], "another shape than posekit's network, first conv1.weight"),
    "no convolution": (lambda it: it.sum(), "conv1.weight missing in this hrnet-pose file"),
    "as wide as a planet": (lambda it: it[:1].expand(10**9, 3, 3, 3), "its tensors have more than 300,000,000 values"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_VALUES)
def test_values_that_are_no_weights_are_refused_by_name(kind: str, pose: Tensors, tmp_path: Path):
    change, message = BAD_VALUES[kind]
    torch.save({"model": pose | {"conv1.weight": change(pose["conv1.weight"])}}, tmp_path / "a.pth")
    assert f"a.pth: {message}" in refused(tmp_path / "a.pth") or f" {message}" in refused(tmp_path / "a.pth")
    if kind in ("NaN", "beyond float32"):
        tensors = pose | {"conv1.weight": change(pose["conv1.weight"]).contiguous()}
        safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
        assert message in refused(tmp_path / "a.safetensors")


def test_a_negative_variance_is_refused(pose: Tensors, tmp_path: Path):
    """Its root would be NaN."""
    torch.save(pose | {"bn1.running_var": pose["bn1.running_var"] - 3}, tmp_path / "a.pth")
    assert "a.pth: bn1.running_var is a variance and holds negative values" in refused(tmp_path / "a.pth")


def test_unused_tensors_may_hold_anything(pose: Tensors, wanted, tmp_path: Path):
    """An optimiser's state, or a layer that posekit doesn't have."""
    more = {"loss.weight": torch.tensor(float("nan")), "classifier.weight": torch.empty(5, device="meta")}
    assert_same(
        converted({"model": pose | more, "optimizer": {"nan": torch.tensor(float("inf"))}}, tmp_path)[0], wanted
    )


def test_widths_without_the_tensors_are_refused_before_a_network_is_made(pose: Tensors, tmp_path: Path):
    """It would take 120 GB."""
    anchor = "stage2.0.branches.0.0.conv1.weight"
    torch.save(pose | {anchor: torch.ones(1).expand(1024, 8, 3, 3)}, tmp_path / "a.pth")
    assert "tensors have another shape than posekit's network" in refused(tmp_path / "a.pth")
    names = [f"stage{i}.{j}.x" for i in range(2, 12) for j in range(100)]
    names += [f"stage2.0.branches.0.{i}.x" for i in range(100)]
    torch.save(pose | dict.fromkeys(names, torch.ones(1)), tmp_path / "a.pth")
    assert "the tensors of 650,000 blocks missing in this hrnet-pose file" in refused(tmp_path / "a.pth")
    torch.save(pose | {anchor: torch.ones(1).expand(0, 8, 3, 3)}, tmp_path / "a.pth")
    assert "a.pth: width must be a whole number from 1 to 4,096, not 0" in refused(tmp_path / "a.pth")


# Damage and other kinds of files


def flip(data: bytes, place: int, bit: int = 3) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def test_a_flipped_bit_anywhere_in_a_zip_is_found_or_harmless(pose: Tensors, wanted, tmp_path: Path):
    """torch.load doesn't look at the zip's checksums."""
    torch.save(pose, tmp_path / "a.pth")
    whole, refusals = (tmp_path / "a.pth").read_bytes(), 0
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        inside = [it.header_offset + 200 for it in archive.infolist() if it.file_size > 500]
    places = [*rng.integers(0, len(whole), 25), *rng.choice(inside, 15), *(len(whole) - rng.integers(1, 3000, 25))]
    for place in places:
        (tmp_path / "b.pth").write_bytes(flip(whole, int(place), int(rng.integers(8))))
        try:
            from_published(tmp_path / "b.pth", tmp_path / "b.ckpt", "hrnet-pose")
        except InputError as error:
            assert "b.pth: not a readable file of weights (" in str(error) and "\n" not in str(error)
            refusals += 1
            continue
        assert_same(parameters(tmp_path / "b.ckpt"), wanted)  # padding, dates
    assert refusals > 20


@pytest.mark.parametrize("name", ["a.pth", "old.pth", "a.safetensors"])
def test_cut_files_are_refused(name: str, pose: Tensors, tmp_path: Path):
    path = tmp_path / name
    if name == "a.safetensors":
        safetensors.torch.save_file(pose, path)
    else:
        torch.save(pose, path, _use_new_zipfile_serialization=name == "a.pth")
    whole = path.read_bytes()
    for share in (0.001, 0.01, 0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        assert f"{name}: not a readable file of weights (" in refused(path)


def safe_file(path: Path, header: object, data: bytes = b"\0" * 64, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "header, length",
    [
        ({"a": entry(0, 64, [16])}, 10**12),
        ({"a": entry(0, 64, [16])}, 5),
        ({"a": entry(0, 64, [17])}, None),
        ({"a": entry(0, 64, [2**40, 2**40])}, None),
        ({"a": entry(0, 40, [10]), "b": entry(20, 64, [11])}, None),
        ({"a": entry(0, 640, [160])}, None),
        ({"a": entry(0, 40, [10])}, None),
        ({"a": entry(0, 64, [16], "F99")}, None),
        (b"{" * 5000, None),
        (b"[1, 2]", None),
    ],
)
def test_headers_of_safetensors_are_checked(header, length, tmp_path: Path):
    """Sizes, overlaps, holes, types, JSON."""
    assert "not a readable file of weights (" in refused(safe_file(tmp_path / "a.safetensors", header, length=length))


def zipped(path: Path, members: dict[str, bytes], compressed: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, name: str) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name))


def onnx_file(path: Path) -> Path:
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    save(helper.make_model(helper.make_graph([], "g", [value], [value]), producer_name="pytorch"), path)
    return path


def own_checkpoint(path: Path) -> Path:
    from networks import fresh

    recipe = get_recipe("hourglass-tiny")
    save_checkpoint(path.with_suffix(".ckpt"), fresh(recipe), recipe, 1, 1)
    return path.with_suffix(".ckpt").rename(path)


def text_file(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 114\n"
KINDS = {
    "a web page": (text_file("<!DOCTYPE html>\n<html><body>Google Drive can't scan this"), "it is an HTML page"),
    "a pointer": (text_file(POINTER), "(it is a Git LFS pointer); run git lfs pull"),
    "JSON": (text_file('{"error": "rate limited"}'), "(it is a JSON document)"),
    "nothing": (text_file(""), "(it is an empty file)"),
    "a zip of a folder": (lambda path: zipped(path, {"w/a.txt": b"a" * 50}), "(it is a zip file); unpack it first"),
    "arrays": (lambda path: np.savez(path.open("wb"), a=np.ones(3)), "(it is a file of numpy.savez)"),
    "ONNX": (onnx_file, "a.pth: is an ONNX file; fetch the .pth file that it was made from"),
    "a checkpoint": (own_checkpoint, "a.pth: is a checkpoint of MindSpore; posekit convert takes it with --to LAYOUT"),
    "a program": (
        lambda path: torch.jit.save(torch.jit.script(torch.nn.ReLU()), path),
        "a.pth: is a TorchScript program; save the model's state_dict() instead",
    ),
    "another pickle": (lambda path: path.write_bytes(pickle.dumps([1, 2])), "not a readable file of weights ("),
    "PyTorch 0.1": (lambda path: tarred(path, "sys_info"), "a.pth: is of PyTorch 0.1; load it with PyTorch, where you"),
    "a tar": (lambda path: tarred(path, "weights.pth"), "(it is a tar archive); unpack it first"),
    "a later pickle": (
        lambda path: torch.save({"a": torch.ones(1)}, path, pickle_protocol=4),
        "it is of pickle protocol 4; save it with torch.save's own, 2",
    ),
    "a folder": (lambda path: path.mkdir(), "(it is a folder)"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)), "not a readable file of weights ("),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_file_is_called_by_its_name(kind: str, tmp_path: Path):
    make, message = KINDS[kind]
    make(tmp_path / "a.pth")
    assert message in refused(tmp_path / "a.pth")


class Dangerous:
    """What unpickling would run."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("zip_file", [True, False])
def test_nothing_in_a_file_is_run(zip_file: bool, pose: Tensors, tmp_path: Path):
    content = {"model": pose, "hook": Dangerous(tmp_path / "made")}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zip_file)
    assert "a.pth: holds Python objects beside tensors, which are not loaded for safety" in refused(tmp_path / "a.pth")
    torch.save(Odd(1), tmp_path / "b.pth", _use_new_zipfile_serialization=zip_file)
    assert "b.pth: holds Python objects beside tensors" in refused(tmp_path / "b.pth")
    assert not (tmp_path / "made").exists()


def bomb(path: Path, size: int, name: str = "a/data/0") -> Path:
    torch.save({"model": {"w": torch.ones(9)}}, path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    first = next(iter(members)).partition("/")[0]
    return zipped(path, members | {name.replace("a/", f"{first}/"): bytes(size)}, compressed=True)


@pytest.mark.slow
def test_zip_bombs_are_refused_by_their_sizes(tmp_path: Path):
    path = bomb(tmp_path / "a.pth", 30_000_000, "a/data/1")
    assert path.stat().st_size < 1_000_000
    assert "it would unpack to 30,0" in refused(path)
    with zipfile.ZipFile(tmp_path / "b.pth", "w") as archive:
        archive.writestr("b/data.pkl", b"")
        for i in range(100_000):
            archive.writestr(zipfile.ZipInfo(f"b/{i}"), b"")
    assert "its directory is too large" in refused(tmp_path / "b.pth")
    stream = io.BytesIO()
    pickle.dump([0] * 20_000_000, stream, 2)
    zipped(tmp_path / "c.pth", {"c/data.pkl": stream.getvalue()[: 2**24 + 9]})
    assert "its data.pkl has 16,777,225 bytes" in refused(tmp_path / "c.pth")


def test_deep_and_repeated_dicts_end(pose: Tensors, wanted, tmp_path: Path):
    deep: dict = {"x": 1}
    for _ in range(300):
        deep = {"a": deep, "b": deep}
    assert_same(converted({"model": pose, "deep": deep}, tmp_path)[0], wanted)


def test_names_that_cannot_be_printed_are_escaped(pose: Tensors, tmp_path: Path):
    torch.save({"m\n\udcff": pose, "m": {n: it + 1 for n, it in pose.items()}}, tmp_path / "a.pth")
    assert r"'m\\n\\udcff' or 'm'" in refused(tmp_path / "a.pth")
