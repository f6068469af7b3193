"""Ways in which a file gets damaged: each takes a random generator and the file's bytes, and returns other bytes."""

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

Rng = np.random.Generator
Mutator = Callable[[Rng, bytes], bytes]

NUMBERS = (
    "nan inf -inf 1e308 1e400 -1 0 -0.0 1e-320 1e30 2147483648 9223372036854775808 99999999999999999999 0x10 1_000 "
    "1.5 1,5 1e 12abc 1e6 - . true None"
).split() + ["", " ", '"', "'", "\uff11\uff12", "[1]", "9" * 5000, "=1+1", "\x00", "\ufeff"]
OTHERS = {
    "an HTML page": b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>\n",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
    "a JSON error": b'{"error": {"code": 404, "message": "not found"}}\n',
    "nothing": b"",
    "one byte": b"\n",
    "zeros": bytes(4096),
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "a gzip": bytes.fromhex("1f8b08000000000000034b04004300bee8") + bytes(6),
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "brackets": b"[" * 100_000,
}


def _place(rng: Rng, data: bytes) -> int:
    """A place anywhere; in half of the cases near the start or the end, where headers and directories are."""
    size = len(data)
    near = min(size, 600)
    return int(rng.choice([rng.integers(size), rng.integers(size), rng.integers(near), size - 1 - rng.integers(near)]))


def _length(rng: Rng, data: bytes) -> int:
    return int(min(len(data), 2 ** rng.uniform(0, 13)))


