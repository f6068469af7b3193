"""Reading the fields of an HDF5 label file, whose shapes, types and sizes are checked before anything is read."""

import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import h5py
import numpy as np

from posekit import bounds
from posekit.errors import InputError, shortened
from posekit.filetypes import said_to_be


def read_fields(
    path: Path, shapes: Mapping[str, tuple[int, ...]], optional: Mapping[str, tuple[int, ...]], names: str, source: str
) -> dict[str, np.ndarray]:
    """The fields of a file, each with one row per object: numbers as float64, the field `names` as bytes.

    shapes: field → the shape of a row; optional: of fields that may be missing; source: where to get the right file,
    for messages. Raises InputError naming file and field: an absent, truncated or other file, a missing field, another
    shape or type, more than a label file needs, and what is not stored in the file itself, but linked.
    """
    try:
        with h5py.File(path, "r") as file:
            there = {name: shape for name, shape in optional.items() if file.get(name, getlink=True) is not None}
            expected = {**shapes, **there}
            fields = {name: _field(path, file, name, name == names, source) for name in expected}
            rows = fields[names].shape[0]
            if not rows:
                raise InputError(f"{path}: the file holds no person; it should hold one row per person")
            if rows > bounds.MOST_ROWS:
                raise InputError(f"{path}: {rows:,} rows, at most {bounds.MOST_ROWS:,} are read; split the file")
            for name, field in fields.items():
                if field.shape != (shape := (rows, *expected[name])):
                    raise InputError(f"{path}: field {name}: shape {field.shape} where {shape} is expected; {source}")
            return {
                name: _texts(path, field) if name == names else field[:].astype(np.float64)
                for name, field in fields.items()
            }
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or " ".join(str(error).split())) from error


def _unreadable(path: Path, reason: str) -> InputError:
    """The error for a file that the library can't read: what the file is instead, or else the library's words."""
    said, remedy = said_to_be(path), ""
    if said and said != "an HDF5 file":
        reason, _, remedy = said.partition("; ")
    reason, remedy = shortened(reason, 200), remedy or "copy or download it again"
    return InputError(f"{path}: not a readable HDF5 file ({reason}); {remedy}")


def _field(path: Path, file: h5py.File, name: str, text: bool, source: str) -> h5py.Dataset:
    """A field, of which nothing is read yet: in the file itself, of the right type, and not in huge pieces."""
    at = f"{path}: field {name}"
    link = file.get(name, getlink=True)
    if link is None:
        raise InputError(f"{at} is missing (found {shortened(', '.join(islice(file, 20)))}); {source}")
    field = file.get(name) if isinstance(link, h5py.HardLink) else None
    if field is None or (isinstance(field, h5py.Dataset) and (field.is_virtual or field.external)):
        raise InputError(f"{at}: a link to somewhere else, which is not followed; {source}")
    stored = isinstance(field, h5py.Dataset) and bool(field.shape)
    is_text = stored and h5py.check_string_dtype(field.dtype) is not None
    if not stored or is_text != text or (not text and field.dtype.kind not in "biuf"):
        raise InputError(f"{at}: not {'a list of file names' if text else 'an array of numbers'}; {source}")
    if field.dtype.itemsize > bounds.LONGEST_NAME:
        raise InputError(f"{at}: values of {field.dtype.itemsize:,} bytes each; {source}")
    chunk = math.prod(field.chunks or ()) * field.dtype.itemsize
    if chunk > bounds.LARGEST_CHUNK:
        raise InputError(f"{at}: stored in pieces of {chunk:,} bytes, more than any label file needs; {source}")
    layout = field.id.get_create_plist()
    for code, _, _, name in map(layout.get_filter, range(layout.get_nfilters())):
        if not h5py.h5z.filter_avail(code):
            called = shortened(bytes(name).decode(errors="replace")) or "no name"  # pyright: ignore[reportArgumentType]
            raise InputError(f"{at}: packed by a filter that isn't there ({code}, {called}); save the file with gzip")
    return field


def _texts(path: Path, field: h5py.Dataset) -> np.ndarray:
    """A field's texts, as bytes. Those of variable length are read a few at a time: all may be the same huge one."""
    step = len(field) if field.dtype.kind == "S" else max(1, bounds.LARGEST_CHUNK // path.stat().st_size)
    texts: list[bytes] = []
    for start in range(0, len(field), step):
        texts += field[start : start + step].tolist()
        for row, text in enumerate(texts[start:], start):
            if len(text) > bounds.LONGEST_NAME:
                raise InputError(
                    f"{path}: field {field.name.strip('/')}, row {row} (from 0): {len(text):,} bytes are not a file's "
                    "name; fix or remove the row"
                )
    return np.array(texts, object)
