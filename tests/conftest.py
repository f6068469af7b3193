"""The three tiers of tests, and fixtures that many tests share. Nothing here imports MindSpore.

A test without a marker is quick: it trains nothing and starts no program, which is checked. `slow` tests do, or use
what was trained. `machine` tests need every core, for several processes at a time. With pytest-xdist each worker keeps
to its own cores, since MindSpore's threads wait actively, and one of them runs all `machine` tests, on all cores.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from filelock import FileLock

os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("GLOG_v", "3")  # MindSpore's errors only

TRAINED = {"tiny_run", "tiny_models", "tiny_onnx"}  # fixtures that train
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
_quick = False  # whether the test that runs now is


def pytest_configure(config: pytest.Config) -> None:
    """Signals as a terminal's processes have them, whatever started pytest; a worker's own cores."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.name == "posix":
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if WORKER:
        keep_to(CORES[int(WORKER.removeprefix("gw")) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])])


def keep_to(cores: list[int]) -> None:
    """Run on these cores, where the system can do that and there are some."""
    if cores:
        os.sched_setaffinity(0, cores)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a trained network. The modules that take longest come first, so that the workers end together."""
    for item in items:
        if TRAINED & set(item.fixturenames) and not item.get_closest_marker("machine"):
            item.add_marker("slow")
    longest: dict[Path, int] = {}
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0), tier(item))
    items.sort(key=lambda item: -longest[item.path])


def tier(item: pytest.Item) -> int:
    """0 for a quick test, 1 for a slow one, 2 for one that needs the machine."""
    return 2 if item.get_closest_marker("machine") else 1 if item.get_closest_marker("slow") else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A module goes to one worker, which shares its fixtures, and all modules with `machine` tests to the same one."""
    from xdist.scheduler import LoadFileScheduling

    class ByModule(LoadFileScheduling):
        @cache  # noqa: B019
        def _split_scope(self, nodeid: str) -> str:
            module = super()._split_scope(nodeid)
            return "machine" if "mark.machine" in (config.rootpath / module).read_text(encoding="utf-8") else module

    return ByModule(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """All cores for a `machine` test; no program and no training in a quick one."""
    global _quick
    mine = sorted(os.sched_getaffinity(0)) if CORES else []
    if tier(item) == 2:
        if WORKER:
            start_mindspore()
        keep_to(CORES)
    _quick = tier(item) == 0
    step = sys.modules.get("posekit.training.step") if _quick else None
    try:
        with patch.object(step.TrainStep, "learn", lambda *_: not_quick("trains")) if step else nullcontext():
            return (yield)
    finally:
        _quick = False
        keep_to(mine)


@cache
def start_mindspore() -> None:
    """Let MindSpore make its threads, one for each of the worker's own cores: the last bits depend on their number."""
    from mindspore import Tensor, nn

    from posekit.runtime import set_up

    set_up("cpu")
    nn.Dense(1, 1)(Tensor([[0.0]]))


def not_quick(what: str) -> None:
    """Fail the test."""
    pytest.fail(f"a test that {what} is not quick: mark it slow, or machine")


def _watch(event: str, arguments: tuple) -> None:
    """Fail a quick test that starts a program, but for those that a manifest and the import of MindSpore start."""
    programs = "subprocess.Popen", "os.posix_spawn", "os.system"
    if _quick and event in programs and arguments[0] not in ("git", "uname", "lscpu"):
        not_quick(f"starts {arguments[0]}")


sys.addaudithook(_watch)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`once(name, make)` is a folder that `make(folder)` fills, once a run, whichever worker asks first."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if WORKER else root  # holds the workers' own

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        path, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                make(path)
                done.touch()
        return path

    return folder


@pytest.fixture(scope="session")
def annotations() -> Path:
    """The folder of the real label files, where POSEKIT_ANNOTATIONS names one."""
    folder = os.environ.get("POSEKIT_ANNOTATIONS")
    if not folder:
        pytest.skip("set POSEKIT_ANNOTATIONS to the folder of the real label files")
    return Path(folder)


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of the real photographs, where POSEKIT_PHOTOS names one."""
    folder = os.environ.get("POSEKIT_PHOTOS")
    if not folder:
        pytest.skip("set POSEKIT_PHOTOS to the folder of the real photographs")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_vehicles(once: Callable) -> Path:
    """24 training and 12 test vehicles in the VeRi layout. Copy it to change it."""
    from posekit.layouts.veri import VERI

    return once("vehicles", lambda folder: VERI.draw(folder, 24, 12, seed=1))


@pytest.fixture(scope="session")
def tiny_run(tiny_vehicles: Path, once: Callable) -> Path:
    """A training of poseestnet-tiny on `tiny_vehicles`: 12 epochs of 6 updates, without augmentation. Copy it too."""
    from posekit.recipes import get_recipe
    from posekit.settings import override
    from posekit.training.loop import run

    plain = ["scale_factor=0", "rotation_probability=0", "flip_probability=0"]
    settings = ["epochs=12", "validate_every=6", "learning_rate=5e-3", *plain]
    recipe = override(get_recipe("poseestnet-tiny"), settings)
    return once("tiny", lambda folder: run(recipe, tiny_vehicles, folder, "cpu"))


@pytest.fixture(scope="session")
def tiny_models(tiny_run: Path, once: Callable) -> dict[str, Path]:
    """A checkpoint of each network: the trained HRNet, and an hourglass of random weights."""

    def save(folder: Path) -> None:
        import mindspore as ms
        from networks import fresh

        from posekit.models.checkpoint import save_checkpoint
        from posekit.recipes import get_recipe

        recipe = get_recipe("hourglass-tiny")
        ms.set_seed(0)
        save_checkpoint(folder / "hourglass.ckpt", fresh(recipe), recipe, 1, 1)

    return {"hrnet": tiny_run / "best.ckpt", "hourglass": once("models", save) / "hourglass.ckpt"}


@pytest.fixture(scope="session")
def tiny_onnx(tiny_models: dict[str, Path], once: Callable) -> dict[str, Path]:
    """Both of `tiny_models` as ONNX, for any number of images."""

    def export(folder: Path) -> None:
        from posekit.deploy.export import export_model

        for name, path in tiny_models.items():
            export_model(path, "onnx", folder / f"{name}.onnx", None)

    folder = once("onnx", export)
    return {name: folder / f"{name}.onnx" for name in tiny_models}
