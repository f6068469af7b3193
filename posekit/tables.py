"""Reading csv files of the shape `name,number,number,…`: label files and prediction tables."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd

from posekit.errors import InputError


def read_named_numbers(path: str | Path, columns: int, content: str) -> tuple[list[str], np.ndarray]:
    """Read a csv without header whose rows are a name and `columns` - 1 finite numbers.

    `content` says what a row is, for messages. Returns the names and a (rows, columns - 1) float64 array.
    Raises InputError naming the row (the line in the file) and column, both from 1, of the first thing wrong.
    """
    path = Path(path)
    types = {0: str, **dict.fromkeys(range(1, columns), np.float64)}
    try:
        table = pd.read_csv(path, header=None, dtype=types, na_filter=False, encoding="utf-8-sig", compression=None)
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except ValueError as error:  # pandas' parser errors and UnicodeDecodeError are ValueErrors
        raise _diagnosis(path, columns, content) from error
    if table.shape[1] != columns:
        raise _diagnosis(path, columns, content)
    values = table.iloc[:, 1:].to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise _diagnosis(path, columns, content)
    return table[0].tolist(), values


def line_of(path: Path, name: str, occurrence: int) -> int:
    """The line (from 1) of the file on which `name` begins a row for the given time (0 the first)."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        lines = [reader.line_num for row in reader if row and row[0] == name]
    return lines[occurrence]


def check_unique(path: str | Path, names: list[str]) -> None:
    """InputError when a name occurs twice in the file, with both rows."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            first, second = line_of(Path(path), name, 0), line_of(Path(path), name, 1)
            raise InputError(f"{path}: row {second}: repeats {name} of row {first}; keep one row an image")
        seen.add(name)


def _diagnosis(path: Path, columns: int, content: str) -> InputError:
    """Read the file again, slowly, to say what is wrong and where."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _first_fault(path, csv.reader(stream), columns, content)
    except (UnicodeDecodeError, csv.Error):
        return InputError(f"{path}: not a text file; give a csv of {content}")


def _first_fault(path: Path, reader, columns: int, content: str) -> InputError:
    empty = True
    for row in reader:
        if not row:
            continue
        empty = False
        at = f"{path}: row {reader.line_num}"
        if len(row) != columns:
            return InputError(f"{at}: {len(row)} columns where {columns} are expected; mend or remove the row")
        for column, text in enumerate(row[1:], start=2):
            if not _is_number(text):
                remedy = "mend the row" if reader.line_num > 1 else "mend the row, or remove it if it is a header"
                return InputError(f"{at}, column {column}: {text!r} is not a number; {remedy}")
    if empty:
        return InputError(f"{path}: the file is empty; it should hold {content}")
    return InputError(f"{path}: not a csv of {content}; write it again")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
