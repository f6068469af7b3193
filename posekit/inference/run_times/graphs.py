"""MindSpore itself: checkpoints and MINDIR files. It is imported when one is opened: other run times go without it."""

from posekit.bounds import MODEL_BYTES
from posekit.errors import InputError
from posekit.files import read_bytes, unreadable
from posekit.inference.predictors import Predictor, network_predictor
from posekit.inference.run_times.description import AGAIN, KINDS, check_shapes, guarded, read_description
from posekit.inference.run_times.request import Request
from posekit.plain_paths import plain_input
from posekit.runtime import set_up
from posekit.skeletons import get_skeleton


def open_checkpoint(request: Request) -> Predictor:
    """The network that MindSpore builds from a checkpoint."""
    from posekit.models.checkpoint import load_network

    request.only("fp32")
    set_up(request.device)
    model = load_network(request.model)
    return network_predictor(model.network, model.recipe, model.skeleton, request.batch)


def open_mindir(request: Request) -> Predictor:
    """The graph of a MINDIR file."""
    import mindspore as ms
    from mindspore.train.mind_ir_pb2 import ModelProto

    request.only("fp32")
    set_up(request.device)
    about, model = read_description(request.model), ModelProto()
    try:
        model.ParseFromString(read_bytes(request.model, MODEL_BYTES))
        (source,), (sink,) = model.graph.input, model.graph.output
        images, heatmaps = list(source.tensor[0].dims), list(sink.tensor[0].dims)
        check_shapes(request.model, about, images, heatmaps)
        with plain_input(request.model) as path:
            graph = ms.nn.GraphCell(ms.load(str(path)))
    except (InputError, OSError):
        raise
    except Exception as error:  # damage comes as any of a dozen kinds
        raise unreadable(request.model, KINDS[".mindir"], error, AGAIN) from error
    return Predictor(
        about.recipe,
        get_skeleton(about.recipe.skeleton),
        guarded(request.model, lambda images: graph(ms.Tensor(images)).asnumpy()),
        images[0] if images[0] > 0 else request.batch,
    )
