"""The files by which the stages of `infer310` hand over, and their checksums.

A stage lists what it wrote in `<stage>.sha256`, as sha256sum does: `sha256sum -c infer.sha256` checks it anywhere. What
other programs or earlier versions wrote has no list and is read without that check.
"""

import hashlib
import io
import re
from math import prod
from pathlib import Path

import numpy as np

from posekit.bounds import LABELS_BYTES, MOST_ROWS
from posekit.errors import InputError, shown
from posekit.files import open_zip, read_bytes, write_text

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


class Writer:
    """Writes a stage's files and, at the end, their list."""

    def __init__(self, out: Path, stage: str) -> None:
        self._out, self._list, self._lines = out, out / f"{stage}.sha256", []
        self._list.unlink(missing_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """Write a file into the stages' folder."""
        path = self._out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")

    def write_array(self, name: str, values: np.ndarray) -> None:
        """Write values as raw float32."""
        self.write(name, np.ascontiguousarray(values, np.float32).tobytes())

    def write_labels(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays as .npz, nothing pickled."""
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        self.write(name, stream.getvalue())

    def finish(self) -> None:
        """Write the list: the stage is complete."""
        write_text(self._list, "".join(self._lines))


class Reader:
    """Reads a stage's files; InputError for those that are missing, changed since they were listed, or out of range."""

    def __init__(self, out: Path, stage: str) -> None:
        self._out, self._list, self._again = out, out / f"{stage}.sha256", f"run the stage {stage} again"
        self._sums: dict[str, str] = {}
        if self._list.is_file():
            lines = read_bytes(self._list, LABELS_BYTES).decode(errors="replace").splitlines()
            found = [_LINE.fullmatch(line) for line in lines]
            if not all(found):
                raise InputError(f"{self._list}: not a list of checksums; {self._again}")
            self._sums = {line[2]: line[1] for line in found if line}

    def names(self, folder: str) -> list[str]:
        """The .bin files in a folder, sorted, and those that the list has there: a missing one must not be left out."""
        there = {f"{folder}/{path.name}" for path in (self._out / folder).glob("*.bin")}
        return sorted(there | {name for name in self._sums if name.startswith(f"{folder}/")})

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        path = self._out / name
        if not path.is_file():
            raise InputError(f"{path}: cannot read (No such file or directory); {self._again}")
        data = read_bytes(path, LABELS_BYTES)
        if self._sums and self._sums.get(name) != hashlib.sha256(data).hexdigest():
            raise InputError(
                f"{path}: cannot read (its checksum is wrong); {self._again}, or remove {self._list.name} if you "
                "changed the file on purpose"
            )
        return data

    def read_array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Raw float32 values of this shape, all finite."""
        path, size = self._out / name, 4 * prod(shape)
        if path.is_file() and (found := path.stat().st_size) != size:
            raise InputError(
                f"{path}: {found} bytes are not the {size} of {shape} float32; {self._again}, with the same model"
            )
        values = np.frombuffer(self.read(name), np.float32).reshape(shape)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: holds NaN or infinite values; {self._again}")
        return values

    def read_labels(self, name: str, keypoints: int) -> dict[str, np.ndarray]:
        """What `Writer.write_labels` wrote: the same number of samples in every array."""
        path = self._out / name
        self.read(name)
        try:
            return _checked_labels(_read_npz(path), keypoints)
        except Exception as error:  # damage comes as any of a dozen kinds
            raise InputError(f"{path}: cannot read ({str(error)[:200]}); {self._again}") from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, whose sizes are checked before anything is allocated."""
    arrays = {}
    with open_zip(path, LABELS_BYTES) as archive:
        for member in archive.infolist():
            stream = io.BytesIO(archive.read(member))  # checks the member's checksum
            if np.lib.format.read_magic(stream) != (1, 0):
                raise ValueError(f"{shown(member.filename)} isn't an array of version 1.0")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if prod(shape) * dtype.itemsize != member.file_size - stream.tell():
                raise ValueError(f"{shown(member.filename)} has another size than its header says")
            stream.seek(0)
            arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _checked_labels(values: dict[str, np.ndarray], keypoints: int) -> dict[str, np.ndarray]:
    count = len(values["names"])
    shapes = {
        "names": (count,), "matrices": (count, 2, 3), "keypoints": (count, keypoints, 2), "unit": (count,),
        "visible": (count, keypoints), "hidden": (count, keypoints), "head_size": (count,), "truth": (),
    }  # fmt: skip
    if not 0 < count <= MOST_ROWS:
        raise ValueError(f"{count:,} samples")
    for name, array in values.items():
        if array.shape != shapes.get(name):
            raise ValueError(f"{shown(name)} has the shape {array.shape}")
        if array.dtype.kind != ("U" if name in ("names", "truth") else "b" if name in ("visible", "hidden") else "f"):
            raise ValueError(f"{shown(name)} is {array.dtype}")
    if missing := shapes.keys() - values.keys() - {"head_size", "truth"}:
        raise ValueError(f"{min(missing)} is missing")
    if not np.isfinite(values["matrices"]).all():
        raise ValueError("matrices hold NaN or infinite values")
    return values
