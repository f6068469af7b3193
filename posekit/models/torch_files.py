"""Files of weights by PyTorch: read without running anything in them, checked as far as the format allows, written."""

import io
import pickle
import pickletools
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from posekit.bounds import LARGEST_WEIGHT, PICKLE_BYTES, WEIGHTS_BYTES, check_size
from posekit.errors import InputError
from posekit.files import atomic_path, open_zip, reading, unreadable
from posekit.filetypes import said_to_be

_SAFETENSORS = "a safetensors file"
_TORCH = ("a file of torch.save", "a file of torch.save in its old format")
_KINDS = (*_TORCH, _SAFETENSORS)  # as `said_to_be` calls them
_TAR, _TAR_MEMBERS = "a tar archive; unpack it first", (b"sys_info", b"pickle", b"tensors", b"storages")
_UNPACKED = 4  # times its size on the disk that a zip file may have; torch.save doesn't compress
_OLD_PICKLES = 4  # one after the other at the start of torch.save's old format, names and shapes in the last
_PROTOCOL = 2  # of pickle; later ones are refused by PyTorch's own safe reader
_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # as pickle's old protocols call them
_SAFE_TYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U64": "u8", "U32": "u4",
    "U16": "u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True)
class WeightsFile:
    """What a file holds: dicts, maybe nested, of tensors and other values; `objects` are Python's, left out."""

    path: Path
    content: dict
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foreign:
    """A tensor whose type NumPy lacks."""

    shape: tuple[int, ...]
    dtype: str


def holds_torch_weights(path: Path) -> bool:
    """Whether the file is one of torch.save or safetensors, whatever its name says."""
    return said_to_be(path) in _KINDS


