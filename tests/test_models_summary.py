"""Counting parameters and operations, against hand calculation and the published figures of HRNet."""

from dataclasses import replace

import mindspore as ms
import pytest
from mindspore import nn
from networks import fresh

from posekit.models.hrnet import HRNet
from posekit.models.summary import hourglass_table, hrnet_table, layer_table
from posekit.recipes import get_recipe
from posekit.runtime import set_up


@pytest.fixture(scope="module", autouse=True)
def device() -> None:
    set_up("cpu")


def test_small_network_by_hand() -> None:
    network = nn.SequentialCell(
        nn.Conv2d(3, 8, 3, stride=2, pad_mode="pad", padding=1, has_bias=True),  # 8 × 16 -> 4 × 8
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 4, 1, has_bias=False),
    )
    table = layer_table(network, 8, 16)
    assert table["kind"].tolist() == ["conv", "norm", "conv"]
    assert table["parameters"].tolist() == [3 * 3 * 3 * 8 + 8, 2 * 8, 8 * 4]
    assert table["macs"].tolist() == [3 * 3 * 3 * 8 * 32, 0, 8 * 4 * 32]
    assert table[["channels", "height", "width"]].to_numpy().tolist() == [[8, 4, 8], [8, 4, 8], [4, 4, 8]]


@pytest.fixture(scope="module")
def w32() -> HRNet:
    return HRNet(keypoints=17, width=32)


def test_published_w32(w32: HRNet) -> None:
    """Sun et al., arXiv:1902.09212, table 1: 17 keypoints at 256 × 192."""
    table = layer_table(w32, 256, 192)
    assert round(table["parameters"].sum() / 1e6, 1) == 28.5
    assert round(table["macs"].sum() / 1024**3, 1) == 7.1
    # with 36 keypoints and without the head's bias: the seed's network
    assert table["parameters"].sum() - 17 * 33 + 36 * 32 == 28_536_704


def test_published_w48() -> None:
    """Ibid."""
    table = layer_table(HRNet(keypoints=17, width=48), 64, 64)  # operations grow with the area
    assert round(table["parameters"].sum() / 1e6, 1) == 63.6
    assert round(table["macs"].sum() * (256 * 192) / (64 * 64) / 1024**3, 1) == 14.6


def test_stages_by_hand(w32: HRNet) -> None:
    table = hrnet_table(w32, 64)
    stages = table.groupby("stage")["parameters"].sum()
    assert stages["stem"] == (27 * 64 + 128) + (9 * 64 * 64 + 128)
    assert stages["head"] == 32 * 17 + 17
    bottleneck = 256 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256)
    first = 64 * 64 + 9 * 64 * 64 + 64 * 256 + 64 * 256 + 2 * (64 + 64 + 256 + 256)
    assert stages["stage 1"] == first + 3 * bottleneck
    # 3 modules of 4 blocks of 2 convolutions with norms; half the resolution, twice the channels: 4 times the weights
    blocks = table[table["stage"] == "stage 4"].groupby("part")
    parameters, macs = blocks["parameters"].sum(), blocks["macs"].sum()
    assert parameters["branch 1/32"] == 3 * 4 * 2 * (9 * 256 * 256 + 2 * 256)
    assert macs["branch 1/4"] == macs["branch 1/32"] == 3 * 4 * 2 * 9 * 32 * 32 * 16 * 16


def test_head_bias_and_state_left_as_found() -> None:
    recipe = replace(get_recipe("poseestnet-tiny"), head_bias=True)
    network = fresh(recipe)
    network.set_train(True)
    mode = ms.get_context("mode")
    without = layer_table(fresh(replace(recipe, head_bias=False)), 64)["parameters"].sum()
    assert layer_table(network, 64)["parameters"].sum() == without + 36
    assert ms.get_context("mode") == mode and network.training
    assert sum(parameter.size for parameter in network.trainable_params()) == without + 36


def test_hourglass_by_hand() -> None:
    """The seed's network: what runs of it, and that every size has the same blocks at a quarter of the work."""
    table = hourglass_table(fresh(get_recipe("hourglass")), 64)
    assert table["parameters"].sum() == 6_570_400  # 8,429,088 are built
    block = 2 * (256 + 128 + 128) + (256 * 128 + 128) + (9 * 128 * 128 + 128) + (128 * 256 + 256)
    work = 256 * 128 + 9 * 128 * 128 + 128 * 256
    for stack in ("stack 1", "stack 2"):
        parts = table[table["stage"] == stack].groupby("part")[["parameters", "macs"]].sum()
        for level, blocks in enumerate((1, 3, 3, 3, 3)):  # at 1/4 only the way across
            found = parts.loc[f"branch 1/{4 * 2**level}"].tolist()
            assert found == [blocks * block, blocks * work * (16 // 2**level) ** 2]
    assert list(dict.fromkeys(table["stage"])) == ["stem", "stack 1", "stack 2"]
