"""Results that lessons hand to the course: shown in the notebook, and read back from the executed one."""

import json
import math
import sys
from pathlib import Path

RESULT_MIME = "application/vnd.posekit.result+json"


def record(name: str, value: object, unit: str = "") -> None:
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
