"""OM files on an Ascend, through `ais_bench`. By its documentation; no Ascend was at hand to run it."""

import numpy as np

from posekit.inference.predictors import Predictor
from posekit.inference.run_times.description import check_shapes, read_description, unreadable
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.runtime import split_device
from posekit.skeletons import get_skeleton


def open_om(request: Request) -> Predictor:
    """An OM file; what it computes in was settled when it was converted."""
    recipe, batch, precision = read_description(request.model)
    request.only(precision)
    try:
        from ais_bench.infer.interface import InferSession  # pyright: ignore[reportMissingImports] comes with CANN
    except ImportError as error:
        raise MissingRunTime(
            f"om needs ais_bench, which is not installed ({error}); where CANN is, install the wheels ais_bench and "
            "aclruntime of Ascend's tools"
        ) from error
    try:
        session = InferSession(split_device(request.device)[1], str(request.model))
    except RuntimeError as error:
        raise unreadable(request.model, "OM file", error) from error
    images, heatmaps = session.get_inputs()[0], session.get_outputs()[0]
    check_shapes(request.model, recipe, images.shape, heatmaps.shape)
    run = lambda values: np.asarray(session.infer([values])[0], np.float32)  # noqa: E731
    return Predictor(recipe, get_skeleton(recipe.skeleton), run, batch or request.batch, f"{precision}, Ascend")
