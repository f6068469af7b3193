"""Layers that the networks share. Cells have the same names as the modules in the published PyTorch checkpoints.

Shapes: N images, C channels, h × w positions.
"""

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import HeNormal, Initializer, Normal


def conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False, weights: Initializer | None = None
) -> nn.Conv2d:
    """Return a convolution with padding kernel // 2: it keeps the map's size (stride 1) or halves it (stride 2)."""
    return nn.Conv2d(
        inputs, outputs, kernel, stride, pad_mode="pad", padding=kernel // 2, has_bias=bias,
        weight_init=weights or HeNormal(mode="fan_out", nonlinearity="relu"), bias_init="zeros",
    )  # fmt: skip


def head(inputs: int, outputs: int, bias: bool) -> nn.Conv2d:
    """Return the 1×1 convolution that outputs heatmaps; its weights start near zero, since most heatmap cells are 0."""
    return nn.Conv2d(inputs, outputs, 1, pad_mode="valid", has_bias=bias, weight_init=Normal(0.001), bias_init="zeros")


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch normalisation; momentum 0.9 in MindSpore is 0.1 in PyTorch."""
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9)


class BasicBlock(nn.Cell):
    """Two 3×3 convolutions plus a shortcut (He et al., arXiv:1512.03385, fig. 5 left)."""

    expansion = 1

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, channels, 3)
        self.bn1 = norm(channels)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = norm(channels)
        self.relu = nn.ReLU()
        self.downsample = shortcut(inputs, channels)

    def construct(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, channels, h, w)"""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


class Bottleneck(nn.Cell):
    """1×1, 3×3, 1×1 convolutions plus a shortcut; the output has 4 × `channels` (ibid., fig. 5 right)."""

    expansion = 4

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, channels, 1)
        self.bn1 = norm(channels)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = norm(channels)
        self.conv3 = conv(channels, 4 * channels, 1)
        self.bn3 = norm(4 * channels)
        self.relu = nn.ReLU()
        self.downsample = shortcut(inputs, 4 * channels)

    def construct(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, 4 * channels, h, w)"""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.downsample(x))


BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


def shortcut(inputs: int, outputs: int) -> nn.Cell:
    """Return the identity, or a 1×1 convolution with batch normalisation if the number of channels changes."""
    return nn.Identity() if inputs == outputs else nn.SequentialCell(conv(inputs, outputs, 1), norm(outputs))


class UpsampleNearest(nn.Cell):
    """Repeat every position `scale` times in both directions.

    Of MindSpore's operators for this, only ResizeNearestNeighbor is documented for CPU, GPU and Ascend and can be
    exported to ONNX.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def construct(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, scale * h, scale * w)"""
        height, width = x.shape[2:]
        return ops.ResizeNearestNeighbor((height * self.scale, width * self.scale))(x)
