"""What lessons call: paths, the newest trained run, and results, which the course reads from executed notebooks."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posekit.errors import InputError
from posekit.files import ROOT, expanded, home, read_json
from posekit.layouts import embedded_data
from posekit.recipes import get_recipe
from posekit.shipped import model_path, shipped, shipped_name, title

NOT_A_NOTEBOOK = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
RESULT_MIME = "application/vnd.posekit.result+json"


def resolve(path: object) -> Path | None:
    """The path of a lesson's parameter; None for "".

    A relative one is below `home`, wherever the kernel was started, or below ROOT if only that has it. A number is the
    file of that name: papermill makes one of `-p run 20251125`.
    """
    if path is None or str(path) == "":
        return None
    place = expanded(str(path))
    if place.is_absolute():
        return place
    return ROOT / place if (ROOT / place).exists() and not (home() / place).exists() else home() / place


def newest_run(recipe_name: str, runs: object = "runs") -> Path:
    """The newest training of that recipe below `runs`, or else below the runs/ of `home`, or else of ROOT.

    A training is a folder with recipe.json and best.ckpt; the newest is the one whose best.ckpt is youngest.
    """
    for folder in _run_folders(runs):
        found = [p.parent / "best.ckpt" for p in folder.rglob("recipe.json") if _recipe_name(p) == recipe_name]
        found = [checkpoint for checkpoint in found if checkpoint.is_file()]
        if found:
            return max(found, key=lambda checkpoint: checkpoint.stat().st_mtime_ns).parent
    raise InputError(f"{runs}: no trained run of {recipe_name}; run lesson 04 or posekit train {recipe_name} first")


def trained_network(
    recipe_name: str, data: object = "", model: object = "", run: object = "", runs: object = "runs"
) -> tuple[Path, Path, Path | None]:
    """A trained network for a lesson, which shows which: its model file, the lesson's folder to write to, and the data.

    That is `model`, a file or the name of a network that ships; else the best checkpoint of `run`; else of the newest
    run of the recipe; else the network that ships and finds the same keypoints. InputError where there is none. The
    folder is the file's, or for a network that ships one below `runs`. The data is `data`; without it, that drawn for
    the recipe if the network ships, else None, the model's own.
    """
    file = _model_file(recipe_name, model, run, runs)
    name = shipped_name(file)
    folder = (resolve(runs) or home()) / name if name else file.parent
    place = resolve(data) or (embedded_data(get_recipe(recipe_name)) if name else None)
    record("network", f"{title(file)}, which ships with posekit" if name else f"{file.name} of {folder.name}")
    return file, folder, place


def _model_file(recipe_name: str, model: object, run: object, runs: object) -> Path:
    if model:
        file = model_path(str(model))
        return file if shipped_name(file) else resolve(model) or file
    if folder := resolve(run):
        return folder / "best.ckpt"
    try:
        return newest_run(recipe_name, runs) / "best.ckpt"
    except InputError:
        if not (name := shipped_for(recipe_name)):
            raise
        return model_path(name)


def shipped_for(recipe_name: str) -> str | None:
    """The name of the network that ships and finds the keypoints of this recipe; None if there is none."""
    wanted = get_recipe(recipe_name).skeleton
    return next((name for name, about in shipped().items() if get_recipe(about["recipe"]).skeleton == wanted), None)


def _run_folders(runs: object) -> Iterator[Path]:
    yield resolve(runs) or home()
    yield home() / "runs"
    yield ROOT / "runs"


def _recipe_name(path: Path) -> object:
    try:
        return read_json(path, "").get("name")
    except InputError:
        return None


def record(name: str, value: Any, unit: str = "") -> None:
    """Show a result in the lesson and hand it to the course, which reads it from the executed notebook.

    `value` is a number, a string or a truth value (NumPy's too).
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    result = {"name": name, "value": value, "unit": unit}
    if "ipykernel" not in sys.modules:
        print(result_text(result))
        return
    from IPython.display import display

    display({"text/plain": f"Result: {result_text(result)}", RESULT_MIME: result}, raw=True)


def result_text(result: dict) -> str:
    """'PCK@0.1 = 0.871': name, value with four digits, unit."""
    value = result["value"]
    value = f"{value:.4g}" if isinstance(value, float) else value
    return f"{result['name']} = {value} {result['unit']}".rstrip()


def read_course(folder: Path, *others: str) -> dict[str, Any]:
    """The manifest of a headless course, with a scale, its lessons and these `others`; InputError if none is there."""
    remedy = "give the folder of a course, runs/TIME-SCALE"
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{folder}: no course there; {remedy}")
    manifest = read_json(folder / "manifest.json", remedy)
    entries = manifest.get("lessons")
    whole = isinstance(entries, list) and all(isinstance(e, dict) and {"name", "status"} <= e.keys() for e in entries)
    if not whole or not {"scale", *others} <= manifest.keys():
        raise InputError(f"{folder}: not the manifest of a course; {remedy}")
    return manifest


def read_cells(notebook: Path) -> list[dict]:
    """The cells of a notebook. If it isn't one, this or using them raises one of NOT_A_NOTEBOOK."""
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def read_results(notebook: Path) -> list[dict]:
    """The results that `record` left in an executed notebook, in order; none where there is no notebook."""
    return results_in(read_cells(notebook)) if notebook.is_file() else []


def results_in(cells: list[dict]) -> list[dict]:
    """The results among the outputs of a notebook's cells, in order."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output["data"][RESULT_MIME] for output in outputs if RESULT_MIME in output.get("data", {})]
