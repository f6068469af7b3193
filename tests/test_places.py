"""posekit where machines are as they are: without /dev/shm, installed for all users, read-only, without a home."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lesson_files import write_lesson

from posekit import processes
from posekit.errors import InputError
from posekit.processes import shared_map

ROOT = Path(__file__).parents[1]
NOBODY = 65534


# Processes


def test_without_semaphores_one_process_does_the_work(monkeypatch: pytest.MonkeyPatch):
    for error in (FileNotFoundError(2, "No such file"), PermissionError(13, "denied"), OSError(30, "Read-only"),
                  OSError(38, "Function not implemented"), ImportError("_multiprocessing.SemLock"),
                  NotImplementedError("no sem_open")):  # fmt: skip

        def refuse(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(processes, "ProcessPoolExecutor", refuse)
        with shared_map(2) as spread:
            assert list(spread(divmod, [7, 8], [2, 3], chunksize=8)) == [(3, 1), (2, 2)]


@pytest.mark.slow
def test_processes_share_the_work_in_order():
    with shared_map(2) as spread:
        assert list(spread(abs, range(-20, 0), chunksize=3)) == list(range(20, 0, -1))


@pytest.mark.slow
def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(InputError, match="was killed, perhaps because memory ran out"), shared_map(2) as spread:
        list(spread(os._exit, [3]))


# Machines. Root can make them, for one command at a time.


def namespace(script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the shell script with mounts of its own; skip where that isn't allowed."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting takes root, and Linux")
    return subprocess.run(
        ["unshare", "-m", "bash", "-euc", script, "bash", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


WITHOUT_SHM = """
dev="$1"; mount -t tmpfs none "$dev"
for node in 'null 1 3' 'zero 1 5' 'random 1 8' 'urandom 1 9'; do
    read -r name major minor <<<"$node"; mknod -m 666 "$dev/$name" c "$major" "$minor"
done
mount --move "$dev" /dev; test ! -e /dev/shm
"""
SYNTH = '"$2" -m posekit.cli data synth people --out "$3" --train 9 --test 5'


@pytest.mark.slow
@pytest.mark.parametrize("mounts", [WITHOUT_SHM, "mount -t tmpfs -o ro none /dev/shm"], ids=["missing", "read-only"])
def test_shared_memory_that_is_missing(mounts: str, tmp_path: Path):
    (tmp_path / "dev").mkdir()
    done = namespace(f"{mounts}\n{SYNTH}", str(tmp_path / "dev"), sys.executable, str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/out: 9 training and 5 test people\n")


AS_NOBODY = f"""
site="$1" work="$2" python="$3" closed="$4" fake="$5"
if [[ -n "$closed" ]]; then # Python itself is in a folder that is root's alone: show the rest of that folder
    for each in "$closed"/.pyenv; do mkdir -p "$fake/${{each##*/}}"; mount --bind "$each" "$fake/${{each##*/}}"; done
    mount --rbind "$fake" "$closed"
fi
mount --bind "$site" "$site"; mount -o remount,ro,bind "$site"
cd "$work"
exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups env -i PATH=/usr/bin:/bin HOME=/nonexistent GLOG_v=3 \\
    PYTHONPATH="$site" PYTHONDONTWRITEBYTECODE=1 "${{@:6}}"
"""


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """A folder that others can enter, with site/posekit, a copy as pip makes it, and work/, nobody's own."""
    folder = Path(tempfile.mkdtemp(prefix="posekit-test-", dir="/tmp"))
    folder.chmod(0o755)
    shutil.copytree(ROOT / "posekit", folder / "site/posekit", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "work").mkdir()
    if os.name == "posix" and os.getuid() == 0:
        os.chown(folder / "work", NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def nobody(installed: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python WORDS` as a user without a home and with nothing but work/ to write to."""
    if shutil.which("setpriv") is None:
        pytest.skip("takes setpriv")
    real = Path(sys.executable).resolve()
    closed = next((str(p) for p in real.parents if p.stat().st_mode & 0o5 != 0o5), "")
    (installed / "fake").mkdir(exist_ok=True)
    start = [str(installed / "site"), str(installed / "work"), sys.executable, closed, str(installed / "fake")]
    command = ["env", *(f"{name}={value}" for name, value in environment.items()), sys.executable]
    probe = namespace(AS_NOBODY, *start, *command, "-c", "import posekit; print(posekit.__path__)")
    if probe.returncode or "site/posekit" not in probe.stdout:
        pytest.skip(f"nobody can't run this Python: {probe.stderr.strip()}")
    return namespace(AS_NOBODY, *start, *command, *words)


@pytest.mark.slow
def test_a_user_without_a_home_trains_predicts_and_exports(installed: Path):
    """With an installation that is root's and read-only; drawn data goes where POSEKIT_HOME says."""

    def posekit(*words: str, **environment: str) -> str:
        done = nobody(installed, "-m", "posekit.cli", *words, **environment)
        assert done.returncode == 0, done.stderr
        assert "Matplotlib" not in done.stderr and "Traceback" not in done.stderr
        return done.stdout

    train = ["train", "poseestnet-tiny", "--device", "cpu", "--set", "epochs=1", "--out", "run"]
    done = nobody(installed, "-m", "posekit.cli", *train)
    assert done.returncode == 2
    expected = "posekit: /nonexistent/.local/share/posekit: cannot be written; set POSEKIT_HOME to a folder for your"
    assert done.stderr.splitlines()[-1].startswith(expected)
    posekit(*train, POSEKIT_HOME="mine")
    (data,) = (installed / "work/mine/data").iterdir()
    posekit("predict", "run/best.ckpt", "--data", str(data), "--out", "p.csv")
    posekit("export", "run/best.ckpt", "--out", "a.onnx")
    posekit("export", "run/best.ckpt", "--out", "a.mindir", "--format", "mindir")
    assert {"run", "p.csv", "a.onnx", "a.mindir", "mine"} <= set(os.listdir(installed / "work"))
    assert sorted(os.listdir(installed / "site")) == ["posekit"]


@pytest.mark.slow
def test_a_user_without_a_home_runs_a_lesson(installed: Path):
    """Of a clone that is read-only."""
    write_lesson(installed / "site", "00_start", "runs = 'runs'", "import matplotlib.pyplot as plt; plt.figure()",
                 "from posekit.course.results import record, resolve\nrecord('at', str(resolve(runs)))")  # fmt: skip
    home = installed / "work" / "我的 home"
    done = nobody(installed, "-m", "posekit.cli", "course", "run", POSEKIT_HOME=str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (home / "runs").iterdir()
    (lesson,) = json.loads((run / "manifest.json").read_text())["lessons"]
    assert lesson["results"][0]["value"] == str(home / "runs" / run.name) and (run / "report.html").is_file()
    done = nobody(installed, "-m", "posekit.cli", "course", "run")
    assert done.returncode == 2 and "set POSEKIT_HOME to a folder" in done.stderr
