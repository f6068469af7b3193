"""Weights between posekit's checkpoints and the published PyTorch ones, and what became of every tensor.

Layouts, as --from and --to name them:
hrnet-imagenet  HRNet's classifiers (HRNet/HRNet-Image-Classification, timm), of which the backbone is used
hrnet-pose      HRNet's pose networks (leoxiaobin/deep-high-resolution-net.pytorch, mmpose, NVlabs/PAMTRI PoseEstNet)
hourglass       princeton-vl/pytorch_stacked_hourglass

Which layout a file has and what stands before its names is found from the names; sizes are read off the tensors.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pandas as pd
from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from posekit.errors import InputError
from posekit.models import build
from posekit.models.checkpoint import NOTES, check_values, load_weights, read_checkpoint, save_checkpoint
from posekit.models.readings import (
    HOURGLASS,
    IMAGENET,
    POSE,
    Reading,
    find,
    hourglass_sizes,
    hrnet_sizes,
    outputs,
    some,
)
from posekit.models.report import COLUMNS, COUNTER, USED, matched, notes
from posekit.models.torch_files import as_float32, holds_torch_weights, read_weights, write_state_dict
from posekit.recipes import HOURGLASS as HOURGLASS_RECIPE
from posekit.recipes import POSEESTNET, Recipe
from posekit.settings import override
from posekit.skeletons import SKELETONS, get_skeleton

HEADS = ("final_layer.", "outs.", "merge_preds.")  # what has one channel per keypoint
DATASETS = {"vehicle36": "veri", "person16": "mpii", "person17": "mpii"}  # skeleton -> layout of its data
_INSIDE = r"(conv[12]|bn[12]|layer1|transition\d+|stage\d+|final_layer|head|pre|hgs|features|outs|merge_\w+)\."
_COARSE = r"stage\d+\.\d+\.fuse_layers\.[1-9]"  # outputs of the last module that a pose network has no use for
_LAST_WORDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def published_name(name: str) -> str:
    """The name in published checkpoints of the parameter that posekit calls `name`."""
    module, _, last = name.rpartition(".")
    module = re.sub(r"^transitions\.(\d+)", lambda found: f"transition{int(found[1]) + 1}", module)
    module = re.sub(r"^stages\.(\d+)", lambda found: f"stage{int(found[1]) + 2}", module)
    module = re.sub(r"^(merge_\w+\.\d+)\.0\.conv$", r"\1.conv.conv", module)
    return f"{module}.{_LAST_WORDS.get(last, last)}"


def from_published(
    source: Path, out: Path, layout: str | None = None, weights: str | None = None, settings: Sequence[str] = ()
) -> tuple[Recipe, pd.DataFrame]:
    """Write the published file `source` as a checkpoint; returns its recipe, as read off the tensors, and the report.

    The recipe's input size, which no tensor tells, is that of the file's name, or what is usual; `settings`
    (field=value) are applied to it.
    The layout is found from the names where it isn't given, and is the recipe's name; `weights` names one of several
    networks. Of hrnet-imagenet the backbone is written, for `load_pretrained`. Raises InputError when the file is of
    another layout or holds several networks, and when a tensor is missing, has another shape or isn't finite.
    """
    reading = find(read_weights(source), layout, weights)
    layout = layout or reading.layout
    recipe, size = _with_input_size(_read_recipe(reading, layout), layout, source.name)
    recipe = override(recipe, list(settings))
    with no_init_parameters():  # only the shapes are wanted
        network = build(recipe, get_skeleton(recipe.skeleton))
    wanted = {parameter.name: tuple(parameter.shape) for parameter in network.get_parameters()}
    heads = [name for name in wanted if name.startswith(HEADS) and layout == IMAGENET]
    absent = [(published_name(name), name, wanted.pop(name), "", "missing") for name in heads]
    report = matched(wanted, reading, published_name)
    _refuse_other_shapes(report, reading, "posekit's network")
    missing = report.file[report.status == "missing"].tolist()
    if missing:
        raise _missing(source, missing, layout)
    if layout != IMAGENET:
        _refuse_more_layers(report, reading)
    save_checkpoint(out, _parameters(report, reading), recipe, epoch=0, step=0)
    report = pd.concat([report, pd.DataFrame(absent, columns=COLUMNS)], ignore_index=True)
    report.attrs["notes"] = notes(report, reading) + ([] if layout == IMAGENET or settings else [size])
    return recipe, report


def to_published(source: Path, out: Path, layout: str) -> tuple[Recipe, pd.DataFrame]:
    """Write a checkpoint as a state dict that the published code loads strictly; returns its recipe and the report.

    What the published networks always have is added where the recipe doesn't have it: the head's bias, and the shortcut
    convolutions that are never used.
    """
    recipe, values = read_checkpoint(source)
    if recipe.network != PUBLISHED[layout].base.network:
        raise InputError(f"{source}: holds {recipe.network} weights, which have no {layout} layout; check --to")
    skeleton = get_skeleton(recipe.skeleton)
    network, full = build(recipe, skeleton), build(replace(recipe, head_bias=True, unused_skips=True), skeleton)
    heads = {parameter.name: parameter for parameter in network.get_parameters() if parameter.name.startswith(HEADS)}
    load_weights(network, (heads if layout == IMAGENET else {}) | values, source)  # a backbone may lack them
    tensors, rows = {}, []
    for parameter in full.get_parameters():
        name, published, shape = parameter.name, published_name(parameter.name), tuple(parameter.shape)
        if layout == IMAGENET and name.startswith(HEADS):
            rows += [(published, name, shape, "float32", "left out")] if name in values else []
            continue
        status = "added" if name not in values else "written" if name == published else "renamed"
        tensors[published] = np.zeros(shape, np.float32) if status == "added" else values[name].asnumpy()
        rows.append((published, name, shape, "float32", status))
        if name.endswith(".moving_variance"):
            counter = published.replace("running_var", COUNTER)
            tensors[counter] = np.zeros((), np.int64)
            rows.append((counter, "", (), "int64", "counter"))
    write_state_dict(out, tensors)
    return recipe, pd.DataFrame(rows, columns=COLUMNS)


def load_pretrained(network: nn.Cell, path: Path) -> pd.DataFrame:
    """Copy what fits from a checkpoint or a published file into the network; returns the report.

    A head of other keypoints is "left out"; what the file lacks ("missing") stays as it is. Raises InputError when
    another shape differs, when a value isn't finite, when nothing fits and when the file holds several networks.
    """
    wanted = {parameter.name: tuple(parameter.shape) for parameter in network.get_parameters()}
    if path.suffix == ".ckpt" and not holds_torch_weights(path):  # PyTorch Lightning's end so, too
        reading, name_of = _read_checkpoint(path), str
    else:
        family = "hourglass" if any(name.startswith("hgs.") for name in wanted) else "hrnet"
        reading, name_of = find(read_weights(path), family=family), published_name
    report = matched(wanted, reading, name_of)
    head = report.posekit.str.startswith(HEADS)
    report.loc[head & (report.status == "shape"), "status"] = "left out"
    _refuse_other_shapes(report, reading, "the recipe's network")
    found = _parameters(report, reading, name_of)
    if not found:
        raise InputError(f"{path}: no tensor of the recipe's network is in it, only {some(list(reading.tensors))}")
    by_name = {parameter.name: parameter for parameter in network.get_parameters()}
    for parameter in found:
        by_name[parameter["name"]].set_data(parameter["data"])
    report.attrs["notes"] = notes(report, reading)
    return report


def describe(recipe: Recipe, layout: str) -> str:
    """The network in words, as it was read off a file."""
    return PUBLISHED[layout].words(recipe)


def _with_input_size(recipe: Recipe, layout: str, name: str) -> tuple[Recipe, str]:
    """The recipe with what can't be read off the tensors of a fully convolutional network, and a note on it.

    Published files have it in their names, height × width: pose_hrnet_w32_256x192.pth. Most of COCO's are for 256×192.
    """
    found = re.search(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", name)
    with suppress(InputError):  # some other number
        if found:
            return _sized(recipe, int(found[2]), int(found[1])), f"input size: {found[0]} by the file's name"
    if layout == POSE and recipe.skeleton == "person17":
        recipe = _sized(recipe, 192, 256)
    _, height, width = recipe.input_shape
    change = "if it is another, add --set input_size=WIDTH,HEIGHT --set heatmap_size=… (a quarter)"
    return recipe, f"input size: not in the file, {height}×{width} is assumed; {change}"


def _sized(recipe: Recipe, width: int, height: int) -> Recipe:
    return replace(recipe, input_size=(width, height), heatmap_size=(width // 4, height // 4))


def _read_checkpoint(path: Path) -> Reading:
    """A checkpoint of posekit as a reading by posekit's names."""
    recipe, values = read_checkpoint(path)
    tensors = {name: value.asnumpy() for name, value in values.items() if name not in NOTES}
    return Reading(path, recipe.network, tensors, {name: name for name in tensors})


