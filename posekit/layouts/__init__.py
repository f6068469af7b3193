"""The published data-set layouts, one file each with a record that says all about it, and opening data by them.

Builds on datasets (what a data set is once it is read), synthetic (drawn data) and evaluation (protocols).
"""

from pathlib import Path

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.evaluation.metrics import Labels
from posekit.evaluation.protocols import Table, first_rows, get_protocol
from posekit.files import ROOT, home
from posekit.layouts.mpii import MPII
from posekit.layouts.record import Layout
from posekit.layouts.veri import VERI
from posekit.predictions import read_predictions
from posekit.recipes import Recipe

LAYOUTS = {layout.name: layout for layout in (VERI, MPII)}
DRAWN_SEED = 0  # of the data that a recipe without data gets


def get_layout(name: str) -> Layout:
    """The layout of that name; InputError lists the names there are."""
    if name not in LAYOUTS:
        raise InputError(f"{name}: no layout of that name; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def layout_of(data: Path) -> Layout:
    """The layout of a label file, by its suffix, or of a folder, by the label files in its annot."""
    suffixes = {data.suffix} if data.is_file() else {path.suffix for path in (data / "annot").glob("*")}
    found = [layout for layout in LAYOUTS.values() if layout.suffix in suffixes]
    if len(found) != 1:
        wanted = ", ".join(f"{layout.suffix} ({layout.name})" for layout in LAYOUTS.values())
        raise InputError(f"{data}: no label file and no folder with labels in annot; give one of {wanted}, or a folder")
    return found[0]


def open_split(recipe: Recipe, data: str | Path | None, split: str, images: str | Path | None = None) -> PoseDataset:
    """A split of the data set at `data` in the recipe's layout, or of the embedded data, drawn if need be, without one.

    Raises InputError when the data set's keypoints are not the recipe's.
    """
    layout = get_layout(recipe.dataset)
    dataset = layout.read(Path(data) if data else embedded_data(recipe), split, images)
    if dataset.skeleton.name != recipe.skeleton:
        raise InputError(
            f"{data or recipe.name}: the {recipe.dataset} layout has {dataset.skeleton.name} keypoints, the recipe "
            f"{recipe.name} {recipe.skeleton}; set its field skeleton or dataset to the other's"
        )
    return dataset


def embedded_data(recipe: Recipe) -> Path:
    """The drawn data set of a recipe, `data/<kind>-<train>-<test>-s0` below ROOT or `home`; drawn first if need be.

    Two processes may ask at once: each draws beside the place, the first puts its folder there, the other drops its
    own.
    """
    layout = get_layout(recipe.dataset)
    counts = recipe.synthetic_train, recipe.synthetic_test
    name = f"{layout.drawn}-{counts[0]}-{counts[1]}-s{DRAWN_SEED}"
    if (ROOT / "data" / name).is_dir():
        return ROOT / "data" / name
    out = home() / "data" / name
    if not out.exists():
        try:
            layout.draw(out, *counts, DRAWN_SEED)
        except InputError:
            if not out.exists():
                raise
    return out


def score_file(
    layout: Layout, data: Path, predictions: Path, protocol: str, split: str, first: int | None = None
) -> Table:
    """One protocol's table and counts for a predictions file, from labels alone.

    `data` is a folder in the layout or a label file. With `first`, only the split's first rows count; predictions of
    later rows may be there or not.
    """
    chosen = get_protocol(layout.protocols, protocol)
    labels: Labels = layout.labels(data, split)
    found = read_predictions(predictions, layout.skeleton.num_keypoints)
    if first is not None:
        labels, found = first_rows(labels, found, first)
    table = chosen.apply(labels, found)
    return Table({**table.rows, **chosen.counts(labels)}, table.about)
