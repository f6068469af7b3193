"""Trying out what supervision of each stack changes: a network learns one batch by heart, some stacks count or not."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from posekit.models.loss import heatmap_loss


class StackUpdate(nn.Cell):
    """One update of a network with several stacks of heatmaps; how much each stack's loss counts is an argument."""

    def __init__(self, network: nn.Cell, learning_rate: float) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.optimizer = network, nn.Adam(network.trainable_params(), learning_rate)
        self.gradient = ms.value_and_grad(self.losses, None, self.optimizer.parameters, has_aux=True)

    def losses(
        self, images: Tensor, target: Tensor, weights: Tensor, counts: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """What is minimised, the loss of each stack (stacks,) and their heatmaps; counts: (stacks,)."""
        heatmaps = self.network(images)
        each = ops.stack([heatmap_loss((maps,), target, weights, 1.0) for maps in heatmaps])
        return (each * counts).sum(), each, heatmaps

    def construct(
        self, images: Tensor, target: Tensor, weights: Tensor, counts: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Update the weights; returns the losses (stacks,) and the heatmaps before the update."""
        out, gradients = self.gradient(images, target, weights, counts)
        self.optimizer(gradients)
        return out[1], out[2]


def learn_by_heart(
    network: nn.Cell, batch: Sequence[Tensor], trials: dict[str, Sequence[float]], updates: int, learning_rate: float
) -> tuple[dict[str, np.ndarray], dict[str, list[np.ndarray]]]:
    """Train on one batch (images, target, weights), for every trial from the network's present weights.

    trials: name -> how much each stack's loss counts. One compiled graph serves all of them. Returns by name the losses
    (updates, stacks) and every stack's last heatmaps (N, K, h, w); the network keeps what the last trial learnt.
    """
    update = StackUpdate(network, learning_rate).set_train(True)
    start = {parameter.name: parameter.asnumpy().copy() for parameter in update.get_parameters()}
    losses, last = {}, {}
    for name, counts in trials.items():
        for parameter in update.get_parameters():
            ops.assign(parameter, Tensor(start[parameter.name]))  # in place: set_data would lose its gradient
        history = []
        for _ in range(updates):
            each, heatmaps = update(*batch, Tensor(counts, ms.float32))
            history.append(each.asnumpy())
        losses[name], last[name] = np.stack(history), [maps.asnumpy() for maps in heatmaps]
    return losses, last
