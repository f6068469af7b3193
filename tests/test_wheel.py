"""A wheel in an environment of its own, elsewhere, without the clone: doctor, lessons, JupyterLab, a shipped network.

The environment takes the packages that posekit needs from the one that runs the tests.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browsing import wait_for

ROOT = Path(__file__).parents[1]
SOURCE = ("posekit", "notebooks", "scripts", "docs", "pyproject.toml", "setup.py", "README.md", "LICENSE")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a source distribution, as an index would have it, of a copy of the clone."""
    clone = tmp_path_factory.mktemp("clone")
    for name in SOURCE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    shutil.copytree(ROOT / "data", clone / "data", ignore=lambda _, names: {n for n in names if n != "README.md"})
    script = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"

    def build(what: str, folder: Path) -> Path:
        command = [sys.executable, "-c", script, what, str(clone.parent)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return clone.parent / done.stdout.splitlines()[-1]

    source = build("build_sdist", clone)
    shutil.unpack_archive(source, unpacked := tmp_path_factory.mktemp("sdist"), filter="data")
    return build("build_wheel", next(unpacked.iterdir()))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel."""
    place = tmp_path_factory.mktemp("我的 environment")
    venv.create(place, with_pip=True, symlinks=os.name == "posix")
    python = next(place.glob("[bS]*/python*"))
    site = Path(
        subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    shutil.rmtree(place / "share", ignore_errors=True)
    (place / "share").symlink_to(Path(sys.prefix) / "share")  # JupyterLab's pages
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    return python


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def environment(place: Path) -> dict[str, str]:
    """Nothing that leads to the clone; what posekit makes again goes below `place`'s parent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POSEKIT_", "PYTHONPATH"))}
    return {**kept, "XDG_DATA_HOME": str(place.parent / "own")}


def posekit(python: Path, place: Path, *words: str) -> str:
    command = [str(python), "-m", "posekit.cli", *words]
    done = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_holds_the_workbook_and_nothing_more(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("notebooks", "scripts", "docs"):
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        files = {name for name in files if not re.search(r"/\.|__pycache__|ruff\.toml$", name)}
        assert {f"posekit/workbook/{name}" for name in files} <= names
    assert {f"posekit/weights/{name}" for name in os.listdir(ROOT / "posekit/weights")} <= names
    assert {name.split("/")[0] for name in names} == {"posekit", wheel.name.split("-py3")[0] + ".dist-info"}
    assert wheel.stat().st_size < 10 * 2**20


def test_doctor_and_the_lessons(python: Path, place: Path) -> None:
    assert re.search(r"packages\W.*as pinned", posekit(python, place, "doctor"))
    listed = posekit(python, place, "course", "list")
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem[:12] not in listed] == []
    assert os.listdir(place) == []


def test_a_lesson_writes_to_the_current_folder(python: Path, place: Path) -> None:
    posekit(python, place, "course", "run", "--only", "00")
    assert set(os.listdir(place)) == {"runs", "data"}
    (folder,) = (place / "runs").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    (lesson,) = manifest["lessons"]
    assert lesson["status"] == "done" and manifest["git_commit"] is None
    text = (folder / f"{lesson['name']}.ipynb").read_text()
    assert "site-packages/posekit/workbook" in text and str(ROOT) not in text


def test_a_network_that_ships_keeps_the_current_folder_tidy(python: Path, place: Path) -> None:
    import cv2

    picture = np.full((200, 200, 3), 128, np.uint8)
    cv2.imwrite(str(place / "photo.png"), picture)
    posekit(python, place, "predict", "people", "photo.png")
    assert set(os.listdir(place)) == {"photo.png", "found"}
    assert (place / "found/predictions.csv").is_file()
    assert list((place.parent / "own/posekit/cache/onnx").glob("people-*.onnx"))


def test_lab_serves_the_first_lesson(python: Path, place: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={address[-5:].strip(':')}"]
    command = [python, "-m", "posekit.cli", "lab", *options, "--IdentityProvider.token="]
    with open(log := place.parent / "lab.log", "w") as output:
        server = subprocess.Popen(command, cwd=place, env=environment(place), stdout=output, stderr=output,
                                  start_new_session=True)  # fmt: skip
    try:
        wait_for(f"{address}/api", server, log)
        name = re.search(r"JupyterLab opens (\S+\.ipynb)", log.read_text())
        assert name, log.read_text()
        with urllib.request.urlopen(f"{address}/api/contents/{name[1]}") as answer:
            assert "Start here" in json.load(answer)["content"]["cells"][0]["source"]
        with urllib.request.urlopen(f"{address}/lab") as page:
            assert b"jupyter-config-data" in page.read()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
