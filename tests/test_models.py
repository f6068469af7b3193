"""HRNet against the published counts and shapes, and a block against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from networks import fresh

from posekit.models.hrnet import HRNet
from posekit.models.layers import BasicBlock, UpsampleNearest
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import override


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu")


@pytest.fixture(scope="module")
def w32() -> nn.Cell:
    return fresh(get_recipe("poseestnet"))


def trainable(network: nn.Cell) -> int:
    return sum(parameter.size for parameter in network.trainable_params())


def cells(network: nn.Cell, kind: type) -> list[nn.Cell]:
    return [cell for _, cell in network.cells_and_names() if isinstance(cell, kind)]


def test_w32_has_the_published_number_of_parameters(w32):
    assert trainable(w32) == 28_536_704
    tiny = get_recipe("poseestnet-tiny")
    bias = trainable(fresh(override(tiny, ["head_bias=true"]))) - trainable(fresh(tiny))
    assert trainable(w32) + bias == 28_536_740


def convolutions(blocks: int, modules: tuple[int, ...]) -> int:
    """Convolutions of HRNet-W32 as the paper's figure and its published code lay it out.

    Stem 2; layer1 four Bottlenecks of 3 and one projection. A stage of n branches: a transition with one
    convolution for each branch that changes; each module n branches x blocks x 2, and its exchange: one 1x1 for every
    coarser branch added, as many 3x3 as halvings for every finer one. The last module keeps the finest output only.
    """
    count = 2 + 4 * 3 + 1 + 2  # the first transition changes both branches
    for stage, number in enumerate(modules):
        branches = stage + 2
        count += 1 if stage else 0  # later transitions only add a branch
        for module in range(number):
            only_finest = stage == len(modules) - 1 and module == number - 1
            count += branches * blocks * 2
            for to in range(1 if only_finest else branches):
                count += sum(1 if source > to else to - source for source in range(branches) if source != to)
    return count + 1  # the head


def test_w32_has_the_published_layers(w32):
    assert len(cells(w32, nn.Conv2d)) == convolutions(4, (1, 4, 3)) == 293
    assert len(cells(w32, nn.BatchNorm2d)) == 292  # one after each but the head
    kernels = {tuple(cell.kernel_size) for cell in cells(w32, nn.Conv2d)}
    assert kernels == {(1, 1), (3, 3)}
    assert all(cell.eps == 1e-5 for cell in cells(w32, nn.BatchNorm2d))


def test_weight_decay_and_training_reach_every_weight(w32):
    """Nothing but the running statistics of the normalisations is left out of training."""
    idle = [p.name for p in w32.get_parameters() if not p.requires_grad]
    assert len(idle) == 2 * 292 and all(name.endswith(("moving_mean", "moving_variance")) for name in idle)


def test_heatmaps_have_the_recipes_size():
    recipe = get_recipe("poseestnet-tiny")
    images = ms.Tensor(np.zeros((2, 3, recipe.input_size, recipe.input_size), np.float32))
    (heatmaps,) = fresh(recipe).set_train(False)(images)
    assert heatmaps.shape == (2, 36, recipe.heatmap_size, recipe.heatmap_size)


def test_features_halve_and_widen_from_branch_to_branch():
    network = HRNet(5, width=8, stem_width=8, layer1_block="bottleneck", layer1_blocks=1, stage_modules=(1, 1),
                    branch_blocks=1).set_train(False)  # fmt: skip
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        trace = network.features(ms.Tensor(np.zeros((1, 3, 64, 64), np.float32)))
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)
    assert [[m.shape for m in maps] for maps in trace] == [
        [(1, 32, 16, 16)],
        [(1, 8, 16, 16), (1, 16, 8, 8)],
        [(1, 8, 16, 16)],  # the last module gives the finest branch only
    ]


def correlate(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A 3x3 convolution with padding 1, as its definition."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    shifts = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.einsum("knchw,ock->nohw", np.stack(shifts), weight.reshape(*weight.shape[:2], 9))


def normalised(x: np.ndarray) -> np.ndarray:
    """Batch normalisation as it is in training, before scale and shift are learnt."""
    axes = (0, 2, 3)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def test_a_basic_block_is_its_definition():
    block = BasicBlock(4, 4)
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)
    first, second = (conv.weight.asnumpy() for conv in (block.conv1, block.conv2))
    inner = np.maximum(normalised(correlate(x, first)), 0)
    expected = np.maximum(normalised(correlate(inner, second)) + x, 0)
    np.testing.assert_allclose(block.set_train(True)(ms.Tensor(x)).asnumpy(), expected, atol=2e-4)


@pytest.mark.parametrize("scale", [2, 4])
def test_nearest_upsampling_repeats(scale):
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 3)).astype(np.float32)
    found = UpsampleNearest(scale)(ms.Tensor(x)).asnumpy()
    np.testing.assert_array_equal(found, x.repeat(scale, 2).repeat(scale, 3))


def test_fresh_weights_follow_he_and_start_the_head_near_zero(w32):
    widest = max(cells(w32, nn.Conv2d), key=lambda cell: cell.weight.size).weight.asnumpy()
    fan_out = widest.shape[0] * widest.shape[2] * widest.shape[3]
    assert widest.std() == pytest.approx(np.sqrt(2 / fan_out), rel=0.02)
    assert w32.final_layer.weight.asnumpy().std() == pytest.approx(0.001, rel=0.1)
