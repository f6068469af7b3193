"""A kit for a board: a folder or zip with the network, its inputs and what runs them, where posekit can't be installed.

    model.onnx, model.json                   and model.om, model-cpu.mindir where atc and MindSpore Lite are
    kit.json, raw/000000.jpg                 raw inputs: encoded pictures, and the map from each to the network's input;
                                             cut/000000.png, the crop, where infer.py's wouldn't be the same
    kit.json, images/000000.bin              preprocessed inputs, as the stage preprocess writes them
    recipe.json, labels.npz                  for the stage postprocess, which is also told preprocess.sha256
    infer.py, convert.sh, README.md          `board_infer.py` and what is written here; SHA256SUMS lists all files

`infer.py` adds heatmaps, keypoints.csv, times.json, infer.sha256 and annotated pictures.
"""

import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.bounds import LABELS_BYTES
from posekit.datasets.dataset import BOX_MARGIN
from posekit.deploy import infer310
from posekit.deploy.ascend import atc_command, check_soc, convert_om, converter_command
from posekit.deploy.kit_inputs import INPUTS, Source, samples_of
from posekit.drawing import limb_colors, side_colors
from posekit.errors import InputError, in_words
from posekit.evaluation.metrics import Scores
from posekit.evaluation.protocols import Table, largest_difference, score
from posekit.files import atomic_path, new_folder, read_json, sha256, write_text
from posekit.geometry import sides
from posekit.inference.run_times.description import read_description
from posekit.inference.run_times.lite import convert_lite
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.layouts import for_data, get_layout
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.recipes import Recipe
from posekit.skeletons import get_skeleton

_HERE = Path(__file__).parent
_EXECUTABLE = 0o755


def pack(request: Request, out: Path, source: Source, soc: str | None = None, progress: bool = True) -> list[str]:
    """Write the kit of a checkpoint or an ONNX file, `request.model`; returns what people should know, a line each.

    out: a folder that isn't there yet, or a file that ends in .zip. soc: Ascend and the name that npu-smi info shows;
    None lets the board say it.
    """
    _check(request.model, out, source, soc)
    if out.suffix != ".zip":
        with new_folder(out) as kit:
            return _fill(kit, request, source, soc, progress)
    with tempfile.TemporaryDirectory() as folder:
        kit = Path(folder, out.stem)
        kit.mkdir()
        notes = _fill(kit, request, source, soc, progress)
        with atomic_path(out) as temporary:
            _zip(kit, temporary)
    return notes


def _check(model: Path, out: Path, source: Source, soc: str | None) -> None:
    if model.suffix not in (".ckpt", ".onnx"):
        raise InputError(f"{model}: a kit is made of a checkpoint or an ONNX file; give one")
    if source.inputs not in INPUTS:
        raise InputError(f"--inputs {source.inputs}: choose one of {', '.join(INPUTS)}")
    if source.own_pictures and source.inputs != "raw":
        raise InputError("--inputs preprocessed: pictures without labels stay raw; give --data, or leave it out")
    zipped = out.suffix == ".zip"
    if out.is_dir() and (zipped or any(out.iterdir())) or out.is_file() and not zipped:
        raise InputError(f"{out}: is there already; remove it, or give --out another name")
    if soc is not None:
        check_soc(soc)


def _fill(kit: Path, request: Request, source: Source, soc: str | None, progress: bool) -> list[str]:
    """Write all of a kit into an empty folder."""
    onnx = infer310.convert(replace(request, backend="onnxruntime"), kit)
    about = read_description(onnx)
    if about.batch not in (None, 1):
        raise InputError(f"{request.model}: takes {about.batch} images at a time, a kit one; give the checkpoint")
    recipe = for_data(about.recipe, source.data)
    settings = settings_of(recipe)
    samples = list(samples_of(kit, request.model, recipe, source, settings, progress))
    write_text(kit / "kit.json", json.dumps(settings | {"samples": samples}) + "\n")
    shutil.copyfile(_HERE / "board_infer.py", kit / "infer.py")
    _write_texts(kit, recipe, soc)
    notes = _convert(kit, replace(request, model=onnx, batch=1), recipe, soc)
    names = sorted(path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file())
    write_text(kit / "SHA256SUMS", "".join(f"{sha256(kit / name)}  {name}\n" for name in names))
    return notes


def settings_of(recipe: Recipe) -> dict:
    """What infer.py needs to know of the recipe."""
    skeleton = get_skeleton(recipe.skeleton)
    return {
        "recipe": recipe.name,
        "input_size": sides(recipe.input_size),
        "intervals": int(recipe.intervals),
        "margin": BOX_MARGIN,
        "means": recipe.shrinking == "means",
        "mean": recipe.mean,
        "std": recipe.std,
        "flip_test": recipe.flip_test,
        "flip_shift": recipe.flip_shift,
        "flip_order": skeleton.flip_order,
        "cell_offset": 0.5 if recipe.offset == "forced" else 0,
        "keypoints": skeleton.keypoints,
        "limbs": skeleton.limbs,
        "colors": side_colors(skeleton),
        "limb_colors": limb_colors(skeleton),
    }


# Models and texts


