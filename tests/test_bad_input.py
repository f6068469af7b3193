"""Every kind of bad input through the real command: one line that says what, where and what to do; exit code 2."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import pytest
from networks import fresh

from posekit.cli.main import main
from posekit.models.checkpoint import load_network, read_checkpoint, save_checkpoint
from posekit.recipes import get_recipe
from posekit.settings import override

ROOT = Path(__file__).parents[1]
Refused = Callable[..., str]


def one_line(stderr: str) -> str:
    """The command's message; beside it standard error may hold only what progress bars draw."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", stderr) if line.strip()]
    messages = [line for line in lines if not re.search(r"\d+%\||\?it/s|\?step/s", line)]
    assert len(messages) == 1 and messages[0].startswith("posekit: "), stderr
    assert lines[-1] == messages[0]
    return messages[0]


@pytest.fixture
def refused(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Runs `posekit ARGUMENTS` in this process; checks exit code 2 and returns the one line."""

    def run(*arguments: object) -> str:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["posekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        return one_line(capfd.readouterr().err)

    return run


@pytest.fixture
def data(tiny_vehicles: Path, tmp_path: Path) -> Path:
    """A copy of the data set, to be damaged."""
    return Path(shutil.copytree(tiny_vehicles, tmp_path / "data"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def train(data: Path, out: Path, *more: str) -> list[object]:
    return ["train", "poseestnet-tiny", "--data", data, "--out", out, "--device", "cpu", *more]


# Label and prediction files


def test_an_empty_label_file(data: Path, tmp_path: Path, refused: Refused):
    (data / "annot" / "label_train.csv").write_text("")
    message = refused(*train(data, tmp_path / "run"))
    assert "label_train.csv: the file is empty; it should hold one row per image" in message
    assert not (tmp_path / "run").exists()


def test_labels_without_a_visible_keypoint(data: Path, tmp_path: Path, refused: Refused):
    labels = data / "annot" / "label_test.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()]
    hidden = [[*row[:3], *(cell if i % 3 < 2 else "0" for i, cell in enumerate(row[3:]))] for row in rows]
    labels.write_text("\n".join(map(",".join, hidden)))
    message = refused(*train(data, tmp_path / "run"))
    assert "test split: no visible keypoints; fix the labels" in message
    assert files(tmp_path / "run") == []


def test_a_malformed_label_file(data: Path, tmp_path: Path, refused: Refused):
    labels = data / "annot" / "label_train.csv"
    rows = labels.read_text().splitlines()
    cells = rows[4].split(",")
    labels.write_text("\n".join([*rows[:4], ",".join([*cells[:7], "12px", *cells[8:]]), *rows[5:]]))
    assert "label_train.csv: row 5, column 8: '12px' is not a number; fix the row" in refused(
        *train(data, tmp_path / "run")
    )
    labels.write_text("\n".join([*rows[:2], ",".join(cells[:-1]), *rows[3:]]))
    assert "label_train.csv: row 3: 110 columns where 111 are expected" in refused(*train(data, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_empty_and_malformed_predictions(data: Path, tmp_path: Path, refused: Refused):
    table = tmp_path / "predictions.csv"
    arguments = ["score", "veri", data, "--predictions", table, "--json", tmp_path / "scores.json"]
    assert "predictions.csv: cannot read (No such file or directory); check the path" in refused(*arguments)
    table.write_text("")
    assert "predictions.csv: the file is empty" in refused(*arguments)
    table.write_text("a.jpg," + ",".join(["1"] * 108) + "\nb.jpg," + ",".join(["1"] * 50 + ["x"] + ["1"] * 57) + "\n")
    assert "predictions.csv: row 2, column 52: 'x' is not a number" in refused(*arguments)
    table.write_text("a.jpg," + ",".join(["1"] * 108) + "\n")
    assert "predictions.csv: 12 of 12 samples are missing, the first is" in refused(*arguments)
    arguments[4] = table.rename(tmp_path / "predictions.csv.gz")  # what a name says of compression does not count
    assert "predictions.csv.gz: 12 of 12 samples are missing" in refused(*arguments)
    arguments[4].write_bytes(b"PK\x03\x04\xff\xfe")
    assert "predictions.csv.gz: is a zip file; unpack it first" in refused(*arguments)
    assert not (tmp_path / "scores.json").exists()


# Images


def test_a_missing_image(data: Path, tmp_path: Path, refused: Refused):
    image = sorted((data / "images" / "image_train").iterdir())[3]
    image.unlink()
    message = refused(*train(data, tmp_path / "run"))
    assert f"1 of 24 images are missing, the first is {image.name}; complete the data set" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_truncated_image_stops_a_training(data: Path, tmp_path: Path, refused: Refused):
    image = sorted((data / "images" / "image_train").iterdir())[3]
    image.write_bytes(image.read_bytes()[:2000])
    message = refused(*train(data, tmp_path / "run", "--set", "epochs=1"))
    assert f"{image}: the JPEG is truncated (no end marker); copy or download it again" in message
    assert "best.ckpt" not in files(tmp_path / "run")


@pytest.mark.slow
def test_a_damaged_image_stops_a_training(data: Path, tmp_path: Path, refused: Refused):
    """OpenCV decodes it in silence."""
    image = sorted((data / "images" / "image_train").iterdir())[3]
    content = image.read_bytes()
    middle = len(content) // 2
    image.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    message = refused(*train(data, tmp_path / "run", "--set", "epochs=1"))
    assert f"{image}: the JPEG is damaged (" in message and message.endswith("; copy or download it again")
    assert "best.ckpt" not in files(tmp_path / "run")


def test_an_image_that_is_none_stops_a_prediction(data: Path, tiny_run: Path, tmp_path: Path, refused: Refused):
    image = sorted((data / "images" / "image_test").iterdir())[-1]
    image.write_text("no image")
    out = tmp_path / "out"
    message = refused("evaluate", tiny_run / "best.ckpt", "--data", data, "--out", out, "--device", "cpu")
    assert f"{image}: not a readable image; copy or download it again" in message
    message = refused("predict", tiny_run / "best.ckpt", "--data", data, "--out", out / "p.csv", "--device", "cpu")
    assert f"{image}: not a readable image" in message
    assert files(out) == []


def test_bad_pictures(tiny_run: Path, tmp_path: Path, refused: Refused):
    good, bad, out = tmp_path / "good.png", tmp_path / "bad.jpg", tmp_path / "out"
    cv2.imwrite(str(good), np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    start = ["predict", tiny_run / "best.ckpt", "--out", out, "--device", "cpu"]
    bad.write_bytes(cv2.imencode(".jpg", np.zeros((90, 90, 3), np.uint8))[1].tobytes()[:-9])
    assert f"{bad}: the JPEG is truncated" in refused(*start, good, bad)
    assert "none.jpg: cannot read the image (No such file or directory)" in refused(*start, good, tmp_path / "none.jpg")
    bad.write_bytes(cv2.imencode(".jpg", np.zeros((90, 90, 3), np.uint8))[1].tobytes()[:-30] + b"\xff\xd9")
    assert f"{bad}: the JPEG is damaged (" in refused(*start, good, bad)
    bad.write_bytes(b"GIF89a\x01\x00\x01\x00")
    assert f"{bad}: not a readable image but a GIF image; convert it to JPEG or PNG" in refused(*start, good, bad)
    assert "give either images or --data" in refused(*start)
    assert files(out) == []


# Folders and models


def test_a_folder_of_another_layout(tmp_path: Path, tiny_run: Path, refused: Refused):
    (tmp_path / "other" / "pictures").mkdir(parents=True)
    message = refused(*train(tmp_path / "other", tmp_path / "run"))
    assert "other: not the VeRi layout: looked for annot/label_train.csv, found pictures/; give the folder" in message
    message = refused("evaluate", tiny_run / "best.ckpt", "--data", tmp_path / "none", "--out", tmp_path / "out")
    assert "looked for annot/label_test.csv, found no such folder" in message
    assert "looked for annot/label_train.csv" in refused("data", "check", "veri", tmp_path / "other")
    assert files(tmp_path) == ["other", "pictures"]


def test_a_split_without_images(data: Path, tmp_path: Path, refused: Refused):
    shutil.rmtree(data / "images")
    message = refused(*train(data, tmp_path / "run"))
    assert "images: no images of the train split: looked for image_train/" in message and "give --images" in message


def test_keypoints_of_another_skeleton(data: Path, tmp_path: Path, refused: Refused):
    message = refused(*train(data, tmp_path / "run", "--set", "skeleton=person16"))
    assert "has 36 keypoints (vehicle36), not the 16 of person16: without 'right ankle'" in message
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_network(data: Path, tmp_path: Path, refused: Refused):
    tiny = get_recipe("poseestnet-tiny")
    save_checkpoint(tmp_path / "a.ckpt", fresh(override(tiny, ["width=16"])), tiny, 1, 1)
    message = refused("evaluate", tmp_path / "a.ckpt", "--data", data, "--out", tmp_path / "out", "--device", "cpu")
    assert "a.ckpt: belongs to another network" in message and "use a checkpoint of this recipe" in message
    assert re.search(
        r"\d+ have another shape, first transitions.* is \(32, 8, 3, 3\) instead of \(16, 8, 3, 3\)", message
    )
    assert "belongs to another network" in refused("export", tmp_path / "a.ckpt", "--out", tmp_path / "a.onnx")
    assert "none.ckpt: no such model file" in refused("export", tmp_path / "none.ckpt", "--out", tmp_path / "a.onnx")
    assert not (tmp_path / "out").exists() and not (tmp_path / "a.onnx").exists()


# Names


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "posenet", "--out", "run"], "unknown recipe 'posenet'; choose one of poseestnet, "),
        (["train", "poseestnet", "--out", "run", "--set", "epoch=3"], "unknown field 'epoch'; did you mean epochs?"),
        (
            ["train", "poseestnet", "--out", "run", "--set", "epochs=three"],
            "--set: epochs must be a whole number from 1 to 100,000, not 'three'",
        ),
        (["train", "poseestnet", "--out", "run", "--config", "no.toml"], "no.toml: cannot read (No such file"),
        (["train", "poseestnet", "--out", "run", "--device", "abacus"], "unknown device 'abacus'; use auto, cpu, gpu"),
        (["course", "run", "--scale", "huge"], "unknown scale 'huge'; choose one of quick, smoke, laptop, full"),
        (["course", "run", "--only", "77"], "unknown lesson 77; choose by number from 00_start_here"),
        (["course", "run", "-p", "shoes=3"], "unknown parameter shoes; the lessons have "),
        (["course", "run", "--resume", "no-run"], "no-run: no course to resume there"),
        (["export", "model.ckpt", "--format", "tflite", "--out", "a.tflite"], "unknown format 'tflite'"),
        (["predict", "model.pth", "--data", ".", "--out", "p.csv"], "model.pth: unknown kind of model file"),
        (["score", "veri", ".", "--predictions", "p.csv", "--protocol", "oks"], "unknown protocol 'oks'"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_unknown_names(arguments, message, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused):
    monkeypatch.chdir(tmp_path)
    runs = files(ROOT / "runs")
    assert message in refused(*arguments)
    assert files(tmp_path) == [] and files(ROOT / "runs") == runs


# Where nothing can be written


def test_drawing_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused):
    monkeypatch.chdir(tmp_path)
    message = refused("data", "synth", "people", "--out", ".", "--train", 1, "--test", 1)
    assert message == "posekit: .: is the folder you are in; name a new folder"


def test_a_run_below_a_file(tiny_vehicles: Path, tmp_path: Path, refused: Refused):
    (tmp_path / "file").write_text("here")
    message = refused(*train(tiny_vehicles, tmp_path / "file" / "run"))
    assert message.endswith("file/run: cannot write (Not a directory); a part of this path is a file; check the path")


def test_a_folder_that_holds_a_run(tiny_vehicles: Path, tiny_run: Path, refused: Refused):
    before = files(tiny_run)
    message = refused(*train(tiny_vehicles, tiny_run))
    assert f"{tiny_run}: already holds a run; give another --out, or continue it with --resume" in message
    assert files(tiny_run) == before


def terminal() -> None:
    """What a terminal does for the processes it starts, whatever runs these tests: Ctrl-C reaches them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def posekit(
    *arguments: object,
    program: Sequence[str] = ("-m", "posekit.cli"),
    before: Callable[[], None] = terminal,
    **options: object,
) -> subprocess.Popen:
    """The command in a process of its own; `before` is called in it first."""
    environment = {key: value for key, value in os.environ.items() if key != "GLOG_v"}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
        **options,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of that many KiB."""
    folder = tmp_path / "small"
    folder.mkdir()

    def make(kibibytes: int) -> Path:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "posekit-test", str(folder)]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("mounting a small file system takes root")
        return folder

    yield make
    subprocess.run(["umount", str(folder)], capture_output=True)


@pytest.mark.slow
def test_no_space_left_in_training(tiny_vehicles: Path, small_disk, refused: Refused):
    """Room for the first epochs' checkpoints but not for one more beside them: what is there stays as it was."""
    disk = small_disk(500)
    message = refused(*train(tiny_vehicles, disk / "run", "--set", "epochs=3", "--set", "validate_every=1"))
    assert re.search(r"small/run/\S+: cannot write \(No space left on device\); make room, or choose another", message)
    left = set(files(disk / "run"))
    assert {"recipe.json", "log.csv", "best.ckpt", "last.ckpt"} <= left
    assert left <= {"recipe.json", "log.csv", "best.ckpt", "last.ckpt", "previous.ckpt", "curves.png"}
    values = read_checkpoint(disk / "run" / "last.ckpt")[1]
    load_network(disk / "run" / "last.ckpt")
    assert int(values["epoch"].asnumpy()) in (1, 2)


def test_no_space_left_for_results(tiny_vehicles: Path, tiny_run: Path, small_disk, tmp_path: Path, refused: Refused):
    disk, model, syntax = small_disk(8), tiny_run / "best.ckpt", ms.get_context("jit_syntax_level")
    picture = next((tiny_vehicles / "images" / "image_test").iterdir())
    for arguments in (
        ["export", model, "--format", "onnx", "--out", disk / "a.onnx"],
        ["export", model, "--format", "mindir", "--out", disk / "a.mindir"],
        ["export", model, "--format", "mindir", "--out", disk / "a b.mindir"],  # through a plain temporary folder
        ["convert", model, disk / "a.pth", "--to", "hrnet-pose"],
        ["convert", model, disk / "a.safetensors", "--to", "hrnet-pose"],
        ["predict", model, "--data", tiny_vehicles, "--out", disk / "p.csv", "--device", "cpu"],
        ["evaluate", model, "--data", tiny_vehicles, "--out", disk / "out", "--device", "cpu"],
        ["predict", model, picture, "--out", disk / "out", "--device", "cpu"],
    ):
        assert "cannot write (No space left on device); make room" in refused(*arguments)
        assert [path for path in disk.rglob("*") if path.is_file() or path.name != "out"] == []
    assert ms.get_context("jit_syntax_level") == syntax  # or later trainings in this process would not compile


@pytest.mark.slow
def test_a_file_size_limit(tiny_vehicles: Path, tmp_path: Path):
    """The same where nothing can be mounted: no file may grow beyond 30 kB, a checkpoint needs 45."""
    resource = pytest.importorskip("resource")
    run = tmp_path / "run"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    process = posekit(*train(tiny_vehicles, run, "--set", "epochs=1"), before=limit)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2, stderr
    assert "run/best.ckpt: cannot write (File too large); raise the limit on file sizes (ulimit -f)" in one_line(stderr)
    assert files(run) == ["log.csv", "recipe.json"]


# Ctrl-C


# The command, which says when it begins to compile.
COMPILES = """
from pathlib import Path
from posekit.cli.main import main
from posekit.training.step import TrainStep
compile = TrainStep.compile
TrainStep.compile = lambda *arguments: (Path("compiles").touch(), compile(*arguments))
main()"""


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, f"{path.name} never came: {process.communicate()}"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_in_training(tiny_vehicles: Path, tmp_path: Path):
    """After some updates: exit code 75, one line, and a last checkpoint that loads and is of that very step."""
    run = tmp_path / "run"
    process = posekit(*train(tiny_vehicles, run, "--set", "epochs=5000", "--set", "validate_every=5000"), cwd=tmp_path)
    wait_for(run / "last.ckpt", process)  # the first epoch is over
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    message = one_line(stderr)
    assert message.endswith(f"; {run}/last.ckpt has it all: continue with --resume")
    step = int(re.search(r"interrupted at step (\d+) of 30000; ", message)[1])
    model = load_network(run / "last.ckpt")
    recipe = model.recipe
    values = read_checkpoint(run / "last.ckpt")[1]
    assert recipe.epochs == 5000 and int(values["step"].asnumpy()) == step >= 6
    names = {"recipe.json", "log.csv", "curves.png", "last.ckpt", "previous.ckpt"}
    assert set(files(run)) == names and files(tmp_path / "rank_0") == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_before_the_first_update(tiny_vehicles: Path, tmp_path: Path):
    """While the graph compiles."""
    run = tmp_path / "run"
    process = posekit(*train(tiny_vehicles, run), program=["-c", COMPILES], cwd=tmp_path)
    wait_for(tmp_path / "compiles", process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "interrupted at step 0" in one_line(stderr)
    load_network(run / "last.ckpt")
    assert not (tmp_path / "rank_0").exists()
