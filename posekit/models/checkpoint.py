"""Checkpoints: a network's weights with their recipe, and what its training needs to resume, in one file."""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from posekit.bounds import WEIGHTS_BYTES, check_size
from posekit.errors import InputError
from posekit.files import atomic_path, flush_to_disk, quiet_logs, reading, replace_file, unreadable
from posekit.models import build
from posekit.models.torch_files import holds_torch_weights
from posekit.recipes import Recipe
from posekit.settings import from_json, to_json
from posekit.skeletons import Skeleton, get_skeleton

NOTES = ("recipe", "epoch", "step")  # what a checkpoint holds beside the weights
_MARK, _CHECKSUM = b"crc_num", 17  # what begins MindSpore's checksum, at the end, and its bytes
TRAINING = "training."  # begins the names of what only a training reads


def save_checkpoint(
    path: Path,
    weights: nn.Cell | list[dict],
    recipe: Recipe,
    epoch: int,
    step: int,
    training: Mapping[str, Parameter | str] | None = None,
    keep: Path | None = None,
) -> None:
    """Write the parameters, the recipe, epoch and step; the file appears whole or not at all.

    weights: a cell, or its parameters as MindSpore saves them: {"name": …, "data": …} each. `training` is what
    `read_training` gives back. The file that is replaced is kept as `keep`. The checksum at the end, MindSpore's own,
    lets readers detect damage.
    """
    notes = {TRAINING + name: value for name, value in (training or {}).items()}
    notes |= {"recipe": to_json(recipe), "epoch": epoch, "step": step}
    with atomic_path(path) as temporary, quiet_logs():
        ms.save_checkpoint(weights, str(temporary), append_dict=notes, crc_check=True)
        flush_to_disk(temporary)  # before the earlier file goes
        if keep and path.exists():
            replace_file(path, keep)


def read_checkpoint(path: Path) -> tuple[Recipe, dict]:
    """The recipe, weights and NOTES of a checkpoint that posekit wrote; weights in half precision become float32.

    InputError when the file isn't one, when it is damaged and when a weight isn't a finite number.
    """
    recipe, values = _read(path)
    values = {name: value for name, value in values.items() if not name.startswith(TRAINING)}
    for name, value in values.items():
        if name not in NOTES:
            check_values(value.asnumpy(), name, f"{path}: {name}")
    return recipe, values


def check_values(values: np.ndarray, name: str, where: str) -> None:
    """InputError, which begins with `where`, unless the parameter that posekit calls `name` can have these values."""
    if not np.isfinite(values).all():
        what = "NaN" if np.isnan(values).any() else "infinite values"
        raise InputError(f"{where} holds {what}; use a file saved before the training diverged")
    if name.endswith(".moving_variance") and values.min(initial=0) < 0:
        raise InputError(f"{where} is a variance and holds negative values; the file is damaged, fetch it again")


def read_training(path: Path) -> tuple[Recipe, dict, dict]:
    """As `read_checkpoint`, and the state its training resumes from, by the names given to `save_checkpoint`."""
    recipe, values = _read(path)
    training = {name: values.pop(name) for name in list(values) if name.startswith(TRAINING)}
    return recipe, values, {name.removeprefix(TRAINING): value for name, value in training.items()}


def _read(path: Path) -> tuple[Recipe, dict]:
    if not path.is_file():
        raise InputError(f"{path}: no such model file; train one with posekit train, or check the path")
    torch = holds_torch_weights(path)
    remedy = "convert it with posekit convert" if torch else "use a checkpoint that posekit train wrote"
    with reading(path), path.open("rb") as file:
        check_size(path, WEIGHTS_BYTES)
        has_checksum, agrees = _checksum(file)
    if has_checksum and not agrees:
        raise InputError(f"{path}: not a readable checkpoint (its checksum is wrong: it is damaged); copy it again")
    try:
        with quiet_logs():
            values = ms.load_checkpoint(str(path), crc_check=True)
    except Exception as error:  # damage comes as any of a dozen kinds
        # MindSpore's words would be that the permission to read it may be missing.
        raise unreadable(path, "checkpoint", "MindSpore can't parse it", remedy) from error
    if not isinstance(values.get("recipe"), str):
        raise InputError(f"{path}: holds no recipe; {remedy}")
    recipe = from_json(values["recipe"], str(path))
    for name, value in values.items():
        if getattr(value, "dtype", None) == ms.float16:
            values[name] = Parameter(value.asnumpy().astype(np.float32), name=name)
    if not has_checksum:  # MindSpore itself only warns
        raise InputError(
            f"{path}: not a readable checkpoint (its checksum is missing: the end was cut off); copy it again"
        )
    return recipe, values


def _checksum(file: BinaryIO) -> tuple[bool, bool]:
    """Whether a checkpoint ends with MindSpore's checksum, the CRC-32 of all before it, and whether that agrees."""
    left = max(0, os.fstat(file.fileno()).st_size - _CHECKSUM)
    found = 0
    while left > 0 and (part := file.read(min(left, 2**20))):
        found, left = zlib.crc32(part, found), left - len(part)
    end = file.read()
    return end.startswith(_MARK), end == _MARK + found.to_bytes(_CHECKSUM - len(_MARK), "big")


@dataclass(frozen=True)
class Model:
    """A network with what its model file says about it."""

    recipe: Recipe
    skeleton: Skeleton
    network: nn.Cell


def save_half(source: Path, out: Path) -> None:
    """Write a checkpoint's network with its convolutions' weights in half precision, for half of the bytes.

    Biases and BatchNorm, few and of any size, stay float32. What its training would resume from is left out.
    """
    recipe, values = read_checkpoint(source)
    weights = [{"name": name, "data": _half(value)} for name, value in values.items() if name not in NOTES]
    epoch, step = (int(values[name].asnumpy()) for name in ("epoch", "step"))
    save_checkpoint(out, weights, recipe, epoch, step)
    read_checkpoint(out)  # raises for a weight beyond what half precision holds


def _half(value: Parameter) -> ms.Tensor:
    array = value.asnumpy()
    return ms.Tensor(array.astype(np.float16) if array.ndim > 1 else array)


def load_network(path: Path) -> Model:
    """The network of a checkpoint, in evaluation mode."""
    recipe, values = read_checkpoint(path)
    skeleton = get_skeleton(recipe.skeleton)
    network = build(recipe, skeleton)
    load_weights(network, values, path)
    network.set_train(False)
    return Model(recipe, skeleton, network)


def load_weights(network: nn.Cell, values: dict, path: Path) -> None:
    """Copy a checkpoint's values into the network; InputError says which parameters differ."""
    wanted = {parameter.name: parameter for parameter in network.get_parameters()}
    missing = [name for name in wanted if name not in values]
    shapes = [
        f"{name} is {tuple(values[name].shape)} instead of {tuple(parameter.shape)}"
        for name, parameter in wanted.items()
        if name in values and tuple(values[name].shape) != tuple(parameter.shape)
    ]
    extra = [name for name in values if name not in wanted and name not in NOTES]
    problems = [f"{len(missing)} parameters are missing, first {missing[0]}"] if missing else []
    problems += [f"{len(shapes)} have another shape, first {shapes[0]}"] if shapes else []
    problems += [f"{len(extra)} are not in the recipe's network, first {extra[0]}"] if extra else []
    if problems:
        raise InputError(f"{path}: belongs to another network: {'; '.join(problems)}; use a checkpoint of this recipe")
    ms.load_param_into_net(network, {name: values[name] for name in wanted})
