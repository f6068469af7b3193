"""OM files on an Ascend, through `ais_bench`. By its documentation; untested on a real Ascend."""

import numpy as np

from posekit.files import unreadable
from posekit.inference.predictors import Predictor
from posekit.inference.run_times.description import AGAIN, KINDS, check_shapes, guarded, read_description
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.plain_paths import plain_input
from posekit.runtime import split_device
from posekit.skeletons import get_skeleton


def open_om(request: Request) -> Predictor:
    """An OM file; its precision was fixed when it was converted."""
    about = read_description(request.model)
    request.only(about.precision)
    try:
        from ais_bench.infer.interface import InferSession  # pyright: ignore[reportMissingImports] comes with CANN
    except ImportError as error:
        raise MissingRunTime(
            f"om needs ais_bench, which is not installed ({error}); where CANN is, install the wheels ais_bench and "
            "aclruntime of Ascend's tools"
        ) from error
    try:
        with plain_input(request.model) as path:
            session = InferSession(split_device(request.device)[1], str(path))
    except RuntimeError as error:
        raise unreadable(request.model, KINDS[".om"], error, AGAIN) from error
    images, heatmaps = session.get_inputs()[0], session.get_outputs()[0]
    check_shapes(request.model, about, images.shape, heatmaps.shape)
    run = guarded(request.model, lambda values: np.asarray(session.infer([values])[0], np.float32))
    skeleton, batch = get_skeleton(about.recipe.skeleton), about.batch or request.batch
    return Predictor(about.recipe, skeleton, run, batch, f"{about.precision}, Ascend")
