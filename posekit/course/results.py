"""What lessons call: paths, the newest trained run, and results, which the course reads from executed notebooks."""

import json
import math
import sys
from pathlib import Path
from typing import Any

from posekit.errors import InputError
from posekit.files import ROOT

RESULT_MIME = "application/vnd.posekit.result+json"


def resolve(path: str | Path) -> Path | None:
    """`path` itself if absolute, else below the repository's root, wherever the kernel was started; None for ""."""
    return ROOT / Path(path).expanduser() if path else None


def newest_run(recipe_name: str, runs: str | Path = "runs") -> Path:
    """The newest training of that recipe below `runs`, or, where that has none, below the repository's runs/.

    A training is a folder with recipe.json and best.ckpt; the newest is the one whose best.ckpt is youngest.
    """
    for folder in (resolve(runs) or ROOT, ROOT / "runs"):
        found = [p.parent / "best.ckpt" for p in folder.rglob("recipe.json") if _recipe_name(p) == recipe_name]
        found = [checkpoint for checkpoint in found if checkpoint.is_file()]
        if found:
            return max(found, key=lambda checkpoint: checkpoint.stat().st_mtime_ns).parent
    raise InputError(f"{runs}: no trained run of {recipe_name}; run lesson 04 or posekit train {recipe_name} first")


def _recipe_name(path: Path) -> str | None:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError):
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


def read_results(notebook: Path) -> list[dict]:
    """The results that `record` left in an executed notebook, in order; none where there is no notebook."""
    if not notebook.is_file():
        return []
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output["data"][RESULT_MIME] for output in outputs if RESULT_MIME in output.get("data", {})]
