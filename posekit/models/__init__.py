"""The networks, made from recipes."""

from mindspore import nn

from posekit.models.hourglass import StackedHourglass
from posekit.models.hrnet import HRNet
from posekit.recipes import Recipe


def build(recipe: Recipe) -> nn.Cell:
    """The recipe's network with fresh weights: (N, 3, H, W) -> a tuple of heatmaps, one a supervised stage."""
    if recipe.network == "hourglass":
        return StackedHourglass(
            recipe.keypoint_skeleton.num_keypoints, recipe.stacks, recipe.width, recipe.depth, recipe.unused_skips
        )
    return HRNet(
        recipe.keypoint_skeleton.num_keypoints,
        recipe.width,
        recipe.stem_width,
        recipe.layer1_block,
        recipe.layer1_blocks,
        recipe.stage_modules,
        recipe.branch_blocks,
        recipe.head_bias,
    )
