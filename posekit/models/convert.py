"""Weights between posekit's checkpoints and the published PyTorch ones, and what became of every tensor.

Layouts, as --from and --to name them:
hrnet-imagenet  HRNet's classifiers (HRNet/HRNet-Image-Classification), of which the backbone is used
hrnet-pose      HRNet's pose networks (leoxiaobin/deep-high-resolution-net.pytorch, NVlabs/PAMTRI PoseEstNet)
hourglass       princeton-vl/pytorch_stacked_hourglass

Sizes are read off the tensors. A report is a table with one row a tensor: its name in the file and in posekit, its
shape, and its status: loaded or written (under the same name), renamed, missing (in the file), unexpected (by posekit),
counter (num_batches_tracked, which neither network computes with), left out, added (zeros that change no result), or
no tensor (what else a training file holds).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pandas as pd
from mindspore import nn

from posekit.errors import InputError
from posekit.files import atomic_path
from posekit.models import build
from posekit.models.checkpoint import NOTES, load_weights, read_checkpoint, save_checkpoint
from posekit.models.torch_files import StateDict, read_state_dict, write_state_dict
from posekit.recipes import HOURGLASS, POSEESTNET, Recipe
from posekit.skeletons import SKELETONS, get_skeleton

HEADS = ("final_layer.", "outs.", "merge_preds.")  # what has a channel a keypoint
DATASETS = {"vehicle36": "veri", "person16": "mpii", "person17": "mpii"}  # skeleton -> layout of its data
COUNTER = "num_batches_tracked"
COLUMNS = ["file", "posekit", "shape", "status"]
NAMED = ["missing", "unexpected", "left out", "added", "no tensor"]  # statuses whose tensors the summary names

_LAST_WORDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def published_name(name: str) -> str:
    """The name in published checkpoints of the parameter that posekit calls `name`."""
    module, _, last = name.rpartition(".")
    module = re.sub(r"^transitions\.(\d+)", lambda found: f"transition{int(found[1]) + 1}", module)
    module = re.sub(r"^stages\.(\d+)", lambda found: f"stage{int(found[1]) + 2}", module)
    module = re.sub(r"^(merge_\w+\.\d+)\.0\.conv$", r"\1.conv.conv", module)
    return f"{module}.{_LAST_WORDS.get(last, last)}"


def from_published(source: Path, out: Path, layout: str) -> tuple[Recipe, pd.DataFrame]:
    """Write the published file `source` as a checkpoint; returns its recipe, as read off the tensors, and the report.

    Of hrnet-imagenet the backbone is written, for `load_pretrained`. Raises InputError when the file is of another
    layout, when a shape differs, and when a tensor is missing.
    """
    state = read_state_dict(source)
    recipe = _read_recipe(state, layout)
    network = build(recipe, get_skeleton(recipe.skeleton))
    wanted = {parameter.name: tuple(parameter.shape) for parameter in network.get_parameters()}
    heads = [name for name in wanted if name.startswith(HEADS) and layout == "hrnet-imagenet"]
    absent = [(published_name(name), name, wanted.pop(name), "missing") for name in heads]
    report = _match(wanted, state, published_name)
    _refuse_other_shapes(report, state, "posekit's network")
    missing = report.file[report.status == "missing"].tolist()
    if missing:
        raise InputError(f"{source}: {_some(missing)} missing in this {layout} file; is --from right, the file whole?")
    save_checkpoint(out, _parameters(report, state), recipe, epoch=0, step=0)
    return recipe, pd.concat([report, pd.DataFrame(absent, columns=COLUMNS)], ignore_index=True)


def to_published(source: Path, out: Path, layout: str) -> tuple[Recipe, pd.DataFrame]:
    """Write a checkpoint as a state dict that the published code loads strictly; returns its recipe and the report.

    What the published networks always have is added where the recipe has it not: the head's bias, and the shortcut
    convolutions that are never used.
    """
    recipe, values = read_checkpoint(source)
    if recipe.network != LAYOUTS[layout].base.network:
        raise InputError(f"{source}: holds {recipe.network} weights, which have no {layout} layout; check --to")
    skeleton = get_skeleton(recipe.skeleton)
    network, full = build(recipe, skeleton), build(replace(recipe, head_bias=True, unused_skips=True), skeleton)
    heads = {parameter.name: parameter for parameter in network.get_parameters() if parameter.name.startswith(HEADS)}
    load_weights(network, (heads if layout == "hrnet-imagenet" else {}) | values, source)  # a backbone may lack them
    tensors, rows = {}, []
    for parameter in full.get_parameters():
        name, published, shape = parameter.name, published_name(parameter.name), tuple(parameter.shape)
        if layout == "hrnet-imagenet" and name.startswith(HEADS):
            rows += [(published, name, shape, "left out")] if name in values else []
            continue
        status = "added" if name not in values else "written" if name == published else "renamed"
        tensors[published] = np.zeros(shape, np.float32) if status == "added" else values[name].asnumpy()
        rows.append((published, name, shape, status))
        if name.endswith(".moving_variance"):
            counter = published.replace("running_var", COUNTER)
            tensors[counter] = np.zeros((), np.int64)
            rows.append((counter, "", (), "counter"))
    write_state_dict(out, tensors)
    return recipe, pd.DataFrame(rows, columns=COLUMNS)


def load_pretrained(network: nn.Cell, path: Path) -> pd.DataFrame:
    """Copy what fits from a checkpoint or a published file into the network; returns the report.

    A head of other keypoints is "left out"; what the file lacks ("missing") stays as it is. Raises InputError when
    another shape differs, and when nothing fits.
    """
    state, name_of = _read_checkpoint(path) if path.suffix == ".ckpt" else (read_state_dict(path), published_name)
    wanted = {parameter.name: tuple(parameter.shape) for parameter in network.get_parameters()}
    report = _match(wanted, state, name_of)
    head = report.posekit.str.startswith(HEADS)
    report.loc[head & (report.status == "shape"), "status"] = "left out"
    _refuse_other_shapes(report, state, "the recipe's network")
    found = _parameters(report, state)
    if not found:
        raise InputError(f"{path}: no tensor of the recipe's network is in it, only {_some(list(state.tensors))}")
    by_name = {parameter.name: parameter for parameter in network.get_parameters()}
    for parameter in found:
        by_name[parameter["name"]].set_data(parameter["data"])
    return report


def describe(recipe: Recipe, layout: str) -> str:
    """The network in words, as it was read off a file."""
    return LAYOUTS[layout].words(recipe)


def write_report(path: Path, report: pd.DataFrame) -> None:
    """Write the report as a csv."""
    with atomic_path(path) as temporary:
        report.to_csv(temporary, index=False)


def summary(report: pd.DataFrame) -> str:
    """The report in a few lines: how many tensors there are of each status, and the names of what was not copied."""
    counts = report.status.value_counts()
    lines = [", ".join(f"{count:,} {status}" for status, count in counts.drop(NAMED, errors="ignore").items())]
    for status in NAMED:
        names = report.file[report.status == status].tolist()
        lines += [f"{status} ({len(names)}): {_grouped(names)}"] if names else []
    return "\n".join(lines)


def _read_checkpoint(path: Path) -> tuple[StateDict, Callable[[str], str]]:
    """A checkpoint of posekit as a state dict by posekit's names."""
    _, values = read_checkpoint(path)
    tensors = {name: value.asnumpy() for name, value in values.items() if name not in NOTES}
    return StateDict(path, tensors, "", ()), str


