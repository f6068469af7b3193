"""Opening the split that a recipe and a `--data` argument mean."""

from pathlib import Path

from posekit.datasets import PoseDataset, open_dataset
from posekit.recipes import Recipe
from posekit.synthetic import embedded_data


def open_split(recipe: Recipe, data: str | Path | None, split: str, images: str | Path | None = None) -> PoseDataset:
    """A split of the data set at `data` in the recipe's layout; the embedded data, drawn if need be, when it is empty."""
    return open_dataset(recipe.dataset, Path(data) if data else embedded_data(recipe), split, images)
