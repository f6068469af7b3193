"""Stacked Hourglass (Newell et al., arXiv:1603.06937): several networks in a row, each pools down and upsamples again.

Cells have the same names as the modules in the published PyTorch checkpoints.
"""

from mindspore import Tensor, nn
from mindspore.common.initializer import Initializer, Normal

from posekit.models.layers import UpsampleNearest, conv, head, norm


class ConvNorm(nn.Cell):
    """A convolution with bias, followed by batch normalisation and ReLU if `active`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        active: bool = False,
        weights: Initializer | None = None,
    ) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, kernel, stride, bias=True, weights=weights)
        self.active = active
        if active:
            self.bn = norm(outputs)
            self.relu = nn.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h / stride, w / stride)"""
        x = self.conv(x)
        return self.relu(self.bn(x)) if self.active else x


class Heatmaps(nn.Cell):
    """The convolution that outputs the heatmaps of a stack."""

    def __init__(self, inputs: int, keypoints: int) -> None:
        super().__init__()
        self.conv = head(inputs, keypoints, bias=True)

    def construct(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, keypoints, h, w)"""
        return self.conv(x)


class Residual(nn.Cell):
    """A pre-activation residual block: 1×1, 3×3, 1×1 convolutions with half the channels inside, plus a shortcut.

    The last convolution is initialised near zero, so that at first every block is just its shortcut. Nothing normalises
    the sum of the many blocks; with this initialisation it learns much faster.
    """

    def __init__(self, inputs: int, outputs: int, unused_skip: bool) -> None:
        """unused_skip: build the shortcut's convolution even if the shortcut is the identity, as the original does."""
        super().__init__()
        half = outputs // 2
        self.bn1, self.conv1 = norm(inputs), ConvNorm(inputs, half)
        self.bn2, self.conv2 = norm(half), ConvNorm(half, half, 3)
        self.bn3, self.conv3 = norm(half), ConvNorm(half, outputs, weights=Normal(0.01))
        self.relu = nn.ReLU()
        self.widens = inputs != outputs
        if self.widens or unused_skip:
            self.skip_layer = ConvNorm(inputs, outputs)

    def construct(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)"""
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        return out + (self.skip_layer(x) if self.widens else x)


class Hourglass(nn.Cell):
    """A full-size shortcut plus pooling, a smaller hourglass and upsampling; `depth` halvings in all."""

    def __init__(self, depth: int, width: int, unused_skips: bool) -> None:
        super().__init__()
        self.up1 = Residual(width, width, unused_skips)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.low1 = Residual(width, width, unused_skips)
        inner = depth > 1
        self.low2 = Hourglass(depth - 1, width, unused_skips) if inner else Residual(width, width, unused_skips)
        self.low3 = Residual(width, width, unused_skips)
        self.up2 = UpsampleNearest(2)

    def construct(self, x: Tensor) -> Tensor:
        """(N, width, h, w) -> (N, width, h, w), h and w multiples of 2^depth"""
        low = self.low3(self.low2(self.low1(self.pool1(x))))
        return self.up1(x) + self.up2(low)


class StackedHourglass(nn.Cell):
    """The whole network. `construct` returns the heatmaps of every stack; each stack is supervised."""

    def __init__(self, keypoints: int, stacks: int = 2, width: int = 256, depth: int = 4, unused_skips: bool = False):
        super().__init__()
        self.pre = nn.SequentialCell(
            ConvNorm(3, width // 4, 7, 2, active=True),
            Residual(width // 4, width // 2, unused_skips),
            nn.MaxPool2d(2, 2),
            Residual(width // 2, width // 2, unused_skips),
            Residual(width // 2, width, unused_skips),
        )
        self.hgs = nn.CellList([nn.SequentialCell([Hourglass(depth, width, unused_skips)]) for _ in range(stacks)])
        self.features = nn.CellList(
            [
                nn.SequentialCell([Residual(width, width, unused_skips), ConvNorm(width, width, active=True)])
                for _ in range(stacks)
            ]
        )
        self.outs = nn.CellList([Heatmaps(width, keypoints) for _ in range(stacks)])
        between = range(stacks - 1)
        self.merge_features = nn.CellList([nn.SequentialCell([ConvNorm(width, width)]) for _ in between])
        self.merge_preds = nn.CellList([nn.SequentialCell([ConvNorm(keypoints, width)]) for _ in between])

    def construct(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> stacks × (N, K, H / 4, W / 4)"""
        x = self.pre(images)  # (N, width, H / 4, W / 4)
        heatmaps = []
        for i in range(len(self.hgs)):
            features = self.features[i](self.hgs[i](x))
            heatmaps.append(self.outs[i](features))
            if i < len(self.hgs) - 1:
                x = x + self.merge_preds[i](heatmaps[i]) + self.merge_features[i](features)
        return tuple(heatmaps)
