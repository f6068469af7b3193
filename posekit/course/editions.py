"""Editions of the course to hand out: with solutions or without, from the lessons' only source."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from posekit.course.cells import has_tag
from posekit.course.lessons import USUAL, list_lessons
from posekit.errors import InputError
from posekit.files import ROOT, new_folder, read_text, write_text
from posekit.shipped import model_path, shipped

EDITIONS = ("student", "teacher")
_START = """# The lessons, {kind} edition

With posekit installed, open them in this folder (Linux, macOS):

    POSEKIT_ROOT=. posekit lab

On Windows: `set POSEKIT_ROOT=%CD%`, then `posekit lab`. Your copies are in `work/`; `posekit course progress` says how
far you are. {data}
"""
_MADE = "The drawn data that the lessons need is in `data/`: nothing is downloaded."
_MAKE = """
import sys
from posekit.course.editions import make_data
make_data(sys.argv[1:])
"""


def write_edition(kind: str, out: Path, with_data: bool = False, root: Path = ROOT) -> list[Path]:
    """Write the lessons into the new folder `out`, for students without solutions; return their paths.

    with_data: also make there what the lessons would make at their first run, the data that they draw and the ONNX
    files of the networks that ship. `out` appears when it is complete.
    """
    if kind not in EDITIONS:
        raise InputError(f"edition {kind!r}: choose student or teacher")
    names = [lesson.path.name for lesson in list_lessons(root)]
    with new_folder(out) as folder:
        for lesson in list_lessons(root):
            text = read_text(lesson.path)
            write_text(folder / "notebooks" / lesson.path.name, text if kind == "teacher" else without_solutions(text))
        write_text(folder / "README.md", _START.format(kind=kind, data=_MADE if with_data else "").rstrip() + "\n")
        if with_data:
            _make_beforehand(folder)
    return [out / "notebooks" / name for name in names]


def without_solutions(text: str) -> str:
    """A notebook's text without the cells tagged `solution`."""
    notebook = json.loads(text)
    notebook["cells"] = [cell for cell in notebook["cells"] if not has_tag(cell, "solution")]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _make_beforehand(folder: Path) -> None:
    """Make data and ONNX files below `folder`, in a process whose `home` that is."""
    recipes = {str(lesson.parameters["recipe"]) for lesson in list_lessons(folder) if "recipe" in lesson.parameters}
    recipes |= {f"{name.split('-')[0]}-{size}" for name in recipes for size in ("tiny", USUAL)}
    environment = {**os.environ, "POSEKIT_ROOT": str(folder), "POSEKIT_HOME": str(folder)}
    done = subprocess.run([sys.executable, "-c", _MAKE, *sorted(recipes)], env=environment)
    if done.returncode:
        raise InputError(f"making the data failed (exit code {done.returncode}); the lines above say why")


def make_data(recipes: Sequence[str]) -> None:
    """Draw the data of these recipes, and make the ONNX files of the networks that ship, below `home`."""
    from posekit.deploy.fast import onnx_file
    from posekit.layouts import embedded_data
    from posekit.recipes import get_recipe

    for name in recipes:
        embedded_data(get_recipe(name))
    for name in shipped():
        onnx_file(model_path(name))
