"""Fixtures that many tests use. Nothing here imports MindSpore."""

import os
from pathlib import Path

import pytest

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
    from posekit.synthetic.vehicle import write_vehicles

    folder = tmp_path_factory.mktemp("vehicles") / "data"
    write_vehicles(folder, 24, 12, seed=1)
    return folder
