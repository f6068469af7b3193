"""The course in other languages: translations of the lessons' Markdown, and of what the exercises say.

notebooks/zh/NN_name.md translates the Markdown cells of notebooks/NN_name.ipynb; exercises/zh.md, in this package, the
exercises' titles, hints and rubrics and the checker's messages. Each entry begins with `<!-- cell ID DIGEST -->`, where
the digest is that of the English text. Text whose English has changed since stays English: a translation is never
older than the lesson. `posekit.course.translation_check` names what to translate.
"""

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from posekit.course.cells import notebook_text, source_of
from posekit.errors import InputError
from posekit.files import read_text

LANGUAGES = ("en", "zh")
EXERCISES = Path(__file__).parent / "exercises"
_ENTRY = re.compile(r"^<!-- cell (\S+) ([0-9a-f]{8}) -->\n", re.M)


class Translated(NamedTuple):
    """A translation, and the digest of the English text that it was made from."""

    digest: str
    text: str


def known_language(lang: str) -> str:
    """Return `lang`; InputError if there is no course in that language."""
    if lang not in LANGUAGES:
        raise InputError(f"language {lang!r}: choose one of {', '.join(LANGUAGES)}")
    return lang


def language() -> str:
    """The language of this process's lessons and checks: $POSEKIT_LANG, English if it isn't set; a locale will do."""
    return known_language(re.split("[_.-]", os.environ.get("POSEKIT_LANG") or "en")[0])  # zh of zh_CN.UTF-8


def digest(text: str) -> str:
    """The first 8 hex digits of a text's SHA-256, each run of spaces and line breaks being one space."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:8]


def translation_file(lesson: Path, lang: str) -> Path:
    """Where the translation of a lesson's notebook is."""
    return lesson.parent / lang / f"{lesson.stem}.md"


def read_translation(path: Path) -> dict[str, Translated]:
    """Read a file of translations: cell id → translation; empty where there is no file."""
    if not path.is_file():
        return {}
    start, *parts = _ENTRY.split(read_text(path))
    names = parts[::3]
    if start.strip() or len(set(names)) < len(names):
        wrong = "begins without a line <!-- cell ID DIGEST -->" if start.strip() else "has the same cell twice"
        raise InputError(f"{path}: {wrong}; write one such line before each translation")
    entries = zip(names, parts[1::3], parts[2::3], strict=True)
    return {name: Translated(made_from, text.strip()) for name, made_from, text in entries}


def localised(lesson: Path, lang: str) -> dict[str, Any]:
    """Read a lesson's notebook, its Markdown cells in the language as far as their translations are up to date.

    ValueError or KeyError if it isn't a notebook.
    """
    notebook = json.loads(read_text(lesson))
    if known_language(lang) != "en":
        translations = read_translation(translation_file(lesson, lang))
        for cell in (cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"):
            found = translations.get(cell.get("id"))
            if found and found.digest == digest(source_of(cell)):
                cell["source"] = found.text.splitlines(keepends=True)
    return notebook


def localised_text(lesson: Path, lang: str) -> str:
    """A lesson's notebook file, in the language; in English, the file as it is."""
    if lang == "en":
        return read_text(lesson)
    return notebook_text(localised(lesson, lang))


@cache
def _said(lang: str) -> dict[str, str]:
    """Digest of an English text of the exercises → its translation."""
    return dict(read_translation(EXERCISES / f"{lang}.md").values())


def say(text: str, **values: object) -> str:
    """An exercise's text in this process's language, with the values in its {places}."""
    said = text if language() == "en" else _said(language()).get(digest(text), text)
    return said.format(**values) if values else said
