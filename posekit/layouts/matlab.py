"""MATLAB files (version 5), as MPII and Leeds Sports Pose publish their labels."""

import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from posekit import bounds
from posekit.errors import InputError, shortened
from posekit.filetypes import said_to_be

Found = TypeVar("Found")


def read_matlab(path: Path, extract: Callable[[dict[str, Any]], Found], kind: str, wanted: str) -> Found:
    """What `extract`, a function of a module, takes from a file's variables.

    SciPy's reader crashes on some damaged files, so it runs in a process of its own. Raises InputError when the file
    isn't `kind`, in whose place `wanted` should be given.
    """
    try:
        _check_unpacked_size(path)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(_read, path, extract).result()
    except Exception as error:  # the parser's own exceptions and those of a file of another kind share no base
        said, crashed = said_to_be(path), isinstance(error, BrokenProcessPool)
        reason = "damaged: its reader crashed" if crashed else " ".join(str(error).split())
        reason = said if said and said != "a MATLAB file" else shortened(reason, 200)
        raise InputError(f"{path}: not {kind} ({reason}); give {wanted}") from error


def _read(path: Path, extract: Callable[[dict[str, Any]], Found]) -> Found:
    from scipy.io import loadmat

    return extract(loadmat(path, struct_as_record=False, squeeze_me=True))


def _check_unpacked_size(path: Path) -> None:
    """ValueError where a MATLAB file of version 5 unpacks to more than `bounds.LARGEST_MATLAB` bytes.

    It is a row of elements, each with its type and its size before it; those of type 15 are compressed by zlib.
    """
    total = 0
    with path.open("rb") as stream:
        order = {b"IM": "<II", b"MI": ">II"}.get(stream.read(128)[126:])  # little and big endian
        while order is not None and len(tag := stream.read(8)) == 8:
            kind, size = struct.unpack(order, tag)
            total += _unpacked_size(stream, size) if kind == 15 else size
            if total > bounds.LARGEST_MATLAB:
                raise ValueError(f"unpacks to more than {bounds.LARGEST_MATLAB:,} bytes")
            if kind != 15:
                stream.seek(size, 1)


def _unpacked_size(stream: BinaryIO, size: int) -> int:
    """Bytes to which the next `size` bytes unpack, counted to a little over the bound."""
    unpacker, total, end = zlib.decompressobj(), 0, stream.tell() + size
    while total <= bounds.LARGEST_MATLAB and (piece := stream.read(min(2**16, end - stream.tell()))):
        while piece and total <= bounds.LARGEST_MATLAB:
            total += len(unpacker.decompress(piece, 2**20))
            piece = unpacker.unconsumed_tail
    return total
