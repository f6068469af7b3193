"""The way to an Ascend 310 in four stages. They hand over files in one folder, so each can run on another machine.

    preprocess  ->  recipe.json, labels.npz, images/000000.bin, flipped/000000.bin: float32 (3, H, W), normalised
    convert     ->  model.json, and the file that it names: what the run time reads
    infer       ->  heatmaps/000000.bin, heatmaps_flipped/000000.bin: float32 (K, h, w); times.json
    postprocess ->  predictions.csv, scores.json

preprocess.sha256 and infer.sha256 list the checksums. `infer` needs neither the data set nor MindSpore's network;
`postprocess` needs no model.
"""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.bars import progress_bar
from posekit.codecs import image_keypoints
from posekit.datasets.dataset import PoseDataset
from posekit.datasets.pipeline import EvaluationBatches
from posekit.deploy.ascend import SOC, convert_om, write_commands
from posekit.deploy.stage_files import Reader, Writer
from posekit.errors import InputError
from posekit.evaluation.protocols import Rows, Table, score_into
from posekit.files import atomic_path, read_json, write_json
from posekit.inference.predictors import flip_average
from posekit.inference.run_times import BACKENDS, load_predictor
from posekit.inference.run_times.description import beside, read_description
from posekit.inference.run_times.lite import convert_lite
from posekit.inference.run_times.request import Request
from posekit.layouts import for_data, get_layout, open_split
from posekit.predictions import Predictions
from posekit.recipes import Recipe
from posekit.runtime import chosen_device, split_device
from posekit.settings import from_json, to_json
from posekit.signals import ctrl_c
from posekit.skeletons import get_skeleton

_LABELS = ("keypoints", "visible", "hidden", "unit", "head_size")
_MUST_AGREE = ("skeleton", "input_size", "heatmap_size", "mean", "std", "intervals", "offset", "sigma", "flip_test")
_MUST_AGREE += ("flip_shift", "target_centre")
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
    recipe = for_data(_recipe_of(model), data)
    dataset = open_split(recipe, data, split, images).first(first)
    for folder in (name for pair in _PAIRS for name in pair):
        shutil.rmtree(out / folder, ignore_errors=True)
    (out / "infer.sha256").unlink(missing_ok=True)
    files = Writer(out, "preprocess")
    batches, matrices = EvaluationBatches(dataset, recipe, 1), []
    for number in progress_bar(range(len(dataset)), desc="preprocess", unit="image", disable=not progress):
        image, matrix, _ = batches[number]
        matrices.append(matrix[0])
        files.write_array(f"images/{number:06}.bin", image[0])
        if recipe.flip_test:
            files.write_array(f"flipped/{number:06}.bin", image[0, :, :, ::-1])
    write_labels(files, dataset, np.stack(matrices), recipe)
    files.finish()
    return len(dataset)


def write_labels(files: Writer, dataset: PoseDataset, matrices: np.ndarray, recipe: Recipe) -> None:
    """Write what `postprocess` needs: the labels, the maps (N, 2, 3) from images to inputs, and the recipe."""
    labels = {name: getattr(dataset, name) for name in _LABELS}
    present = {name: column for name, column in labels.items() if column is not None}
    if dataset.truth is not None:
        present["truth"] = np.array(json.dumps(dataset.truth))
    files.write_labels("labels.npz", {"names": np.array(dataset.names), "matrices": matrices, **present})
    files.write("recipe.json", f"{to_json(recipe)}\n".encode())


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
        about = read_description(made)
        if about.batch is None:
            raise InputError(
                f"{request.model}: is for any number of images, an .om file for one number; give the checkpoint"
            )
        write_commands(made, about.batch, about.recipe.input_size, soc)
        convert_om(made, made.with_suffix(".om"), about.recipe, about.batch, soc)
        made = made.with_suffix(".om")
    write_json(out / "model.json", {"file": made.name, "run_time": backend})
    return made


def _run_time_of(model: Path, device: str) -> str:
    if model.suffix == ".mindir":
        return read_description(model).run_time or "mindir"
    om = model.suffix == ".om" or (split_device(device)[0] == "ascend" and shutil.which("atc"))
    return "om" if om else "lite"


def _source(model: Path, out: Path, backend: str) -> Path:
    """The model in `out`: a checkpoint is exported for the run time, any other file is copied."""
    if not model.is_file():
        raise InputError(f"{model}: no such model file; check the path")
    if model.suffix == ".ckpt" and backend != "mindspore":
        from posekit.deploy.export import export_model

        chosen_device("cpu")
        kind = "mindir" if backend == "mindir" else "onnx"
        return export_model(model, kind, out / f"model.{kind}", 1)
    _recipe_of(model)  # says what is wrong with it
    for path, target in ((model, out / f"model{model.suffix}"), (beside(model), beside(out / f"model{model.suffix}"))):
        if path.is_file() and os.path.realpath(path) != os.path.realpath(target):
            with atomic_path(target) as temporary:
                shutil.copyfile(path, temporary)
    return out / f"model{model.suffix}"


