"""Learning by heart with some stacks counted or not: what moves and what stays."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from posekit.models.hourglass import StackedHourglass
from posekit.runtime import set_up
from posekit.training.supervision import learn_by_heart


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up("cpu")
    ms.set_context(mode=ms.PYNATIVE_MODE)  # few updates
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.slow
def test_trials_start_alike_and_train_what_counts() -> None:
    rng = np.random.default_rng(0)
    network = StackedHourglass(3, stacks=2, width=8, depth=1)
    heads = [head.conv.weight for head in network.outs]
    before = [head.asnumpy().copy() for head in heads]
    images, target = (Tensor(rng.random(shape).astype(np.float32)) for shape in ((2, 3, 16, 16), (2, 3, 4, 4)))
    weights = Tensor(np.array([[1, 1, 0], [1, 0, 1]], np.float32))
    trials = {"both": (0.5, 0.5), "first": (1, 0)}
    losses, heatmaps = learn_by_heart(network, (images, target, weights), trials, updates=3, learning_rate=1e-2)
    assert losses["both"].shape == (3, 2) and [maps.shape for maps in heatmaps["first"]] == 2 * [(2, 3, 4, 4)]
    np.testing.assert_allclose(losses["both"][0], losses["first"][0], rtol=1e-5)  # the same weights to begin with
    assert losses["first"][-1, 0] < losses["first"][0, 0]
    # The last update's loss is that of the heatmaps returned: weighted mean squares, summed over keypoints.
    error = ((heatmaps["first"][0] - target.asnumpy()) ** 2).mean(axis=(2, 3)) * weights.asnumpy()
    assert losses["first"][-1, 0] == pytest.approx(error.sum(axis=1).mean(), rel=1e-4)
    assert not np.array_equal(heads[0].asnumpy(), before[0])
    np.testing.assert_array_equal(heads[1].asnumpy(), before[1])  # the second stack did not count
