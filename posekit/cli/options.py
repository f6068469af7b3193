"""Options that several commands share, and home directories in all of them."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from posekit.files import expanded
from posekit.shipped import model_path

Device = Annotated[str, typer.Option(help="auto, cpu, gpu or ascend, with :ID for one of several.")]
_SHIPPED = "or people or vehicles, the networks that ship with posekit, unless a file is called so."
Model = Annotated[Path, typer.Argument(help=f"A .ckpt, .mindir, .onnx or .om file, {_SHIPPED}", callback=model_path)]
Pretrained = Annotated[
    Path | None,
    typer.Option(
        help="Start from what fits of a checkpoint, a published PyTorch file, or people or vehicles.",
        callback=lambda path: path and model_path(path),
    ),
]
Checkpoint = Annotated[Path, typer.Argument(help=f"A checkpoint, {_SHIPPED}", callback=model_path)]
Backend = Annotated[
    str | None,
    typer.Option(help="mindspore, mindir, onnxruntime, openvino, lite or om; by file and device if not given."),
]
Precision = Annotated[
    str | None, typer.Option(help="fp32, fp16 or bf16; the run time's usual one if not given, which is printed.")
]
LitePython = Annotated[Path | None, typer.Option(help="For lite: a Python that has MindSpore Lite.")]
FlipTest = Annotated[bool | None, typer.Option(help="Average with the mirrored image; the recipe's default.")]
Soc = Annotated[str, typer.Option(help="For om: Ascend and the name that npu-smi info shows.")]
Data = Annotated[Path | None, typer.Option(help="Data set: a folder, or a COCO file; the embedded one if not given.")]
Split = Annotated[str, typer.Option(help="The split.")]
Images = Annotated[Path | None, typer.Option(help="Images of the data set, if they are in another place.")]
First = Annotated[int | None, typer.Option(min=1, help="Only the split's first samples.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a recipe field (posekit recipe show): field=value. Repeatable."),
]
Threshold = Annotated[float | None, typer.Option(min=0, help="Of the plain PCK; the layout's usual one if not given.")]
Predictions = Annotated[Path, typer.Option(help="A pose csv.")]
Json = Annotated[Path | None, typer.Option(help="Write the tables here, too.")]
Strict = Annotated[bool, typer.Option(help="Exit with 2 when anything is wrong.")]
Train = Annotated[int, typer.Option(min=1, help="Training samples.")]
Test = Annotated[int, typer.Option(min=1, help="Test samples.")]
Lang = Annotated[str | None, typer.Option(help="en or zh: the lessons' language; $POSEKIT_LANG if not given.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]


def take_home_directories(command: Any) -> None:
    """Let every path that a command, or one below it, takes begin with ~ or ~USER, in --out=~/x and in quotes, too."""
    for parameter in command.params:
        if parameter.type_descriptor.envvar_list_splitter == os.pathsep:  # it takes a path or several
            parameter.process_value = partial(_with_home, parameter.process_value)
    for below in getattr(command, "commands", {}).values():
        take_home_directories(below)


def _with_home(process_value: Any, context: Any, value: Any) -> Any:
    """`process_value` of what the command line says, which is not a path yet: Path("./~") would be Path("~")."""
    if isinstance(value, str):
        value = expanded(value)
    elif isinstance(value, list | tuple):
        value = [expanded(text) for text in value]
    return process_value(context, value)
