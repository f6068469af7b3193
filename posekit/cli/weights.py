"""`posekit convert`: weights between the published PyTorch checkpoints and posekit's."""

from pathlib import Path
from typing import Annotated

import typer

from posekit.errors import InputError


def convert(
    source: Annotated[Path, typer.Argument(help="A published .pth, .pth.tar or .safetensors file; with --to a .ckpt.")],
    out: Annotated[Path, typer.Argument(help="The .ckpt to write; with --to a .pth or .safetensors.")],
    published: Annotated[
        str | None, typer.Option("--from", help="Layout of SOURCE: hrnet-imagenet, hrnet-pose or hourglass.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Layout of OUT: hrnet-imagenet, hrnet-pose or hourglass.")] = None,
) -> None:
    """Convert weights between PyTorch and posekit; OUT.tensors.csv says what became of every tensor."""
    from posekit.models.convert import LAYOUTS, describe, from_published, summary, to_published, write_report
    from posekit.runtime import set_up

    layout = published or to
    if (published is None) == (to is None) or layout not in LAYOUTS:
        raise InputError(f"give either --from or --to, with one of {', '.join(LAYOUTS)}")
    if (out.suffix == ".ckpt") == (layout == to):
        raise InputError(
            f"{out}: a file of {'PyTorch ends in .pth or .safetensors' if to else 'posekit ends in .ckpt'}"
        )
    set_up("cpu")
    recipe, report = (from_published if published else to_published)(source, out, layout)
    names = out.with_name(f"{out.stem}.tensors.csv")
    write_report(names, report)
    print(f"{out}: {describe(recipe, layout)}\n{summary(report)}\nevery tensor: {names}")
