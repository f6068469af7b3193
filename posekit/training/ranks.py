"""What the ranks of a training share. Without a launcher there is one rank, and nothing is sent."""

from collections.abc import Iterable

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from posekit.datasets.dataset import PoseDataset
from posekit.runtime import chosen_device


def rank() -> int:
    """The number of this process among `ranks()`; rank 0 writes the files."""
    return chosen_device().rank


def ranks() -> int:
    """How many processes train together."""
    return chosen_device().ranks


def gathered(array: np.ndarray) -> np.ndarray:
    """The arrays of all ranks, of one shape and type, after each other along the first axis, to the last bit.

    All ranks must call it; each waits for the others.
    """
    if ranks() == 1:
        return array
    words = np.ascontiguousarray(array).view(np.int32).ravel()  # which every device can send; 4 bytes a value or 8
    found = ops.AllGather()(Tensor(words)).asnumpy()
    return found.view(array.dtype).reshape(-1, *array.shape[1:])


def average(parameters: Iterable[Parameter]) -> None:
    """Set these fp32 parameters to their mean over the ranks."""
    parameters = list(parameters)
    if ranks() == 1 or not parameters:
        return
    values = np.concatenate([parameter.asnumpy().ravel() for parameter in parameters])
    mean = gathered(values[None]).mean(axis=0)
    ends = np.cumsum([parameter.size for parameter in parameters])
    for parameter, part in zip(parameters, np.split(mean, ends[:-1]), strict=True):
        ops.assign(parameter, Tensor(part.reshape(parameter.shape)))


def share(dataset: PoseDataset) -> PoseDataset:
    """The part of a split that this rank evaluates: as many samples on each rank, so the last ones may come again."""
    if ranks() == 1:
        return dataset
    count = -(-len(dataset) // ranks())
    return dataset.take(np.minimum(np.arange(rank() * count, (rank() + 1) * count), len(dataset) - 1))


class AveragedUpdate(nn.Cell):
    """An update by the mean of all ranks' gradients.

    update: a cell that takes gradients, in the order of its `parameters`.
    """

    def __init__(self, update: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.update, self.parameters = update, update.parameters
        self.optimizer = getattr(update, "optimizer", update)
        self.mean = nn.DistributedGradReducer(update.parameters, mean=True, degree=ranks())

    def construct(self, gradients: tuple[Tensor, ...]) -> None:
        """Gradients of this rank's batches."""
        self.update(self.mean(gradients))
