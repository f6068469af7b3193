"""The kit for a board: packed here, run by infer.py alone in a process of its own, scored here."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mpii_files import write_mpii
from PIL import Image

from posekit.datasets.images import decode_image
from posekit.deploy.export import export_model
from posekit.deploy.kit import pack, postprocess
from posekit.deploy.kit_inputs import Source
from posekit.errors import InputError
from posekit.evaluation.protocols import evaluate, largest_difference
from posekit.inference.media import predict_media
from posekit.inference.run_times import load_predictor
from posekit.inference.run_times.request import Request
from posekit.layouts import get_layout, open_split

STAND_INS = Path(__file__).parent / "stand_ins"
# Other Pythons, 3.7 to 3.13, with NumPy, Pillow and onnxruntime or MindSpore Lite: paths, as in $PATH.
PYTHONS = [path for path in os.environ.get("POSEKIT_KIT_PYTHONS", "").split(os.pathsep) if path]


@pytest.fixture(scope="module")
def data(tiny_vehicles: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set for each network; in the second some images show several samples."""
    return {"hrnet": tiny_vehicles, "hourglass": write_mpii(tmp_path_factory.mktemp("mpii"), test=7)}


@pytest.fixture(scope="module")
def kit(tiny_models, data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw kit of the HRNet in which nothing was run. Copy it."""
    out = tmp_path_factory.mktemp("kit") / "我的 (x)"
    pack(Request(tiny_models["hrnet"], "cpu"), out, Source(data["hrnet"]), progress=False)
    return out


def infer(kit: Path, *arguments: str, python: str = sys.executable, **environment: str) -> subprocess.CompletedProcess:
    """Run infer.py as on a board: from another folder, with nothing on the path but stand-ins that are asked for."""
    settings = {"PATH": os.environ["PATH"], **environment}
    words = [python, *([] if environment else ["-I"]), str(kit / "infer.py"), *arguments]
    return subprocess.run(words, cwd=kit.parent, env=settings, capture_output=True, text=True)


def table(kit: Path) -> dict:
    return {name: it.rows for name, it in postprocess(kit)[0].items()}


@pytest.mark.parametrize("inputs", ["raw", "preprocessed"])
@pytest.mark.parametrize("network", ["hrnet", "hourglass"])
def test_the_kit_gives_the_table_of_evaluate(tiny_models, data, tmp_path: Path, network: str, inputs: str):
    predictor = load_predictor(Request(tiny_models[network], "cpu"))
    dataset = open_split(predictor.recipe, data[network], "test")
    wanted = evaluate(predictor, dataset, get_layout(predictor.recipe.dataset).protocols, tmp_path / "evaluated")
    pack(Request(tiny_models[network], "cpu"), tmp_path / "a.zip", Source(data[network], inputs=inputs), progress=False)
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path / "board")
    kit = tmp_path / "board" / "a"
    done = infer(kit, "--draw", "2", "--with", "onnxruntime")
    assert done.returncode == 0, done.stderr
    assert largest_difference(table(kit), {name: it.rows for name, it in wanted.items()}) <= 0.05
    assert len(pd.read_csv(kit / "keypoints.csv", header=None)) == len(dataset)
    assert sorted(path.name for path in (kit / "annotated").iterdir()) == ["000000.jpg", "000001.jpg"]
    times = json.loads((kit / "times.json").read_text())
    assert times["images"] == 2 * len(dataset) and 0 < times["median"] <= times["p95"]
    shown = len({sample["file"] for sample in json.loads((kit / "kit.json").read_text())["samples"]})
    assert shown == (len(dataset) if inputs == "preprocessed" else len({name.split(":")[0] for name in dataset.names}))


@pytest.mark.skipif(not PYTHONS, reason="POSEKIT_KIT_PYTHONS names no other Python")
@pytest.mark.parametrize("python", PYTHONS)
def test_another_python_computes_the_same(kit: Path, tmp_path: Path, python: str):
    mine, other = (Path(shutil.copytree(kit, tmp_path / name)) for name in ("mine", "other"))
    for folder, interpreter in ((mine, sys.executable), (other, python)):
        done = infer(folder, python=interpreter)
        assert done.returncode == 0, done.stderr
    assert largest_difference(table(other), table(mine)) <= 0.05


@pytest.mark.parametrize("run_time", ["acl", "ais_bench"])
def test_an_om_file_is_run_by_the_documented_calls(kit: Path, tmp_path: Path, run_time: str):
    mine, board = (Path(shutil.copytree(kit, tmp_path / name)) for name in ("mine", "board"))
    shutil.copyfile(board / "model.onnx", board / "model.om")
    assert infer(mine).returncode == 0
    done = infer(board, "--with", run_time, PYTHONPATH=str(STAND_INS))
    assert done.returncode == 0, done.stderr
    assert f"{run_time}: " in done.stdout
    for path in mine.glob("heatmaps*/*.bin"):
        found = (np.fromfile(folder / path.relative_to(mine), np.float32) for folder in (mine, board))
        np.testing.assert_allclose(*found, atol=1e-6)
    assert largest_difference(table(board), table(mine)) <= 0.05


def test_pyacl_comes_first_and_may_answer_in_half_precision(kit: Path, tmp_path: Path):
    mine, board = (Path(shutil.copytree(kit, tmp_path / name)) for name in ("mine", "board"))
    shutil.copyfile(board / "model.onnx", board / "model.om")
    assert infer(mine).returncode == 0
    done = infer(board, PYTHONPATH=str(STAND_INS), ACL_TYPE="1")
    assert done.returncode == 0 and "acl: " in done.stdout, done.stderr
    one, other = (np.fromfile(folder / "heatmaps" / "000001.bin", np.float32) for folder in (mine, board))
    np.testing.assert_allclose(other, one, atol=1e-3)
    assert (other == other.astype(np.float16)).all()


CALLS = ("init", "rt.set_device", "mdl.load_from_file", "mdl.get_desc", "mdl.get_output_dims", "rt.malloc")
CALLS += ("mdl.add_dataset_buffer", "rt.memcpy", "mdl.execute", "rt.malloc_host")


@pytest.mark.parametrize("call", CALLS)
def test_a_code_of_cann_is_one_line(kit: Path, tmp_path: Path, call: str):
    board = Path(shutil.copytree(kit, tmp_path / "board"))
    shutil.copyfile(board / "model.onnx", board / "model.om")
    done = infer(board, PYTHONPATH=str(STAND_INS), ACL_FAILS=call)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"infer.py: acl.{call} returned 507011 (E39999: inner error); ")


def test_what_is_wrong_on_the_board_is_one_line(kit: Path, tmp_path: Path):
    board = Path(shutil.copytree(kit, tmp_path / "board"))
    done = infer(board, "--with", "acl")
    assert done.returncode == 2
    assert done.stderr == (
        "infer.py: no run time (acl: model.om isn't in the kit); pip install onnxruntime, or see README.md\n"
    )
    name = json.loads((board / "kit.json").read_text())["samples"][3]["file"]
    (board / name).write_bytes((board / name).read_bytes()[:-1] + b"x")
    done = infer(board)
    assert done.returncode == 2 and f"infer.py: {name}: changed since the kit was packed; copy the kit" in done.stderr
    (board / name).unlink()
    done = infer(board)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and name in done.stderr
    with pytest.raises(InputError, match="infer.py has not run in this kit; run it on the board"):
        postprocess(board)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="a tool of Linux")
def test_the_list_is_sha256sums_and_complete(kit: Path):
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=kit, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.count(": OK") == sum(path.is_file() for path in kit.rglob("*")) - 1


def odd_pictures(folder: Path) -> Path:
    """Pictures of every kind that Pillow and posekit could read differently."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (90, 150, 4), np.uint8).repeat(4, 0).repeat(4, 1)
    plain = Image.fromarray(pixels[..., :3])
    plain.save(folder / "a.jpg", quality=95)
    turned = Image.Exif()
    turned[274] = 6
    plain.save(folder / "b.jpg", exif=turned)
    plain.convert("L").save(folder / "c.jpg")
    plain.convert("CMYK").save(folder / "d.jpg")
    Image.fromarray(pixels).save(folder / "e.png")
    plain.convert("P").save(folder / "f.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 250).save(folder / "g.png")
    plain.save(folder / "h.webp", lossless=True)
    plain.save(folder / "i.bmp")
    return folder


def test_pictures_without_labels(tiny_models, tmp_path: Path):
    """Kit, infer.py with the pictures named, and `posekit predict` see the same pixels."""
    folder, model = odd_pictures(tmp_path / "pictures"), tiny_models["hrnet"]
    kit = tmp_path / "kit"
    pack(Request(model, "cpu"), kit, Source(images=folder), progress=False)
    samples = json.loads((kit / "kit.json").read_text())["samples"]
    assert [sample["name"] for sample in samples] == [path.name for path in sorted(folder.iterdir())]
    from posekit.deploy.board_infer import read_picture

    for sample in samples:
        seen = np.asarray(read_picture(kit / sample["file"], False))
        wanted = decode_image((folder / sample["name"]).read_bytes(), "", upright=True)
        np.testing.assert_array_equal(seen, wanted, sample["name"])
    assert infer(kit).returncode == 0
    tables, lines = postprocess(kit)
    assert tables == {} and "decoded on the board" in lines[0]
    predict_media(load_predictor(Request(model, "cpu", batch=1)), [folder], tmp_path / "predicted")
    found, wanted = (pd.read_csv(path / "predictions.csv", header=None) for path in (kit, tmp_path / "predicted"))
    assert (found[0] == wanted[0]).all()
    np.testing.assert_allclose(found.iloc[:, 1:], wanted.iloc[:, 1:], atol=0.01)
    names = [str(folder / name) for name in ("a.jpg", "b.jpg", "e.png")]
    done = infer(kit, *names, "--out", str(tmp_path / "found"))
    assert done.returncode == 0, done.stderr
    named = pd.read_csv(tmp_path / "found" / "keypoints.csv", header=None)
    packed = pd.read_csv(kit / "keypoints.csv", header=None).iloc[[0, 1, 4]]
    assert list(named[0]) == names
    np.testing.assert_allclose(named.iloc[:, 1:], packed.iloc[:, 1:], atol=0.01)


NPU_SMI = """
+------------------------------------------------------------------------------+
| npu-smi 23.0.0                                   Version: 23.0.0             |
+--------------+-------------+-------------------------------------------------+
| NPU     Name | Health      | Power(W)  Temp(C)           Hugepages-Usage(page|
| Chip  Device | Bus-Id      | AICore(%) Memory-Usage(MB)                      |
+==============+=============+=================================================+
| {row:12} | OK          | NA        51                996   / 996         |
| 0     0      | 0000:01:00.0| 0         3841 / 21527                          |
+==============+=============+=================================================+
| NPU     Chip | Process id  | Process name          | Process memory(MB)      |
| No running processes found in NPU 0                                          |
+==============+=============+=================================================+
"""


def convert(kit: Path, tools: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run convert.sh with the programs in `tools` first on the path."""
    settings = {"PATH": f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    words = ["bash", str(kit / "convert.sh"), *arguments]
    return subprocess.run(words, cwd=kit.parent, env=settings, capture_output=True, text=True)


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell script")
@pytest.mark.parametrize(
    ("row", "first", "soc"),
    [
        ("0     310B4", [""], "Ascend310B4"),
        ("64    310P3", [], "Ascend310P3"),
        ("0     310", [], "Ascend310"),
        ("0     310B4", ["310B1"], "Ascend310B1"),  # a name that is given comes first, with or without Ascend
        ("0     310B4", ["Ascend310B1"], "Ascend310B1"),
    ],
)
def test_convert_names_the_chip_of_npu_smi(kit: Path, tmp_path: Path, row: str, first: list[str], soc: str):
    tool(tmp_path, "npu-smi", f"cat <<'END'{NPU_SMI.format(row=row)}END")
    tool(tmp_path, "atc", 'for word in "$@"; do echo "<$word>"; done; echo "$PWD $TE_PARALLEL_COMPILER"')
    done = convert(kit, tmp_path, *first, "--precision_mode=force_fp32")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "<--model=model.onnx>", "<--framework=5>", "<--output=model>", f"<--soc_version={soc}>",
        "<--input_format=NCHW>", "<--input_shape=images:1,3,64,64>", "<--output_type=FP32>",
        "<--precision_mode=force_fp32>", f"{kit} {'1' if soc.startswith('Ascend310B') else ''}",
        f"model.om for {soc}; next: python3 infer.py",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell script")
def test_convert_says_what_is_missing(kit: Path, tmp_path: Path):
    done = convert(kit, tmp_path / "none")
    assert done.returncode == 2 and "npu-smi is not here; name the chip: bash convert.sh Ascend310B4" in done.stderr
    done = convert(kit, tmp_path / "none", "Ascend310B4")
    assert done.returncode == 2 and "atc is not here; install CANN and source its set_env.sh" in done.stderr
    tool(tmp_path / "odd", "npu-smi", "echo 'dcmi module initialize failed'")
    done = convert(kit, tmp_path / "odd")
    assert done.returncode == 2 and "npu-smi info names no chip" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a shell script stands for atc")
def test_where_atc_is_the_kit_has_an_om_file(tiny_models, data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    write = 'for word in "$@"; do case $word in --output=*) echo om >"${word#*=}.om";; esac; done'
    for name, script in (("made", write), ("failed", "echo E10001: no such chip; exit 1")):
        tool(tmp_path / "tools", "atc", script)
        source = Source(data["hrnet"], first=1)
        notes = pack(Request(tiny_models["hrnet"], "cpu"), tmp_path / name, source, "Ascend310P3", progress=False)
        made = (tmp_path / name / "model.om").exists()
        assert made == (name == "made") == (tmp_path / name / "model.om.json").exists()
        assert any("atc failed (E10001: no such chip); run convert.sh on the board" in line for line in notes) != made
        assert "soc='Ascend310P3'" in (tmp_path / name / "convert.sh").read_text()


def test_what_pack_refuses(kit: Path, tiny_models, data, tmp_path: Path):
    request, source = Request(tiny_models["hrnet"], "cpu"), Source(data["hrnet"])
    for model, out, given, soc, message in (
        (tmp_path / "a.om", "x", source, None, "a kit is made of a checkpoint or an ONNX file"),
        (request.model, str(kit), source, None, "is there already; remove it, or give --out another name"),
        (request.model, "x", Source(data["hrnet"], inputs="jpg"), None, "choose one of raw, preprocessed"),
        (request.model, "x", Source(images=tmp_path, inputs="preprocessed"), None, "without labels stay raw"),
        (request.model, "x", source, "Ascend310; rm", "give Ascend and the name that npu-smi info shows"),
        (request.model, "x", source, "310B4", "give Ascend and the name that npu-smi info shows"),
        (request.model, "x", Source(images=data["hrnet"] / "annot"), None, "holds no images"),
        (export_model(request.model, "onnx", tmp_path / "a.onnx", 5), "x", source, None, "takes 5 images at a time"),
    ):
        with pytest.raises(InputError, match=message):
            pack(Request(model, "cpu"), tmp_path / out, given, soc, progress=False)
        assert not (tmp_path / "x").exists()


def test_a_crop_that_infer_would_cut_otherwise_is_in_the_kit(
    tiny_models, data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As where posekit decodes a large JPEG smaller: the network's input stays the same."""
    pack(Request(tiny_models["hrnet"], "cpu"), tmp_path / "a", Source(data["hrnet"]), progress=False)
    with monkeypatch.context() as patch:
        patch.setattr("posekit.deploy.board_infer.warp", lambda image, *_: image[:64, :64])
        pack(Request(tiny_models["hrnet"], "cpu"), tmp_path / "b", Source(data["hrnet"]), progress=False)
    assert len(list((tmp_path / "b" / "cut").iterdir())) == 12
    for name in ("a", "b"):
        assert infer(tmp_path / name).returncode == 0
    for path in (tmp_path / "a").glob("heatmaps*/*.bin"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
