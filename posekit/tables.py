"""Reading csv files of the shape `name,number,number,…`: label files and prediction tables."""

import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from posekit import bounds
from posekit.errors import InputError, shortened, shown
from posekit.filetypes import wrong_kind

SEPARATORS = ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (None, "spaces"))


def read_named_numbers(
    path: str | Path, columns: int, content: str, header: Sequence[set[str]] = ()
) -> tuple[list[str], np.ndarray]:
    """Read a csv whose rows are a name and `columns` - 1 numbers, as Python's `float` reads them.

    header: of each column the words that may be its name in a first row; without it, there is no such row.
    `content` says what a row is, for messages. Returns the names and a (rows, columns - 1) float64 array.
    Raises InputError naming the row (the line in the file) and column, both from 1, of the first thing wrong: of
    numbers, what is not finite or beyond `bounds.LARGEST_NUMBER`.
    """
    path = Path(path)
    names, lines, values = [], array("q"), array("d")
    for line, row in read_rows(path, content):
        if len(row) != columns:
            raise _other_columns(path, line, row, columns, content)
        if header and not names and _is_header(row, header):
            header = ()
            continue
        if len(row[0]) > bounds.LONGEST_NAME:
            raise InputError(f"{path}: row {line}, column 1: {shown(row[0])} is not a name; fix or remove the row")
        names.append(row[0])
        lines.append(line)
        values.extend(_numbers(path, line, row))
    if not names:
        raise InputError(f"{path}: the file is empty; it should hold {content}")
    numbers = np.frombuffer(values).reshape(len(names), columns - 1)
    wrong = bounds.outside(numbers, -bounds.LARGEST_NUMBER, bounds.LARGEST_NUMBER)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        at, value = f"{path}: row {lines[row]}, column {column + 2}", numbers[row, column]
        if np.isfinite(value):
            raise InputError(f"{at}: {value:g} is beyond ±{bounds.LARGEST_NUMBER:,.0f}; fix or remove the row")
        raise InputError(f"{at}: '{value:g}' is not a number; fix or remove the row")
    return names, numbers


def _is_header(row: list[str], header: Sequence[set[str]]) -> bool:
    return all(cell.strip().lower() in words for cell, words in zip(row, header, strict=True))


def read_rows(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a csv in UTF-8 that aren't empty, each with the number (from 1) of its last line.

    `content` says what the rows are, for messages. Raises InputError for a file that is something else, for lines and
    cells that no table has, and for more than `bounds.MOST_ROWS` rows.
    """
    line = count = 0
    csv.field_size_limit(bounds.LONGEST_LINE)  # others set it, too; it ends a quotation that isn't closed
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(_lines(path, stream, content), strict=True)
            for row in reader:
                line = reader.line_num
                count += bool(row)
                if count > bounds.MOST_ROWS:
                    raise InputError(f"{path}: more than {bounds.MOST_ROWS:,} rows; split the file")
                if row:
                    yield line, row
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error}); check the path") from error
    except UnicodeDecodeError as error:
        raise wrong_kind(path, f"give a csv of {content}") or _not_utf8(path, content) from error
    except csv.Error as error:
        remedy = "put names with commas or quotation marks in quotation marks, and double those inside"
        if "field limit" in str(error):
            remedy = "fix or remove the row, or close a quotation mark"
        raise wrong_kind(path, f"give a csv of {content}") or InputError(
            f"{path}: row {line + 1}: not csv ({error}); {remedy}"
        ) from error


def line_of(path: Path, name: str, occurrence: int) -> int:
    """The line (from 1) of the file on which `name` begins a row for the given time (0 the first)."""
    return [line for line, row in read_rows(path, "rows") if row[0] == name][occurrence]


def check_unique(path: str | Path, names: list[str]) -> None:
    """InputError when a name occurs twice in the file, with both rows."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            first, second = line_of(Path(path), name, 0), line_of(Path(path), name, 1)
            raise InputError(f"{path}: row {second}: repeats {shortened(name)} of row {first}; keep one row per image")
        seen.add(name)


def _lines(path: Path, stream: TextIO, content: str) -> Iterator[str]:
    """The stream's lines; InputError for one that no table has, before it fills the memory."""
    number = 0
    while line := stream.readline(bounds.LONGEST_LINE):
        number += 1
        what = f"more than {bounds.LONGEST_LINE:,} characters" if len(line) == bounds.LONGEST_LINE else ""
        what = "a zero byte, which no text has" if "\0" in line else what
        if what:
            raise wrong_kind(path, f"give a csv of {content}") or InputError(
                f"{path}: row {number}: {what}; give a csv of {content}"
            )
        yield line


def _numbers(path: Path, line: int, row: list[str]) -> list[float]:
    """The row's cells after the first as numbers; InputError for the first that is none."""
    try:
        if "_" not in "".join(row[1:]):  # float takes 1_000 for a number, csv files don't
            return list(map(float, row[1:]))
    except ValueError:
        pass
    column, cell = next((c, cell) for c, cell in enumerate(row[1:], 2) if not _is_number(cell))
    remedy = "write a decimal point" if _is_number(cell.replace(",", ".")) else "fix the row"
    remedy += ", or remove it if it is a header" if line == 1 else ""
    raise InputError(f"{path}: row {line}, column {column}: {shown(cell)} is not a number; {remedy}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _other_columns(path: Path, line: int, row: list[str], columns: int, content: str) -> InputError:
    """The error for a row of another number of columns: another separator, another kind of file, or a bad row."""
    whole, at = ",".join(row), f"{path}: row {line}"
    for mark, word in SEPARATORS:
        if len(whole.split(mark)) == columns:
            return InputError(f"{at}: columns separated by {word}; save as CSV with commas, and points in numbers")
    remedy = "fix or remove the row" if line > 1 else "fix the row, or remove it if it is a header"
    found = f"{len(row)} column{'s' * (len(row) > 1)}"
    return wrong_kind(path, f"give a csv of {content}") or InputError(
        f"{at}: {found} where {columns} are expected; {remedy}"
    )


def _not_utf8(path: Path, content: str) -> InputError:
    """The error for bytes that are not UTF-8: a text in another encoding, with its first such line, or no text."""
    with path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(bounds.LONGEST_LINE), b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                if any(byte < 9 for byte in line):
                    break
                byte = line[error.start]
                return InputError(f"{path}: row {number}: not UTF-8 text (byte 0x{byte:02x}); save the file as UTF-8")
    return InputError(f"{path}: not a text file; give a csv of {content}")
