"""One writer per folder: the second is refused by name, a lock that nobody holds any more is no hindrance."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from posekit import locks
from posekit.cli.main import main
from posekit.course import run as course
from posekit.errors import InputError
from posekit.files import write_json
from posekit.locks import LOCK, one_writer

HERE = socket.gethostname()
MINE = re.escape(f"process {os.getpid()} on {HERE} has been writing there since 20")
HOLD = "import sys, time; from pathlib import Path; from posekit.locks import one_writer\n"
HOLD += "with one_writer(Path(sys.argv[1])): print(flush=True); time.sleep(60)"


def signed(folder: Path, age: float = 0, **holder: object) -> None:
    """A lock file that somebody left, last touched that many seconds ago."""
    folder.mkdir(exist_ok=True)
    (folder / LOCK).write_text(json.dumps({"process": 1, "host": HERE, "since": "2026-01-01 00:00:00"} | holder))
    os.utime(folder / LOCK, (time.time() - age,) * 2)


def test_the_second_is_refused_and_nothing_is_left(tmp_path: Path):
    folder = tmp_path / "a" / "run"
    with one_writer(folder):
        with pytest.raises(InputError, match=f"^{folder}: {MINE}.*; wait until it ends, or choose another folder$"):
            with one_writer(folder):
                pass
        assert os.listdir(folder) == [LOCK], "the first still has it"
        (folder / "result").touch()
    assert os.listdir(folder) == ["result"]
    with one_writer(folder):
        pass
    with pytest.raises(ZeroDivisionError), one_writer(tmp_path / "b"):
        1 / 0  # noqa: B018
    assert not (tmp_path / "b").exists(), "it was made for nothing"


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_lock_of_a_process_that_was_killed_is_stale(end: signal.Signals, tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    with pytest.raises(InputError, match=f"process {process.pid} on {HERE}"), one_writer(tmp_path):
        pass
    process.send_signal(end)
    process.wait()
    assert (tmp_path / LOCK).exists()
    with one_writer(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()


def no_locks(monkeypatch: pytest.MonkeyPatch, cause: int) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(cause, os.strerror(cause))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize("cause", [None, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
@pytest.mark.parametrize(
    ("holder", "age", "free", "free_without_locks"),
    [
        ({"process": os.getpid()}, 0, True, False),  # this host's lock says that it isn't held
        ({"process": 2**22 + 1}, 0, True, True),  # no such process; a reboot
        ({"process": os.getpid()}, 3600, True, True),  # another process got the number
        ({"host": "node7"}, 0, False, False),  # whose locks may not reach this host
        ({"host": "node7"}, 3600, True, True),  # a node that was lost
        ({"process": "x"}, 0, True, True),
        ({"process": -1}, 0, True, True),
    ],
)
def test_who_left_a_lock_file(holder, age, free, free_without_locks, cause, tmp_path: Path, monkeypatch):
    if cause:
        no_locks(monkeypatch, cause)
    signed(tmp_path, age, **holder)
    if free_without_locks if cause else free:
        with one_writer(tmp_path):
            pass
        assert os.listdir(tmp_path) == []
    else:
        who = f"process {holder.get('process', 1)} on {holder.get('host', HERE)} has been writing there since 2026-01"
        with pytest.raises(InputError, match=re.escape(who)), one_writer(tmp_path):
            pass


@pytest.mark.parametrize("content", ["", "[]", "{", "\0" * 5000, '{"process": 1e999}', "[" * 2000])
def test_a_lock_file_that_is_none(content: str, tmp_path: Path):
    (tmp_path / LOCK).write_text(content)
    with one_writer(tmp_path):
        pass


def test_without_locks_the_second_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    no_locks(monkeypatch, errno.ENOLCK)
    with one_writer(tmp_path), pytest.raises(InputError, match=MINE), one_writer(tmp_path):
        pass


def test_the_holder_touches_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "_BEAT", 0.01)
    with one_writer(tmp_path):
        os.utime(tmp_path / LOCK, (0, 0))
        end = time.monotonic() + 10
        while (tmp_path / LOCK).stat().st_mtime < 1:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_many_at_once_take_turns(tmp_path: Path):
    """No two of them have it at the same time, though each removes the file when it is done."""
    inside, most, refused = 0, 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most, refused
        for _ in range(100):
            try:
                with one_writer(tmp_path):
                    with counting:
                        inside += 1
                        most = max(most, inside)
                    with counting:
                        inside -= 1
            except InputError:
                refused += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and 0 < refused < 400 and os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    message = r"file/run: cannot write \(Not a directory\)"
    with pytest.raises(InputError, match=message), one_writer(tmp_path / "file/run"):
        pass


# The commands


@pytest.fixture
def refused(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs `posekit ARGUMENTS`, whose exit code is 2; returns the last line."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["posekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        return capfd.readouterr().err.splitlines()[-1]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "poseestnet-tiny", "--data", "DATA", "--device", "cpu", "--resume", "--out"),
        ("evaluate", "MODEL", "--data", "DATA", "--device", "cpu", "--out"),
        ("predict", "MODEL", "DATA/images/image_test", "--device", "cpu", "--out"),
        ("parity", "MODEL", "--data", "DATA", "--device", "cpu", "--first", "1", "--out"),
        ("infer310", "preprocess", "MODEL", "--data", "DATA", "--out"),
        ("infer310", "convert", "MODEL", "--backend", "onnxruntime", "--out"),
        ("infer310", "infer", "--out"),
        ("infer310", "postprocess", "--out"),
        ("data", "prepare-veri", "--veri", "DATA", "--labels", "DATA", "--out"),
        ("reid", "MODEL", "--data", "DATA", "--device", "cpu", "--out"),
    ],
    ids=lambda arguments: " ".join(word for word in arguments[:2] if word.islower()),
)
def test_every_command_that_writes_a_folder_is_alone_there(
    arguments, tiny_run: Path, tiny_vehicles: Path, tmp_path: Path, refused
):
    words = [w.replace("MODEL", str(tiny_run / "best.ckpt")).replace("DATA", str(tiny_vehicles)) for w in arguments]
    with one_writer(tmp_path / "out"):
        assert re.match(rf"posekit: {tmp_path}/out: {MINE}", refused(*words, tmp_path / "out"))
        assert os.listdir(tmp_path / "out") == [LOCK]


def test_a_course_is_resumed_once(tmp_path: Path):
    from lesson_files import write_lesson

    write_lesson(tmp_path, "00_a", "x = 1")
    manifest = {"scale": "smoke", "only": ["00"], "parameters": {}, "lessons": [{"name": "00_a", "status": "waiting"}]}
    write_json(tmp_path / "runs/a/manifest.json", manifest)
    with one_writer(tmp_path / "runs/a"), pytest.raises(InputError, match=MINE):
        course.run(resume="runs/a", root=tmp_path)


def posekit(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "posekit.cli", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.machine
def test_two_trainings_at_once(tiny_vehicles: Path, tmp_path: Path):
    words = ["train", "poseestnet-tiny", "--data", tiny_vehicles, "--out", tmp_path / "run", "--device", "cpu"]
    jobs = [posekit(*words, "--set", "epochs=60", "--set", "validate_every=60") for _ in range(2)]
    outputs = [job.communicate(timeout=300) for job in jobs]
    codes = [job.returncode for job in jobs]
    assert sorted(codes) == [0, 2], outputs
    first, second = codes.index(0), codes.index(2)
    line = outputs[second][1].splitlines()[-1]
    assert f"run: process {jobs[first].pid} on {HERE} has been writing there" in line or "already holds a run" in line
    assert "best.ckpt" in outputs[first][0] and LOCK not in os.listdir(tmp_path / "run")


@pytest.mark.machine
def test_a_data_set_drawn_twice_at_once(tmp_path: Path):
    jobs = [posekit("data", "synth", "vehicles", "--out", tmp_path / "d", "--train", 8, "--test", 4) for _ in range(2)]
    errors = [job.communicate(timeout=300)[1] for job in jobs]
    codes = [job.returncode for job in jobs]
    assert sorted(codes) == [0, 2], errors
    assert re.match(r"posekit: \S+/d: (cannot write|exists already)", errors[codes.index(2)].splitlines()[-1])
    assert os.listdir(tmp_path) == ["d"]


@pytest.mark.machine
@pytest.mark.skipif(not shutil.which("flock"), reason="the launcher is for Linux")
def test_two_launchers_at_once(tmp_path: Path):
    """The second touches none of the first's logs."""
    msrun = tmp_path / "msrun"
    msrun.write_text("#!/bin/sh\necho began >>began\nsleep 5\n")
    msrun.chmod(0o755)
    script = Path(__file__).parents[1] / "scripts/distributed.sh"
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    jobs = []
    for port in (29, 30):
        options = ["--workers", "1", "--master-port", str(port)]
        command = ["bash", str(script), *options, "--", "poseestnet", "--out", "r u"]
        jobs.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True))
        while not (tmp_path / "began").exists():
            time.sleep(0.05)
    assert jobs[1].wait(60) == 2
    message = f"distributed.sh: r u: process {jobs[0].pid} on {HERE}, since 20"
    assert jobs[1].communicate()[1].startswith(message)
    assert jobs[0].wait(60) == 0 and (tmp_path / "began").read_text() == "began\n"
