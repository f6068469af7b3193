"""Name the texts without a translation, and those whose English has changed since their translation.

`python -m posekit.course.translation_check` exits with 1 if there are any. It needs neither MindSpore nor a run.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from posekit.course.cells import source_of
from posekit.course.exercises import all_exercises
from posekit.course.translation import EXERCISES, LANGUAGES, digest, localised, read_translation, translation_file
from posekit.files import ROOT


def lesson_texts(lesson: Path) -> dict[str, str]:
    """The English Markdown cells of a lesson: id → text."""
    cells = localised(lesson, "en")["cells"]
    return {cell["id"]: source_of(cell) for cell in cells if cell["cell_type"] == "markdown"}


def exercise_texts() -> dict[str, str]:
    """What the exercises and their checker say in English: a name, such as 02.1.mistake-3, → text."""
    texts = {f"check-{number}": text for number, text in enumerate(_messages(), 1)}
    for exercise in all_exercises():
        texts[f"{exercise.name}.title"] = exercise.title
        texts |= {f"{exercise.name}.mistake-{i}": mistake.hint for i, mistake in enumerate(exercise.mistakes, 1)}
        texts |= {f"{exercise.name}.look": exercise.look} if exercise.look else {}
        texts |= {f"{exercise.name}.rubric-{i}": line for i, line in enumerate(exercise.rubric, 1)}
    return texts


def _messages() -> Iterator[str]:
    """The literal texts that the checker's own code gives to `say`, or names `said` first."""
    for path in (EXERCISES / "__init__.py", EXERCISES / "judging.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "say":
                text = node.args[0]
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "said":
                text = node.value
            else:
                continue
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value


def differences(english: dict[str, str], path: Path) -> list[str]:
    """What is missing, out of date or superfluous in a file of translations, each with the line that belongs there."""
    found = read_translation(path)
    notes = []
    for name, text in english.items():
        line = f"<!-- cell {name} {digest(text)} -->"
        if name not in found or not found[name].text:
            notes.append(f"{path}: {name} has no translation; write it below {line}")
        elif found[name].digest != digest(text):
            notes.append(f"{path}: the English of {name} has changed; make the translation follow, below {line}")
    return notes + [f"{path}: {name} is no longer in the English; remove it" for name in found if name not in english]


def outdated(root: Path = ROOT) -> list[str]:
    """Every difference between the English course and its translations."""
    notes = []
    for lang in LANGUAGES[1:]:
        for lesson in sorted((root / "notebooks").glob("[0-9][0-9]*.ipynb")):
            notes += differences(lesson_texts(lesson), translation_file(lesson, lang))
        notes += differences(exercise_texts(), EXERCISES / f"{lang}.md")
    return notes


if __name__ == "__main__":
    notes = outdated()
    print("\n".join(notes) or "the translations are up to date")
    sys.exit(1 if notes else 0)
