"""The way to an Ascend 310 in four stages that hand over by files in one folder, so that each can run elsewhere.

    preprocess  ->  recipe.json, labels.npz, images/000000.bin, flipped/000000.bin: float32 (3, S, S), normalised
    convert     ->  model.json, and the file that it names: what the run time reads
    infer       ->  heatmaps/000000.bin, heatmaps_flipped/000000.bin: float32 (K, h, w); times.json
    postprocess ->  predictions.csv, scores.json

`infer` needs neither the data set nor MindSpore's network; `postprocess` needs no model.
"""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from posekit.bars import progress_bar
from posekit.codecs import image_keypoints
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import EvaluationBatches
from posekit.deploy.ascend import SOC, convert_om, write_commands
from posekit.errors import InputError
from posekit.evaluation.protocols import Rows, Table, score_into
from posekit.files import atomic_path, read_json, write_json, write_text
from posekit.inference.predictors import flip_average
from posekit.inference.run_times import load_predictor
from posekit.inference.run_times.description import beside, read_description
from posekit.inference.run_times.lite import convert_lite
from posekit.inference.run_times.request import Request
from posekit.layouts import get_layout, open_split
from posekit.predictions import Predictions
from posekit.recipes import Recipe
from posekit.runtime import chosen_device, split_device
from posekit.settings import from_json, to_json
from posekit.signals import ctrl_c
from posekit.skeletons import get_skeleton

_LABELS = ("keypoints", "visible", "hidden", "unit", "head_size")
_MUST_AGREE = ("skeleton", "input_size", "heatmap_size", "mean", "std", "intervals", "offset", "sigma", "flip_test")
_PAIRS = (("images", "heatmaps"), ("flipped", "heatmaps_flipped"))


def preprocess(
    model: Path,
    data: Path | None,
    split: str,
    images: Path | None,
    out: Path,
    first: int | None = None,
    progress: bool = True,
) -> int:
    """Write each sample's network input, mirrored too where the recipe has a flip test, and what scoring needs.

    Of the split, or of its `first` samples; returns their number. Inputs and heatmaps that were there are removed.
    """
    recipe = _recipe_of(model)
    dataset = open_split(recipe, data, split, images).first(first)
    for folder in (name for pair in _PAIRS for name in pair):
        shutil.rmtree(out / folder, ignore_errors=True)
    batches, matrices = EvaluationBatches(dataset, recipe, 1), []
    for number in progress_bar(range(len(dataset)), desc="preprocess", unit="image", disable=not progress):
        image, matrix, _ = batches[number]
        matrices.append(matrix[0])
        _write(out / "images" / f"{number:06}.bin", image[0])
        if recipe.flip_test:
            _write(out / "flipped" / f"{number:06}.bin", image[0, :, :, ::-1])
    _write_labels(out / "labels.npz", dataset, np.stack(matrices))
    write_text(out / "recipe.json", to_json(recipe) + "\n")
    return len(dataset)


