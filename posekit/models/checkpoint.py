"""Checkpoints: a network's weights with the recipe they belong to, in one file."""

from pathlib import Path

import mindspore as ms
from mindspore import nn

from posekit.errors import InputError
from posekit.files import atomic_path, quiet_logs
from posekit.models import build
from posekit.recipes import Recipe, from_json, to_json

NOTES = ("recipe", "epoch", "step")  # what a checkpoint holds beside the weights


def save_checkpoint(path: Path, cell: nn.Cell, recipe: Recipe, epoch: int, step: int) -> None:
    """Write the cell's parameters, the recipe, epoch and step; the file appears whole or not at all."""
    with atomic_path(path) as temporary, quiet_logs():
        ms.save_checkpoint(cell, str(temporary), append_dict={"recipe": to_json(recipe), "epoch": epoch, "step": step})


def read_checkpoint(path: Path) -> tuple[Recipe, dict]:
    """The recipe and all values of a checkpoint that posekit wrote; InputError when it is none or damaged."""
    if not path.is_file():
        raise InputError(f"{path}: no such model file; train one with posekit train, or check the path")
    try:
        with quiet_logs():
            values = ms.load_checkpoint(str(path))
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: not a readable checkpoint ({reason}); use one that posekit train wrote") from error
    if not isinstance(values.get("recipe"), str):
        raise InputError(f"{path}: holds no recipe; use a checkpoint that posekit train wrote")
    return from_json(values["recipe"], str(path)), values


def load_network(path: Path) -> tuple[Recipe, nn.Cell]:
    """The network of a checkpoint, in evaluation mode, with its recipe."""
    recipe, values = read_checkpoint(path)
    network = build(recipe)
    load_weights(network, values, path)
    network.set_train(False)
    return recipe, network


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
