"""Cells of notebooks: their tags, their source, and the exercises and checks among them; a notebook's text."""

import json
import re
from typing import Any

_CHECK = re.compile(r"""\bcheck\(\s*["']([^"']+)["']\s*(?:,\s*(\w+))?""")


def has_tag(cell: dict, tag: str) -> bool:
    """Whether the cell has this tag."""
    return tag in cell["metadata"].get("tags", [])


def source_of(cell: dict) -> str:
    """The cell's text, which a notebook's file has as one string or as a list of lines."""
    return "".join(cell["source"])


def notebook_text(notebook: dict[str, Any]) -> str:
    """What a notebook's file holds, laid out as Jupyter does."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def checked_exercise(cell: dict) -> str | None:
    """The name of the exercise whose answer this cell checks; None for any other cell."""
    found = _CHECK.search(source_of(cell)) if has_tag(cell, "check") else None
    return found and found[1]


def checks_in(cell: dict) -> list[tuple[str, str]]:
    """The checks of a student's answers that this cell calls, whatever its tags: exercise and name of the answer."""
    return [pair for pair in _CHECK.findall(source_of(cell)) if not pair[1].endswith("_solution")]


def printed(cell: dict) -> str:
    """What the cell has printed."""
    return "".join("".join(output["text"]) for output in cell.get("outputs", []) if "text" in output)


def headings(cells: list[dict]) -> list[str]:
    """Of each cell, the nearest heading in it or above it; "" where there is none."""
    found, heading = [], ""
    for cell in cells:
        lines = source_of(cell).splitlines() if cell["cell_type"] == "markdown" else []
        heading = next((line.lstrip("# ") for line in lines if line.startswith("#")), heading)
        found.append(heading)
    return found
