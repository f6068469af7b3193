"""What an exported file says about itself, and whether it still is the file that was exported.

An ONNX file has its recipe and a digest in its metadata. Any other has `<file>.json` beside it, with the size and the
SHA-256 of the file, and a digest of its own. Files of earlier versions have no digests and are read without that check.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from posekit.bounds import BATCH, DESCRIPTION_BYTES, MODEL_BYTES, check_size
from posekit.errors import InputError, shown
from posekit.files import read_bytes, read_json, reading, sha256, unreadable, write_json
from posekit.filetypes import said_to_be
from posekit.inference.run_times.request import PRECISIONS
from posekit.recipes import Recipe
from posekit.settings import from_json, to_json
from posekit.skeletons import get_skeleton

AGAIN = "export the model again"
KINDS = {".onnx": "ONNX file", ".mindir": "MINDIR", ".om": "OM file", ".air": "AIR file"}
_DIGEST = "digest"  # in a description: of all its other values
_SHA256 = "sha256"  # in a description: of the file it describes; in ONNX metadata: of recipe and graph


@dataclass(frozen=True)
class Description:
    """What a file computes: `batch` images at a time (None: any number), in `precision`; `run_time` alone reads it."""

    recipe: Recipe
    batch: int | None
    precision: str = "fp32"
    run_time: str | None = None


def beside(model: Path) -> Path:
    """Where the description of a MINDIR, AIR or OM file is: model.mindir.json for model.mindir."""
    return model.with_name(f"{model.name}.json")


def write_description(
    model: Path,
    recipe: Recipe,
    batch: int | None,
    precision: str = "fp32",
    run_time: str | None = None,
    made: Path | None = None,
) -> None:
    """Write what a model file computes, beside it; `run_time` only where its kind doesn't say what reads it.

    made: the file's content, where it exists already, whose size and SHA-256 are noted.
    """
    values = {"recipe": json.loads(to_json(recipe)), "batch": batch, "precision": precision}
    values |= {} if run_time is None else {"run_time": run_time}
    values |= {} if made is None else {"size": made.stat().st_size, _SHA256: sha256(made)}
    write_json(beside(model), values | {_DIGEST: _digest(values)})


def read_description(model: Path) -> Description:
    """Read what an exported file says about itself.

    InputError when it says nothing, or what can't be, and when the file or its description was changed since.
    """
    if model.suffix == ".onnx":
        return read_onnx(model)[0]
    path = beside(model)
    if not path.is_file():
        raise InputError(f"{model}: its {path.name} is missing; copy it along, or {AGAIN}")
    values = read_json(path, AGAIN)
    missing = [name for name in ("recipe", "batch") if name not in values]
    if missing:
        raise InputError(f"{path}: not a readable description ({missing[0]} is missing); {AGAIN}")
    if values.get(_DIGEST) not in (None, _digest(values)):
        raise InputError(f"{path}: was changed or damaged after the export; {AGAIN}")
    recipe = from_json(json.dumps(values["recipe"]), str(path))
    precision, run_time = values.get("precision", "fp32"), values.get("run_time")
    if precision not in PRECISIONS:
        raise InputError(f"{path}: precision is one of {', '.join(PRECISIONS)}, not {shown(precision)}; {AGAIN}")
    if not isinstance(run_time, str | None):
        raise InputError(f"{path}: run_time is a name, not {shown(run_time)}; {AGAIN}")
    _check_content(model, values)
    return Description(recipe, _batch(values["batch"], path), precision, run_time)


def _check_content(model: Path, values: dict) -> None:
    """InputError when the model file isn't the one that its description was written for."""
    with reading(model):
        check_size(model, MODEL_BYTES)
        size, wanted = model.stat().st_size, values.get("size")
    kind = KINDS.get(model.suffix, "model file")
    if wanted not in (None, size):
        raise unreadable(model, kind, f"{size:,} bytes, {shown(wanted)} when exported", AGAIN)
    if values.get(_SHA256) not in (None, sha256(model)):
        raise unreadable(model, kind, "its bytes were changed after the export", AGAIN)


def _digest(values: dict) -> str:
    """SHA-256 of a description's values."""
    content = {name: value for name, value in values.items() if name != _DIGEST}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _batch(value: object, path: Path) -> int | None:
    low, high = BATCH
    if value is not None and (type(value) is not int or not low <= value <= high):
        raise InputError(f"{path}: batch is a number from {low} to {high:,} or null, not {shown(value)}; {AGAIN}")
    return value


