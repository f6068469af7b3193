"""Fixtures that many tests use. Nothing here imports MindSpore."""

import os
from pathlib import Path

import pytest
from networks import fresh

from posekit.layouts.veri import VERI

os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("GLOG_v", "3")  # MindSpore's errors only


@pytest.fixture(scope="session")
def annotations() -> Path:
    """The folder of the real label files, where POSEKIT_ANNOTATIONS names one."""
    folder = os.environ.get("POSEKIT_ANNOTATIONS")
    if not folder:
        pytest.skip("set POSEKIT_ANNOTATIONS to the folder of the real label files")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_vehicles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 12 test vehicles in the VeRi layout."""

    folder = tmp_path_factory.mktemp("vehicles") / "data"
    VERI.draw(folder, 24, 12, seed=1)
    return folder


@pytest.fixture(scope="session")
def tiny_run(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of poseestnet-tiny on `tiny_vehicles`: 12 epochs of 6 updates, without augmentation."""
    from posekit.recipes import get_recipe
    from posekit.settings import override
    from posekit.training.loop import run

    plain = ["scale_factor=0", "rotation_probability=0", "flip_probability=0"]
    settings = ["epochs=12", "validate_every=6", "learning_rate=5e-3", *plain]
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run(override(get_recipe("poseestnet-tiny"), settings), tiny_vehicles, folder, "cpu")
    return folder


@pytest.fixture(scope="session")
def tiny_models(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each network: the trained HRNet, and an hourglass of random weights."""
    import mindspore as ms

    from posekit.models.checkpoint import save_checkpoint
    from posekit.recipes import get_recipe

    recipe = get_recipe("hourglass-tiny")
    ms.set_seed(0)
    path = tmp_path_factory.mktemp("models") / "hourglass.ckpt"
    save_checkpoint(path, fresh(recipe), recipe, 1, 1)
    return {"hrnet": tiny_run / "best.ckpt", "hourglass": path}


@pytest.fixture(scope="session")
def tiny_onnx(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both of `tiny_models` as ONNX, for any number of images."""
    from posekit.deploy.export import export_model

    folder = tmp_path_factory.mktemp("onnx")
    return {name: export_model(path, "onnx", folder / f"{name}.onnx", None) for name, path in tiny_models.items()}
