"""Networks for tests."""

from mindspore import nn

from posekit.models import build
from posekit.recipes import Recipe
from posekit.skeletons import get_skeleton


def fresh(recipe: Recipe) -> nn.Cell:
    """The recipe's network for its own skeleton, with fresh weights."""
    return build(recipe, get_skeleton(recipe.skeleton))