def read_onnx(path: Path) -> tuple[Description, bytes]:
    """What an ONNX file says about itself, and its bytes, for a run time to load.

    InputError as `read_description`; also when the file refers to other files, or takes and gives something else than
    its recipe says.
    """
    data = read_bytes(path, MODEL_BYTES)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's and onnx's own, which share no base class
        raise unreadable(path, KINDS[".onnx"], error, AGAIN) from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    text = metadata.get("recipe", "")
    if not text and said_to_be(path):
        raise unreadable(path, KINDS[".onnx"], "", AGAIN)
    if not text:
        raise InputError(f"{path}: carries no recipe; export it with posekit export")
    if len(text) > DESCRIPTION_BYTES:
        raise InputError(f"{path}: its recipe has {len(text):,} characters; {AGAIN}")
    recipe = from_json(text, str(path))
    _refuse_other_files(path, model)
    images, heatmaps = (_shape(path, values) for values in (model.graph.input, model.graph.output))
    precision = metadata.get("precision", "fp32")
    if precision not in ("fp32", "int8"):
        raise InputError(f"{path}: precision is fp32 or int8, not {shown(precision)}; {AGAIN}")
    about = Description(recipe, _batch(images[0] or None, path), precision)
    check_shapes(path, about, images, heatmaps)
    if metadata.get(_SHA256) not in (None, onnx_digest(model, text, precision)):
        raise InputError(
            f"{path}: was changed or damaged after the export; {AGAIN}, or remove {_SHA256} from its metadata if you "
            "changed it on purpose"
        )
    return about, data


def seal(model: onnx.ModelProto, recipe: Recipe, precision: str = "fp32") -> None:
    """Put the recipe, the precision that isn't fp32, and the digest of all into an ONNX model's metadata."""
    text, said = to_json(recipe), {} if precision == "fp32" else {"precision": precision}
    onnx.helper.set_model_props(model, {"recipe": text, _SHA256: onnx_digest(model, text, precision), **said})


def onnx_digest(model: onnx.ModelProto, recipe: str, precision: str = "fp32") -> str:
    """SHA-256 of an ONNX model without its metadata, of its recipe and, unless it is fp32, its precision."""
    metadata = list(model.metadata_props)
    del model.metadata_props[:]
    said = recipe + precision.removeprefix("fp32")
    digest = hashlib.sha256(said.encode() + model.SerializeToString(deterministic=True)).hexdigest()
    model.metadata_props.extend(metadata)
    return digest


def _shape(path: Path, values: Sequence[onnx.ValueInfoProto]) -> list[int]:
    """The shape of the only input or output, 0 for a free dimension."""
    if len(values) != 1 or values[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise InputError(f"{path}: takes or gives something else than one batch of float32; {AGAIN}")
    return [dimension.dim_value for dimension in values[0].type.tensor_type.shape.dim]


def _refuse_other_files(path: Path, model: onnx.ModelProto) -> None:
    """InputError when the model reads other files, or has graphs within its graph, which no network here needs."""
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    if model.functions or model.graph.sparse_initializer or any(it.HasField("g") or it.graphs for it in attributes):
        raise InputError(f"{path}: isn't a plain graph, as posekit's networks are; {AGAIN}")
    for tensor in (*model.graph.initializer, *(it.t for it in attributes)):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise InputError(f"{path}: keeps weights in other files ({shown(tensor.name)}); {AGAIN}")


def guarded(model: Path, run: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """`run`, with what its library raises as one InputError that names the model."""

    def guard(images: np.ndarray) -> np.ndarray:
        try:
            return run(images)
        except Exception as error:  # every run time has its own kinds
            raise unreadable(model, KINDS.get(model.suffix, "model file"), error, AGAIN) from error

    return guard


def check_shapes(model: Path, about: Description, images: list[int], heatmaps: list[int]) -> None:
    """InputError when a file's input (N, 3, H, W) or output (N, K, h, w) isn't what it says; N isn't looked at."""
    recipe = about.recipe
    wanted = ([*recipe.input_shape], [get_skeleton(recipe.skeleton).num_keypoints, *recipe.heatmap_shape])
    found = (list(images[1:]), list(heatmaps[1:]))
    if found != wanted:
        shapes = [" -> ".join("×".join(map(str, shape)) for shape in pair) for pair in (found, wanted)]
        raise InputError(
            f"{model}: makes {shapes[0][:200]}, but its recipe {recipe.name} says {shapes[1]}; "
            "export the checkpoint again"
        )
