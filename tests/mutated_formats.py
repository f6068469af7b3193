"""Mutators, as in `mutators`, that change a file by its format's own library: a valid file that nobody expects."""

import io
import json
import struct
import warnings
import zipfile

import numpy as np
from mutators import BYTES, Rng, number


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
