"""What `mutations` damages: small valid files, the commands that read them, and what each format can show.

`sound(path, whole)` of a kind says, by rules that share no code with posekit, whether a damaged file is still a valid
one: then nobody can see the damage, and another result is right. Per format:

- csv, TOML, JSON: valid when it parses, with the same names and number of cells, and finite numbers. A digit that
  became another digit can't be seen.
- h5: no checksums, as people make these files: valid when HDF5 reads the same fields, with the same shapes, and
  finite numbers or texts as before.
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
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import mutators
import numpy as np

ROOT = Path(__file__).parents[1]
PHOTOS = ("1.jpg", "2.png", "3.bmp", "4.webp", "5.tiff")


@dataclass(frozen=True)
class Kind:
    """A file, relative to the folder of all, and what reads it."""

    name: str
    file: str
    commands: tuple[str, ...]  # for posekit; one is chosen
    sound: Callable[[Path, bytes], bool]  # the damaged file, the whole one's bytes
    needs: tuple[str, ...]  # files and folders that the commands read
    own: tuple[mutators.Mutator, ...] = ()  # mutators for this format
    text: bool = False
    weight: int = 2
    continues: bool = False  # the command keeps what it has done when it fails, and continues from there


def never(path: Path, whole: bytes) -> bool:
    return False


# Rules of the formats


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


def _same_tensors(found: dict, before: dict) -> bool:
    """Tensors of the same names and shapes, of numbers that a network may have."""
    return found.keys() == before.keys() and all(
        tuple(found[name].shape) == tuple(values.shape) and bool((abs(found[name] * 1.0) < 1e12).all())
        for name, values in before.items()
    )


def sound_old_pth(path: Path, whole: bytes) -> bool:
    import torch

    try:
        found, before = (torch.load(io.BytesIO(it), weights_only=True) for it in (path.read_bytes(), whole))
        return _same_tensors(dict(found), dict(before))
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
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and sound_old_pth(path, whole)
    except Exception:
        return False


def sound_zip(path: Path, whole: bytes) -> bool:
    """Its checksums agree, and every image in it is sound."""
    import zipfile

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


# The kinds

VERI_LABELS, MPII_LABELS = ("veri/annot",), ("mpii/annot",)
KINDS = [
    Kind("VeRi labels (csv)", "veri/annot/label_test.csv", (
        "score veri veri --predictions veri.csv --protocol pck --json out.json",
        "score veri veri --predictions veri.csv",
        "compare veri.csv --labels veri --draws 100",
        "predict v.onnx --data veri --out out.csv",
    ), sound_table, ("veri", "veri.csv", "v.onnx"), text=True),
    Kind("VeRi labels, checked", "veri/annot/label_test.csv", ("data check veri veri",), sound_table, ("veri",),
         text=True, weight=1),
    Kind("MPII labels (h5)", "mpii/annot/valid.h5", (
        "score mpii mpii --predictions mpii.csv --protocol pckh --json out.json",
        "score mpii mpii --predictions mpii.csv",
        "compare mpii.csv --labels mpii --draws 100",
        "data check mpii mpii",
    ), sound_h5, ("mpii", "mpii.csv"), (mutators.h5, mutators.h5), weight=4),
    Kind("predictions", "veri.csv", (
        "score veri veri --predictions veri.csv --json out.json",
        "compare veri.csv --labels veri --draws 100",
        "gallery veri --predictions veri.csv --out page.html",
    ), sound_table, ("veri", "veri.csv"), text=True),
    Kind("predictions of people", "mpii.csv", (
        "score mpii mpii --predictions mpii.csv --json out.json",
        "compare mpii.csv other.csv --labels mpii --draws 100",
    ), sound_table, ("mpii", "mpii.csv", "other.csv"), text=True),
    Kind("recipe (TOML)", "recipe.toml", ("RECIPE recipe.toml",), sound_recipe, ("recipe.toml",), text=True, weight=3),
    Kind("recipe (JSON)", "recipe.json", ("RECIPE recipe.json",), sound_recipe, ("recipe.json",),
         (mutators.json_fields, mutators.json_fields), text=True, weight=3),
    Kind("checkpoint", "a.ckpt", (
        "convert a.ckpt out.pth --to hourglass",
        "export a.ckpt --out out.onnx",
        "predict a.ckpt photos/1.jpg --out out --device cpu",
    ), never, ("a.ckpt", "photos"), weight=4),
    Kind("checkpoint to resume", "run/last.ckpt", (
        "train hourglass-tiny --config recipe.toml --data mpii --out run --device cpu --resume",
    ), never, ("run", "mpii", "recipe.toml"), weight=1, continues=True),
    Kind(".pth", "w.pth", ("convert w.pth out.ckpt", "convert w.pth out.ckpt --from hourglass"), sound_pth, ("w.pth",),
         (mutators.pth, mutators.pth), weight=4),
    Kind(".pth, old format", "old.pth", ("convert old.pth out.ckpt",), sound_old_pth, ("old.pth",), (mutators.pth,)),
    Kind("safetensors", "w.safetensors", ("convert w.safetensors out.ckpt",), sound_safetensors, ("w.safetensors",),
         (mutators.safetensors, mutators.safetensors), weight=4),
    Kind("ONNX", "a.onnx", (
        "predict a.onnx photos/1.jpg --out out --backend onnxruntime",
        "predict a.onnx photos/1.jpg --out out --backend openvino",
        "infer310 preprocess a.onnx --data mpii --out out",
    ), sound_onnx, ("a.onnx", "photos", "mpii"), (mutators.onnx, mutators.onnx), weight=4),
    Kind("MINDIR", "a.mindir", ("predict a.mindir photos/1.jpg --out out",), never,
         ("a.mindir", "a.mindir.json", "photos"), weight=3),
    Kind("description of a MINDIR", "a.mindir.json", ("predict a.mindir photos/1.jpg --out out",), sound_description,
         ("a.mindir", "a.mindir.json", "photos"), (mutators.json_fields,), text=True, weight=1),
    *(
        Kind(f"image ({name[2:]})", f"photos/{name}", (
            f"predict a.onnx photos/{name} --out out", "predict a.onnx photos --out out",
        ), sound_image, ("a.onnx", "photos"), weight=3 if name == "1.jpg" else 1)
        for name in PHOTOS
    ),
    Kind("image of a data set", "mpii/images/000005000.jpg", (
        "data check mpii mpii", "predict a.onnx --data mpii --out out.csv",
        "evaluate a.onnx --data mpii --out out",
    ), sound_image, ("a.onnx", "mpii"), weight=3),
    Kind("zip of images", "zipped/images/image_test.zip", (
        "predict v.onnx --data zipped --out out.csv", "data check veri zipped",
        "evaluate v.onnx --data zipped --out out",
    ), sound_zip, ("zipped", "v.onnx"), (mutators.zip_file, mutators.zip_file), weight=4),
    *(
        Kind(f"film ({name[5:]})", name, (f"predict a.onnx {name} --out out",), sound_film, ("a.onnx", name))
        for name in ("film.mp4", "film.avi")
    ),
    Kind("boxes", "boxes.csv", ("predict a.onnx photos/1.jpg photos/2.png --boxes boxes.csv --out out",), sound_rows,
         ("a.onnx", "photos", "boxes.csv"), text=True),
    *(
        Kind("infer310's files", f"stages/{name}", (f"infer310 {stage} --out stages",), never, ("stages",),
             (mutators.json_fields,) if name.endswith("json") else (), text=name.endswith(("json", "sha256")), weight=1)
        for stage, name in (
            ("infer", "images/000001.bin"), ("infer", "model.onnx"), ("infer", "recipe.json"), ("infer", "model.json"),
            ("infer", "preprocess.sha256"), ("postprocess", "labels.npz"), ("postprocess", "heatmaps/000001.bin"),
            ("postprocess", "infer.sha256"), ("postprocess", "recipe.json"),
        )
    ),
    Kind("re-identification", "reid/label_test.csv", ("reid v.onnx --data reid --out reid --splits test",), sound_rows,
         ("reid", "v.onnx"), text=True, continues=True),
    Kind("image to re-identify", "reid/image_test/0020_c001_20.png", (
        "reid v.onnx --data reid --out reid --splits test",
    ), sound_image, ("reid", "v.onnx"), weight=1, continues=True),
    Kind("record of a run", "run/manifest.json", ("course collect run",), sound_json, ("run",), (mutators.json_fields,),
         text=True, weight=1),
]  # fmt: skip


def make_base(folder: Path, posekit: Callable[..., None]) -> None:
    """All the files, made by `posekit(*arguments)`, which is the command, and by the tests' own helpers."""
    import cv2
    import mindspore as ms
    import torch
    from mpii_files import write_mpii
    from networks import fresh
    from reid_files import write_data
    from veri_files import write_veri

    from posekit.models.checkpoint import save_checkpoint
    from posekit.recipes import get_recipe
    from posekit.settings import to_json

    os.chdir(folder)
    here = Path()
    write_veri(here / "veri")
    write_mpii(here / "mpii")
    write_data(here / "reid", {"test": [20, 40, 60]})
    small = get_recipe("hourglass-tiny")
    (here / "recipe.json").write_text(to_json(small))
    (here / "recipe.toml").write_text("epochs = 1\nbatch = 4\nlearning_rate = 1e-3\nsigma = 1.0\nflip_test = false\n")
    for name, recipe in (("a", small), ("v", get_recipe("poseestnet-tiny"))):
        ms.set_seed(0)
        save_checkpoint(here / f"{name}.ckpt", fresh(recipe), recipe, 1, 1)
        posekit("export", f"{name}.ckpt", "--out", f"{name}.onnx")
    posekit("export", "a.ckpt", "--out", "a.mindir", "--format", "mindir")
    for name in ("w.pth", "w.safetensors"):
        posekit("convert", "a.ckpt", name, "--to", "hourglass")
    torch.save(torch.load("w.pth"), "old.pth", _use_new_zipfile_serialization=False)
    posekit("predict", "v.onnx", "--data", "veri", "--out", "veri.csv")
    posekit("predict", "a.onnx", "--data", "mpii", "--out", "mpii.csv")
    posekit("predict", "a.onnx", "--data", "mpii", "--out", "other.csv", "--no-flip-test")
    (here / "photos").mkdir()
    pixels = cv2.blur(np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8), (5, 5))
    for name in PHOTOS:
        cv2.imwrite(f"photos/{name}", pixels)
    for name, code in (("film.mp4", "mp4v"), ("film.avi", "MJPG")):
        film = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*code), 10, (100, 80))
        for shift in range(6):
            film.write(np.roll(pixels, 5 * shift, 1))
        film.release()
    (here / "boxes.csv").write_text("1.jpg,10,10,50,60\n2.png,0,0,100,80\n1.jpg,40.5,20,30,30\n")
    _zip_veri(here / "zipped")
    posekit("infer310", "preprocess", "a.onnx", "--data", "mpii", "--out", "stages")
    posekit("infer310", "convert", "a.onnx", "--backend", "onnxruntime", "--out", "stages")
    posekit("infer310", "infer", "--out", "stages")
    posekit("train", "hourglass-tiny", "--config", "recipe.toml", "--data", "mpii", "--out", "run", "--device", "cpu")


def _zip_veri(folder: Path) -> None:
    import shutil

    shutil.copytree("veri", folder)
    shutil.make_archive(str(folder / "images/image_test"), "zip", folder / "images/image_test")
    shutil.rmtree(folder / "images/image_test")
