"""A kit for a board: a folder or zip with the network, its inputs and what runs them, where posekit can't be installed.

    model.onnx, model.json                   and model.om, model-cpu.mindir where atc and MindSpore Lite are
    kit.json, raw/000000.jpg                 raw inputs: encoded pictures, and the map from each to the network's input
    kit.json, images/000000.bin              preprocessed inputs, as the stage preprocess writes them
    recipe.json, labels.npz                  for the stage postprocess, which is also told preprocess.sha256
    infer.py, convert.sh, README.md          `board_infer.py` and what is written here; SHA256SUMS lists all files

`infer.py` adds heatmaps, keypoints.csv, times.json, infer.sha256 and pictures.
"""

import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from posekit.bars import progress_bar
from posekit.bounds import LABELS_BYTES
from posekit.datasets.dataset import BOX_MARGIN, PoseDataset
from posekit.datasets.images import decode_image, one_line, read_file
from posekit.datasets.pipeline import crop
from posekit.deploy import infer310
from posekit.deploy.ascend import atc_command, check_soc, convert_om, converter_command
from posekit.deploy.stage_files import Reader, Writer
from posekit.drawing import side_colors
from posekit.errors import InputError, in_words
from posekit.evaluation.protocols import Rows, Table, largest_difference, score
from posekit.files import atomic_path, new_folder, read_json, sha256, write_text
from posekit.geometry import sides
from posekit.inference.boxes import crop_box, whole
from posekit.inference.inputs import find_inputs
from posekit.inference.run_times.description import read_description
from posekit.inference.run_times.lite import convert_lite
from posekit.inference.run_times.request import MissingRunTime, Request
from posekit.layouts import for_data, get_layout, open_split
from posekit.predictions import Predictions, read_predictions, write_predictions
from posekit.recipes import Recipe
from posekit.settings import to_json
from posekit.skeletons import get_skeleton

INPUTS = ("raw", "preprocessed")
_HERE = Path(__file__).parent
_EXECUTABLE = 0o755


@dataclass(frozen=True)
class Source:
    """What a kit is to run: a split of a data set (the embedded one if `data` is None), or the pictures in `images`.

    images: with `data`, where its images are. first: only so many samples. inputs: raw or preprocessed.
    """

    data: Path | None = None
    split: str = "test"
    images: Path | None = None
    first: int | None = None
    inputs: str = "raw"

    @property
    def own_pictures(self) -> bool:
        """Whether these are pictures without labels."""
        return self.data is None and self.images is not None


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
    if out.suffix != ".zip" and out.exists() and (not out.is_dir() or any(out.iterdir())):
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
    samples = list(_samples(kit, request.model, recipe, source, progress))
    write_text(kit / "kit.json", json.dumps(_settings(recipe, samples)) + "\n")
    shutil.copyfile(_HERE / "board_infer.py", kit / "infer.py")
    _write_texts(kit, recipe, soc)
    notes = _convert(kit, replace(request, model=onnx, batch=1), recipe, soc)
    names = sorted(path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file())
    write_text(kit / "SHA256SUMS", "".join(f"{sha256(kit / name)}  {name}\n" for name in names))
    return notes


def _settings(recipe: Recipe, samples: list[dict]) -> dict:
    """What infer.py needs to know."""
    skeleton = get_skeleton(recipe.skeleton)
    return {
        "recipe": recipe.name,
        "input_size": sides(recipe.input_size),
        "intervals": int(recipe.intervals),
        "margin": BOX_MARGIN,
        "mean": recipe.mean,
        "std": recipe.std,
        "flip_test": recipe.flip_test,
        "flip_shift": recipe.flip_shift,
        "flip_order": skeleton.flip_order,
        "cell_offset": 0.5 if recipe.offset == "forced" else 0,
        "keypoints": skeleton.keypoints,
        "limbs": skeleton.limbs,
        "colors": side_colors(skeleton),
        "samples": samples,
    }


# Inputs


def _samples(kit: Path, model: Path, recipe: Recipe, source: Source, progress: bool) -> Iterator[dict]:
    """Write the inputs; yields name, file and map of each sample."""
    if source.own_pictures:
        assert source.images is not None
        write_text(kit / "recipe.json", f"{to_json(recipe)}\n")
        yield from _pictures(kit, recipe, source.images, source.first)
        return
    dataset = open_split(recipe, source.data, source.split, source.images).first(source.first)
    if source.inputs == "preprocessed":
        infer310.preprocess(model, source.data, source.split, source.images, kit, source.first, progress)
        matrices = Reader(kit, "preprocess").read_labels("labels.npz", dataset.skeleton.num_keypoints)["matrices"]
        for number, name in enumerate(dataset.names):
            yield {"name": name, "file": f"images/{number:06}.bin", "matrix": matrices[number].tolist()}
        return
    matrices = []
    for sample in _encoded(kit, dataset, recipe, progress):
        matrices.append(sample["matrix"])
        yield sample
    files = Writer(kit, "preprocess")
    infer310.write_labels(files, dataset, np.array(matrices), recipe)
    files.finish()


