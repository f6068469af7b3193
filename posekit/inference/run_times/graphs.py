"""MindSpore itself: checkpoints and MINDIR files."""

import mindspore as ms
from google.protobuf.message import DecodeError
from mindspore.train.mind_ir_pb2 import ModelProto

from posekit.inference.predictors import Predictor, network_predictor
from posekit.inference.run_times.description import check_shapes, read_description, unreadable
from posekit.inference.run_times.request import Request
from posekit.models.checkpoint import load_network
from posekit.runtime import set_up
from posekit.skeletons import get_skeleton


def open_checkpoint(request: Request) -> Predictor:
    """The network that MindSpore builds from a checkpoint."""
    request.only("fp32")
    set_up(request.device)
    model = load_network(request.model)
    return network_predictor(model.network, model.recipe, model.skeleton, request.batch)


def open_mindir(request: Request) -> Predictor:
    """The graph of a MINDIR file."""
    request.only("fp32")
    set_up(request.device)
    recipe, batch, _ = read_description(request.model)
    described = ModelProto()
    try:
        described.ParseFromString(request.model.read_bytes())
        (source,), (sink,) = described.graph.input, described.graph.output
        graph = ms.nn.GraphCell(ms.load(str(request.model)))
    except (DecodeError, ValueError, RuntimeError) as error:
        raise unreadable(request.model, "MINDIR", error) from error
    check_shapes(request.model, recipe, source.tensor[0].dims, sink.tensor[0].dims)
    return Predictor(
        recipe, get_skeleton(recipe.skeleton), lambda images: graph(ms.Tensor(images)).asnumpy(), batch or request.batch
    )