def infer(request: Request, progress: bool = True) -> dict:
    """Run every input through the converted file; returns what times.json says: run time, images, milliseconds each.

    request.model is the folder that the stages share.
    """
    out = request.model
    file, run_time = _converted(out)
    predictor = load_predictor(replace(request, model=file, batch=1, backend=run_time))
    _check_recipe(out, predictor.recipe)
    for _, answers in _PAIRS:  # of another model, perhaps: not for `postprocess` if this stage fails
        shutil.rmtree(out / answers, ignore_errors=True)
    given, made = Reader(out, "preprocess"), Writer(out, "infer")
    shape, count, seconds = predictor.recipe.input_shape, 0, 0.0
    predictor.heatmaps(np.zeros((1, *shape), np.float32))  # the first call is slower
    for inputs, answers in _PAIRS:
        files = given.names(inputs)
        starts = range(0, len(files), predictor.batch)
        with ctrl_c(), progress_bar(starts, desc=inputs, unit="batch", disable=not progress) as bar:
            for start in bar:
                part = files[start : start + predictor.batch]
                images = np.stack([given.read_array(name, shape) for name in part])
                began = time.perf_counter()
                heatmaps = predictor.heatmaps(images)
                seconds, count = seconds + time.perf_counter() - began, count + len(part)
                for name, maps in zip(part, heatmaps, strict=True):
                    made.write_array(f"{answers}/{Path(name).name}", maps)
    if not count:
        raise InputError(f"{out / 'images'}: holds no .bin files; run the stage preprocess first")
    made.finish()
    times = {"run_time": predictor.run_time, "images": count, "milliseconds": 1e3 * seconds / count}
    write_json(out / "times.json", times)
    return times


def _converted(out: Path) -> tuple[Path, str]:
    """The file that `convert` made, and what runs it."""
    path, again = out / "model.json", "run the stage convert first"
    values = read_json(path, again)
    file, run_time = values.get("file"), values.get("run_time")
    if not isinstance(file, str) or Path(file).name != file or run_time not in BACKENDS:
        raise InputError(f"{path}: names no file here with a run time; {again}")
    return out / file, run_time


def recipe_in(out: Path) -> Recipe:
    """The recipe that the inputs were made for."""
    path = out / "recipe.json"
    read_json(path, "run the stage preprocess first")
    return from_json(Reader(out, "preprocess").read("recipe.json").decode(), str(path))


def _check_recipe(out: Path, recipe: Recipe) -> None:
    """InputError when the inputs were made for a model whose input or decoding differs from the recipe's."""
    if not (out / "recipe.json").is_file():  # inputs from elsewhere, or none yet
        return
    made_for = recipe_in(out)
    for name in _MUST_AGREE:
        if (was := getattr(made_for, name)) != (now := getattr(recipe, name)):
            raise InputError(
                f"{out}: its inputs are for a model with {name} {was}, this one has {now}; run the stage preprocess "
                "with this model"
            )


def postprocess(out: Path) -> dict[str, Table]:
    """Decode the heatmaps and score them as `posekit evaluate` does; writes predictions.csv and scores.json."""
    recipe = recipe_in(out)
    labels, matrices = labels_in(out, recipe)
    protocols = get_layout(recipe.dataset).protocols
    return score_into(out, protocols, labels, decoded(out, recipe, labels.names, matrices))


def labels_in(out: Path, recipe: Recipe) -> tuple[Rows, np.ndarray]:
    """The labels, and the maps (N, 2, 3) from images to inputs, that `preprocess` wrote."""
    skeleton = get_skeleton(recipe.skeleton)
    values = Reader(out, "preprocess").read_labels("labels.npz", skeleton.num_keypoints)
    columns = {name: values[name] for name in _LABELS if name in values}
    truth = json.loads(str(values["truth"])) if "truth" in values else None
    return Rows(values["names"].tolist(), skeleton=skeleton, truth=truth, **columns), values["matrices"]


def decoded(out: Path, recipe: Recipe, names: list[str], matrices: np.ndarray) -> Predictions:
    """The keypoints in the heatmaps that `infer` wrote, of samples with these names and maps (N, 2, 3)."""
    answers, skeleton, found = Reader(out, "infer"), get_skeleton(recipe.skeleton), []
    shape = (skeleton.num_keypoints, *recipe.heatmap_shape)
    for number, matrix in enumerate(matrices):
        maps = answers.read_array(f"heatmaps/{number:06}.bin", shape)[None]
        if recipe.flip_test:
            mirrored = answers.read_array(f"heatmaps_flipped/{number:06}.bin", shape)[None]
            maps = flip_average(maps, mirrored, skeleton, recipe.flip_shift)
        found.append(image_keypoints(recipe.codec, maps, matrix[None]))
    keypoints, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    return Predictions(names, keypoints, scores)


def _recipe_of(model: Path) -> Recipe:
    if model.suffix != ".ckpt":
        return read_description(model).recipe
    from posekit.models.checkpoint import read_checkpoint

    return read_checkpoint(model)[0]