def flip(rng: Rng, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 3, 20])):
        made[_place(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(made)


def delete(rng: Rng, data: bytes) -> bytes:
    at, length = _place(rng, data), _length(rng, data)
    return data[:at] + data[at + length :]


def insert(rng: Rng, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.bytes(_length(rng, data)) + data[at:]


def cut(rng: Rng, data: bytes) -> bytes:
    return data[: int(rng.choice([rng.integers(len(data)), len(data) - 1 - rng.integers(min(40, len(data)))]))]


def zeros(rng: Rng, data: bytes) -> bytes:
    at, length = _place(rng, data), _length(rng, data)
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def zero_tail(rng: Rng, data: bytes) -> bytes:
    """As a download that was broken off leaves it, or a disk that lost power."""
    at = int(rng.integers(len(data)))
    return data[:at] + bytes(len(data) - at)


def ones(rng: Rng, data: bytes) -> bytes:
    at, length = _place(rng, data), min(_length(rng, data), 16)
    return data[:at] + b"\xff" * min(length, len(data) - at) + data[at + length :]


def duplicate(rng: Rng, data: bytes) -> bytes:
    at, length = _place(rng, data), _length(rng, data)
    return data[: at + length] + data[at : at + length] + data[at + length :]


def swap(rng: Rng, data: bytes) -> bytes:
    length = max(1, min(_length(rng, data), len(data) // 3))
    first = int(rng.integers(len(data) - 2 * length))
    second = int(rng.integers(first + length, len(data) - length + 1))
    blocks = data[first : first + length], data[second : second + length]
    return data[:first] + blocks[1] + data[first + length : second] + blocks[0] + data[second + length :]


def append(rng: Rng, data: bytes) -> bytes:
    return data + [bytes(1), b"\n\n", rng.bytes(_length(rng, data)), data][rng.integers(4)]


def numbers_in_header(rng: Rng, data: bytes) -> bytes:
    """A size or count becomes huge, negative or zero."""
    at, order = int(rng.integers(min(len(data), 512))), rng.choice(["<", ">"])
    code, value = [("I", 2**32 - 1), ("I", 2**31), ("i", -1), ("Q", 2**63), ("Q", 2**40), ("H", 65535), ("I", 0)][
        rng.integers(7)
    ]
    packed = struct.pack(order + code, value)
    return data[:at] + packed + data[at + len(packed) :]


def another_kind(rng: Rng, data: bytes) -> bytes:
    return OTHERS[list(OTHERS)[rng.integers(len(OTHERS))]]


BYTES = [
    flip, flip, flip, delete, insert, cut, cut, zeros, zero_tail, ones, duplicate, swap, append, numbers_in_header,
    another_kind,
]  # fmt: skip


# Text


def number(rng: Rng, data: bytes) -> bytes:
    places = list(re.finditer(rb"-?\d[\d.e+-]*", data))
    if not places:
        return flip(rng, data)
    found = places[rng.integers(len(places))]
    return data[: found.start()] + NUMBERS[rng.integers(len(NUMBERS))].encode() + data[found.end() :]


def lines(rng: Rng, data: bytes) -> bytes:
    """A line goes, comes twice, changes its place, or gets a cell too many or too few."""
    rows = data.splitlines(keepends=True)
    at = int(rng.integers(len(rows)))
    cells = rows[at].split(b",")
    cell = int(rng.integers(len(cells)))
    changed = [
        [], [rows[at]] * 2, [rows[at][::-1]], [b"\n", rows[at]], [b"name,x,y\n", rows[at]],
        [b",".join(cells[:cell] + cells[cell + 1 :])], [b",".join([*cells[:cell], b"1", *cells[cell:]])],
        [b",".join([b"../x.jpg", *cells[1:]])], [b",".join([b"x" * 100_000, *cells[1:]])], [b"# note\n", rows[at]],
    ]  # fmt: skip
    return b"".join([*rows[:at], *changed[rng.integers(len(changed))], *rows[at + 1 :]])


def separators(rng: Rng, data: bytes) -> bytes:
    marks = [(b",", b";"), (b",", b"\t"), (b",", b", "), (b",", b" "), (b".", b","), (b"=", b":"), (b":", b"=")]
    old, new = marks[rng.integers(len(marks))]
    return data.replace(old, new)


def encoding(rng: Rng, data: bytes) -> bytes:
    text = data.decode("utf-8")
    made = [
        text.encode("utf-16"), text.encode("utf-16-be"), b"\xef\xbb\xbf" + data, b"\xef\xbb\xbf" * 2 + data,
        data.replace(b"0", "é".encode("latin-1"), 1), data.replace(b"0", b"\x00", 1), text.encode("utf-32"),
    ]  # fmt: skip
    return made[rng.integers(len(made))]


def line_ends(rng: Rng, data: bytes) -> bytes:
    ends = [b"\r\n", b"\r", b"\r\r\n", b"\n\n", b"", b"\x0b", "\u2028".encode()]
    return data.replace(b"\n", ends[rng.integers(len(ends))])


def quotes(rng: Rng, data: bytes) -> bytes:
    at, mark = _place(rng, data), [b'"', b"'", b'""', b"\\", b"`"][rng.integers(5)]
    return data[:at] + mark + data[at:]


def words(rng: Rng, data: bytes) -> bytes:
    """A name (of a field, a file) gets other letters, or goes."""
    places = list(re.finditer(rb"[A-Za-z_]{2,}", data))
    if not places:
        return flip(rng, data)
    found = places[rng.integers(len(places))]
    new = [b"", b"x", found[0] + b"_", found[0].upper(), b"null", b"__class__", b"[]"][rng.integers(7)]
    return data[: found.start()] + new + data[found.end() :]


TEXT = [number, number, number, number, lines, lines, separators, encoding, line_ends, quotes, words, words]


# Not a file


def replace_path(rng: Rng, path: Path) -> str:
    """Put something else in the place of the file; returns what."""
    what = str(rng.choice(["a folder", "a link loop", "a dangling link", "missing", "unreadable"]))
    if what == "unreadable" and os.geteuid():
        path.chmod(0)
        return what
    path.unlink()
    if what == "a folder":
        path.mkdir()
    elif what == "a link loop":
        path.symlink_to(path.name)
    elif what == "a dangling link":
        path.symlink_to("nowhere")
    return what