def _encoded(kit: Path, dataset: PoseDataset, recipe: Recipe, progress: bool) -> Iterator[dict]:
    """Write the encoded images of a data set, one that several samples show only once."""
    written: dict[str, str] = {}  # by the SHA-256 of the file
    for number in progress_bar(range(len(dataset)), desc="pack", unit="image", disable=not progress):
        sample, data = dataset[number], dataset.read_bytes(number)
        digest = hashlib.sha256(data).hexdigest()
        if digest not in written:
            written[digest] = _write_picture(kit, number, data, sample.image)
        matrix = crop(sample, recipe).matrix
        yield {"name": dataset.names[number], "file": written[digest], "matrix": matrix.tolist()}


def _pictures(kit: Path, recipe: Recipe, folder: Path, first: int | None) -> Iterator[dict]:
    """Write the pictures of a folder, each as a whole an object; of those that can't be read, the first is an error."""
    found, skeleton = [given for given in find_inputs([folder])[0] if not given.video], get_skeleton(recipe.skeleton)
    if not found:
        raise InputError(f"{folder}: holds no images; give a folder of pictures")
    for number, given in enumerate(found[:first]):
        data = read_file(given.path)
        image = decode_image(data, one_line(given.path), upright=True)
        matrix = crop_box(image, whole(image), recipe, skeleton).matrix
        yield {"name": given.name, "file": _write_picture(kit, number, data, image), "matrix": matrix.tolist()}


def _write_picture(kit: Path, number: int, data: bytes, image: np.ndarray) -> str:
    """Write an image's own file if Pillow, which reads it on the board, finds the same pixels in it, else a PNG."""
    suffix = ".jpg" if data.startswith(b"\xff\xd8") else ".png"
    if not _reads_alike(data, image):
        stream, suffix = io.BytesIO(), ".png"
        Image.fromarray(image).save(stream, "PNG")
        data = stream.getvalue()
    path = kit / "raw" / f"{number:06}{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path.relative_to(kit).as_posix()


def _reads_alike(data: bytes, image: np.ndarray) -> bool:
    """Whether it is a JPEG or PNG that Pillow decodes, in RGB, to these pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            return np.array_equal(np.asarray(opened.convert("RGB")), image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


# Models and texts


def _convert(kit: Path, request: Request, recipe: Recipe, soc: str | None) -> list[str]:
    """Convert model.onnx, in `request`, to what its tools are here for; returns what is missing, a line each."""
    notes = []
    try:
        convert_lite(replace(request, device="cpu"), kit / "model-cpu.mindir")
    except MissingRunTime as error:
        notes.append(f"no model-cpu.mindir: {error}")
    if soc is None:
        return [*notes, "no model.om: run convert.sh on the board"]
    try:
        convert_om(request.model, kit / "model.om", recipe, 1, soc)
    except MissingRunTime:
        (kit / "model.om.json").unlink()
        notes.append("no model.om: atc is not on the path here; run convert.sh on the board")
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
    """As `infer310.postprocess`, also of a kit without labels, which has no tables; and lines on the board's decoding."""
    recipe = infer310.recipe_in(out)
    if not (out / "labels.npz").exists() and (out / "kit.json").exists():
        names, matrices = _samples_in(out)
        found = infer310.decoded(out, recipe, names, matrices)
        write_predictions(out / "predictions.csv", found)
        return {}, _board_decoding(out, found, {}, None)
    tables = infer310.postprocess(out)
    labels, _ = infer310.labels_in(out, recipe)
    found = read_predictions(out / "predictions.csv", labels.skeleton.num_keypoints)
    return tables, _board_decoding(out, found, tables, labels)


def _samples_in(out: Path) -> tuple[list[str], np.ndarray]:
    """Names and maps (N, 2, 3) of the samples in kit.json."""
    again = "copy the kit again"
    samples = read_json(out / "kit.json", again, LABELS_BYTES).get("samples")
    try:
        matrices = np.array([sample["matrix"] for sample in samples], float).reshape(len(samples), 2, 3)
        names = [str(sample["name"]) for sample in samples]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{out / 'kit.json'}: not a kit's samples ({in_words(error)}); {again}") from error
    if not samples or not np.isfinite(matrices).all():
        raise InputError(f"{out / 'kit.json'}: holds no samples, or maps with NaN; {again}")
    return names, matrices


def _board_decoding(out: Path, found: Predictions, tables: dict[str, Table], labels: Rows | None) -> list[str]:
    """How far keypoints.csv, decoded on the board, is from `found`, and its tables from `tables`; a line each."""
    path = out / "keypoints.csv"
    if not path.exists():
        return []
    board = read_predictions(path, found.keypoints.shape[1]).in_order(found.names)
    apart = np.linalg.norm(board.keypoints - found.keypoints, axis=-1)
    line = f"keypoints.csv, decoded on the board: {np.median(apart):.2f} px from predictions.csv in the median"
    if labels is None:
        return [line]
    protocols = get_layout(infer310.recipe_in(out).dataset).protocols
    rows = [{name: table.rows for name, table in it.items()} for it in (score(protocols, labels, board), tables)]
    return [f"{line}; entries of the tables differ by up to {largest_difference(*rows):.2f} points"]
