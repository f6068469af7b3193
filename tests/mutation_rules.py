"""What each format can show: rules that share no code with posekit.

Each `sound_…(path, whole)` says whether a damaged file, which held the bytes `whole`, is still a valid one: then nobody
can see the damage, and another result is right. Per format:

- csv, TOML, JSON: valid when it parses, with the same names and number of cells, and finite numbers. A digit that
  became another digit can't be seen. Labels for re-identification are also valid without keypoints, as data/README.md
  says: then they have up to four columns.
- h5: no checksums, as people make these files: valid when HDF5 reads the same fields, with the same shapes, and
  finite numbers.
- JPEG: no checksum: valid when it ends with its end marker and libjpeg decodes it without a warning. Other bits of
  coefficients, or of a quantisation table, can't be seen. BMP, TIFF and WebP: as JPEG, by PIL and OpenCV.
- PNG, zip: checksums; never valid when changed.
- films: MPEG-4 and Motion JPEG have no checksums: valid when FFmpeg decodes as many frames as before without an error.
- .ckpt, ONNX, MINDIR and the files of infer310's stages carry our checksums: never valid when changed. Where the
  checksum itself was removed from the file, it is as files of earlier versions were, and valid.
- .pth: its zip has checksums. In the old format, and in safetensors, there are none: valid when PyTorch or safetensors
  read the same names and shapes, with finite values; another type is said.
"""

import csv
import io
import json
import os
import subprocess
import sys
import tomllib
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np


def never(path: Path, whole: bytes) -> bool:
    """What carries checksums of everything in it is never sound when it was changed."""
    return False


def sound_rows(path: Path, whole: bytes) -> bool:
    """Names as before, and as many finite numbers per row; a name may come twice."""

    def parsed(data: bytes) -> list[tuple[str, list[float]]]:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        return [(row[0], list(map(float, row[1:]))) for row in rows if row]

    try:
        rows, before = parsed(path.read_bytes()), parsed(whole)
    except (ValueError, csv.Error):
        return False
    names, width = {name for name, _ in before}, len(before[0][1])
    return bool(rows) and all(name in names and len(row) == width and np.isfinite(row).all() for name, row in rows)


def sound_reid_labels(path: Path, whole: bytes) -> bool:
    """The same, or 1 to 4 columns in every row: the keypoints may be missing."""
    shorter = [b"\n".join(b",".join(row.split(b",")[:count]) for row in whole.splitlines()) for count in range(1, 5)]
    return any(sound_rows(path, rows) for rows in (whole, *shorter))


