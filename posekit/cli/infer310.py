"""`posekit infer310`: the stages of inference on an Ascend 310; scripts/infer_310.sh runs them in order."""

from pathlib import Path
from typing import Annotated

import typer

from posekit.cli.options import SHIPPED, Backend, Data, First, Images, LitePython, Model, Precision, Soc, Split
from posekit.cli.score import print_scores
from posekit.locks import one_writer
from posekit.shipped import model_path

infer310_app = typer.Typer(help="Stages of inference on an Ascend 310.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option(file_okay=False, help="Folder in which the stages exchange files.")]
Target = Annotated[str, typer.Option(help="cpu or ascend, with :ID to choose one of several.")]


@infer310_app.command()
def preprocess(
    model: Model, out: Folder, data: Data = None, split: Split = "test", images: Images = None, first: First = None
) -> None:
    """Write images, mirrored images and labels as binary files."""
    from posekit.deploy.infer310 import preprocess as run

    with one_writer(out):
        print(f"{out}: {run(model, data, split, images, out, first)} samples")


@infer310_app.command()
def convert(
    model: Model,
    out: Folder,
    backend: Backend = None,
    device: Target = "cpu",
    soc: Soc = "Ascend310",
    lite_python: LitePython = None,
) -> None:
    """Convert the model for a run time; without --backend, for om on an Ascend with atc, else for lite."""
    from posekit.deploy.infer310 import convert as run
    from posekit.inference.run_times.request import Request

    with one_writer(out):
        made = run(Request(model, device, backend=backend, lite_python=lite_python), out, soc)
    print(f"{made}: {made.stat().st_size / 1e6:.2f} MB")


@infer310_app.command()
def infer(out: Folder, device: Target = "cpu", precision: Precision = None, lite_python: LitePython = None) -> None:
    """Run the converted model on the binary images; write heatmaps as binary files."""
    from posekit.deploy.infer310 import infer as run
    from posekit.inference.run_times.request import Request

    with one_writer(out):
        times = run(Request(out, device, precision=precision, lite_python=lite_python))
    print(f"{times['run_time']}: {times['milliseconds']:.2f} ms per image, mean of {times['images']}")


@infer310_app.command()
def postprocess(out: Folder) -> None:
    """Decode the heatmaps; write predictions.csv and scores.json, print the same tables as `posekit evaluate`."""
    from posekit.deploy.kit import postprocess as run

    with one_writer(out):
        tables, lines = run(out)
    for protocol, table in tables.items():
        print_scores(protocol, table.rows, table.about)
    for line in lines:
        print(line)
    print(f"{out}: predictions.csv" + (" and scores.json" if tables else "; no tables, since the kit has no labels"))


@infer310_app.command()
def pack(
    model: Annotated[Path, typer.Argument(help=f"A checkpoint or an .onnx file, {SHIPPED}", callback=model_path)],
    out: Annotated[Path, typer.Option(help="The kit: a new folder, or a file that ends in .zip.")],
    data: Data = None,
    split: Split = "test",
    images: Annotated[
        Path | None, typer.Option(help="Pictures without labels; with --data, its images, if in another place.")
    ] = None,
    first: First = None,
    inputs: Annotated[str, typer.Option(help="raw, as encoded pictures, or preprocessed, as binary files.")] = "raw",
    soc: Annotated[str | None, typer.Option(help="Ascend and the name that npu-smi info shows; asked there.")] = None,
    lite_python: LitePython = None,
) -> None:
    """Write a kit that runs on a board without posekit: the network, inputs, infer.py, convert.sh and a README."""
    from posekit.deploy.kit import describe
    from posekit.deploy.kit import pack as run
    from posekit.deploy.kit_inputs import Source
    from posekit.inference.run_times.request import Request

    notes = run(Request(model, "cpu", lite_python=lite_python), out, Source(data, split, images, first, inputs), soc)
    for line in notes:
        print(line)
    print(f"{out}: {describe(out)}")
