"""`posekit reid`: write the data that MultiTaskNet reads besides images."""

from pathlib import Path
from typing import Annotated

import typer

from posekit.cli.options import Backend, Device, FlipTest, LitePython, Model, Precision
from posekit.errors import InputError


def reid(
    model: Model,
    data: Annotated[Path, typer.Option(help="Data set in MultiTaskNet's layout: label_SPLIT.csv, image_SPLIT/.")],
    out: Annotated[Path, typer.Option(help="Folder to write to, usually --data; run again to continue.")],
    splits: Annotated[str, typer.Option(help="Splits, separated by commas.")] = "test,query,train",
    threshold: Annotated[
        float | None, typer.Option(min=0, help="Write scores as 1 from here on and 0 below; unchanged if not given.")
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Write PNG instead of JPEG.")] = False,
    device: Device = "auto",
    backend: Backend = None,
    precision: Precision = None,
    lite_python: LitePython = None,
    flip_test: FlipTest = None,
) -> None:
    """Write keypoints, heatmaps and segments of every image for re-identification with MultiTaskNet."""
    from posekit.deploy.fast import fastest
    from posekit.files import sha256
    from posekit.inference.run_times import load_predictor
    from posekit.inference.run_times.request import Request
    from posekit.locks import one_writer
    from posekit.reid.write import write_reid

    names = list(dict.fromkeys(filter(None, map(str.strip, splits.split(",")))))
    if not names:
        raise InputError(f"--splits {splits!r}: names no split; give at least one, for example test,query,train")
    request = Request(model, device, backend=backend, precision=precision, lite_python=lite_python, flip_test=flip_test)
    predictor = load_predictor(fastest(request))
    with one_writer(out):
        for split, computed in write_reid(predictor, data, names, out, threshold, lossless, sha256(model)).items():
            print(f"{out / f'pose_{split}.csv'}: {computed} images computed")
