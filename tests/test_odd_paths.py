"""Exports and predictions below any folder: MindSpore's exporters take only ASCII letters, digits and @_.-/."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from posekit.cli.main import main
from posekit.deploy.export import export_model
from posekit.errors import InputError
from posekit.inference.run_times import Request, lite, load_predictor
from posekit.inference.run_times.request import MissingRunTime
from posekit.models.checkpoint import load_network, save_checkpoint
from posekit.plain_paths import plain_input, plain_output

ROOT = Path(__file__).parents[1]
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
FOLDERS = {
    "a space": "Jane Doe",
    "Chinese and brackets": "我的 文件/(a+b)",
    "what shells read": "a;b$c `d` & 'e' \"f\" #g *?",
    "a hyphen first": "-rf",
    "percent and umlaut": "%20 Jürgen é",
    "very long": "/".join(["d" * 200] * 8),
    "a line end": "a\nb",
    "Latin-1 bytes": os.fsdecode(b"\xe9t\xe9"),
    "a tilde": "~",
    "dots": "..a/.hidden./v1.2.3",
}


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / FOLDERS[request.param]
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def wanted(tiny_models: dict[str, Path]) -> np.ndarray:
    return load_predictor(Request(tiny_models["hourglass"], "cpu", 2)).heatmaps(IMAGES)


def ways(folder: Path, model: Path) -> list[Request]:
    """The checkpoint copied there, and every file exported there of that copy, on each run time."""
    copy = Path(shutil.copy(model, folder / "my model (1).ckpt"))
    mindir = export_model(copy, "mindir", folder / "我的 model.v2.mindir", 2)
    onnx = export_model(copy, "onnx", folder / "- a+b.onnx", 2)
    return [
        Request(copy, "cpu", 2),
        Request(mindir, "cpu"),
        Request(onnx, "cpu", backend="onnxruntime"),
        Request(onnx, "cpu", backend="openvino", precision="fp32"),
    ]


def test_every_run_time_reads_and_writes_there(folder: Path, tiny_models, wanted):
    requests = ways(folder, tiny_models["hourglass"])
    for request in requests:
        found = load_predictor(request).heatmaps(IMAGES)
        assert np.abs(found - wanted).max() <= 1e-4 * np.ptp(wanted), request
    simulated = load_predictor(Request(requests[2].model, "cpu", backend="onnxruntime", precision="bf16"))
    assert np.abs(simulated.heatmaps(IMAGES) - wanted).max() <= 0.1 * np.ptp(wanted)
    names = {path.name for path in folder.iterdir()}
    assert names == {"my model (1).ckpt", "我的 model.v2.mindir", "我的 model.v2.mindir.json", "- a+b.onnx"}


def test_checkpoints_are_written_there(folder: Path, tiny_models):
    model = load_network(tiny_models["hourglass"])
    save_checkpoint(folder / "新 (b).ckpt", model.network, model.recipe, 1, 1)
    again = load_network(folder / "新 (b).ckpt")
    pairs = zip(model.network.get_parameters(), again.network.get_parameters(), strict=True)
    assert again.recipe == model.recipe and all(np.array_equal(a.asnumpy(), b.asnumpy()) for a, b in pairs)


@pytest.mark.parametrize("folder", ["a space", "Chinese and brackets", "Latin-1 bytes"], indirect=True)
def test_lite_reads_and_writes_there(folder: Path, tiny_models, wanted):
    try:
        python = lite.find_python()
    except MissingRunTime as error:
        pytest.skip(str(error))
    onnx = export_model(tiny_models["hourglass"], "onnx", folder / "(a).onnx", 2)
    made = folder / "(b) 我.mindir"
    lite.convert_lite(Request(onnx, "cpu", lite_python=python), made)
    for model in (onnx, made):
        found = load_predictor(Request(model, "cpu", backend="lite", lite_python=python)).heatmaps(IMAGES)
        assert np.abs(found - wanted).max() <= 1e-4 * np.ptp(wanted)


ATC = """#!/usr/bin/env bash
# In place of CANN's atc, which takes few letters in paths.
for word in "$@"; do
    case "$word" in --model=*) model="${word#*=}" ;; --output=*) output="${word#*=}" ;; esac
