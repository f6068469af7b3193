"""State dicts of PyTorch: read from files that others made, without running anything in them, and written."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from posekit.errors import InputError
from posekit.files import atomic_path

WRAPPERS = ("module.", "model.")  # what DataParallel and a trainer put before every name


@dataclass(frozen=True)
class StateDict:
    """The tensors of a file by name, without the `prefix` that all names share; `beside` is what else it holds."""

    path: Path
    tensors: dict[str, np.ndarray]
    prefix: str
    beside: tuple[str, ...]


def read_state_dict(path: Path) -> StateDict:
    """The state dict of a .safetensors file, or of any file of torch.save: the file's whole or its `state_dict`.

    Floating-point tensors become float32. Raises InputError when the file is missing, damaged, holds more than tensors
    and plain values, or no tensor; and when it takes PyTorch, which is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    content = content if isinstance(content, dict) else {}
    beside = ()
    if isinstance(content.get("state_dict"), dict):
        beside = tuple(str(key) for key in content if key != "state_dict")
        content = content["state_dict"]
    arrays = {str(name): _array(value) for name, value in content.items()}
    tensors = {name: array for name, array in arrays.items() if array is not None}
    beside += tuple(name for name in arrays if name not in tensors)
    if not tensors:
        raise InputError(
            f"{path}: holds no tensors by name ({', '.join(beside[:5]) or 'no names'}); give a state dict, or a "
            "training file with one under state_dict"
        )
    prefix = _shared_prefix(list(tensors))
    return StateDict(path, {name[len(prefix) :]: array for name, array in tensors.items()}, prefix, beside)


def write_state_dict(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write tensors as a .safetensors file, or for `torch.load` under any other suffix."""
    if path.suffix == ".safetensors":
        with atomic_path(path) as temporary:
            save_file(tensors, temporary)
        return
    torch = _torch(path)
    state_dict = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}
    with atomic_path(path) as temporary:
        torch.save(state_dict, temporary)


def _torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: takes PyTorch; pip install -e '.[torch]', or use a .safetensors file") from None
    return torch


def _read_torch(path: Path) -> object:
    """What torch.save wrote. Numbers of NumPy, such as an accuracy, are plain values, too."""
    torch = _torch(path)
    scalar = np.core.multiarray.scalar  # pyright: ignore[reportAttributeAccessIssue] not in NumPy's stubs
    numbers = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    numbers += [np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4"))]
    try:
        with torch.serialization.safe_globals(numbers):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds Python objects beside tensors, which are not loaded for safety; in the program that wrote "
            "it, save model.state_dict()"
        ) from error
    except Exception as error:  # damage comes as any of a dozen kinds
        raise _damaged(path, error) from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from error
    except TypeError as error:  # a type that NumPy lacks, such as bfloat16
        raise InputError(f"{path}: {error}; save it as float32") from error


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
    return InputError(f"{path}: not a readable file of weights ({reason}); fetch it again")


def _array(value: Any) -> np.ndarray | None:
    """A tensor of PyTorch or NumPy as an array, float32 if floating; None if it is none, or a sparse one."""
    if hasattr(value, "is_floating_point") and not value.is_sparse:
        value = (value.detach().float() if value.is_floating_point() else value).numpy()
    if not isinstance(value, np.ndarray):
        return None
    return value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value


def _shared_prefix(names: list[str]) -> str:
    prefix = ""
    while word := next((w for w in WRAPPERS if all(name.startswith(prefix + w) for name in names)), ""):
        prefix += word
    return prefix
