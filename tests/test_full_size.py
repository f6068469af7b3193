"""The published recipe at its real size: HRNet-W32 on 256×256, trained for two updates, saved, loaded and exported."""

from pathlib import Path

import mindspore as ms
import numpy as np
import onnxruntime
import pytest
from networks import fresh

from posekit.datasets.pipeline import EvaluationBatches, training_iterator
from posekit.deploy.export import export_model
from posekit.layouts import open_split
from posekit.models.checkpoint import load_network, save_checkpoint
from posekit.recipes import get_recipe
from posekit.runtime import set_up
from posekit.settings import override
from posekit.training.step import make_step


@pytest.mark.slow
def test_poseestnet_trains_saves_loads_and_exports(tiny_vehicles: Path, tmp_path: Path):
    set_up("cpu")
    recipe = override(get_recipe("poseestnet"), ["batch=2"])
    data = open_split(recipe, tiny_vehicles, "train")
    ms.set_seed(0)
    network = fresh(recipe)
    start = {p.name: p.asnumpy().copy() for p in network.trainable_params()}
    step = make_step(network, recipe, steps=12)
    step.set_train(True)
    batches = training_iterator(data, recipe, epoch=1)
    losses = [float(step(*map(ms.Tensor, next(batches))).asnumpy()) for _ in range(2)]
    batches.close()
    assert np.isfinite(losses).all() and losses[1] != losses[0] > 0
    for parameter in network.trainable_params():  # Adam's first two updates move every weight by about the rate each
        moved = np.abs(parameter.asnumpy() - start[parameter.name])
        assert 0 < moved.max() <= 2.5 * recipe.learning_rate, parameter.name

    save_checkpoint(tmp_path / "last.ckpt", network, recipe, 1, 2)
    model = load_network(tmp_path / "last.ckpt")
    found, loaded = model.recipe, model.network
    assert found == recipe
    pairs = zip(network.get_parameters(), loaded.get_parameters(), strict=True)
    assert all(np.array_equal(a.asnumpy(), b.asnumpy()) for a, b in pairs)

    images = EvaluationBatches(data, recipe, 1)[0][0]
    set_up("cpu", mode="pynative")  # compiling takes ten times as long as one image
    heatmaps = loaded(ms.Tensor(images))[-1].asnumpy()
    set_up("cpu")
    assert heatmaps.shape == (1, 36, 64, 64)
    path = export_model(tmp_path / "last.ckpt", "onnx", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    exported = session.run(None, {"images": images})[0]
    assert np.abs(exported - heatmaps).max() <= 1e-4 * np.ptp(heatmaps)
