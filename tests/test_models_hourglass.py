"""Stacked Hourglass against the published count, blocks against NumPy, and what the losses of its stacks reach."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from networks import fresh

from posekit.models.hourglass import ConvNorm, Hourglass, Residual, StackedHourglass
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import override


@pytest.fixture(scope="module", autouse=True)
def device():
    set_up("cpu")
    ms.set_context(mode=ms.PYNATIVE_MODE)  # small passes, each once: compiling them would take longer
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


def trainable(network: nn.Cell) -> int:
    return sum(parameter.size for parameter in network.trainable_params())


def residual(inputs: int, outputs: int) -> int:
    """Parameters of a block: three norms, three convolutions with bias, a fourth where the width changes."""
    half = outputs // 2
    norms = 2 * (inputs + half + half)
    convolutions = (inputs * half + half) + (9 * half * half + half) + (half * outputs + outputs)
    return norms + convolutions + (inputs * outputs + outputs) * (inputs != outputs)


def parameters(keypoints: int, stacks: int, width: int, depth: int) -> int:
    """Of the network as the paper's figures 3 and 4 lay it out: an hourglass has 3 blocks a halving and one more."""
    quarter, half, same = width // 4, width // 2, residual(width, width)
    one_by_one = width * width + width
    stem = 7 * 7 * 3 * quarter + quarter + 2 * quarter
    stem += residual(quarter, half) + residual(half, half) + residual(half, width)
    stack = (3 * depth + 1) * same + same + one_by_one + 2 * width + width * keypoints + keypoints
    return stem + stacks * stack + (stacks - 1) * (one_by_one + keypoints * width + width)


def test_the_seeds_network_has_the_published_number_of_parameters():
    seed = get_recipe("hourglass")
    assert trainable(fresh(seed)) == 8_429_088
    assert trainable(fresh(override(seed, ["unused_skips=false"]))) == 6_570_400 == parameters(16, 2, 256, 4)


@pytest.mark.parametrize(("stacks", "width", "depth"), [(1, 16, 1), (3, 16, 2), (2, 32, 3)])
def test_parameters_follow_the_paper_at_any_size(stacks, width, depth):
    assert trainable(StackedHourglass(5, stacks, width, depth)) == parameters(5, stacks, width, depth)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 128), (192, 64)])
