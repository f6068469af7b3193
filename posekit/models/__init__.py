"""The networks and how recipes build them; their loss, checkpoints, cost, and conversion from and to PyTorch.

Builds on the ground modules only.
"""

from collections.abc import Callable

from mindspore import nn

from posekit.models.hourglass import StackedHourglass
from posekit.models.hrnet import HRNet
from posekit.recipes import Recipe
from posekit.skeletons import Skeleton


def _hrnet(recipe: Recipe, keypoints: int) -> nn.Cell:
    return HRNet(
        keypoints,
        recipe.width,
        recipe.stem_width,
        recipe.layer1_block,
        recipe.layer1_blocks,
        recipe.stage_modules,
        recipe.branch_blocks,
        recipe.head_bias,
    )


def _hourglass(recipe: Recipe, keypoints: int) -> nn.Cell:
    return StackedHourglass(keypoints, recipe.stacks, recipe.width, recipe.depth, recipe.unused_skips)


NETWORKS: dict[str, Callable[[Recipe, int], nn.Cell]] = {"hrnet": _hrnet, "hourglass": _hourglass}


def build(recipe: Recipe, skeleton: Skeleton) -> nn.Cell:
    """Build the recipe's network with random weights: (N, 3, H, W) -> one tensor of heatmaps per supervised stage."""
    return NETWORKS[recipe.network](recipe, skeleton.num_keypoints)
