"""The segments of a JPEG file, damage that decoders pass over, and the pixels.

Source: ITU-T T.81 (1992), annex B for the segments, C for Huffman codes, F and G for what becomes of coefficients.
"""

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import simplejpeg

from posekit.bounds import MOST_SCANS

_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # FF 00 is a byte of the pixels; FF 01 and FF D0 to D7 stand alone
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN, _END, _SCAN, _QUANTIZATION, _APP0, _APP1 = 0xC4, 0xD9, 0xDA, 0xDB, 0xE0, 0xE1
_ORIENTATION = 0x0112  # a tag of Exif
_ZEROS = bytes(16)
_END_OF_BLOCK = 0x00  # a Huffman code's value


class Segment(NamedTuple):
    """Where a marker begins, and its content, `start` to `end`. After a scan's header its pixels follow."""

    marker: int
    begin: int
    start: int
    end: int


def segments(data: bytes) -> Iterator[Segment]:
    """The segments up to the file's end marker, or to where the data breaks off.

    Every marker but the last has a length, which leads over its content, a thumbnail perhaps. What stands after the
    end marker doesn't matter: phones keep a film there.
    """
    position = 2
    while found := _MARKER.search(data, position):
        marker, start = found[1][0], found.end() + 2
        if marker == _END:
            yield Segment(marker, found.start(), found.end(), found.end())
            return
        position = found.end() + int.from_bytes(data[found.end() : start], "big")
        yield Segment(marker, found.start(), start, position)


def is_truncated(data: bytes) -> bool:
    """True for the bytes of a JPEG file that break off before its end marker."""
    return data[:2] == b"\xff\xd8" and not any(segment.marker == _END for segment in segments(data))


def size(data: bytes) -> tuple[int, int]:
    """Width and height as the header says; 0 where it doesn't."""
    for segment in segments(data):
        if segment.marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, segment.start + 1)
            return width, height
    return 0, 0


def pixels(data: bytes, times: int = 1) -> np.ndarray:
    """Decode to (H, W, 3) uint8 RGB, or to means of `times` × `times` pixels, 1, 2, 4 or 8, rounded up.

    ValueError for whatever the decoder complains of. A picture's sides must be at least 8 × `times` for the means.
    """
    width, height = (-(-side // times) for side in size(data)) if times > 1 else (0, 0)
    return simplejpeg.decode_jpeg(data, "RGB", min_width=width, min_height=height, strict=True)


def orientation(data: bytes) -> int:
    """The orientation tag, 1 to 8, as OpenCV reads it: from the first APP1 segment, whatever the tag's type; else 1."""
    return tag_of(next((data[s.start + 6 : s.end] for s in segments(data) if s.marker == _APP1), b""))


def tag_of(exif: bytes) -> int:
    """The orientation tag, 1 to 8, in Exif data from its byte order on; 1 where there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", exif, entry)[0] == _ORIENTATION:
                return struct.unpack_from(order + "H", exif, entry + 8)[0]
    except struct.error:
        pass
    return 1


def without_oddities(data: bytes) -> bytes:
    """The same pixels without what decoders warn of though it does no harm.

    That is: another version of JFIF, a spectral selection in a sequential scan, where it means nothing, and padding
    before the end marker.
    """
    plain = bytearray(data)
    sequential = False
    for segment in segments(data):
        sequential |= segment.marker in _SEQUENTIAL
        if segment.marker == _APP0 and data[segment.start :].startswith(b"JFIF\0"):
            plain[segment.start + 5 : segment.start + 7] = b"\1\1"
        if segment.marker == _SCAN and sequential:
            plain[segment.end - 3 : segment.end] = b"\0\x3f\0"
        if segment.marker == _END:
            del plain[len(data[: segment.begin].rstrip(b"\0")) : segment.begin]
    return bytes(plain)


def damage(data: bytes) -> str:
    """What is wrong with the structure of a JPEG that has its end marker; "" if nothing is.

    Zeros among a sequential JPEG's pixels decode as the Huffman code 00…0 again and again. Where that ends a block they
    may be an even area; any other code becomes block after block of equal coefficients, which no encoder writes.
    """
    zero_codes: dict[int, int] = {}  # Huffman table -> what its code 00…0 means
    missing: dict[int, set[int]] = {}  # component -> coefficients that have not all their bits yet
    progressive, scans = False, 0
    for segment, following in pairwise(segments(data)):
        content = data[segment.start : segment.end]
        if segment.marker == _QUANTIZATION and not all(_steps(content)):
            return "a quantization step of 0"
        if segment.marker == _HUFFMAN:
            for table, values in _huffman_tables(content):
                if len(set(values)) < len(values):
                    return "a Huffman table with two codes for one value"
                zero_codes[table] = values[0]
        if segment.marker in (*_SEQUENTIAL, _PROGRESSIVE):
            progressive = segment.marker == _PROGRESSIVE
            missing = {component: set(range(64)) for component in content[6::3]}
        if segment.marker == _SCAN and missing:
            scans += 1
            if len(content) < 6:
                return "a scan without a header"
            if scans > MOST_SCANS:
                return f"more than {MOST_SCANS} scans"
            *components, first, last, bits = content[1:]
            if not progressive:
                first, last, bits = 0, 63, 0  # some cameras write other values, which mean nothing
                codes = [zero_codes.get(0x10 | tables & 0x0F, _END_OF_BLOCK) for tables in components[1::2]]
                pixels = data[segment.end : following.begin].rstrip(b"\0")  # what is at the end may be padding
                if _ZEROS in pixels and any(code != _END_OF_BLOCK for code in codes):
                    return f"zeros from byte {segment.end + pixels.index(_ZEROS)} on"
            for component in components[::2] if bits & 0x0F == 0 else ():
                missing.get(component, set()).difference_update(range(first, last + 1))
    return "scans are missing" if any(missing.values()) else ""


def _steps(content: bytes) -> Iterator[int]:
    """The values of a segment of quantization tables."""
    at = 0
    while at < len(content):
        values = ">64H" if content[at] >> 4 else ">64B"
        yield from struct.unpack_from(values, content, at + 1)
        at += 1 + struct.calcsize(values)


def _huffman_tables(content: bytes) -> Iterator[tuple[int, bytes]]:
    """A segment's tables: their number (0x00 to 0x03 for DC, 0x10 to 0x13 for AC), and the values by their codes."""
    at = 0
    while values := content[at + 17 : at + 17 + sum(content[at + 1 : at + 17])]:
        yield content[at], values
        at += 17 + len(values)
