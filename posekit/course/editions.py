"""Editions of the course to hand out: with solutions or without, from the lessons' only source."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from posekit.course.cells import has_tag, notebook_text
from posekit.course.lessons import USUAL, list_lessons
from posekit.course.translation import known_language, localised_text
from posekit.errors import InputError
from posekit.files import ROOT, new_folder, write_text
from posekit.shipped import model_path, shipped

EDITIONS = ("student", "teacher")
_START = {
    "en": """# The lessons, {kind} edition

With posekit installed, open them in this folder (Linux, macOS):

    export POSEKIT_ROOT="$PWD"
    posekit lab

On Windows: `set POSEKIT_ROOT=%CD%`, then `posekit lab`. Your copies are in `work/`; `posekit course progress` says how
far you are. {data}
""",
    "zh": """# 课程，{kind}

安装 posekit 之后，在本文件夹中打开（Linux、macOS）：

    export POSEKIT_ROOT="$PWD"
    posekit lab --lang zh

Windows 上先运行 `set POSEKIT_ROOT=%CD%`，再运行 `posekit lab --lang zh`。你的副本在 `work/zh/` 中；
`posekit course progress --lang zh` 显示你的进度。{data}
""",
}
_KINDS = {"en": {kind: kind for kind in EDITIONS}, "zh": {"student": "学生版", "teacher": "教师版"}}
_MADE = {
    "en": "The drawn data that the lessons need is in `data/`: nothing is downloaded.",
    "zh": "课程所需的绘制数据在 `data/` 中，无需下载。",
}
_MAKE = """
import sys
from posekit.course.editions import make_data
make_data(sys.argv[1:])
"""


def write_edition(kind: str, out: Path, with_data: bool = False, root: Path = ROOT, lang: str = "en") -> list[Path]:
    """Write the lessons into the new folder `out`, for students without solutions; return their paths.

    with_data: also make there what the lessons would make at their first run, the data that they draw and the ONNX
    files of the networks that ship. lang: the language of the lessons. `out` appears when it is complete.
    """
    if kind not in EDITIONS:
        raise InputError(f"edition {kind!r}: choose student or teacher")
    known_language(lang)
    names = [lesson.path.name for lesson in list_lessons(root)]
    with new_folder(out) as folder:
        for lesson in list_lessons(root):
            text = localised_text(lesson.path, lang)
            write_text(folder / "notebooks" / lesson.path.name, text if kind == "teacher" else without_solutions(text))
        start = _START[lang].format(kind=_KINDS[lang][kind], data=_MADE[lang] if with_data else "")
        write_text(folder / "README.md", start.rstrip() + "\n")
        if with_data:
            _make_beforehand(folder)
    return [out / "notebooks" / name for name in names]


def without_solutions(text: str) -> str:
    """A notebook's text without the cells tagged `solution`."""
    notebook = json.loads(text)
    notebook["cells"] = [cell for cell in notebook["cells"] if not has_tag(cell, "solution")]
    return notebook_text(notebook)


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