def _convert(kit: Path, request: Request, recipe: Recipe, soc: str | None) -> list[str]:
    """Convert model.onnx, in `request`, to what its tools are here for; returns what is missing, a line each."""
    notes = []
    try:
        convert_lite(replace(request, device="cpu"), kit / "model-cpu.mindir")
    except InputError as error:  # it isn't here, or refuses the network: the kit has others
        notes.append(f"no model-cpu.mindir: {error}")
    if soc is None:
        return [*notes, "no model.om: run convert.sh on the board"]
    try:
        convert_om(request.model, kit / "model.om", recipe, 1, soc)
    except InputError as error:
        (kit / "model.om.json").unlink(missing_ok=True)
        reason = "atc is not on the path here" if isinstance(error, MissingRunTime) else str(error).split("; ")[0]
        notes.append(f"no model.om: {reason}; run convert.sh on the board")
    return notes


def _write_texts(kit: Path, recipe: Recipe, soc: str | None) -> None:
    """convert.sh and README.md."""
    width, height = sides(recipe.input_size)
    shape = f"--input_shape=images:1,3,{height},{width}"
    atc = [*atc_command("model.onnx", "model", '"$soc"'), "--input_format=NCHW", shape, "--output_type=FP32"]
    lite = converter_command("model.onnx", "model-ascend", 1, recipe.input_size)
    words = {"ATC": " ".join(atc), "LITE": " ".join(lite), "SOC": soc or "", "RECIPE": recipe.name}
    for source, name in (("board_convert.sh", "convert.sh"), ("board_readme.md", "README.md")):
        text = (_HERE / source).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        write_text(kit / name, text)
    for name in ("convert.sh", "infer.py"):
        (kit / name).chmod(_EXECUTABLE)


def _zip(kit: Path, path: Path) -> None:
    """Pack the folder into a zip file, in which it has its own name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(kit.rglob("*")):
            archive.write(file, file.relative_to(kit.parent))


def describe(out: Path) -> str:
    """A kit's size, and where to read on."""
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB; copy it to the board and read its README.md"


# What comes back


def postprocess(out: Path) -> tuple[dict[str, Table], list[str]]:
    """As `infer310.postprocess`; of a kit without labels no tables. And lines on the decoding of the board."""
    recipe = infer310.recipe_in(out)
    packed = (out / "kit.json").exists()
    if packed and not (out / "heatmaps").is_dir():
        raise InputError(f"{out}: infer.py has not run in this kit; run it on the board, and copy the folder back")
    if packed and not (out / "preprocess.sha256").exists():  # no labels were packed
        names, matrices = _samples_in(out)
        found = infer310.decoded(out, recipe, names, matrices)
        write_predictions(out / "predictions.csv", found)
        return {}, _board_decoding(out, found, {})
    tables = infer310.postprocess(out)
    found = read_predictions(out / "predictions.csv", get_skeleton(recipe.skeleton).num_keypoints)
    return tables, _board_decoding(out, found, tables)


def board_tables(out: Path) -> dict[str, Scores]:
    """The tables of keypoints.csv, which infer.py decodes on the board."""
    recipe = infer310.recipe_in(out)
    labels, _ = infer310.labels_in(out, recipe)
    board = read_predictions(out / "keypoints.csv", labels.skeleton.num_keypoints).in_order(labels.names)
    scored = score(get_layout(recipe.dataset).protocols, labels, board)
    return {name: table.rows for name, table in scored.items()}


def _samples_in(out: Path) -> tuple[list[str], np.ndarray]:
    """Names and maps (N, 2, 3) of the samples in kit.json."""
    again = "copy the kit again"
    values = read_json(out / "kit.json", again, LABELS_BYTES)
    try:
        names, maps = zip(*((str(sample["name"]), sample["matrix"]) for sample in values["samples"]), strict=True)
        matrices = np.array(maps, float).reshape(len(names), 2, 3)
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{out / 'kit.json'}: not a kit's samples ({in_words(error)}); {again}") from error
    if not np.isfinite(matrices).all():
        raise InputError(f"{out / 'kit.json'}: holds maps with NaN or infinite values; {again}")
    return list(names), matrices


def _board_decoding(out: Path, found: Predictions, tables: dict[str, Table]) -> list[str]:
    """How far keypoints.csv, decoded on the board, is from `found`, and its tables from `tables`; a line each."""
    path = out / "keypoints.csv"
    if not path.exists():
        return []
    board = read_predictions(path, found.keypoints.shape[1]).in_order(found.names)
    apart = np.linalg.norm(board.keypoints - found.keypoints, axis=-1)
    lines = [f"keypoints.csv, decoded on the board: {np.median(apart):.2f} px from predictions.csv in the median"]
    if tables:
        rows, wanted = board_tables(out), {name: table.rows for name, table in tables.items()}
        lines.append(f"entries of its tables differ by up to {largest_difference(rows, wanted):.2f} points")
        lines[-1] += "".join(
            f"; {protocol} {part}: {row['Mean']:.2f} instead of {wanted[protocol][part]['Mean']:.2f}"
            for protocol, parts in rows.items()
            for part, row in parts.items()
            if part.startswith("PCK") and "Mean" in row
        )
    return lines
