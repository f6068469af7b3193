"""Opening the split that a recipe and a `--data` argument mean."""

from pathlib import Path

from posekit.datasets.dataset import PoseDataset
from posekit.layouts import open_dataset
from posekit.errors import InputError
from posekit.recipes import Recipe
from posekit.layouts import embedded_data


def open_split(recipe: Recipe, data: str | Path | None, split: str, images: str | Path | None = None) -> PoseDataset:
    """A split of the data set at `data` in the recipe's layout, or of the embedded data, drawn if need be, without one.

    Raises InputError when the data set's keypoints are not the recipe's.
    """
    dataset = open_dataset(recipe.dataset, Path(data) if data else embedded_data(recipe), split, images)
    if dataset.skeleton.name != recipe.skeleton:
        raise InputError(
            f"{data or recipe.name}: the {recipe.dataset} layout has {dataset.skeleton.name} keypoints, the recipe "
            f"{recipe.name} {recipe.skeleton}; set its field skeleton or dataset to the other's"
        )
    return dataset
