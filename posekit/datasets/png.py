"""The chunks of a PNG file, and damage that libpng passes over or prints on standard error.

Source: Portable Network Graphics (W3C, third edition), 5 for chunks, 8 for interlacing, 11.2 for the critical chunks.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_SIGNATURE = 8  # bytes before the first chunk
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # bits, by colour type
_PALETTE = 3  # the colour type that needs one
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_NEEDED = (*_CRITICAL, b"eXIf")  # what decides the pixels and their orientation


class Chunk(NamedTuple):
    """A chunk from its length, at `begin`, to its checksum, which ends at `end`."""

    kind: bytes
    begin: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """The whole chunks up to the file's end chunk, or to where the data breaks off."""
    at, kind = _SIGNATURE, b""
    while at + 12 <= len(data) and kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at)
        if (end := at + 12 + size) > len(data):
            return
        yield Chunk(kind, at, end)
        at = end


def fault(data: bytes) -> tuple[str, str]:
    """What is wrong with a PNG, as a kind of `images.KINDS` and in words; two empty texts if nothing is."""
    kinds = []
    for kind, begin, end in chunks(data):
        if zlib.crc32(memoryview(data)[begin + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return "damaged", f"the PNG is damaged (checksum at byte {end - 4})"
        kinds.append(kind)
    if kinds[-1:] != [b"IEND"]:
        return "truncated", "the PNG is truncated (no end)"
    unknown = [kind for kind in kinds if kind[0] < ord("a") and kind not in _CRITICAL]
    if unknown:
        name = unknown[0].decode("ascii", "backslashreplace")
        return "unreadable", f"not a usual PNG (it needs {name!r}, which only some programs read)"
    what = _header_fault(data, kinds) or _pixel_fault(data)
    return ("damaged", f"the PNG is damaged ({what})") if what else ("", "")


def without_extras(data: bytes) -> bytes:
    """The same pixels without colour profiles, texts and animation, of which libpng complains on standard error."""
    view = memoryview(data)
    parts = [view[chunk.begin : chunk.end] for chunk in chunks(data) if chunk.kind in _NEEDED]
    return b"".join([view[:_SIGNATURE], *parts])


def _header_fault(data: bytes, kinds: list[bytes]) -> str:
    depth, colour, compression, filters, interlaced = data[24:29]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1:
        return "no header"
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlaced > 1:
        return "the header is wrong"
    palettes = [chunk.end - chunk.begin - 12 for chunk in chunks(data) if chunk.kind == b"PLTE"]
    if colour == _PALETTE and not palettes:
        return "no palette"
    return "the palette is wrong" if any(size % 3 or not 0 < size <= 3 * 256 for size in palettes) else ""


def _pixel_fault(data: bytes) -> str:
    """Unless the pixels are one whole zlib stream with the right checksum, as long as the header says."""
    expected, total = _unpacked_size(data), 0
    stream = zlib.decompressobj()
    for kind, begin, end in chunks(data):
        rest: bytes | memoryview = memoryview(data)[begin + 8 : end - 4] if kind == b"IDAT" else b""
        while rest and not stream.eof and total <= expected:
            try:
                total += len(stream.decompress(rest, 2**20))
            except zlib.error as error:
                return str(error)
            rest = stream.unconsumed_tail
    if total != expected:
        return f"{'more' if total > expected else 'fewer'} pixels than its header says"
    return "" if stream.eof else "the end of its pixels is missing"


def _unpacked_size(data: bytes) -> int:
    """Bytes of the pixels, each row after a byte for its filter."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    size = 0
    for x, y, across, down in _PASSES if data[28] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8)
    return size
