"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, gpu or ascend, with :ID for one of several.")]
Model = Annotated[Path, typer.Argument(help="A .ckpt, .mindir, .onnx or .om file.")]
Backend = Annotated[
    str | None,
    typer.Option(help="mindspore, mindir, onnxruntime, openvino, lite or om; by file and device when not given."),
]
Precision = Annotated[
    str | None, typer.Option(help="fp32, fp16 or bf16; the run time's usual one when not given, which is printed.")
]
LitePython = Annotated[Path | None, typer.Option(help="For lite: a Python that has MindSpore Lite.")]
FlipTest = Annotated[bool | None, typer.Option(help="Average with the mirrored image; the recipe's default.")]
Data = Annotated[Path | None, typer.Option(help="Data set; the embedded one when not given.")]
Split = Annotated[str, typer.Option(help="The split.")]
Images = Annotated[Path | None, typer.Option(help="Images of the data set, when they lie apart.")]
First = Annotated[int | None, typer.Option(min=1, help="Only the split's first samples.")]
