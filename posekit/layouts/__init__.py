"""The data-set layouts, one file each with a record that says all about it, and opening data by them.

Builds on datasets (what a data set is once it is read), synthetic (drawn data) and evaluation (protocols).
"""

from dataclasses import replace
from pathlib import Path

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.evaluation.compare import image_of
from posekit.evaluation.protocols import Table, first_rows, get_protocol
from posekit.files import ROOT, home
from posekit.layouts.coco import COCO, held_out, is_coco
from posekit.layouts.mpii import MPII
from posekit.layouts.record import Layout, Reading
from posekit.layouts.veri import VERI
from posekit.predictions import read_predictions
from posekit.recipes import Recipe
from posekit.skeletons import FROM_DATA, check_same_keypoints, get_skeleton
from posekit.synthetic.writing import DRAWN

LAYOUTS = {layout.name: layout for layout in (VERI, MPII, COCO)}
DRAWN_SEED = 0  # of the data that a recipe without data gets


def get_layout(name: str) -> Layout:
    """The layout of that name; InputError lists the names there are."""
    if name not in LAYOUTS:
        raise InputError(f"{name}: no layout of that name; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def layout_of(data: Path) -> Layout:
    """The layout of a label file, by its suffix, or of a folder, by the label files in it."""
    if is_coco(data):
        return COCO
    suffixes = {data.suffix} if data.is_file() else {path.suffix for path in (data / "annot").glob("*")}
    found = [layout for layout in LAYOUTS.values() if layout.suffix in suffixes - {COCO.suffix}]
    if len(found) != 1:
        wanted = ", ".join(f"{layout.suffix} ({layout.name})" for layout in LAYOUTS.values())
        raise InputError(f"{data}: no label file and no folder with labels; give one of {wanted}, or a folder")
    return found[0]


def for_training(recipe: Recipe, data: Path | None) -> Recipe:
    """The recipe for a training on `data`: on COCO's, one for another layout leaves the skeleton to the data."""
    if data is None or recipe.dataset == COCO.name or not is_coco(data):
        return recipe
    return replace(recipe, dataset=COCO.name, skeleton=FROM_DATA, validation_threshold=COCO.threshold)


def for_data(recipe: Recipe, data: str | Path | None) -> Recipe:
    """The recipe with the layout of the data set at `data`, whatever layout it was for; a network may find the same."""
    try:
        layout = layout_of(Path(data)) if data else get_layout(recipe.dataset)
    except InputError:  # what opens the data set says what is wrong with it
        return recipe
    return recipe if layout.name == recipe.dataset else replace(recipe, dataset=layout.name)


def open_split(recipe: Recipe, data: str | Path | None, split: str, images: str | Path | None = None) -> PoseDataset:
    """A split of the data set at `data` in the recipe's layout, or of the embedded data, drawn if need be, without one.

    Raises InputError when the data set's keypoints are not the recipe's, unless that leaves them to the data.
    """
    layout = get_layout(recipe.dataset)
    how = Reading(recipe.flip_pairs, recipe.validation_share, recipe.validation_seed)
    place = Path(data) if data else embedded_data(recipe)
    drawn = not data or any((folder / DRAWN).is_file() for folder in (place, *place.parents[:2]))
    dataset = replace(layout.read(place, split, images, how=how), drawn=drawn)
    if recipe.skeleton != FROM_DATA:
        remedy = "use data with the same keypoints, or set the recipe's field skeleton or dataset to the other's"
        check_same_keypoints(get_skeleton(recipe.skeleton), dataset.skeleton, str(data or recipe.name), remedy)
    return dataset


def open_training(
    recipe: Recipe, data: str | Path | None, images: str | Path | None = None
) -> tuple[Recipe, PoseDataset, PoseDataset]:
    """What a training takes: the recipe, with the data's skeleton where it leaves that to them, and both splits."""
    if recipe.flip_pairs != Reading.flip_pairs and recipe.dataset != COCO.name:
        title = get_layout(recipe.dataset).title
        raise InputError(f"flip_pairs={recipe.flip_pairs}: {title} has left/right pairs of its own; leave them out")
    training = open_split(recipe, data, "train", images)
    if recipe.skeleton == FROM_DATA:
        recipe = replace(recipe, skeleton=training.skeleton)
    if recipe.validation == "share":
        return recipe, *_divided(training, recipe)
    return recipe, training, open_split(recipe, data, get_layout(recipe.dataset).validation, images)


def _divided(training: PoseDataset, recipe: Recipe) -> tuple[PoseDataset, PoseDataset]:
    """The training images that train and those that validate; no image is on both sides, whatever it shows."""
    images = image_of(training.names)
    if len(set(images)) < 2:
        raise InputError(f"{training.split} split: one image can't be divided; set validation=split")
    held = held_out(sorted(set(images)), recipe.validation_share, recipe.validation_seed)
    note = f"{len(set(images)) - len(held)} images of the {training.split} split train, {len(held)} validate"
    parts = [[row for row, image in enumerate(images) if (image in held) is within] for within in (False, True)]
    train, validation = (replace(training.take(rows), notes=(*training.notes, note)) for rows in parts)
    return train, replace(validation, split="validation")


def embedded_place(recipe: Recipe) -> Path:
    """Where the drawn data set of a recipe is, or will be when it is first asked for.

    That is `data/<kind>-<train>-<test>-s0`, with `-varied` if it is, below ROOT if it is there, or else below `home`.
    """
    counts = recipe.synthetic_train, recipe.synthetic_test
    kind = get_layout(recipe.dataset).drawn
    name = f"{kind}-{counts[0]}-{counts[1]}-s{DRAWN_SEED}" + "-varied" * (recipe.drawing == "varied")
    there = ROOT / "data" / name
    return there if there.is_dir() else home() / "data" / name


def embedded_data(recipe: Recipe) -> Path:
    """The drawn data set of a recipe, at `embedded_place`.

    It is drawn first if need be. Two processes may ask at once: each draws beside the place, the first puts its folder
    there, the other drops its own.
    """
    out = embedded_place(recipe)
    if not out.exists():
        try:
            draw(recipe, out, recipe.synthetic_train, recipe.synthetic_test)
        except InputError:
            if not out.exists():
                raise
    return out


def draw(recipe: Recipe, out: Path, train: int, test: int) -> None:
    """Draw so much of a recipe's data set into the new folder `out`."""
    get_layout(recipe.dataset).draw(out, train, test, DRAWN_SEED, varied=recipe.drawing == "varied")


def score_file(
    layout: Layout, data: Path, predictions: Path, protocol: str, split: str, first: int | None = None
) -> Table:
    """One protocol's table and counts for a predictions file, from labels alone.

    `data` is a folder in the layout or a label file. With `first`, only the split's first rows count; predictions of
    later rows may be there or not.
    """
    chosen = get_protocol(layout.protocols, protocol)
    labels = layout.labels(data, split)
    found = read_predictions(predictions, labels.skeleton.num_keypoints)
    if first is not None:
        labels, found = first_rows(labels, found, first)
    table = chosen.apply(labels, found)
    return Table({**table.rows, **chosen.counts(labels)}, table.about)