def sound_table(path: Path, whole: bytes) -> bool:
    """The same, and no name comes twice."""
    if not sound_rows(path, whole):
        return False
    names = [row[0] for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")) if row]
    return len(set(names)) == len(names)


def sound_recipe(path: Path, whole: bytes) -> bool:
    """TOML or JSON whose fields all exist."""
    from posekit.recipes import Recipe

    try:
        text = path.read_bytes().decode("utf-8-sig")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        return isinstance(values, dict) and values.keys() <= {field.name for field in fields(Recipe)}
    except (ValueError, RecursionError):
        return False


def sound_h5(path: Path, whole: bytes) -> bool:
    import h5py

    def described(data: bytes) -> dict[str, np.ndarray]:
        with h5py.File(io.BytesIO(data)) as file:
            return {name: file[name][()] for name in file}

    before = described(whole)
    try:
        found = described(path.read_bytes())
        same = all(
            found[name].shape[1:] == values.shape[1:]
            and (found[name].dtype.kind in "biuf") == (values.dtype.kind in "biuf")
            for name, values in before.items()
        )
        rows = {len(values) for values in found.values()}
        return same and len(rows) == 1 and all(np.isfinite(it).all() for it in found.values() if it.dtype.kind == "f")
    except Exception:
        return False


def sound_image(path: Path, whole: bytes) -> bool:
    """The decoders of OpenCV and PIL are content, which a process of its own says."""
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        return _sound_png(data)
    if data.startswith(b"\xff\xd8") and not data.rstrip(b"\0\n").endswith(b"\xff\xd9"):
        return False
    if data.startswith(b"BM") and int.from_bytes(data[2:6], "little") > len(data):
        return False
    if data.startswith(b"RIFF") and int.from_bytes(data[4:8], "little") > len(data) - 8:
        return False
    program = (
        "import cv2, sys, numpy as np; from PIL import Image; Image.open(sys.argv[1]).load();"
        "assert cv2.imdecode(np.fromfile(sys.argv[1], np.uint8), 1) is not None"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    return done.returncode == 0 and not done.stderr


def same_picture(path: Path, whole: bytes) -> bool:
    """OpenCV reads the same pixels."""
    import cv2

    found, before = (cv2.imdecode(np.frombuffer(data, np.uint8), 1) for data in (path.read_bytes() or b"0", whole))
    return found is not None and np.array_equal(found, before)


def _sound_png(data: bytes) -> bool:
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunk, check = data[place + 4 : place + 8 + length], data[place + 8 + length : place + 12 + length]
        if zlib.crc32(chunk) != int.from_bytes(check, "big"):
            return False
        if chunk[:4] == b"IEND":
            return True
        place += 12 + length
    return False


def sound_film(path: Path, whole: bytes) -> bool:
    program = (
        "import cv2, sys; film = cv2.VideoCapture(sys.argv[1]); n = 0\nwhile film.read()[0]: n += 1\n"
        "assert n == int(film.get(cv2.CAP_PROP_FRAME_COUNT)) == 6"
    )
    loud = os.environ | {"OPENCV_FFMPEG_LOGLEVEL": "16"}  # errors
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, env=loud)
    return done.returncode == 0 and not done.stderr + done.stdout  # OpenCV prints FFmpeg's words


def _same_tensors(found: dict, before: dict, largest: float = 1e12) -> bool:
    """Tensors of the same names and shapes, of numbers that a network may have."""
    return found.keys() == before.keys() and all(
        tuple(found[name].shape) == tuple(values.shape) and bool((abs(found[name] * 1.0) < largest).all())
        for name, values in before.items()
    )


def sound_old_pth(path: Path, whole: bytes, largest: float = 1e12) -> bool:
    import torch

    try:
        found, before = (torch.load(io.BytesIO(it), weights_only=True) for it in (path.read_bytes(), whole))
        return _same_tensors(dict(found), dict(before), largest)
    except Exception:
        return False


def sound_safetensors(path: Path, whole: bytes) -> bool:
    from safetensors.numpy import load

    try:
        return _same_tensors(load(path.read_bytes()), load(whole))
    except Exception:
        return False


def sound_pth(path: Path, whole: bytes) -> bool:
    """Its zip's checksums agree, and PyTorch reads the same tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and sound_old_pth(path, whole, float("inf"))
    except Exception:
        return False


def sound_zip(path: Path, whole: bytes) -> bool:
    """Its checksums agree, and every image in it is sound."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():
                return False
            for name in archive.namelist():
                inside = path.with_name("member.jpg")
                inside.write_bytes(archive.read(name))
                if not sound_image(inside, b""):
                    return False
        return True
    except Exception:
        return False


def sound_json(path: Path, whole: bytes) -> bool:
    """An object."""
    try:
        return isinstance(json.loads(path.read_text("utf-8-sig")), dict)
    except (ValueError, RecursionError):
        return False


def sound_description(path: Path, whole: bytes) -> bool:
    """Without its checksums, it is as earlier versions wrote it."""
    try:
        values = json.loads(path.read_bytes())
        return isinstance(values, dict) and "digest" not in values
    except (ValueError, RecursionError):
        return False


def sound_onnx(path: Path, whole: bytes) -> bool:
    import onnx

    try:
        keys = {entry.key for entry in onnx.load(path).metadata_props}
        return "recipe" in keys and "digest" not in keys
    except Exception:
        return False
