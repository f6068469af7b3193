"""Single fields of a recipe changed from outside: `--set field=value`, TOML and JSON files, and model files.

Text becomes a value of the field's type here. `Recipe` itself says what is wrong with a value, the same for all ways.
"""

import dataclasses
import json
import re
import tomllib
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from posekit.errors import InputError, shortened, shown
from posekit.fields import is_size, kind
from posekit.files import parse_json, read_text
from posekit.recipes import POSEESTNET, SAID, Recipe
from posekit.skeletons import skeleton_from

FIELDS = {field.name: kind(field) for field in dataclasses.fields(Recipe)}  # name -> type, whether a tuple of it
_SIZES = [field.name for field in dataclasses.fields(Recipe) if is_size(field)]
LONGEST = 1_000_000  # bytes of a file of settings; all fields take 2,000
_WORDS = {"true": True, "false": False}


def override(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `field=value` settings applied; a tuple is written 1,4,3, a size 192,256 or 192x256, too."""
    changes = {}
    for setting in settings:
        name, separator, text = (part.strip() for part in setting.partition("="))
        if not separator:
            raise InputError(f"--set {shown(setting)}: write field=value, for example epochs=10")
        type_, several = FIELDS.get(name, (str, False))
        items = re.split(r",|(?<=\d)[x×](?=\d)" if name in _SIZES else ",", text) if text else []
        several = several and not (name in _SIZES and len(items) < 2)
        changes[name] = tuple(_read(item, type_) for item in items) if several else _read(text, type_)
    return _apply(recipe, changes, "--set")


def override_from_file(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with the fields of a TOML file, or of a JSON one such as a run's recipe.json, applied."""
    text = read_text(path, longest=LONGEST)
    try:
        changes = tomllib.loads(text) if path.suffix.lower() == ".toml" else parse_json(text)
    except (ValueError, RecursionError) as error:
        format_, reason = path.suffix.lstrip(".") or "JSON", shortened(str(error))
        raise InputError(f"{path}: not valid {format_} ({reason}); fix the file") from error
    return _apply(recipe, changes, str(path))


def to_json(recipe: Recipe) -> str:
    """All fields as JSON: what a model file carries."""
    return json.dumps(dataclasses.asdict(recipe), default=np.generic.item)


def graph_text(recipe: Recipe) -> str:
    """All fields that a graph can depend on: those that a training says of a model are left out."""
    return json.dumps({n: v for n, v in json.loads(to_json(recipe)).items() if n not in SAID})


def from_json(text: str, where: str) -> Recipe:
    """The recipe of `to_json`; InputError names `where` if it isn't a recipe of this version."""
    try:
        changes = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: holds no readable recipe ({shortened(str(error))}); use a model file that posekit wrote"
        ) from error
    return _apply(POSEESTNET, changes, where)


def _read(text: str, type_: type) -> object:
    """The text as a value of a field's type or, if it can't be one, as the value that it looks like."""
    if type_ is str:
        return text
    if type_ is bool and text in ("0", "1"):
        return text == "1"
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def _apply(recipe: Recipe, changes: object, where: str) -> Recipe:
    """The recipe with values of the fields' types applied, as `Recipe` checks them; a list is taken for a tuple."""
    if not isinstance(changes, dict):
        raise InputError(f"{where}: expected a table of fields and values")
    for name in changes:
        if name not in FIELDS:
            close = get_close_matches(name, FIELDS, 1)
            hint = f"did you mean {close[0]}? See" if close else "see"
            raise InputError(f"{where}: unknown field {shown(name)}; {hint} posekit recipe show {POSEESTNET.name}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) and FIELDS[name][1] else value for name, value in changes.items()
    }
    try:
        if isinstance(values.get("skeleton"), dict):
            values["skeleton"] = skeleton_from(values["skeleton"])
        changed = replace(recipe, **values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return replace(changed, **{name: _as_float(value) for name, value in values.items() if FIELDS[name][0] is float})


def _as_float(value: float | tuple[float, ...]) -> float | tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, tuple) else float(value)
