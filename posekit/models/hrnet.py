"""HRNet (Sun et al., arXiv:1902.09212): keeps a high-resolution branch throughout and fuses it with coarser ones."""

from collections.abc import Sequence

from mindspore import Tensor, nn

from posekit.models.layers import BLOCKS, BasicBlock, UpsampleNearest, conv, head, norm


class HRModule(nn.Cell):
    """Parallel branches of BasicBlocks; then each branch gets the sum of all branches, resized to its size."""

    def __init__(self, channels: Sequence[int], blocks: int, outputs: int) -> None:
        """channels: of each branch, finest first; outputs: number of finest branches that the module returns."""
        super().__init__()
        self.branches = nn.CellList([nn.SequentialCell([BasicBlock(c, c) for _ in range(blocks)]) for c in channels])
        self.fuse_layers = nn.CellList(
            [nn.CellList([_resize(channels, source, to) for source in range(len(channels))]) for to in range(outputs)]
        )
        self.relu = nn.ReLU()

    def construct(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Branch i: (N, C_i, h / 2^i, w / 2^i)"""
        features = []
        for i in range(len(self.branches)):
            features.append(self.branches[i](maps[i]))
        fused = []
        for row in self.fuse_layers:
            total = row[0](features[0])
            for i in range(1, len(features)):
                total = total + row[i](features[i])
            fused.append(self.relu(total))
        return tuple(fused)


class HRNet(nn.Cell):
    """The whole network. `construct` returns a one-element tuple: the heatmaps of the only supervised stage."""

    def __init__(
        self,
        keypoints: int,
        width: int = 32,
        stem_width: int = 64,
        layer1_block: str = "bottleneck",
        layer1_blocks: int = 4,
        stage_modules: Sequence[int] = (1, 4, 3),
        branch_blocks: int = 4,
        head_bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, stem_width, 3, stride=2)
        self.bn1 = norm(stem_width)
        self.conv2 = conv(stem_width, stem_width, 3, stride=2)
        self.bn2 = norm(stem_width)
        self.relu = nn.ReLU()
        block = BLOCKS[layer1_block]
        wide = stem_width * block.expansion
        self.layer1 = nn.SequentialCell(
            [block(stem_width if i == 0 else wide, stem_width) for i in range(layer1_blocks)]
        )
        before, transitions, stages = [wide], [], []
        for index, modules in enumerate(stage_modules):
            channels = [width * 2**i for i in range(index + 2)]
            last = index == len(stage_modules) - 1
            transitions.append(_transition(before, channels))
            stages.append(_stage(channels, modules, branch_blocks, 1 if last else len(channels)))
            before = channels
        self.transitions = nn.CellList(transitions)
        self.stages = nn.CellList(stages)
        self.final_layer = head(width, keypoints, head_bias)

    def construct(self, images: Tensor) -> tuple[Tensor]:
        """(N, 3, H, W) -> ((N, K, H / 4, W / 4),)"""
        return (self.final_layer(self.features(images)[-1][0]),)

    def features(self, images: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the maps after layer1 and after each later stage: [(x,), (fine, coarse), …]."""
        x = self.relu(self.bn1(self.conv1(images)))  # (N, S, H / 2, W / 2)
        x = self.relu(self.bn2(self.conv2(x)))  # (N, S, H / 4, W / 4)
        maps = (self.layer1(x),)
        trace = [maps]
        for i in range(len(self.stages)):
            maps = self.stages[i](_branch_out(self.transitions[i], maps))
            trace.append(maps)
        return trace


def _branch_out(transition: nn.CellList, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Apply a transition: old branches continue, and the new one is computed from the coarsest."""
    grown = []
    for i in range(len(transition)):
        grown.append(transition[i](maps[min(i, len(maps) - 1)]))
    return tuple(grown)


def _stage(channels: list[int], modules: int, blocks: int, outputs: int) -> nn.SequentialCell:
    """Build a stage of `modules` HRModules in a row; only the last may drop coarse branches."""
    full = len(channels)
    return nn.SequentialCell([HRModule(channels, blocks, full if i < modules - 1 else outputs) for i in range(modules)])


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> list[nn.Cell]:
    return [conv(inputs, outputs, kernel, stride), norm(outputs), *([nn.ReLU()] if relu else [])]


def _transition(before: list[int], after: list[int]) -> nn.CellList:
    """Build the layers between two stages; the next stage has one more branch at half the resolution."""
    cells: list[nn.Cell] = []
    for i, channels in enumerate(after):
        if i < len(before):
            same = before[i] == channels
            cells.append(nn.Identity() if same else nn.SequentialCell(_conv_norm(before[i], channels, 3)))
        else:  # nested once more, as in the checkpoints
            cells.append(nn.SequentialCell([nn.SequentialCell(_conv_norm(before[-1], channels, 3, stride=2))]))
    return nn.CellList(cells)


def _resize(channels: Sequence[int], source: int, to: int) -> nn.Cell:
    """Build the layers that bring branch `source` to the size and channels of branch `to`."""
    if source == to:
        return nn.Identity()
    if source > to:  # coarser: reduce the channels, then upsample
        cells = _conv_norm(channels[source], channels[to], 1, relu=False)
        return nn.SequentialCell([*cells, UpsampleNearest(2 ** (source - to))])
    steps = []  # finer: halve step by step; only the last step changes the channels
    for i in range(to - source):
        last = i == to - source - 1
        wide = channels[to] if last else channels[source]
        steps.append(nn.SequentialCell(_conv_norm(channels[source], wide, 3, stride=2, relu=not last)))
    return nn.SequentialCell(steps)
