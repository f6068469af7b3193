"""Ways in which a file gets damaged: each takes a random generator and the file's bytes, and returns other bytes.

Those at the end replace the file itself by something that isn't a file, or change an HDF5, ONNX, safetensors, .pth or
zip file by its own library: a valid file with content that nobody expects.
"""

import io
import json
import os
import re
import struct
import warnings
import zipfile
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


# Valid files with other content


def h5(rng: Rng, data: bytes) -> bytes:
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        name = sorted(file)[rng.integers(len(file))]
        values = file[name][()]
        kind = rng.integers(10)
        if kind == 9:
            file[name.upper() + "_"] = values
        del file[name]
        if kind == 0:
            file[name + "s"] = values
        elif kind == 1:
            file[name] = values[:-1]
        elif kind == 2:
            file[name] = values.reshape(-1)[: values.size // 2 * 2].reshape(2, -1)
        elif kind == 3:
            file[name] = (
                values.astype(rng.choice(["S8", "i1", "f2", "u8"])) if name != "imgname" else np.arange(len(values))
            )
        elif kind == 4 and values.dtype.kind == "f":
            values.reshape(-1)[rng.integers(values.size)] = rng.choice([np.nan, np.inf, -1e300, 1e30, -5, 1e7])
            file[name] = values
        elif kind == 5:
            file.create_dataset(name, (2**40, *values.shape[1:]), values.dtype, chunks=(1024, *values.shape[1:]))
        elif kind == 6:
            file.create_group(name)["x"] = values
        elif kind == 7:
            file[name] = h5py.ExternalLink("/etc/hostname", "x") if rng.random() < 0.5 else h5py.SoftLink("/nowhere")
        elif kind == 8:
            file.create_dataset(name, data=values, compression="gzip", fletcher32=True)
    return stream.getvalue()


def safetensors(rng: Rng, data: bytes) -> bytes:
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    names = [name for name in header if name != "__metadata__"]
    name = names[rng.integers(len(names))]
    entry = header[name]
    kind = rng.integers(8)
    if kind == 0:
        del header[name]
    elif kind == 1:
        header[name + "x"] = header.pop(name)
    elif kind == 2:
        entry["dtype"] = str(rng.choice(["F64", "I32", "BF16", "F8_E4M3", "U1", "f32"]))
    elif kind == 3:
        entry["shape"] = [[], [-1], [2**62, 4], entry["shape"][::-1], [*entry["shape"], 1], ["3"], None][
            rng.integers(7)
        ]
    elif kind == 4:
        entry["data_offsets"] = [[0, 2**63], [-4, 4], entry["data_offsets"][::-1], [0], None][rng.integers(5)]
    elif kind == 5:
        header[name] = [None, {}, [], 3, "x"][rng.integers(5)]
    elif kind == 6:
        other = names[rng.integers(len(names))]
        entry["data_offsets"] = header[other]["data_offsets"]
    else:
        at = 8 + size + int(rng.integers(len(data) - size - 12)) // 4 * 4
        value = struct.pack("<f", rng.choice([np.nan, np.inf, 1e30]))
        return data[:at] + value + data[at + 4 :]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def pth(rng: Rng, data: bytes) -> bytes:
    import torch

    old = not data.startswith(b"PK")
    state = dict(torch.load(io.BytesIO(data), weights_only=True))
    name = list(state)[rng.integers(len(state))]
    kind = rng.integers(9)
    if kind == 0:
        del state[name]
    elif kind == 1:
        state[name + "x"] = state.pop(name)
    elif kind == 2:
        state[name] = state[name].to(
            [torch.float64, torch.int8, torch.bfloat16, torch.bool, torch.complex64][rng.integers(5)]
        )
    elif kind == 3:
        state[name] = state[name].reshape(-1)[None]
    elif kind == 4:
        state[name] = torch.full_like(state[name], float(rng.choice([np.nan, np.inf, 1e30])), dtype=torch.float32)
    elif kind == 5:
        state[name] = [None, 3, "x", [], {}][rng.integers(5)]
    elif kind == 6:
        state[name] = torch.zeros(1).expand(2**28)
    elif kind == 7:
        state[name] = torch.sparse_coo_tensor([[0]], [1.0], (10,), check_invariants=True)
    else:
        state = [list(state.values()), 3, None, "x", {"state_dict": state, "ema": state}, {1: state}][rng.integers(6)]
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(state, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


def onnx(rng: Rng, data: bytes) -> bytes:
    import onnx as library
    from onnx import TensorProto

    model = library.load_model_from_string(data)
    graph, kind = model.graph, rng.integers(9)
    dims = graph.input[0].type.tensor_type.shape.dim
    if kind == 0:
        dims[rng.integers(4)].dim_value = int(rng.choice([-1, 0, 7, 2**40]))
    elif kind == 1:
        graph.node.pop(int(rng.integers(len(graph.node))))
    elif kind == 2:
        graph.initializer.pop(int(rng.integers(len(graph.initializer))))
    elif kind == 3:
        graph.node[rng.integers(len(graph.node))].op_type = str(rng.choice(["Relu", "Loop", "Mystery", "MatMul"]))
    elif kind == 4:
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        tensor.dims[:] = [[2**31, 2**31], [-1], [], [0]][rng.integers(4)]
    elif kind == 5:
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../etc/passwd")
    elif kind == 6:
        entry = model.metadata_props[rng.integers(len(model.metadata_props))]
        entry.value = number(rng, entry.value.encode()).decode()
    elif kind == 7:
        entry = model.metadata_props[rng.integers(len(model.metadata_props))]
        entry.key += "x"
    else:
        model.opset_import[0].version = int(rng.choice([0, 99999, -1]))
    return model.SerializeToString()


def zip_file(rng: Rng, data: bytes) -> bytes:
    """Other members, sizes and flags, with checksums that agree."""
    members = {
        info.filename: zipfile.ZipFile(io.BytesIO(data)).read(info)
        for info in zipfile.ZipFile(io.BytesIO(data)).infolist()
    }
    names = [name for name in members if not name.endswith("/")]
    name, kind = names[rng.integers(len(names))], rng.integers(9)
    content = members[name]
    if kind in (0, 1):
        del members[name]
    if kind == 1:
        members["other/" + name] = content
    elif kind == 2:
        members["../" + name] = content
    elif kind == 3:
        members[name] = BYTES[rng.integers(len(BYTES))](rng, content)
    elif kind == 4:
        members[name] = bytes(50_000_000)
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for member, inside in members.items():
            archive.writestr(member, inside)
        if kind == 5:
            archive.writestr(name, members[names[0]])  # twice in the archive
    made = bytearray(stream.getvalue())
    directory = made.index(b"PK\x01\x02")
    if kind == 6:
        made[directory + 8] |= 1  # "encrypted"
    elif kind == 7:
        made[directory + 24 : directory + 28] = struct.pack("<I", int(rng.choice([0, 2**31, 2**32 - 2])))
    elif kind == 8:
        made[directory + 10 : directory + 12] = struct.pack("<H", int(rng.choice([1, 9, 12, 14, 99])))
    return bytes(made)


def json_fields(rng: Rng, data: bytes) -> bytes:
    """A field, at any depth, goes, gets another name, or another value."""
    value = json.loads(data)
    place = value
    while True:
        key = list(place)[rng.integers(len(place))]
        if not (isinstance(place[key], dict) and place[key] and rng.random() < 0.7):
            break
        place = place[key]
    kind = rng.integers(4)
    if kind == 0:
        del place[key]
    elif kind == 1:
        place[key + "x"] = place.pop(key)
    else:
        others = [None, True, -1, 0, 1e300, 10**30, "", "x" * 100_000, [], {}, [1, 2], "nan", 2.5, float("nan"), 1e9]
        place[key] = others[rng.integers(len(others))]
    return json.dumps(value).encode()
