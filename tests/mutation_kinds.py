"""What `mutations` damages: small valid files, and the commands that read them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mutated_formats
import mutators
import numpy as np
from mutation_rules import (
    never,
    sound_description,
    sound_film,
    sound_h5,
    sound_image,
    sound_json,
    sound_old_pth,
    sound_onnx,
    sound_pth,
    sound_recipe,
    sound_reid_labels,
    sound_rows,
    sound_safetensors,
    sound_table,
    sound_zip,
)

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
    optional: bool = False  # where the command reads a whole folder, nobody can see that the file is missing
    continues: bool = False  # the command keeps what it has done when it fails, and continues from there


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
    ), sound_h5, ("mpii", "mpii.csv"), (mutated_formats.h5,) * 2, weight=4),
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
         (mutated_formats.json_fields,) * 2, text=True, weight=3),
    Kind("checkpoint", "a.ckpt", (
        "convert a.ckpt out.pth --to hourglass",
        "export a.ckpt --out out.onnx",
        "predict a.ckpt photos/1.jpg --out out --device cpu",
    ), never, ("a.ckpt", "photos"), weight=4),
    Kind("checkpoint to resume", "run/last.ckpt", (
        "train hourglass-tiny --config recipe.toml --data mpii --out run --device cpu --resume",
    ), never, ("run", "mpii", "recipe.toml"), weight=1, continues=True, optional=True),
    Kind(".pth", "w.pth", ("convert w.pth out.ckpt", "convert w.pth out.ckpt --from hourglass"), sound_pth, ("w.pth",),
         (mutated_formats.pth,) * 2, weight=4),
    Kind(".pth, old format", "old.pth", ("convert old.pth out.ckpt",), sound_old_pth, ("old.pth",),
         (mutated_formats.pth,)),
    Kind("safetensors", "w.safetensors", ("convert w.safetensors out.ckpt",), sound_safetensors, ("w.safetensors",),
         (mutated_formats.safetensors,) * 2, weight=4),
    Kind("ONNX", "a.onnx", (
        "predict a.onnx photos/1.jpg --out out --backend onnxruntime",
        "predict a.onnx photos/1.jpg --out out --backend openvino",
        "infer310 preprocess a.onnx --data mpii --out out",
    ), sound_onnx, ("a.onnx", "photos", "mpii"), (mutated_formats.onnx,) * 2, weight=4),
    Kind("MINDIR", "a.mindir", ("predict a.mindir photos/1.jpg --out out",), never,
         ("a.mindir", "a.mindir.json", "photos"), weight=3),
    Kind("description of a MINDIR", "a.mindir.json", ("predict a.mindir photos/1.jpg --out out",), sound_description,
         ("a.mindir", "a.mindir.json", "photos"), (mutated_formats.json_fields,), text=True, weight=1),
    *(
        Kind(f"image ({name[2:]})", f"photos/{name}", (
            f"predict a.onnx photos/{name} --out out", "predict a.onnx photos --out out",
        ), sound_image, ("a.onnx", "photos"), weight=3 if name == "1.jpg" else 1, optional=True)
        for name in PHOTOS
    ),
    Kind("image of a data set", "mpii/images/000005000.jpg", (
        "data check mpii mpii", "predict a.onnx --data mpii --out out.csv",
        "evaluate a.onnx --data mpii --out out",
    ), sound_image, ("a.onnx", "mpii"), weight=3),
    Kind("zip of images", "zipped/images/image_test.zip", (
        "predict v.onnx --data zipped --out out.csv", "data check veri zipped",
        "evaluate v.onnx --data zipped --out out",
    ), sound_zip, ("zipped", "v.onnx"), (mutated_formats.zip_file,) * 2, weight=4),
    *(
        Kind(f"film ({name[5:]})", name, (f"predict a.onnx {name} --out out",), sound_film, ("a.onnx", name))
        for name in ("film.mp4", "film.avi")
    ),
    Kind("boxes", "boxes.csv", ("predict a.onnx photos/1.jpg photos/2.png --boxes boxes.csv --out out",), sound_rows,
         ("a.onnx", "photos", "boxes.csv"), text=True),
    *(
        Kind("infer310's files", f"stages/{name}", (f"infer310 {stage} --out stages",), never, ("stages",),
             (mutated_formats.json_fields,) if name.endswith("json") else (),
             text=name.endswith(("json", "sha256")), weight=1, continues=stage == "infer")
        for stage, name in (
            ("infer", "images/000001.bin"), ("infer", "model.onnx"), ("infer", "recipe.json"), ("infer", "model.json"),
            ("infer", "preprocess.sha256"), ("postprocess", "labels.npz"), ("postprocess", "heatmaps/000001.bin"),
            ("postprocess", "infer.sha256"), ("postprocess", "recipe.json"),
        )
    ),
    Kind("re-identification", "reid/label_test.csv", ("reid v.onnx --data reid --out reid --splits test",),
         sound_reid_labels, ("reid", "v.onnx"), text=True, continues=True),
    Kind("image to re-identify", "reid/image_test/0020_c001_20.png", (
        "reid v.onnx --data reid --out reid --splits test",
    ), sound_image, ("reid", "v.onnx"), weight=1, continues=True),
    Kind("record of a run", "run/manifest.json", ("course collect run",), sound_json, ("run",),
         (mutated_formats.json_fields,), text=True, weight=1, optional=True),
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