def test_any_multiple_of_64_goes_through_four_halvings(height, width):
    network = StackedHourglass(16, stacks=2, width=8, depth=4).set_train(False)
    heatmaps = network(Tensor(np.zeros((1, 3, height, width), np.float32)))
    assert [maps.shape for maps in heatmaps] == 2 * [(1, 16, height // 4, width // 4)]


@pytest.mark.parametrize("stacks", [1, 3])
def test_a_heatmap_for_every_keypoint_of_every_stack(stacks):
    recipe = override(get_recipe("hourglass-tiny"), [f"stacks={stacks}"])
    images = Tensor(np.zeros((2, 3, recipe.input_size, recipe.input_size), np.float32))
    heatmaps = fresh(recipe).set_train(False)(images)
    assert [maps.shape for maps in heatmaps] == stacks * [(2, 16, recipe.heatmap_size, recipe.heatmap_size)]


# Blocks, against their definition in NumPy


def convolved(x: np.ndarray, cell: ConvNorm) -> np.ndarray:
    """The cell's convolution with its bias, stride 1, padded by half the kernel, as a sum over shifts."""
    weight, bias = cell.conv.weight.asnumpy().astype(np.float64), cell.conv.bias.asnumpy()
    kernel, (height, width) = weight.shape[2], x.shape[2:]
    margin = kernel // 2
    padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    total = np.zeros((len(x), len(weight), height, width)) + bias[:, None, None]
    for i in range(kernel):
        for j in range(kernel):
            window = padded[:, :, i : i + height, j : j + width]
            total += np.einsum("nchw,oc->nohw", window, weight[:, :, i, j])
    return total


def rectified(x: np.ndarray, norm: nn.BatchNorm2d) -> np.ndarray:
    """Batch normalisation as in evaluation, then ReLU."""
    mean, variance, scale, shift = (
        p.asnumpy()[:, None, None] for p in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    )
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)


def block(x: np.ndarray, cell: Residual) -> np.ndarray:
    """Normalise, rectify, convolve, three times; plus the input, or plus its convolution where the width changes."""
    out = convolved(rectified(x, cell.bn1), cell.conv1)
    out = convolved(rectified(out, cell.bn2), cell.conv2)
    out = convolved(rectified(out, cell.bn3), cell.conv3)
    return out + (convolved(x, cell.skip_layer) if x.shape[1] != out.shape[1] else x)


def pooled(x: np.ndarray) -> np.ndarray:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


def repeated(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, axis=2).repeat(2, axis=3)


def with_random_values(cell: nn.Cell, seed: int) -> nn.Cell:
    """Weights, statistics of the normalisations, everything drawn: nothing may cancel by being 0 or 1."""
    rng = np.random.default_rng(seed)
    for parameter in cell.get_parameters():
        low, high = (0.5, 1.5) if parameter.name.endswith(("gamma", "moving_variance")) else (-0.5, 0.5)
        parameter.set_data(Tensor(rng.uniform(low, high, parameter.shape).astype(np.float32)))
    return cell.set_train(False)


@pytest.mark.parametrize("unused_skip", [False, True])
@pytest.mark.parametrize(("inputs", "outputs"), [(6, 6), (4, 6)])
def test_a_residual_block_is_its_definition(inputs, outputs, unused_skip):
    cell = with_random_values(Residual(inputs, outputs, unused_skip), 0)
    x = np.random.default_rng(1).standard_normal((2, inputs, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(cell(Tensor(x)).asnumpy(), block(x, cell), atol=1e-4)


def test_an_hourglass_is_its_recursion():
    cell = with_random_values(Hourglass(2, 4, unused_skips=False), 2)
    x = np.random.default_rng(3).standard_normal((1, 4, 8, 12)).astype(np.float32)
    fine, coarse = cell, cell.low2
    a = block(pooled(x), fine.low1)  # 4 × 6
    b = block(block(block(pooled(a), coarse.low1), coarse.low2), coarse.low3)  # 2 × 3
    inner = block(a, coarse.up1) + repeated(b)
    expected = block(x, fine.up1) + repeated(block(inner, fine.low3))
    np.testing.assert_allclose(cell(Tensor(x)).asnumpy(), expected, rtol=1e-4, atol=1e-3)


# What each stack's loss reaches


def reached(loss_of: str, unused_skips: bool = False) -> set[str]:
    """The parameters with a gradient that is not all zero when only that stack's heatmaps are supervised."""
    network = StackedHourglass(3, stacks=2, width=8, depth=1, unused_skips=unused_skips).set_train(True)
    images = Tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32))
    stack = {"first": 0, "last": 1}[loss_of]
    weights = list(network.trainable_params())
    gradients = ms.grad(lambda x: (network(x)[stack] ** 2).mean(), None, weights)(images)
    return {w.name for w, gradient in zip(weights, gradients, strict=True) if np.abs(gradient.asnumpy()).max() > 0}


def test_each_stack_is_supervised_by_itself():
    first, last = reached("first"), reached("last")
    later = ("hgs.1.", "features.1.", "outs.1.", "merge_")
    assert "outs.0.conv.weight" in first and "hgs.0.0.low2.conv2.conv.weight" in first and "pre.0.conv.weight" in first
    assert not any(name.startswith(later) for name in first)
    assert {"outs.1.conv.weight", "merge_preds.0.0.conv.weight", "pre.0.conv.weight"} <= last
    assert "outs.0.conv.weight" in last  # its heatmaps are fed back into the features


def test_the_skips_that_are_built_and_not_used_learn_nothing():
    network = StackedHourglass(3, stacks=2, width=8, depth=1, unused_skips=True)
    skips = {p.name for p in network.trainable_params() if "skip_layer" in p.name}
    used = {name for name in skips if name.startswith(("pre.1.", "pre.4."))}  # the two blocks that widen
    assert len(used) == 4 and len(skips) == 2 * (3 + 2 * 5)  # weight and bias; stem 3 blocks, each stack 4 + 1
    assert (reached("first", True) | reached("last", True)) & skips == used