def read_weights(path: Path) -> WeightsFile:
    """Read a file of torch.save or safetensors. Tensors are as the file has them; `as_float32` gives their values.

    Raises InputError when the file is missing, damaged, of another kind or too large, and when it takes PyTorch, which
    is not installed. Python objects are never loaded: an empty dict takes their place.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    said = said_to_be(path)
    if said == _TAR and path.open("rb").read(100).rstrip(b"\0") in _TAR_MEMBERS:
        raise InputError(f"{path}: is of PyTorch 0.1; load it with PyTorch, where you trust it, and save it again")
    if said and said not in _KINDS:
        raise _unreadable(path, said)
    with reading(path), path.open("rb") as file:
        check_size(path, WEIGHTS_BYTES)
        if other := _other_model(file):
            raise InputError(f"{path}: is {other}")
        if said == _SAFETENSORS or path.suffix == ".safetensors":
            return WeightsFile(path, _read_safetensors(path))
        return _read_torch(path, file)


def write_state_dict(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write tensors as a .safetensors file, or for `torch.load` under any other suffix."""
    if path.suffix == ".safetensors":
        data = save(tensors)
    else:
        torch, stream = _torch(path), io.BytesIO()
        torch.save({name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, stream)
        data = stream.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of PyTorch, NumPy or safetensors that has a shape."""
    if hasattr(value, "is_floating_point"):
        return not value.is_nested
    return isinstance(value, Foreign) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiubc")


def type_of(value: Any) -> str:
    """A tensor's type in the file: float32, float16, …"""
    return str(value.dtype).removeprefix("torch.")


def as_float32(value: Any, where: str) -> np.ndarray:
    """A tensor's values; InputError, which begins with `where`, unless they are numbers that float32 holds."""
    if hasattr(value, "is_floating_point"):
        value = _values(value, where)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise InputError(f"{where} is {type_of(value)}, which can't be a weight; save it as float32")
    with np.errstate(over="ignore"):
        found = np.asarray(value, np.float32, order="C")
    if value.dtype.itemsize > 4 and (np.isfinite(value) & ~np.isfinite(found)).any():
        raise InputError(f"{where} holds values beyond the range of float32; use another file")
    if value.dtype.kind in "iu" and not np.array_equal(found, value):
        raise InputError(f"{where} holds {value.dtype} values that float32 can't hold; save it as float32")
    if LARGEST_WEIGHT < (largest := float(np.abs(found).max(initial=0))) < np.inf:  # few of these files have checksums
        raise InputError(f"{where} holds {largest:.3g}, which no trained network does; fetch the file again")
    return found


def _values(tensor: Any, where: str) -> np.ndarray | Foreign:
    """A tensor of PyTorch as an array."""
    if tensor.is_meta:
        raise InputError(f"{where} has a shape but no values (it is a meta tensor); save it again with its values")
    try:
        tensor = tensor.detach()
        tensor = tensor.dequantize() if tensor.is_quantized else tensor
        tensor = tensor.to_dense() if tensor.layout != _torch(Path()).strided else tensor
        if tensor.is_floating_point() and tensor.element_size() < 4:
            tensor = tensor.float()
        return Foreign(tuple(tensor.shape), type_of(tensor)) if tensor.is_complex() else tensor.resolve_neg().numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InputError(f"{where} can't be read ({str(error).splitlines()[0][:200]}); save it as float32") from error


def _torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: takes PyTorch; pip install -e '.[torch]', or use a .safetensors file") from None
    return torch


def _read_torch(path: Path, file: BinaryIO) -> WeightsFile:
    torch, objects = _torch(path), []
    file.seek(0)
    zipped = file.read(2) == b"PK"
    try:
        names = _zip_globals(path) if zipped else _old_globals(file)
        file.seek(0)
        with torch.serialization.safe_globals(_stand_ins(names, objects)), warnings.catch_warnings(action="ignore"):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # damage comes as any of a dozen kinds
        reason = str(error).split("WeightsUnpickler error: ")[-1]
        if isinstance(error, pickle.UnpicklingError) and (objects or "GLOBAL" in reason):
            raise objects_only(path) from error
        raise _unreadable(path, reason or type(error).__name__) from error
    content = content if isinstance(content, dict) else {}
    return WeightsFile(path, content, tuple(dict.fromkeys(objects)))


def objects_only(path: Path) -> InputError:
    """The error for a file whose weights are in Python objects."""
    return InputError(
        f"{path}: holds Python objects beside tensors, which are not loaded for safety; in the program that wrote it, "
        "save model.state_dict()"
    )


def _zip_globals(path: Path) -> set[str]:
    """What the names and shapes in a zip file of torch.save refer to; checks the whole file's checksums before."""
    with open_zip(path, _UNPACKED * path.stat().st_size) as archive:
        members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "constants.pkl" in members:
            raise InputError(f"{path}: is a TorchScript program; save the model's state_dict() instead")
        if "data.pkl" not in members:
            raise BadZipFile("it has no data.pkl")
        if members["data.pkl"].file_size > PICKLE_BYTES:
            raise BadZipFile(f"its data.pkl has {members['data.pkl'].file_size:,} bytes")
        if damaged := archive.testzip():
            raise BadZipFile(f"the checksum of {damaged} is wrong")
        return _globals(io.BytesIO(archive.read(members["data.pkl"])))


def _old_globals(file: BinaryIO) -> set[str]:
    """As `_zip_globals`, of a file in torch.save's old format, which has no checksums."""
    file.seek(0)
    return set().union(*(_globals(file) for _ in range(_OLD_PICKLES)))


def _globals(file: BinaryIO) -> set[str]:
    """The functions and classes that the next pickle in a file names."""
    names = set()
    for operation, argument, position in pickletools.genops(file):
        if operation.name == "GLOBAL":
            module, name = str(argument).split(" ")
            names.add(f"{_MODULES.get(module, module)}.{name}")
        if operation.name == "PROTO" and isinstance(argument, int) and argument > _PROTOCOL:
            raise ValueError(f"it is of pickle protocol {argument}; save it with torch.save's own, {_PROTOCOL}")
        if position and position > PICKLE_BYTES:
            raise ValueError(f"its names and shapes take more than {PICKLE_BYTES:,} bytes")
    return names


def _stand_ins(names: Iterable[str], used: list[str]) -> list[Any]:
    """What `torch.load` may call for each name that PyTorch itself doesn't allow: arrays and numbers of NumPy as they
    are; for any other an empty dict, noted in `used`.
    """

    def stand_in(name: str) -> type:
        def new(*_: Any, **__: Any) -> OrderedDict:
            used.append(name)
            return OrderedDict()

        return type("StandIn", (), {"__new__": new})

    numpys = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
    for core in ("core", "_core"):
        for it in ("scalar", "_reconstruct"):
            numpys[f"numpy.{core}.multiarray.{it}"] = getattr(np.core.multiarray, it)  # pyright: ignore[reportAttributeAccessIssue]
    kinds = {type(np.dtype(kind)) for kind in (*_SAFE_TYPES.values(), "O", "S1", "U1")}
    return [(numpys.get(name) or stand_in(name), name) for name in {*names, *numpys}] + list(kinds)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        return {name: _safe_tensor(**tensor) for name, tensor in deserialize(path.read_bytes())}
    except (SafetensorError, ValueError) as error:
        raise _unreadable(path, error) from error


def _safe_tensor(dtype: str, shape: list[int], data: bytes) -> np.ndarray | Foreign:
    if dtype == "BF16":  # the upper half of float32's bits
        return (np.frombuffer(data, "u2").astype("u4") << 16).view("f4").reshape(shape)
    if dtype not in _SAFE_TYPES:
        return Foreign(tuple(shape), dtype)
    return np.frombuffer(data, _SAFE_TYPES[dtype]).reshape(shape)


def _other_model(file: BinaryIO) -> str | None:
    """What a file is that holds a model, but not PyTorch's; None for any other."""
    head = file.read(100)
    file.seek(-min(17, file.seek(0, io.SEEK_END)), io.SEEK_END)
    if file.read(7) == b"crc_num":
        return "a checkpoint of MindSpore; posekit convert takes it with --to LAYOUT and an OUT in .pth or .safetensors"
    if head[:1] == b"\x08" and head[2:3] == b"\x12" and head[4 : 5 + head[3]].isascii():
        return "an ONNX file; fetch the .pth file that it was made from"
    return None


def _unreadable(path: Path, error: Exception | str) -> InputError:
    return unreadable(path, "file of weights", error, "fetch it again", _KINDS)
