"""`posekit convert`: convert weights between published PyTorch checkpoints and posekit's."""

from pathlib import Path
from typing import Annotated

import typer

from posekit.cli.options import Settings
from posekit.errors import InputError
from posekit.shipped import model_path


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A published .pth, .pth.tar or .safetensors file; with --to a .ckpt, people or vehicles.",
            callback=model_path,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The .ckpt to write; with --to a .pth or .safetensors.")],
    published: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Layout of SOURCE: hrnet-imagenet, hrnet-pose or hourglass; recognised by its names if not given.",
        ),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Layout of OUT: hrnet-imagenet, hrnet-pose or hourglass.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="If SOURCE has several networks: the prefix of its names, such as ema.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Convert weights between PyTorch and posekit; OUT.tensors.csv lists what became of every tensor."""
    from posekit.models.convert import describe, from_published, to_published
    from posekit.models.readings import LAYOUTS
    from posekit.models.report import summary, write_report
    from posekit.runtime import set_up

    unknown = [layout for layout in (published, to) if layout not in (None, *LAYOUTS)]
    if unknown or (published and to) or not (published or to or out.suffix == ".ckpt"):
        raise InputError(f"give either --from or --to, with one of {', '.join(LAYOUTS)}")
    if (out.suffix == ".ckpt") == bool(to):
        raise InputError(
            f"{out}: {'PyTorch files end in .pth or .safetensors' if to else 'checkpoints end in .ckpt'}; rename it"
        )
    if to and weights:
        raise InputError("--weights selects a network in a PyTorch file; leave it out with --to")
    if to and settings:
        raise InputError("--set changes the recipe of the .ckpt that is written; leave it out with --to")
    set_up("cpu")
    if to:
        recipe, report = to_published(source, out, to)
    else:
        recipe, report = from_published(source, out, published, weights, settings or [])
    names = out.with_name(f"{out.stem}.tensors.csv")
    write_report(names, report)
    print(f"{out}: {describe(recipe, to or recipe.name)}\n{summary(report)}\nevery tensor: {names}")
