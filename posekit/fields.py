"""Fields of a dataclass that say what they are and what they take: declared once, for checks, messages and help."""

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, cast, get_args

import numpy as np

from posekit.errors import InputError, shown

# What a field of a type takes; NumPy's numbers are as good as Python's.
_TYPES: dict[type, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
    str: (str,),
}
_NUMBERS = {int: "whole number", float: "number"}


def setting(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    *,
    choices: tuple[str, ...] = (),
    length: tuple[int, int] = (1, 1),
) -> Any:
    """Declare a field: its default, what it is, and what it takes. Its type is its annotation; `int | tuple[int, int]`
    is a size: one side of a square, or width and height.

    low, high: the range of a number, both ends included, in `unit`. choices: the words that a text may be.
    length: the fewest and the most values of a tuple, or characters of any other text.
    """
    about = {"help": help, "low": low, "high": high, "unit": unit, "choices": choices, "length": length}
    return dataclasses.field(default=default, metadata=about)


def check(values: Any) -> None:
    """Raise InputError for the first field of a dataclass whose value isn't one that it takes."""
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        if not _takes(field, value):
            raise InputError(f"{field.name} must be {accepts(field)}, not {shown(value)}")


def kind(field: dataclasses.Field) -> tuple[type, bool]:
    """The field's type and False, or the type of its values and True if it is, or may be, a tuple of them.

    Of a field that takes text or an object, it is the type of what can be written: text.
    """
    values = get_args(field.type)
    if isinstance(field.type, UnionType) and not is_size(field):
        return values[0], False
    return (values[0], True) if values else (cast(type, field.type), False)


def is_size(field: dataclasses.Field) -> bool:
    """Whether the field is one side of a square, or width and height."""
    return field.type == int | tuple[int, int]


def accepts(field: dataclasses.Field) -> str:
    """What the field takes, in words."""
    about, (type_, several) = field.metadata, kind(field)
    fewest, most = about["length"]
    count = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    if about["choices"]:
        return f"one of {', '.join(about['choices'])}"
    if type_ is bool:
        return "true or false"
    if type_ is str:
        return f"text of {count} printable characters"
    limits = (f"{limit:,}" if isinstance(limit, int) else f"{limit:g}" for limit in (about["low"], about["high"]))
    plural = "s" * (several and not is_size(field))
    span = f"{_NUMBERS[type_]}{plural} from {' to '.join(limits)} {about['unit']}".rstrip()
    if is_size(field):
        return f"a {span}, or two, as width,height"
    return f"a tuple of {count} {span}, such as {written(field.default)}" if several else f"a {span}"


def written(value: Any) -> str:
    """A field's value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _takes(field: dataclasses.Field, value: Any) -> bool:
    type_, several = kind(field)
    if isinstance(field.type, UnionType) and not is_size(field) and isinstance(value, get_args(field.type)[1:]):
        return True
    if not several or (is_size(field) and not isinstance(value, tuple)):
        return _takes_one(field.metadata, type_, value)
    fewest, most = (2, 2) if is_size(field) else field.metadata["length"]
    right = isinstance(value, tuple) and fewest <= len(value) <= most
    return right and all(_takes_one(field.metadata, type_, item) for item in value)


def _takes_one(about: Mapping[str, Any], type_: type, value: Any) -> bool:
    bools = isinstance(value, bool) and type_ is not bool  # which Python counts among its ints
    if bools or not isinstance(value, _TYPES[type_]):
        return False
    if type_ in _NUMBERS:
        return bool(about["low"] <= value <= about["high"])  # False for NaN
    if about["choices"]:
        return value in about["choices"]
    fewest, most = about["length"]
    return type_ is bool or (str(value).isprintable() and fewest <= len(str(value)) <= most)
