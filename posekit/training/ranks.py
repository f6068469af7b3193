"""Communication between the ranks of a training. Without a launcher there is one rank and no communication."""

from collections.abc import Iterable

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from posekit.datasets.dataset import PoseDataset
from posekit.runtime import chosen_device


def rank() -> int:
    """Return the number of this process, 0 to `ranks()` - 1; rank 0 writes the files."""
    return chosen_device().rank


def ranks() -> int:
    """Return the number of processes that train together."""
    return chosen_device().ranks


def gathered(array: np.ndarray) -> np.ndarray:
    """Concatenate the arrays of all ranks along the first axis, bit for bit.

    The arrays must have the same shape and type. All ranks must call this; each waits for the others.
    """
    if ranks() == 1:
        return array
    words = np.ascontiguousarray(array).view(np.int32).ravel()  # every device can send int32; values have 4 or 8 bytes
    found = ops.AllGather()(Tensor(words)).asnumpy()
    return found.view(array.dtype).reshape(-1, *array.shape[1:])


def gathered_texts(text: str) -> list[str]:
    """Return the texts of all ranks, in their order. All ranks must call this; each waits for the others."""
    content = text.encode()
    sizes = gathered(np.array([len(content)], np.int32))
    mine = np.zeros((1, -(-max(int(sizes.max()), 1) // 4) * 4), np.uint8)
    mine[0, : len(content)] = np.frombuffer(content, np.uint8)
    return [row[:size].tobytes().decode() for row, size in zip(gathered(mine), sizes, strict=True)]


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
    """Return the part of a split that this rank evaluates: equally many samples per rank, so the last may repeat."""
    if ranks() == 1:
        return dataset
    count = -(-len(dataset) // ranks())
    return dataset.take(np.minimum(np.arange(rank() * count, (rank() + 1) * count), len(dataset) - 1))


class AveragedUpdate(nn.Cell):
    """Update by the mean of all ranks' gradients.

    update: a cell that takes gradients in the order of its `parameters`.
    """

    def __init__(self, update: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.update, self.parameters = update, update.parameters
        self.optimizer = getattr(update, "optimizer", update)
        self.mean = nn.DistributedGradReducer(update.parameters, mean=True, degree=ranks())

    def construct(self, gradients: tuple[Tensor, ...]) -> None:
        """Update from the gradients of this rank's batches."""
        self.update(self.mean(gradients))
