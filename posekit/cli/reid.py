"""`posekit reid`: what MultiTaskNet reads beside images."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from posekit.errors import InputError


def reid(
    model: Annotated[Path, typer.Argument(help="A .ckpt, .mindir, .onnx or .om file.")],
    data: Annotated[Path, typer.Option(help="Data set in MultiTaskNet's layout: label_SPLIT.csv, image_SPLIT/.")],
    out: Annotated[Path, typer.Option(help="Folder to write to, as a rule the same; run again to go on.")],
    splits: Annotated[str, typer.Option(help="Which splits, with commas between them.")] = "test,query,train",
    threshold: Annotated[
        float | None, typer.Option(min=0, help="Write scores as 1 from here on and 0 below; as found without.")
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="PNG in place of JPEG.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, gpu or ascend, with :ID for one of several.")] = "auto",
    backend: Annotated[str | None, typer.Option(help="Run time, when not the file's usual one.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, fp16 or bf16; the run time's usual one.")] = None,
    lite_python: Annotated[Path | None, typer.Option(help="A Python that has MindSpore Lite.")] = None,
    flip_test: Annotated[
        bool | None, typer.Option(help="Average with the mirrored image; the recipe's default.")
    ] = None,
) -> None:
    """Write keypoints, heatmaps and segments of every image for re-identification with MultiTaskNet."""
    from posekit.inference.predictors import load_predictor
    from posekit.reid.write import write_reid

    names = list(dict.fromkeys(filter(None, map(str.strip, splits.split(",")))))
    if not names:
        raise InputError(f"--splits {splits!r}: name at least one split, as test,query,train")
    predictor = load_predictor(
        model, device, flip_test=flip_test, backend=backend, precision=precision, lite_python=lite_python
    )
    with model.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    for split, computed in write_reid(predictor, data, names, out, threshold, lossless, digest).items():
        print(f"{out / f'pose_{split}.csv'}: {computed} images computed")
