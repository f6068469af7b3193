"""Images to heatmaps on each run time, the flip test, and the predictions table of a data set.

Training's validation and every command that predicts go through here.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from posekit.datasets.dataset import PoseDataset
from posekit.errors import InputError
from posekit.geometry import invert, transform_points
from posekit.pipeline import evaluation_iterator
from posekit.predictions import Predictions
from posekit.recipes import Recipe, from_json
from posekit.runtime import ctrl_c


@dataclass(frozen=True)
class Predictor:
    """A network on some run time.

    `run` maps images (batch, 3, S, S) float32, normalised as the recipe says, to heatmaps (batch, K, h, w) of the last
    stage; it accepts exactly `batch` images, since a graph is compiled for one shape.
    """

    recipe: Recipe
    run: Callable[[np.ndarray], np.ndarray]
    batch: int

    def heatmaps(self, images: np.ndarray) -> np.ndarray:
        """Heatmaps (N, K, h, w) of any number of images (N, 3, S, S)."""
        parts = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            padding = np.repeat(part[-1:], self.batch - len(part), axis=0)
            parts.append(self.run(np.concatenate([part, padding]))[: len(part)])
        return np.concatenate(parts)

    def tested_heatmaps(self, images: np.ndarray) -> np.ndarray:
        """As `heatmaps`; averaged with those of the mirrored images where the recipe has a flip test."""
        heatmaps = self.heatmaps(images)
        if not self.recipe.flip_test:
            return heatmaps
        mirrored = self.heatmaps(np.ascontiguousarray(images[..., ::-1]))
        return (heatmaps + mirror_heatmaps(mirrored, self.recipe)) * 0.5


def mirror_heatmaps(heatmaps: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Heatmaps (N, K, h, w) of mirrored images as those of the unmirrored ones.

    Cell 0 stands for pixel 0, so a map turned back lies 1 - 1 / stride cells too far left. `flip_shift` moves it right:
    by 1 in PoseEstNet, by 0 in Stacked Hourglass, exactly by 0.75 at stride 4.
    """
    back = heatmaps[:, list(recipe.keypoint_skeleton.flip_order), :, ::-1]
    whole = int(recipe.flip_shift)
    part = recipe.flip_shift - whole
    near = _moved_right(back, whole)
    return near if part == 0 else (1 - part) * near + part * _moved_right(back, whole + 1)


def _moved_right(heatmaps: np.ndarray, cells: int) -> np.ndarray:
    """Move maps right; the first columns stay as they are, as in the seed."""
    if cells == 0:
        return heatmaps
    return np.concatenate([heatmaps[..., :cells], heatmaps[..., :-cells]], axis=-1)


def network_predictor(network: object, recipe: Recipe, batch: int = 16) -> Predictor:
    """A predictor around a live MindSpore network, in its present weights."""
    import mindspore as ms

    def run(images: np.ndarray) -> np.ndarray:
        network.set_train(False)
        return network(ms.Tensor(images))[-1].asnumpy()

    return Predictor(recipe, run, batch)


def load_predictor(model: Path, device: str = "auto", batch: int = 16, flip_test: bool | None = None) -> Predictor:
    """The predictor of a model file: .ckpt, .mindir or .onnx, by its suffix.

    batch applies to checkpoints; an exported file keeps the one it was exported with. flip_test overrides the recipe's.
    """
    loaders = {".ckpt": _load_checkpoint, ".mindir": _load_mindir, ".onnx": _load_onnx}
    if model.suffix not in loaders:
        raise InputError(f"{model}: unknown kind of model file; give a {', '.join(loaders)} file")
    if not model.is_file():
        raise InputError(f"{model}: no such model file; train one with posekit train, or check the path")
    predictor = loaders[model.suffix](model, device, batch)
    if flip_test is None:
        return predictor
    return replace(predictor, recipe=replace(predictor.recipe, flip_test=flip_test))


def _load_checkpoint(model: Path, device: str, batch: int) -> Predictor:
    from posekit.models.checkpoint import load_network
    from posekit.runtime import set_up

    set_up(device)
    recipe, network = load_network(model)
    return network_predictor(network, recipe, batch)


def _load_mindir(model: Path, device: str, batch: int) -> Predictor:
    import mindspore as ms

    from posekit.runtime import set_up

    set_up(device)
    beside = model.with_suffix(".mindir.json")
    if not beside.is_file():
        raise InputError(f"{model}: its {beside.name} is missing; copy it along, or export the model again")
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        recipe, batch = from_json(json.dumps(description["recipe"]), str(beside)), int(description["batch"])
        graph = ms.nn.GraphCell(ms.load(str(model)))
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{model}: not a readable MINDIR ({reason}); export the model again") from error
    return Predictor(recipe, lambda images: graph(ms.Tensor(images)).asnumpy(), batch)


def _load_onnx(model: Path, device: str, batch: int) -> Predictor:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(model), providers=_onnx_providers(onnxruntime))
    except Exception as error:  # onnxruntime's own exceptions share no base class
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{model}: not a readable ONNX file ({reason}); export the model again") from error
    described = session.get_modelmeta().custom_metadata_map
    if "recipe" not in described:
        raise InputError(f"{model}: carries no recipe; export it with posekit export")
    name = session.get_inputs()[0].name
    fixed = session.get_inputs()[0].shape[0]
    return Predictor(
        from_json(described["recipe"], str(model)),
        lambda images: session.run(None, {name: images})[0],
        fixed if isinstance(fixed, int) else batch,
    )


def _onnx_providers(onnxruntime: object) -> list[str]:
    """The accelerators of this onnxruntime first, the CPU last."""
    wanted = ("CANNExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    return [provider for provider in wanted if provider in onnxruntime.get_available_providers()]


def predict_dataset(predictor: Predictor, dataset: PoseDataset, progress: bool = True) -> Predictions:
    """Predict every sample of the split, in its order, in pixels of each image."""
    codec = predictor.recipe.codec
    keypoints, scores = [], []
    batches = evaluation_iterator(dataset, predictor.recipe, predictor.batch)
    total = -(-len(dataset) // predictor.batch)
    with ctrl_c(), tqdm(batches, total=total, desc="predict", unit="batch", disable=not progress) as bar:
        for images, matrices, count in bar:
            found, score = codec.decode(predictor.tested_heatmaps(images))
            keypoints.append(transform_points(invert(matrices), found)[:count])
            scores.append(score[:count])
    return Predictions(list(dataset.names), np.concatenate(keypoints), np.concatenate(scores))