def convert(request: Request, out: Path, soc: str = SOC) -> Path:
    """Write what a run time reads into `out`; returns that file.

    Without a backend: what reads the file if that is plain, else MindSpore Lite, on an Ascend OM where `atc` is. A
    checkpoint is exported for one image at a time.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.json").unlink(missing_ok=True)  # of another run
    backend = request.backend or _run_time_of(request.model, request.device)
    made = _source(request.model, out, backend)
    if made.suffix == ".onnx" and backend == "lite":
        wanted = replace(request, model=made, batch=1)
        made = out / "model-lite.mindir"
        convert_lite(wanted, made)
    elif made.suffix == ".onnx" and backend == "om":
        recipe, batch, _ = read_description(made)
        if batch is None:
            raise InputError(
                f"{request.model}: is for any number of images, an .om file for one number; give the checkpoint"
            )
        write_commands(made, batch, recipe.input_size, soc)
        convert_om(made, made.with_suffix(".om"), recipe, batch, soc)
        made = made.with_suffix(".om")
    write_json(out / "model.json", {"file": made.name, "run_time": backend})
    return made


def _run_time_of(model: Path, device: str) -> str:
    if model.suffix == ".mindir":
        return read_json(beside(model), "copy it along, or export the model again").get("run_time", "mindir")
    om = model.suffix == ".om" or (split_device(device)[0] == "ascend" and shutil.which("atc"))
    return "om" if om else "lite"


def _source(model: Path, out: Path, backend: str) -> Path:
    """The model in `out`: a checkpoint exported as what leads to the run time, any other file copied."""
    if not model.is_file():
        raise InputError(f"{model}: no such model file; check the path")
    if model.suffix == ".ckpt" and backend != "mindspore":
        from posekit.deploy.export import export_model

        chosen_device("cpu")
        kind = "mindir" if backend == "mindir" else "onnx"
        return export_model(model, kind, out / f"model.{kind}", 1)
    _recipe_of(model)  # says what is wrong with it
    for path, target in ((model, out / f"model{model.suffix}"), (beside(model), beside(out / f"model{model.suffix}"))):
        if path.is_file() and path.resolve() != target.resolve():
            with atomic_path(target) as temporary:
                shutil.copyfile(path, temporary)
    return out / f"model{model.suffix}"


def infer(request: Request, progress: bool = True) -> dict:
    """Run every input through the converted file; returns what times.json says: run time, images, milliseconds each.

    request.model is the folder that the stages share.
    """
    out = request.model
    chosen = read_json(out / "model.json", "run the stage convert first")
    predictor = load_predictor(replace(request, model=out / chosen["file"], batch=1, backend=chosen["run_time"]))
    _check_recipe(out, predictor.recipe)
    size, count, seconds = predictor.recipe.input_size, 0, 0.0
    predictor.heatmaps(np.zeros((1, 3, size, size), np.float32))  # the first call is slower
    for inputs, answers in _PAIRS:
        files = sorted((out / inputs).glob("*.bin"))
        starts = range(0, len(files), predictor.batch)
        with ctrl_c(), progress_bar(starts, desc=inputs, unit="batch", disable=not progress) as bar:
            for start in bar:
                part = files[start : start + predictor.batch]
                images = np.stack([_read(path, (3, size, size)) for path in part])
                began = time.perf_counter()
                heatmaps = predictor.heatmaps(images)
                seconds, count = seconds + time.perf_counter() - began, count + len(part)
                for path, maps in zip(part, heatmaps, strict=True):
                    _write(out / answers / path.name, maps)
    if not count:
        raise InputError(f"{out / 'images'}: holds no .bin files; run the stage preprocess first")
    times = {"run_time": predictor.run_time, "images": count, "milliseconds": 1e3 * seconds / count}
    write_json(out / "times.json", times)
    return times


def _check_recipe(out: Path, recipe: Recipe) -> None:
    """InputError when the inputs were made for a network that sees or answers otherwise than the recipe's."""
    if not (out / "recipe.json").is_file():  # inputs from elsewhere, or none yet
        return
    made_for = _prepared_for(out)
    for name in _MUST_AGREE:
        if (was := getattr(made_for, name)) != (now := getattr(recipe, name)):
            raise InputError(
                f"{out}: its inputs are for a model with {name} {was}, this one has {now}; run the stage preprocess "
                "with this model"
            )


def _prepared_for(out: Path) -> Recipe:
    path = out / "recipe.json"
    return from_json(json.dumps(read_json(path, "run the stage preprocess first")), str(path))


def postprocess(out: Path) -> dict[str, Table]:
    """Decode the heatmaps and score them as `posekit evaluate` does; writes predictions.csv and scores.json."""
    recipe = _prepared_for(out)
    values = _read_labels(out / "labels.npz")
    skeleton = get_skeleton(recipe.skeleton)
    shape = (skeleton.num_keypoints, recipe.heatmap_size, recipe.heatmap_size)
    found = []
    for number, matrix in enumerate(values["matrices"]):
        maps = _read(out / "heatmaps" / f"{number:06}.bin", shape)[None]
        if recipe.flip_test:
            mirrored = _read(out / "heatmaps_flipped" / f"{number:06}.bin", shape)[None]
            maps = flip_average(maps, mirrored, skeleton, recipe.flip_shift)
        found.append(image_keypoints(recipe.codec, maps, matrix[None]))
    keypoints, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    names = values["names"].tolist()
    labels = Rows(names, *(values[name] for name in _LABELS if name in values))
    return score_into(out, get_layout(recipe.dataset).protocols, labels, Predictions(names, keypoints, scores))


def _recipe_of(model: Path) -> Recipe:
    if model.suffix != ".ckpt":
        return read_description(model)[0]
    from posekit.models.checkpoint import read_checkpoint

    return read_checkpoint(model)[0]


def _write_labels(path: Path, dataset: PoseDataset, matrices: np.ndarray) -> None:
    """Arrays only, nothing pickled: names, what scoring needs, and the maps (N, 2, 3) from image to input pixels."""
    labels = {name: getattr(dataset, name) for name in _LABELS}
    present = {name: column for name, column in labels.items() if column is not None}
    with atomic_path(path) as temporary:
        np.savez(temporary, names=np.array(dataset.names), matrices=matrices, **present)


def _read_labels(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: cannot read ({error}); run the stage preprocess again") from error


def _write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.ascontiguousarray(values, np.float32).tobytes())


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """float32 values of a .bin file; InputError when it is missing or of another size."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); run the stage before again") from error
    if len(data) != 4 * int(np.prod(shape)):
        raise InputError(
            f"{path}: {len(data)} bytes are not the {4 * int(np.prod(shape))} of {shape} float32; "
            "run the stage before again, with the same model"
        )
    return np.frombuffer(data, np.float32).reshape(shape)
