"""What an exported file says about itself: in ONNX in its metadata, else in `<file>.json` beside it."""

import json
from pathlib import Path

import onnx

from posekit.errors import InputError
from posekit.files import write_json
from posekit.recipes import Recipe
from posekit.settings import from_json, to_json
from posekit.skeletons import get_skeleton


def beside(model: Path) -> Path:
    """Where the description of a MINDIR, AIR or OM file lies: model.mindir.json for model.mindir."""
    return model.with_name(f"{model.name}.json")


def write_description(
    model: Path, recipe: Recipe, batch: int | None, precision: str = "fp32", run_time: str | None = None
) -> None:
    """Write the recipe, the number of images at a time (None for any), what the file computes in, and which run time
    alone reads it where its kind does not say that.
    """
    values = {"recipe": json.loads(to_json(recipe)), "batch": batch, "precision": precision}
    write_json(beside(model), values if run_time is None else values | {"run_time": run_time})


def read_description(model: Path) -> tuple[Recipe, int | None, str]:
    """The recipe of an exported file, the number of images at a time (None for any) and its precision.

    InputError when the file says nothing of itself.
    """
    if model.suffix == ".onnx":
        return *_read_onnx(model), "fp32"
    path = beside(model)
    if not path.is_file():
        raise InputError(f"{model}: its {path.name} is missing; copy it along, or export the model again")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        batch = values["batch"] if values["batch"] is None else int(values["batch"])
        return from_json(json.dumps(values["recipe"]), str(path)), batch, str(values.get("precision", "fp32"))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable description ({error}); export the model again") from error


def _read_onnx(path: Path) -> tuple[Recipe, int | None]:
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's and onnx's own, which share no base class
        raise unreadable(path, "ONNX file", error) from error
    recipe = embedded_recipe(path, {entry.key: entry.value for entry in model.metadata_props}.get("recipe"))
    return recipe, model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or None


def embedded_recipe(model: Path, text: str | None) -> Recipe:
    """The recipe in an ONNX file's metadata; InputError when there is none."""
    if not text:
        raise InputError(f"{model}: carries no recipe; export it with posekit export")
    return from_json(text, str(model))


def unreadable(model: Path, kind: str, error: Exception) -> InputError:
    """The refusal of a damaged file, with the first line of what its reader said that is not only a place in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if not line.startswith("Exception from")), type(error).__name__)
    return InputError(f"{model}: not a readable {kind} ({reason}); export the model again")


def check_shapes(model: Path, recipe: Recipe, images: list[int], heatmaps: list[int]) -> None:
    """InputError when a file's input (N, 3, S, S) or output (N, K, h, w) is not its recipe's; N may be anything."""
    size, cells = recipe.input_size, recipe.heatmap_size
    wanted = ([3, size, size], [get_skeleton(recipe.skeleton).num_keypoints, cells, cells])
    found = (list(images[1:]), list(heatmaps[1:]))
    if found != wanted:
        shown = [" -> ".join("×".join(map(str, shape)) for shape in shapes) for shapes in (found, wanted)]
        raise InputError(
            f"{model}: makes {shown[0]}, but its recipe {recipe.name} says {shown[1]}; export the checkpoint again"
        )
