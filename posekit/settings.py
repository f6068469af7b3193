"""Single fields of a recipe changed from outside: `--set field=value`, TOML and JSON files, and model files."""

import dataclasses
import json
import tomllib
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from posekit.errors import InputError
from posekit.limits import CHOICES, check
from posekit.recipes import POSEESTNET, Recipe


def override(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `field=value` settings applied; a tuple is written 1,4,3."""
    changes = {}
    for setting in settings:
        field, separator, text = setting.partition("=")
        if not separator:
            raise InputError(f"--set {setting!r}: write field=value, for example epochs=10")
        changes[field.strip()] = text.strip()
    return _apply(recipe, changes, "--set")


def override_from_file(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with the fields of a TOML file, or of a JSON one such as a run's recipe.json, applied."""
    try:
        text = path.read_text(encoding="utf-8")
        changes = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid {path.suffix.lstrip('.') or 'JSON'} ({error}); mend the file") from error
    return _apply(recipe, changes, str(path))


def to_json(recipe: Recipe) -> str:
    """All fields as JSON: what a model file carries."""
    return json.dumps(dataclasses.asdict(recipe))


def from_json(text: str, where: str) -> Recipe:
    """The recipe of `to_json`; InputError names `where` if it is none of this version."""
    try:
        return _apply(POSEESTNET, json.loads(text), where)
    except ValueError as error:
        raise InputError(f"{where}: holds no readable recipe ({error}); use a model file that posekit wrote") from error


def _apply(recipe: Recipe, changes: object, where: str) -> Recipe:
    if not isinstance(changes, dict):
        raise InputError(f"{where}: expected a table of fields and values")
    fields = {field.name for field in dataclasses.fields(Recipe)}
    values = {}
    for field, value in changes.items():
        if field not in fields:
            hint = get_close_matches(field, fields, 1)
            raise InputError(
                f"{where}: unknown field {field!r}; " + (f"did you mean {hint[0]}?" if hint else "see recipe.json")
            )
        values[field] = _convert(field, value, getattr(recipe, field), where)
    changed = replace(recipe, **values)
    check(changed, where)
    return changed


def _convert(field: str, value: object, like: object, where: str) -> object:
    """`value`, a string or a parsed one, as the type of the field's present value `like`."""
    try:
        if isinstance(like, bool):
            words = {"true": True, "1": True, "false": False, "0": False}
            return words[str(value).lower()]
        if isinstance(like, tuple):
            items = value.split(",") if isinstance(value, str) else list(value)
            return tuple(type(like[0])(item) for item in items)
        if isinstance(like, int) and isinstance(value, float):
            raise ValueError
        converted = type(like)(value)
    except (KeyError, ValueError, TypeError):
        kind = f"{type(like[0]).__name__}s, as 1,2,3" if isinstance(like, tuple) else type(like).__name__
        raise InputError(f"{where}: {field} takes {kind}, not {value!r}") from None
    if field in CHOICES and converted not in CHOICES[field]:
        raise InputError(f"{where}: {field} is one of {', '.join(CHOICES[field])}, not {value!r}")
    return converted