def _match(wanted: Mapping[str, tuple[int, ...]], state: StateDict, name_of: Callable[[str], str]) -> pd.DataFrame:
    """The report of copying `state` into parameters of these shapes; "shape" marks those that differ."""
    rows = []
    for name, shape in wanted.items():
        source = name_of(name)
        if source not in state.tensors:
            status = "missing"
        elif state.tensors[source].shape != shape:
            status = "shape"
        else:
            status = "loaded" if state.prefix + source == name else "renamed"
        rows.append((state.prefix + source, name, shape, status))
    used = {name_of(name) for name in wanted}
    for source, value in state.tensors.items():
        if source not in used:
            counts = source.replace(COUNTER, "running_var") in used
            rows.append((state.prefix + source, "", value.shape, "counter" if counts else "unexpected"))
    rows += [(name, "", (), "no tensor") for name in state.beside]
    return pd.DataFrame(rows, columns=COLUMNS)


def _parameters(report: pd.DataFrame, state: StateDict) -> list[dict]:
    """The tensors that the report calls loaded or renamed, by posekit's names, as MindSpore saves them."""
    rows = report[report.status.isin(["loaded", "renamed"])]
    return [
        {"name": name, "data": ms.Tensor(state.tensors[source.removeprefix(state.prefix)])}
        for source, name in zip(rows.file, rows.posekit, strict=True)
    ]


def _refuse_other_shapes(report: pd.DataFrame, state: StateDict, network: str) -> None:
    other = report[report.status == "shape"]
    if len(other):
        row = other.iloc[0]
        shape = state.tensors[row.file.removeprefix(state.prefix)].shape
        raise InputError(
            f"{state.path}: {len(other)} tensors have another shape than {network}, first {row.file}, which is {shape} "
            f"and not {row['shape']}; it belongs to another network"
        )