done
[[ "$model$output" =~ ^[0-9A-Za-z_./-]+$ ]] || { echo "E10001: illegal path"; exit 1; }
cp "$model" "$output.om"
"""


@pytest.mark.parametrize("folder", ["a space", "Chinese and brackets", "a line end"], indirect=True)
def test_atc_reads_and_writes_there(folder: Path, tiny_models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "atc").write_text(ATC)
    (tools / "atc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    made = export_model(tiny_models["hourglass"], "om", folder / "(我).om", 2)
    assert made.read_bytes() == made.with_suffix(".onnx").read_bytes()
    script = made.with_suffix(".atc.sh")
    made.unlink()
    done = subprocess.run(["bash", script.relative_to(folder)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1 and "illegal path" in done.stdout, "the command reaches atc, with that name whole"


@pytest.mark.parametrize("kind", ["onnx", "mindir"])
def test_temporary_folders_may_be_odd(kind: str, tiny_models, wanted, tmp_path: Path):
    """Where TMPDIR isn't plain, another folder is."""
    odd = tmp_path / "我的 (x)"
    odd.mkdir()
    program = (
        "import sys; from pathlib import Path; from posekit.deploy.export import export_model\n"
        "from posekit.inference.run_times import Request, load_predictor\n"
        "made = export_model(Path(sys.argv[1]), sys.argv[3][1:], Path(sys.argv[2] + sys.argv[3]), 2)\n"
        "for backend in ['mindir'] if made.suffix == '.mindir' else ['onnxruntime', 'openvino']:\n"
        "    load_predictor(Request(made, 'cpu', backend=backend))\n"
    )
    arguments = [sys.executable, "-c", program, str(tiny_models["hourglass"]), str(odd / "a"), f".{kind}"]
    environment = {**os.environ, "TMPDIR": str(odd), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, env=environment, cwd=odd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    left = {path.name for path in odd.iterdir()} - {".ses"}  # a temporary file of ONNX Runtime's
    assert left <= {"a.onnx", "a.mindir", "a.mindir.json"}


def test_the_longest_names_of_a_file_system(tiny_models, wanted, tmp_path: Path):
    made = export_model(tiny_models["hourglass"], "onnx", tmp_path / f"{'n' * 250}.onnx", 2)
    found = load_predictor(Request(made, "cpu", backend="onnxruntime")).heatmaps(IMAGES)
    assert np.abs(found - wanted).max() <= 1e-4 * np.ptp(wanted)
    made = export_model(tiny_models["hourglass"], "mindir", tmp_path / f"{'我' * 80}.mindir", 2)
    assert np.abs(load_predictor(Request(made, "cpu")).heatmaps(IMAGES) - wanted).max() <= 1e-4 * np.ptp(wanted)


def test_a_full_disk_is_named(tmp_path: Path):
    """The temporary one, or that of the file."""
    with pytest.raises(InputError, match="^/.*: cannot write .No space left on device.; make room") as caught:
        with plain_output(tmp_path / "a b.onnx") as made:
            raise OSError(28, "No space left on device")
    assert str(caught.value).startswith(f"{made.parent.parent}: ") and not made.parent.exists()
    (tmp_path / "a b").mkdir()
    with pytest.raises(OSError) as caught, plain_output(tmp_path / "a b") as made:
        made.write_bytes(b"1")
    assert caught.value.filename == str(tmp_path / "a b")


def test_without_a_plain_folder_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("posekit.plain_paths.is_plain", lambda path: False)
    with pytest.raises(InputError, match="MindSpore takes only paths of ASCII letters.*; set TMPDIR to such a folder"):
        with plain_output(tmp_path / "a.onnx"):
            pass


def test_a_plain_path_is_used_as_it_is(tmp_path: Path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"1")
    with plain_input(path) as given, plain_output(path) as made:
        assert given == made == path
    odd = tmp_path / "a b.onnx"
    odd.write_bytes(b"2")
    with plain_input(odd) as given:
        assert given != odd and given.read_bytes() == b"2"
    with plain_output(odd) as made:
        made.write_bytes(b"3")
    assert odd.read_bytes() == b"3" and not made.parent.exists()


def test_the_commands_work_there(tiny_vehicles: Path, tiny_run: Path, tmp_path: Path, monkeypatch, capfd):
    """Export and predict, from within a folder, by names that begin with a hyphen."""
    folder = tmp_path / "我的 文件" / "(a+b)"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    shutil.copy(tiny_run / "best.ckpt", "-best 1.ckpt")
    for arguments in (
        ["export", "--format", "onnx", "--out", "-a.onnx", "--", "-best 1.ckpt"],
        ["export", "--format", "mindir", "--out", "./(a).mindir", "--", "-best 1.ckpt"],
        ["predict", "--data", str(tiny_vehicles), "--out", "-p.csv", "--device", "cpu", "--", "-a.onnx"],
        ["predict", "--data", str(tiny_vehicles), "--out", "q.csv", "--device", "cpu", "--", "(a).mindir"],
        ["predict", "--data", str(tiny_vehicles), "--out", "r.csv", "--device", "cpu", "--", "-best 1.ckpt"],
    ):
        monkeypatch.setattr(sys, "argv", ["posekit", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code, capfd.readouterr().err
    assert {"-p.csv", "q.csv", "r.csv"} < {path.name for path in folder.iterdir()}