def _parameters(report: pd.DataFrame, reading: Reading, name_of: Callable[[str], str] = published_name) -> list[dict]:
    """The tensors that the report calls loaded or renamed, by posekit's names, as MindSpore saves them."""
    parameters = []
    for name in report.posekit[report.status.isin(USED)]:
        source = name_of(name)
        values = as_float32(reading.tensors[source], f"{reading.path}: {reading.shown(source)}")
        check_values(values, name, f"{reading.path}: {reading.shown(source)}")
        parameters.append({"name": name, "data": ms.Tensor(values)})
    return parameters


def _refuse_other_shapes(report: pd.DataFrame, reading: Reading, network: str) -> None:
    other = report[report.status == "shape"]
    if len(other):
        row = other.iloc[0]
        shape = next(tuple(t.shape) for name, t in reading.tensors.items() if reading.shown(name) == row.file)
        raise InputError(
            f"{reading.path}: {len(other)} tensors have another shape than {network}, first {row.file}, which is "
            f"{shape} and not {row['shape']}; it belongs to another network"
        )


def _refuse_more_layers(report: pd.DataFrame, reading: Reading) -> None:
    """InputError when the file's network computes with more than posekit's does, which would change its answers."""
    unexpected = set(report.file[report.status == "unexpected"])
    more = [
        reading.shown(name)
        for name in reading.tensors
        if reading.shown(name) in unexpected and re.match(_INSIDE, name) and not re.match(_COARSE, name)
    ]
    if more:
        raise InputError(
            f"{reading.path}: its network has layers that posekit's doesn't have, {some(more)}; only what fits can be "
            "used, with posekit train --pretrained"
        )


