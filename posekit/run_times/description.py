"""What an exported file says about itself: in ONNX in its metadata, else in `<file>.json` beside it."""

import dataclasses
import json
from pathlib import Path

from posekit.errors import InputError
from posekit.files import write_json
from posekit.recipes import Recipe, from_json


def beside(model: Path) -> Path:
    """Where the description of a MINDIR, AIR or OM file lies: model.mindir.json for model.mindir."""
    return model.with_name(f"{model.name}.json")


def write_description(model: Path, recipe: Recipe, batch: int | None, precision: str = "fp32") -> None:
    """Write the recipe, the number of images at a time (None for any), and what the file computes in."""
    write_json(beside(model), {"recipe": dataclasses.asdict(recipe), "batch": batch, "precision": precision})


def read_description(model: Path) -> tuple[Recipe, int | None, str]:
    """The recipe, the number of images at a time (None for any) and the precision that lie beside `model`."""
    path = beside(model)
    if not path.is_file():
        raise InputError(f"{model}: its {path.name} is missing; copy it along, or export the model again")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        batch = values["batch"] if values["batch"] is None else int(values["batch"])
        return from_json(json.dumps(values["recipe"]), str(path)), batch, str(values.get("precision", "fp32"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a readable description ({error}); export the model again") from error


def check_shapes(model: Path, recipe: Recipe, images: list[int], heatmaps: list[int]) -> None:
    """InputError when a file's input (N, 3, S, S) or output (N, K, h, w) is not its recipe's; N may be anything."""
    size, cells = recipe.input_size, recipe.heatmap_size
    wanted = ([3, size, size], [recipe.keypoint_skeleton.num_keypoints, cells, cells])
    found = (list(images[1:]), list(heatmaps[1:]))
    if found != wanted:
        shown = [" -> ".join("×".join(map(str, shape)) for shape in shapes) for shapes in (found, wanted)]
        raise InputError(
            f"{model}: makes {shown[0]}, but its recipe {recipe.name} says {shown[1]}; export the checkpoint again"
        )
