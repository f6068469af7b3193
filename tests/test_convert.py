"""Published weights in posekit and back: the same networks in PyTorch, with random values, agree layer by layer."""

import hashlib
import json
import re
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pandas as pd
import pytest
import torch
from mindspore import nn
from networks import fresh

from posekit.cli.main import main
from posekit.errors import InputError
from posekit.models.checkpoint import load_network, save_checkpoint
from posekit.models.convert import load_pretrained
from posekit.models.report import summary
from posekit.recipes import HOURGLASS, POSEESTNET, Recipe, get_recipe
from posekit.settings import override
from posekit.skeletons import SKELETONS
from posekit.training.torch_networks import HRNet, StackedHourglass, with_random_values

SMALL = {"width": 8, "modules": (1, 2, 1), "blocks": 1}
IMAGES = np.random.default_rng(0).standard_normal((1, 3, 64, 128)).astype(np.float32)
UPRIGHT = np.random.default_rng(1).standard_normal((1, 3, 256, 192)).astype(np.float32)  # as COCO's networks see


@pytest.fixture
def convert(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Runs `posekit convert SOURCE OUT …`; returns what it printed, and the report."""

    def run(source: Path, out: Path, *options: str) -> tuple[str, pd.DataFrame]:
        monkeypatch.setattr(sys, "argv", ["posekit", "convert", str(source), str(out), *options])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capfd.readouterr()
        assert not stopped.value.code, captured.err
        return captured.out, pd.read_csv(out.with_name(f"{out.stem}.tensors.csv"), keep_default_na=False)

    return run


@pytest.fixture
def refused(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Runs `posekit convert …`; checks exit code 2 and returns the one line."""

    def run(*arguments: object) -> str:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["posekit", "convert", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        lines = capfd.readouterr().err.splitlines()
        assert stopped.value.code == 2 and len(lines) == 1
        return lines[0]

    return run


def their_layers(network: torch.nn.Module, images: np.ndarray = IMAGES) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The output of every convolution and normalisation that runs, by name, and the last heatmaps."""
    outputs = {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out.numpy()}))
    with torch.no_grad():
        heatmaps = network(torch.from_numpy(images))
    return outputs, (heatmaps[-1] if isinstance(heatmaps, list) else heatmaps).numpy()


def our_layers(network: nn.Cell, images: np.ndarray = IMAGES) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """As `their_layers`."""
    outputs = {}
    for name, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d | nn.BatchNorm2d):
            cell.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out.asnumpy()}))
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        return outputs, network.set_train(False)(ms.Tensor(images))[-1].asnumpy()
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def our_name(name: str) -> str:
    """What posekit calls a published module."""
    name = re.sub(r"^(transition|stage)(\d+)", lambda m: f"{m[1]}s.{int(m[2]) - (m[1] == 'stage') - 1}", name)
    return re.sub(r"^(merge_\w+\.\d+)\.conv\.conv", r"\1.0.conv", name)


def assert_agree(theirs: torch.nn.Module, ours: nn.Cell, layers: int, images: np.ndarray = IMAGES) -> None:
    """Every layer to 1e-4 of its largest value, and the heatmaps."""
    their_outputs, their_heatmaps = their_layers(theirs, images)
    our_outputs, our_heatmaps = our_layers(ours, images)
    assert {our_name(name) for name in their_outputs} == set(our_outputs) and len(our_outputs) == layers
    for name, expected in their_outputs.items():
        found = our_outputs[our_name(name)]
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max(), name
    assert np.abs(our_heatmaps - their_heatmaps).max() <= 1e-4 * np.abs(their_heatmaps).max()
    assert np.ptp(their_heatmaps) > 0.1


def training_file(network: torch.nn.Module, prefix: str) -> dict:
    """What the published training programs save: prefixed names, the optimiser, an accuracy that is NumPy's."""
    tensors = {prefix + name: value for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters()).state_dict()
    return {"epoch": 3, "state_dict": tensors, "perf": np.float64(0.9), "optimizer": optimizer}


PUBLISHED = {
    # Layers that run: HRNet-W32 has 293 convolutions and 292 normalisations. An hourglass of depth 4 has 13 blocks of 6
    # layers; a stack a block and 3 layers more; the stem 2 layers and 3 blocks, 2 of which widen; 2 layers merge.
    "vehicle": (HRNet(36), "hrnet-pose", "", True, 585),
    "person": (HRNet(16), "hrnet-pose", "module.", False, 585),  # as old files are: not a zip
    "coco": (HRNet(17), "hrnet-pose", "", True, 585),
    "hourglass": (StackedHourglass(16), "hourglass", "model.module.", True, 2 + 3 * 6 + 2 + 2 * (14 * 6 + 3) + 2),
}
FIELDS = {
    "vehicle": {"skeleton": "vehicle36", "dataset": "veri", "head_bias": True},
    "person": {"skeleton": "person16", "dataset": "mpii", "head_bias": True},
    "coco": {
        "skeleton": "person17",
        "dataset": "mpii",
        "head_bias": True,
        "input_size": (192, 256),
        "heatmap_size": (48, 64),
    },
    "hourglass": {},  # the seed's recipe is the published network
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(PUBLISHED))
def test_published_networks_agree_layer_by_layer_and_come_back(kind: str, convert, tmp_path: Path):
    network, layout, prefix, zipped, layers = PUBLISHED[kind]
    with_random_values(network, 1)
    content = training_file(network, prefix) if prefix else network.state_dict()
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    text, report = convert(tmp_path / "a.pth", tmp_path / "a.ckpt", "--from", layout)

    names = [prefix + name for name in network.state_dict()]
    beside = ["epoch", "perf", "optimizer"] if prefix else []
    assert sorted(report.file) == sorted(names + beside)
    assert list(report.file[report.status == "no tensor"]) == beside
    assert set(report.status) - {"no tensor"} == {"renamed", "counter"} | (set() if prefix else {"loaded"})
    assert list(report[report.status == "counter"].file) == [n for n in names if n.endswith("num_batches_tracked")]
    assert "missing" not in text and "unexpected" not in text
    model = load_network(tmp_path / "a.ckpt")
    recipe, ours = model.recipe, model.network
    base = HOURGLASS if kind == "hourglass" else POSEESTNET
    assert vars(recipe) == vars(base) | {"name": layout, "shrinking": "samples"} | FIELDS[kind]
    assert_agree(network, ours, layers, UPRIGHT if kind == "coco" else IMAGES)

    convert(tmp_path / "a.ckpt", tmp_path / "b.pth", "--to", layout)
    back = torch.load(tmp_path / "b.pth", weights_only=True)
    assert set(back) == set(network.state_dict())
    assert all(torch.equal(back[name], value) for name, value in network.state_dict().items())


def test_a_classifier_gives_its_backbone(convert, tmp_path: Path):
    """As hrnet_w32-36af842e.pth: the rest is named, none of it lost without a word."""
    network = with_random_values(HRNet(None, **SMALL), 2)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    text, report = convert(tmp_path / "a.pth", tmp_path / "a.ckpt", "--from", "hrnet-imagenet")
    unexpected = {
        name
        for name in network.state_dict()
        if name.startswith(("incre_modules", "downsamp_modules", "final_layer", "classifier"))
        or re.match(r"stage4\.0\.fuse_layers\.[123]", name)  # a pose network ends with the finest branch
    }
    assert set(report.file[report.status == "unexpected"]) == unexpected
    assert list(report.posekit[report.status == "missing"]) == ["final_layer.weight"]
    assert set(report.file) == set(network.state_dict()) | {"final_layer.weight"}
    assert f"unexpected ({len(unexpected)}): stage4.*" in text and "classifier.* 2" in text

    recipe = override(POSEESTNET, ["width=8", "layer1_blocks=1", "stage_modules=1,2,1", "branch_blocks=1"])
    for file in ("a.ckpt", "a.pth"):
        ours = fresh(recipe)
        start = ours.final_layer.weight.asnumpy().copy()
        table = load_pretrained(ours, tmp_path / file)
        assert list(table.file[table.status == "missing"]) == ["final_layer.weight"]
        assert np.array_equal(ours.final_layer.weight.asnumpy(), start)
        outputs, _ = our_layers(ours)
        expected, _ = their_layers(network)
        del outputs["final_layer"]
        names = {our_name(name): name for name in expected}
        assert len(outputs) > 90 and set(outputs) < set(names)
        for name, found in outputs.items():
            np.testing.assert_allclose(found, expected[names[name]], rtol=1e-3, atol=1e-3, err_msg=name)

    _, report = convert(tmp_path / "a.ckpt", tmp_path / "b.safetensors", "--to", "hrnet-imagenet")
    assert set(report.file) == set(network.state_dict()) - unexpected


def with_random_parameters(recipe: Recipe) -> nn.Cell:
    network, rng = fresh(recipe), np.random.default_rng(3)
    for parameter in network.get_parameters():
        low, high = (0.5, 1.5) if parameter.name.endswith(("gamma", "moving_variance")) else (-0.2, 0.2)
        parameter.set_data(ms.Tensor(rng.uniform(low, high, parameter.shape).astype(np.float32)))
    return network


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("line", ["hrnet-pose", "hourglass"])
def test_posekits_networks_load_strictly_in_pytorch(line: str, suffix: str, convert, tmp_path: Path):
    """Without the head's bias and the unused shortcuts, which the published networks always have: zeros are added."""
    small = ["stem_width=64", "width=8", "layer1_block=bottleneck", "stage_modules=1,1,1"]
    name, settings = ("poseestnet-tiny", small) if line == "hrnet-pose" else ("hourglass-tiny", ["depth=2"])
    recipe = override(get_recipe(name), settings)
    ours = with_random_parameters(recipe)
    save_checkpoint(tmp_path / "a.ckpt", ours, recipe, 1, 1)
    text, report = convert(tmp_path / "a.ckpt", tmp_path / f"a{suffix}", "--to", line)
    added = list(report.file[report.status == "added"])
    if line == "hrnet-pose":
        theirs = HRNet(36, 8, (1, 1, 1), 1)
        assert added == ["final_layer.bias"] and "added (1): final_layer.bias" in text
    else:
        theirs = StackedHourglass(16, 2, 16, 2)
        assert len(added) == 2 * (1 + 2 * 8) and all("skip_layer" in name for name in added)
    if suffix == ".pth":
        tensors = torch.load(tmp_path / "a.pth", weights_only=True)
    else:
        from safetensors.torch import load_file

        tensors = load_file(tmp_path / "a.safetensors")
    theirs.load_state_dict(tensors, strict=True)
    assert_agree(theirs.eval(), ours, len(list(their_layers(theirs)[0])))
    convert(tmp_path / f"a{suffix}", tmp_path / "b.ckpt", "--from", line)  # what was added does no harm
    expected, found = (our_layers(network)[1] for network in (ours, load_network(tmp_path / "b.ckpt").network))
    np.testing.assert_array_equal(found, expected)


# What does not fit


@pytest.fixture(scope="module")
def pose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pose network of 16 keypoints, as PyTorch saves it."""
    path = tmp_path_factory.mktemp("published") / "pose.pth"
    torch.save(with_random_values(HRNet(16, **SMALL), 4).state_dict(), path)
    return path


def changed(pose: Path, path: Path, **values: object) -> Path:
    """A copy of the file with tensors replaced, or left out where the value is None; __ in a name is a dot."""
    tensors = torch.load(pose, weights_only=True) | {name.replace("__", "."): value for name, value in values.items()}
    torch.save({name: value for name, value in tensors.items() if value is not None}, path)
    return path


def test_other_files_are_refused_in_one_line(refused, pose: Path, tmp_path: Path, monkeypatch):
    out = tmp_path / "out.ckpt"

    def from_(source: Path, layout: str = "hrnet-pose") -> str:
        return refused(source, out, "--from", layout)

    path = tmp_path / "a.pth"
    assert "holds no features.0.1.conv.weight, as hourglass files do, but conv1.weight and" in from_(pose, "hourglass")
    changed(pose, path, layer1__0__bn2__running_var=None)
    assert "a.pth: layer1.0.bn2.running_var missing in this hrnet-pose file" in from_(path)
    changed(pose, path, stage3__1__branches__0__0__conv1__weight=torch.ones(9, 8, 3, 3))
    assert "1 tensors have another shape than posekit's network, first stage3.1.branches.0.0.conv1.weight" in from_(
        path
    )
    changed(pose, path, final_layer__weight=torch.ones(16, 8, 3, 3))
    assert "final_layer.weight, which is (16, 8, 3, 3) and not (16, 8, 1, 1)" in from_(path)
    changed(pose, path, final_layer__weight=torch.ones(21, 8, 1, 1))
    assert "finds 21 keypoints; skeletons are known of 36 (vehicle36), 16 (person16), 17 (person17)" in from_(path)
    changed(pose, path, **{name.replace(".", "__"): None for name in torch.load(pose) if name.startswith("layer1.")})
    assert "a.pth: layer1_blocks must be a whole number from 1 to 100, not 0" in from_(path)
    torch.save(HRNet(16, **SMALL), path)
    assert "a.pth: holds Python objects beside tensors, which are not loaded for safety" in from_(path)
    torch.save({"epoch": 3, "weights": [torch.ones(2)]}, path)
    assert "a.pth: holds no tensors by name (epoch, weights)" in from_(path)
    path.write_bytes(pose.read_bytes()[:5000])
    assert "a.pth: not a readable file of weights (" in from_(path)
    (tmp_path / "a.safetensors").write_bytes(b"not one")
    assert "a.safetensors: not a readable file of weights" in from_(tmp_path / "a.safetensors")
    assert "none.pth: no such file" in from_(tmp_path / "none.pth")
    assert "give either --from or --to, with one of hrnet-imagenet, hrnet-pose" in from_(pose, "resnet")
    assert "give either --from or --to" in refused(pose, tmp_path / "out.safetensors")
    assert "give either --from or --to" in refused(pose, out, "--from", "hrnet-pose", "--to", "hrnet-pose")
    assert "out.pth: checkpoints end in .ckpt; rename it" in refused(pose, tmp_path / "out.pth", "--from", "hrnet-pose")
    monkeypatch.setitem(sys.modules, "torch", None)  # not installed
    assert "pose.pth: takes PyTorch; pip install -e '.[torch]'" in from_(pose)
    assert not out.exists()


def test_a_checkpoint_of_the_other_network_is_refused(refused, tmp_path: Path):
    recipe = get_recipe("hourglass-tiny")
    save_checkpoint(tmp_path / "a.ckpt", fresh(recipe), recipe, 1, 1)
    message = refused(tmp_path / "a.ckpt", tmp_path / "a.pth", "--to", "hrnet-pose")
    assert "a.ckpt: holds hourglass weights, which have no hrnet-pose layout; check --to" in message
    message = refused(tmp_path / "a.ckpt", tmp_path / "b.ckpt", "--to", "hourglass")
    assert "b.ckpt: PyTorch files end in .pth or .safetensors" in message


def test_what_posekit_does_not_know_is_named(convert, pose: Path, tmp_path: Path):
    """Tensors beside the network, and values that are no tensors."""
    changed(pose, tmp_path / "a.pth", attention__weight=torch.ones(2), note="by hand")
    text, report = convert(tmp_path / "a.pth", tmp_path / "a.ckpt", "--from", "hrnet-pose")
    assert list(report.file[report.status == "unexpected"]) == ["attention.weight"]
    assert "unexpected (1): attention.weight" in text and "no tensor (1): note" in text


def test_pretrained_weights_of_other_keypoints_keep_the_fresh_head(pose: Path):
    recipe = override(POSEESTNET, ["width=8", "layer1_blocks=1", "stage_modules=1,2,1", "branch_blocks=1"])
    network = fresh(recipe)
    report = load_pretrained(network, pose)
    assert "left out (1): final_layer.weight" in summary(report)
    assert "unexpected (1): final_layer.bias" in summary(report)  # the recipe's head has none
    tensors = torch.load(pose, weights_only=True)
    assert np.array_equal(network.conv1.weight.asnumpy(), tensors["conv1.weight"].numpy())
    with pytest.raises(InputError, match=r"have another shape than the recipe's network, first conv1.weight, which is"):
        load_pretrained(fresh(override(recipe, ["stem_width=32"])), pose)
    with pytest.raises(InputError, match="no tensor of the recipe's network is in it, only conv1.weight and"):
        load_pretrained(fresh(get_recipe("hourglass-tiny")), pose)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_mirroring_swaps_left_and_right(skeleton):
    """The names say what the flip pairs must be; every keypoint is in one group."""
    swap = {"left": "right", "right": "left"}
    words = [name.split() for name in skeleton.keypoints]
    expected = [skeleton.keypoints.index(" ".join([swap.get(first, first), *rest])) for first, *rest in words]
    assert list(skeleton.flip_order) == expected
    groups = [k for group in skeleton.groups.values() for k in group]
    assert sorted(groups) == list(range(skeleton.num_keypoints))
    mirrored = {frozenset(skeleton.flip_order[k] for k in limb) for limb in skeleton.limbs}
    assert mirrored == {frozenset(limb) for limb in skeleton.limbs}


@pytest.mark.slow
def test_training_starts_from_pretrained_weights(tiny_vehicles: Path, tmp_path: Path, monkeypatch, capfd):
    """At a rate of almost nothing they are still there after the only update; the new head is the seed's fresh one."""
    recipe = override(get_recipe("poseestnet-tiny"), ["epochs=1", "batch=24", "learning_rate=1e-12", "warmup_epochs=0"])
    before = with_random_parameters(override(recipe, ["skeleton=person16"]))
    save_checkpoint(tmp_path / "a.ckpt", before, override(recipe, ["skeleton=person16"]), 1, 1)
    arguments = ["train", recipe.name, "--data", tiny_vehicles, "--out", tmp_path / "run", "--device", "cpu"]
    arguments += ["--pretrained", tmp_path / "a.ckpt"]
    for field in ("epochs", "batch", "learning_rate", "warmup_epochs"):
        arguments += ["--set", f"{field}={getattr(recipe, field)}"]
    monkeypatch.setattr(sys, "argv", ["posekit", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    assert "left out (1): final_layer.weight" in capfd.readouterr().out
    digest = hashlib.sha256((tmp_path / "a.ckpt").read_bytes()).hexdigest()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["pretrained"] == f"a.ckpt, sha256 {digest}"
    report = pd.read_csv(tmp_path / "run" / "pretrained.csv")
    assert list(report.posekit[report.status == "left out"]) == ["final_layer.weight"]
    trained = load_network(tmp_path / "run" / "last.ckpt").network
    ms.set_seed(recipe.seed)
    start = fresh(recipe).final_layer.weight.asnumpy()
    np.testing.assert_allclose(trained.final_layer.weight.asnumpy(), start, atol=1e-9)
    expected = {parameter.name: parameter.asnumpy() for parameter in before.trainable_params()} | {
        "final_layer.weight": start
    }
    for parameter in trained.trainable_params():
        np.testing.assert_allclose(parameter.asnumpy(), expected[parameter.name], atol=1e-9, err_msg=parameter.name)