def _missing(path: Path, names: list[str], layout: str) -> InputError:
    return InputError(f"{path}: {some(names)} missing in this {layout} file; is --from right, the file whole?")


def _read_recipe(reading: Reading, layout: str) -> Recipe:
    """The recipe of the network that these tensors make; InputError when a tensor is missing that tells its size."""
    published = PUBLISHED[layout]
    try:
        return replace(published.base, name=layout, **published.fields(reading.tensors))
    except KeyError as error:
        raise _missing(reading.path, [reading.shown(error.args[0])], layout) from error
    except InputError as error:
        raise InputError(f"{reading.path}: {error}") from error


def _pose_fields(tensors: Mapping[str, Any]) -> dict[str, Any]:
    line = _line(outputs(tensors, "final_layer.weight"))
    return {**hrnet_sizes(tensors), "head_bias": "final_layer.bias" in tensors, **line}


def _hourglass_fields(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {**hourglass_sizes(tensors), **_line(outputs(tensors, "outs.0.conv.weight"))}


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
    fields: Callable[[Mapping[str, Any]], dict[str, Any]]
    words: Callable[[Recipe], str]


PUBLISHED = {
    IMAGENET: Published(POSEESTNET, hrnet_sizes, _backbone_words),
    POSE: Published(POSEESTNET, _pose_fields, _pose_words),
    HOURGLASS: Published(replace(HOURGLASS_RECIPE, shrinking="samples"), _hourglass_fields, _hourglass_words),
}