def _read_recipe(state: StateDict, layout: str) -> Recipe:
    """The recipe of the network that these tensors make; InputError if they are of another layout."""
    published = LAYOUTS[layout]
    try:
        return replace(published.base, name=layout, **published.fields(state.tensors))
    except KeyError as error:
        raise InputError(
            f"{state.path}: holds no {error.args[0]}, as {layout} files do, but {_some(list(state.tensors))}; "
            "check --from"
        ) from error
    except InputError as error:
        raise InputError(f"{state.path}: {error}") from error


def _backbone_fields(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "stem_width": len(tensors["conv1.weight"]),
        "layer1_block": "bottleneck" if "layer1.0.conv3.weight" in tensors else "basic",
        "layer1_blocks": _count(tensors, "layer1."),
        "width": len(tensors["stage2.0.branches.0.0.conv1.weight"]),
        "branch_blocks": _count(tensors, "stage2.0.branches.0."),
        "stage_modules": tuple(_count(tensors, f"stage{i + 2}.") for i in range(_count(tensors, "stage"))),
    }


def _pose_fields(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    backbone, head = _backbone_fields(tensors), tensors["final_layer.weight"]
    return {**backbone, "head_bias": "final_layer.bias" in tensors, **_line(len(head))}


def _hourglass_fields(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    depth = 1
    while f"hgs.0.0.{'low2.' * depth}up1.bn1.weight" in tensors:
        depth += 1
    return {
        "width": len(tensors["features.0.1.conv.weight"]),
        "stacks": _count(tensors, "hgs."),
        "depth": depth,
        "unused_skips": "hgs.0.0.up1.skip_layer.conv.weight" in tensors,
        **_line(len(tensors["outs.0.conv.weight"])),
    }


def _count(tensors: Mapping[str, np.ndarray], start: str) -> int:
    """How many different words follow `start` in the tensors' names."""
    return len({name[len(start) :].split(".")[0] for name in tensors if name.startswith(start)})


def _line(keypoints: int) -> dict[str, str]:
    """A Recipe's fields of the line, vehicles or people, that has so many keypoints."""
    for skeleton in SKELETONS.values():
        if skeleton.num_keypoints == keypoints:
            return {"skeleton": skeleton.name, "dataset": DATASETS[skeleton.name]}
    known = ", ".join(f"{skeleton.num_keypoints} ({skeleton.name})" for skeleton in SKELETONS.values())
    raise InputError(
        f"finds {keypoints} keypoints; skeletons are known of {known}. Its backbone can be used with "
        "posekit train --pretrained"
    )


def _backbone_words(recipe: Recipe) -> str:
    return f"HRNet-W{recipe.width}'s backbone"


def _pose_words(recipe: Recipe) -> str:
    return f"HRNet-W{recipe.width}, {_keypoints(recipe)}, its head {'with' if recipe.head_bias else 'without'} bias"


def _hourglass_words(recipe: Recipe) -> str:
    skips = "with" if recipe.unused_skips else "without"
    stacks = f"{recipe.stacks} stacks of {recipe.width} channels"
    return f"{stacks}, {_keypoints(recipe)}, {skips} unused shortcut convolutions"


def _keypoints(recipe: Recipe) -> str:
    return f"{get_skeleton(recipe.skeleton).num_keypoints} keypoints ({recipe.skeleton})"


@dataclass(frozen=True)
class Published:
    """A published layout: a recipe of its network, which fields of it the tensors tell, and the network in words."""

    base: Recipe
    fields: Callable[[Mapping[str, np.ndarray]], dict[str, Any]]
    words: Callable[[Recipe], str]


LAYOUTS = {
    "hrnet-imagenet": Published(POSEESTNET, _backbone_fields, _backbone_words),
    "hrnet-pose": Published(POSEESTNET, _pose_fields, _pose_words),
    "hourglass": Published(HOURGLASS, _hourglass_fields, _hourglass_words),
}


def _some(names: list[str]) -> str:
    """The first of the names, and how many more there are."""
    return names[0] + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")


def _grouped(names: list[str]) -> str:
    """A few names as they are, many as module.* with their number."""
    if len(names) <= 4:
        return ", ".join(names)
    modules = pd.Series([re.sub(r"^(model\.|module\.)+", "", name).split(".")[0] for name in names])
    modules = modules.value_counts(sort=False)
    return ", ".join(f"{module}.* {count}" for module, count in modules.items())
