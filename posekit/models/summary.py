"""The cost of a network: parameters and multiply-accumulates of each layer, measured in one forward pass."""

import mindspore as ms
import numpy as np
import pandas as pd
from mindspore import nn

_COUNTED = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm"}


def layer_table(network: nn.Cell, height: int, width: int | None = None) -> pd.DataFrame:
    """Return one row per convolution or normalisation, in order of execution, for one height × width image.

    Columns: name, kind (conv or norm), parameters (trainable), macs, channels, height, width (of its output map).
    A convolution's multiply-accumulates are weights × output positions, as Sun et al. (arXiv:1902.09212) count them;
    their "GFLOPs" are these divided by 1024³. Normalisation, activation and resizing are not counted.
    """
    names = {id(cell): name for name, cell in network.cells_and_names() if type(cell) in _COUNTED}
    rows: list[dict] = []

    def note(cell: nn.Cell, inputs: tuple, output: ms.Tensor) -> None:
        rows.append({"name": names[id(cell)], "kind": _COUNTED[type(cell)], **_count(cell, output.shape)})

    hooks = [cell.register_forward_hook(note) for _, cell in network.cells_and_names() if id(cell) in names]
    mode, training = ms.get_context("mode"), network.training
    ms.set_context(mode=ms.PYNATIVE_MODE)  # a hook sees each layer only when layers run one by one
    try:
        network.set_train(False)
        network(ms.Tensor(np.zeros((1, 3, height, width or height), np.float32)))
    finally:
        for hook in hooks:
            hook.remove()
        network.set_train(training)
        ms.set_context(mode=mode)
    return pd.DataFrame(rows)


def _count(cell: nn.Cell, shape: tuple[int, ...]) -> dict[str, int]:
    """Return the cost of a layer whose output is (1, C, h, w)."""
    channels, height, width = shape[1:]
    macs = cell.weight.size * height * width if isinstance(cell, nn.Conv2d) else 0
    parameters = sum(parameter.size for parameter in cell.trainable_params())
    return {"parameters": parameters, "macs": macs, "channels": channels, "height": height, "width": width}


def hrnet_table(network: nn.Cell, height: int, width: int | None = None) -> pd.DataFrame:
    """Return `layer_table` of an HRNet with two more columns: stage (stem, stage 1, …, head) and part.

    part: "branch 1/4", "branch 1/8", … for the blocks at that resolution; "exchange" for layers between branches,
    including the first layers of new branches; "stem, head" for the rest.
    """
    table = layer_table(network, height, width)
    places = [_hrnet_place(name) for name in table["name"]]
    return table.assign(stage=[stage for stage, _ in places], part=[part for _, part in places])


def _hrnet_place(name: str) -> tuple[str, str]:
    """Return (stage, part) of the layer with this name: stages.1.0.branches.2.… is stage 3, branch 1/16."""
    words = name.split(".")
    if words[0] == "layer1":
        return "stage 1", "branch 1/4"
    if words[0] in ("transitions", "stages"):
        stage = f"stage {int(words[1]) + 2}"
        return stage, f"branch 1/{4 * 2 ** int(words[4])}" if "branches" in words else "exchange"
    return ("head" if words[0] == "final_layer" else "stem"), "stem, head"


def hourglass_table(network: nn.Cell, height: int, width: int | None = None) -> pd.DataFrame:
    """Return `layer_table` of a StackedHourglass with two more columns: stage (stem, stack 1, stack 2, …) and part.

    part: "branch 1/4", "branch 1/8", … for the hourglasses' blocks at that resolution; "stem, heads" for the rest.
    Unused shortcut convolutions don't run, so they are left out.
    """
    table = layer_table(network, height, width)
    places = [_hourglass_place(name) for name in table["name"]]
    return table.assign(stage=[stage for stage, _ in places], part=[part for _, part in places])


def _hourglass_place(name: str) -> tuple[str, str]:
    """Return (stage, part) of the layer with this name: hgs.1.0.low2.low1.… is stack 2, branch 1/16."""
    words = name.split(".")
    if words[0] == "pre":
        return "stem", "stem, heads"
    stage = f"stack {int(words[1]) + 1}"
    if words[0] != "hgs":
        return stage, "stem, heads"
    halvings = sum(word.startswith("low") for word in words)  # low1, low2 and low3 are behind a pooling
    return stage, f"branch 1/{4 * 2**halvings}"
