"""infer.py as a newcomer runs it: by whichever Python is here, on damaged kits and odd pictures; one line an error."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from posekit.deploy.kit import board_tables, pack, postprocess
from posekit.deploy.kit_inputs import Source
from posekit.deploy.kit_run import PYTHONS, find_python, run_infer
from posekit.errors import InputError
from posekit.inference.run_times.request import Request


@pytest.fixture(scope="module")
def kit(tiny_models, tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of four pictures in which nothing was run. Copy it."""
    out = tmp_path_factory.mktemp("kit") / "kit"
    pack(Request(tiny_models["hrnet"], "cpu"), out, Source(tiny_vehicles, first=4), progress=False)
    return out


@pytest.fixture
def board(kit: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kit, tmp_path / "board"))


def python_that_says(path: Path, text: str) -> Path:
    """A program that stands for a Python with this answer to what it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# By which Python


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands for a Python")
def test_another_python_comes_before_this_one(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lacks = python_that_says(tmp_path / "a" / "python", "echo No module named numpy >&2; exit 1")
    has = python_that_says(tmp_path / "b" / "python", "echo Python 3.9 with onnxruntime")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.setenv(PYTHONS, os.pathsep.join(map(str, (tmp_path / "none" / "python", lacks, has))))
    assert find_python(board) == (has, "another Python: Python 3.9 with onnxruntime")
    path = python_that_says(tmp_path / "c" / "python3.8", "echo Python 3.8 with onnxruntime")
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.delenv(PYTHONS)
    assert find_python(board)[0] == path


def test_else_it_is_this_python_without_posekit(board: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("posekit.deploy.kit_run._others", lambda: iter(()))
    python, about = find_python(board)
    assert python == Path(sys.executable) and "this Python, since no other here has" in about and "onnxruntime" in about
    lines = run_infer(python, board, "--draw", "1", "--with", "onnxruntime")
    assert lines[0].startswith("onnxruntime: ") and len(list((board / "annotated").iterdir())) == 1
    (board / "infer.py").write_text("import sys\nprint(sys.argv[1:])\nimport posekit\n")
    with pytest.raises(InputError, match="import of posekit halted"):
        run_infer(python, board)


def test_the_boards_own_tables_are_those_of_its_keypoints(board: Path):
    """As the line that `postprocess` prints: the same numbers, by another way."""
    run_infer(Path(sys.executable), board, "--with", "onnxruntime")
    _, lines = postprocess(board)
    *_, (protocol, tables) = board_tables(board).items()
    *_, part = (name for name in tables if name.startswith("PCK"))
    assert f"{protocol} {part}: {tables[part]['Mean']:.2f} instead of " in lines[1]


# What goes wrong


def failed(board: Path, *arguments: str, options: tuple[str, ...] = ("-I",)) -> str:
    """The one line with which infer.py ends with exit code 2."""
    words = [sys.executable, *options, str(board / "infer.py"), *arguments]
    done = subprocess.run(words, cwd=board.parent, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("infer.py: ")
    return done.stderr


def pack_again(board: Path) -> None:
    """Write SHA256SUMS for the files as they are."""
    names = [line.split("  ")[1] for line in (board / "SHA256SUMS").read_text().splitlines()]
    sums = (f"{hashlib.sha256((board / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (board / "SHA256SUMS").write_text("".join(sums))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"one word\n"])
@pytest.mark.parametrize("name", ["SHA256SUMS", "kit.json"])
def test_a_damaged_list_is_one_line(board: Path, name: str, content: bytes):
    if (name, content) == ("SHA256SUMS", b""):
        pytest.skip("a list of nothing is a list")
    (board / name).write_bytes(content)
    assert "copy the kit again" in failed(board)


def test_a_run_time_that_refuses_the_network_says_why(board: Path):
    (board / "model.onnx").write_bytes(b"no network")
    pack_again(board)
    assert "model.onnx failed:" in (message := failed(board)) and "python3 -X dev says where" in message
    assert not list(board.glob("heatmaps/*")) and not (board / "keypoints.csv").exists()


def test_without_numpy_it_says_what_to_install(board: Path):
    assert "No module named 'numpy'; pip install numpy pillow" in failed(board, options=("-I", "-S"))


def broken_png(path: Path) -> None:
    """A PNG in which a chunk's checksum is wrong."""
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[29] ^= 1
    path.write_bytes(data)


ODD: dict[str, Callable[[Path], object]] = {
    "missing.jpg": lambda path: None,
    "empty.jpg": lambda path: path.touch(),
    "text.jpg": lambda path: path.write_text("no picture"),
    "folder.jpg": lambda path: path.mkdir(),
    "broken.png": broken_png,
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_named(board: Path, tmp_path: Path, name: str):
    ODD[name](tmp_path / name)
    assert f"{name}: not a readable picture (" in failed(board, str(tmp_path / name), "--out", str(tmp_path / "found"))
    assert not (tmp_path / "found" / "keypoints.csv").exists()


def test_names_with_spaces_commas_and_letters_of_any_script(board: Path, tmp_path: Path):
    name = tmp_path / 'a, "b" 图片 ü.png'
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(name)
    run_infer(Path(sys.executable), board, str(name), "--out", str(tmp_path / "found folder"))
    assert list(pd.read_csv(tmp_path / "found folder" / "keypoints.csv", header=None)[0]) == [str(name)]


def test_what_comes_back_incomplete_is_one_line(board: Path):
    """Heatmaps or labels that were lost on the way are no kit without labels, and no kit in which nothing was run."""
    run_infer(Path(sys.executable), board, "--with", "onnxruntime")
    for name in ("heatmaps/000002.bin", "labels.npz"):
        content = (board / name).read_bytes()
        (board / name).unlink()
        with pytest.raises(InputError, match=f"{name}: cannot read"):
            postprocess(board)
        (board / name).write_bytes(content)
    assert postprocess(board)[0]
