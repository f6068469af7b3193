"""The published networks in PyTorch, written from the papers, with the public checkpoints' names of parameters.

HRNet: Sun et al., arXiv:1902.09212, figure 1 and section 3; as a classifier: Wang et al., arXiv:1908.07919, figure 4
and appendix. Stacked Hourglass: Newell et al., arXiv:1603.06937, figures 3 and 4.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# PyTorch declares the parts of a module as modules or tensors of any kind.

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A convolution with padding kernel // 2."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


def chain(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True, bias: bool = False) -> list:
    """A convolution and its normalisation, and with `relu` a ReLU."""
    return [conv(inputs, outputs, kernel, stride, bias), nn.BatchNorm2d(outputs), *([nn.ReLU()] if relu else [])]


class Block(nn.Module):
    """He et al., figure 5: kernels (3, 3), or (1, 3, 1) with a fourfold width outside."""

    def __init__(self, inputs: int, width: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.depth = len(kernels)
        widths = [inputs, *[width] * (self.depth - 1), width * (4 if kernels[-1] == 1 else 1)]
        for i, kernel in enumerate(kernels):
            self.add_module(f"conv{i + 1}", conv(widths[i], widths[i + 1], kernel))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
        self.downsample = nn.Sequential(*chain(inputs, widths[-1], 1, relu=False)) if inputs != widths[-1] else None

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(1, self.depth + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            out = out.relu() if i < self.depth else out
        return (out + (self.downsample(x) if self.downsample else x)).relu()


class Exchange(nn.Module):
    """Branches side by side, then each of the finest `outputs` receives the sum of all."""

    def __init__(self, widths: Sequence[int], blocks: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*[Block(w, w, (3, 3)) for _ in range(blocks)]) for w in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self.way(widths, source, to) for source in range(len(widths))) for to in range(outputs)
        )

    @staticmethod
    def way(widths: Sequence[int], source: int, to: int) -> nn.Module:
        if source == to:
            return nn.Identity()
        if source > to:
            repeat = nn.Upsample(scale_factor=2 ** (source - to))
            return nn.Sequential(*chain(widths[source], widths[to], 1, relu=False), repeat)
        halvings = [chain(widths[source], widths[source], 3, 2) for _ in range(to - source - 1)]
        halvings.append(chain(widths[source], widths[to], 3, 2, relu=False))
        return nn.Sequential(*(nn.Sequential(*layers) for layers in halvings))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [sum(way(x) for way, x in zip(row, maps, strict=True)).relu() for row in self.fuse_layers]


class HRNet(nn.Module):
    """A pose network with a head for `keypoints`; without, the classifier's layout."""

    def __init__(self, keypoints: int | None, width: int = 32, modules: Sequence[int] = (1, 4, 3), blocks: int = 4):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 3, 2), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = conv(64, 64, 3, 2), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(*[Block(256 if i else 64, 64, (1, 3, 1)) for i in range(blocks)])
        before = [256]
        self.stages = range(2, 2 + len(modules))
        for stage, count in zip(self.stages, modules, strict=True):
            widths = [width * 2**i for i in range(stage)]
            kept = [
                nn.Identity() if old == new else nn.Sequential(*chain(old, new, 3))
                for old, new in zip(before, widths, strict=False)
            ]
            new = nn.Sequential(nn.Sequential(*chain(before[-1], widths[-1], 3, 2)))
            self.add_module(f"transition{stage - 1}", nn.ModuleList([*kept, new]))
            finest_only = keypoints is not None and stage == self.stages[-1]
            self.add_module(
                f"stage{stage}",
                nn.Sequential(
                    *[Exchange(widths, blocks, 1 if finest_only and i == count - 1 else stage) for i in range(count)]
                ),
            )
            before = widths
        if keypoints is not None:
            self.final_layer = conv(width, keypoints, 1, bias=True)
        else:
            self.classify(before)

    def classify(self, widths: Sequence[int]) -> None:
        """The layers of a classifier, which a pose network has no use for."""
        outer = [4 * 32 * 2**i for i in range(len(widths))]
        bottlenecks = [nn.Sequential(Block(w, o // 4, (1, 3, 1))) for w, o in zip(widths, outer, strict=True)]
        self.incre_modules = nn.ModuleList(bottlenecks)
        self.downsamp_modules = nn.ModuleList(
            nn.Sequential(*chain(outer[i], outer[i + 1], 3, 2, bias=True)) for i in range(len(widths) - 1)
        )
        self.final_layer = nn.Sequential(*chain(outer[-1], 2048, 1, bias=True))
        self.classifier = nn.Linear(2048, 10)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, K, H / 4, W / 4), or the finest map of a classifier's backbone."""
        x = self.bn1(self.conv1(images)).relu()
        x = self.layer1(self.bn2(self.conv2(x)).relu())
        maps = [x]
        for stage in self.stages:
            transition = self.get_submodule(f"transition{stage - 1}")
            maps = [change(maps[min(i, len(maps) - 1)]) for i, change in enumerate(transition)]
            maps = self.get_submodule(f"stage{stage}")(maps)
        return maps[0] if hasattr(self, "classifier") else self.final_layer(maps[0])


class Conv(nn.Module):
    """A convolution with bias, and with `active` batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, active: bool = False) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, kernel, stride, bias=True)
        self.bn = nn.BatchNorm2d(outputs) if active else None

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu() if self.bn else self.conv(x)


class Merge(nn.Module):
    """The published code wraps the merging convolutions twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Residual(nn.Module):
    """Normalised before each convolution; the shortcut's convolution is always there, used where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs, outputs // 2, outputs // 2, outputs]
        for i, kernel in enumerate((1, 3, 1)):
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i]))
            self.add_module(f"conv{i + 1}", Conv(widths[i], widths[i + 1], kernel))
        self.skip_layer, self.widens = Conv(inputs, outputs), inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in (1, 2, 3):
            out = getattr(self, f"conv{i}")(getattr(self, f"bn{i}")(out).relu())
        return out + (self.skip_layer(x) if self.widens else x)


class Hourglass(nn.Module):
    """One hourglass of `depth` halvings, at `width` channels."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.up1, self.low1, self.low3 = (Residual(width, width) for _ in range(3))
        self.low2 = Hourglass(depth - 1, width) if depth > 1 else Residual(width, width)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low3(self.low2(self.low1(nn.functional.max_pool2d(x, 2))))
        return self.up1(x) + nn.functional.interpolate(low, scale_factor=2)


class StackedHourglass(nn.Module):
    """Hourglasses in sequence, each with its own heatmaps."""

    def __init__(self, keypoints: int, stacks: int = 2, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        quarter, half = width // 4, width // 2
        self.pre = nn.Sequential(
            Conv(3, quarter, 7, 2, active=True), Residual(quarter, half), nn.MaxPool2d(2), Residual(half, half),
            Residual(half, width),
        )  # fmt: skip
        self.hgs = nn.ModuleList(nn.Sequential(Hourglass(depth, width)) for _ in range(stacks))
        self.features = nn.ModuleList(
            nn.Sequential(Residual(width, width), Conv(width, width, active=True)) for _ in range(stacks)
        )
        self.outs = nn.ModuleList(Conv(width, keypoints) for _ in range(stacks))
        self.merge_features = nn.ModuleList(Merge(width, width) for _ in range(stacks - 1))
        self.merge_preds = nn.ModuleList(Merge(keypoints, width) for _ in range(stacks - 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> stacks × (N, K, H / 4, W / 4)"""
        x, heatmaps = self.pre(images), []
        for i, hourglass in enumerate(self.hgs):
            features = self.features[i](hourglass(x))
            heatmaps.append(self.outs[i](features))
            if i < len(self.merge_preds):
                x = x + self.merge_preds[i](heatmaps[i]) + self.merge_features[i](features)
        return heatmaps


def with_random_values(network: nn.Module, seed: int) -> nn.Module:
    """Weights, biases and statistics of the normalisations drawn: nothing may agree by being 0 or 1."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.weight.data, 0.5, 1.5), (module.running_var, 0.5, 1.5),
                (module.bias.data, -0.5, 0.5), (module.running_mean, -0.5, 0.5),
            ):  # fmt: skip
                values.uniform_(low, high)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                module.bias.data.uniform_(-0.5, 0.5)
    return network.eval()
