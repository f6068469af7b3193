"""Lessons that run at the same time: each on its own cores, what one needs before it, and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lesson_files import write_lesson

from posekit.course import run as course
from posekit.course.execution import next_steps
from posekit.course.lessons import plan
from posekit.runtime import cores

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(  # text, since it is asked when the test begins
        'not hasattr(os, "sched_setaffinity") or len(cores()) < 2', reason="shares out cores: takes two, and Linux"
    ),
]
RECIPE = "recipe = 'poseestnet-smoke'\nruns = ''"
CORES = "import os, time\nfrom posekit.course.results import record\nrecord('cores', sorted(os.sched_getaffinity(0)))\n"
MEET = """start = time.time()
open(mine, 'w').close()
while not os.path.exists(other):
    assert time.time() < start + 60, 'the other lesson does not run'
    time.sleep(0.05)"""
SEES_THE_FAILURE = """import time
from pathlib import Path
(manifest,), start = Path('runs').glob('*/manifest.json'), time.time()
while '"failed"' not in manifest.read_text():
    assert time.time() < start + 60, 'nothing has failed'
    time.sleep(0.05)"""


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(course.ROOT), os.environ.get("PYTHONPATH", "")]))


def entries(root: Path) -> dict[str, dict]:
    (folder,) = (root / "runs").iterdir()
    return {entry["name"]: entry for entry in json.loads((folder / "manifest.json").read_text())["lessons"]}


def cores_of(entry: dict) -> set[int]:
    return set(entry["results"][0]["value"])


def test_two_lessons_share_the_cores_and_one_has_them_all(tmp_path: Path):
    every = set(cores())
    write_lesson(tmp_path, "00_a", "mine, other = 'a', 'b'", CORES + MEET)
    write_lesson(tmp_path, "01_b", "mine, other = 'b', 'a'", CORES + MEET)
    write_lesson(tmp_path, "05_alone", "x = 1", CORES)
    assert course.run(jobs=2, root=tmp_path) == 0
    a, b, alone = map(cores_of, entries(tmp_path).values())
    assert a | b == every and not a & b and alone == every
    assert [entry["cores"] for entry in entries(tmp_path).values()] == [len(a), len(b), len(every)]


def test_what_a_lesson_needs_ends_before_it(tmp_path: Path):
    for stem in ("00_start", "04_train", "05_launch", "06_evaluate", "08_reid"):
        write_lesson(tmp_path, stem, "x = 1" if stem < "04" else RECIPE)
    steps = {step.name: step for step in plan("smoke", (), {}, tmp_path, tmp_path / "runs")}
    started, waiting, running = [], list(steps.values()), []
    while waiting or running:
        for step in next_steps(waiting, running, 2):
            waiting.remove(step)
            running.append(step)
        started.append("+".join(step.name for step in running))
        running.pop(0)
    assert started == [
        "04_train-poseestnet-smoke+04_train-hourglass-smoke",
        "04_train-hourglass-smoke+00_start",
        "00_start+06_evaluate-poseestnet-smoke",
        "06_evaluate-poseestnet-smoke+06_evaluate-hourglass-smoke",
        "06_evaluate-hourglass-smoke+08_reid",
        "08_reid",
        "05_launch",
    ]
    assert next_steps(list(steps.values()), [], 1) == [steps["00_start"]], "one at a time: in order"
    assert next_steps([steps["06_evaluate-poseestnet-smoke"]], [], 2), "of a course without lesson 04"
    ready = [step for name, step in steps.items() if name[:2] in ("00", "06")]
    long = {"06_evaluate-hourglass-smoke": 60.0, "06_evaluate-poseestnet-smoke": 30.0}
    assert next_steps(ready, [], 2, long) == [steps[name] for name in long], "the longest first"


def test_a_stopped_training_has_a_place_to_go_on(tmp_path: Path):
    """Lesson 04 trains where a resumed course finds it again, not in a folder named by the time."""
    write_lesson(tmp_path, "04_train", RECIPE + "\nrun = ''")
    first, second = plan("smoke", (), {}, tmp_path, tmp_path / "runs" / "a")
    assert first.parameters["run"] == "runs/a/poseestnet-smoke" and second.parameters["run"] == "runs/a/hourglass-smoke"
    (named, _) = plan("smoke", (), {"run": "mine"}, tmp_path, tmp_path / "runs" / "a")
    assert named.parameters["run"] == "mine"


def test_after_a_kernel_has_died_nothing_new_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_lesson(tmp_path, "00_dies", "x = 1", "import os\nos._exit(3)")
    write_lesson(tmp_path, "01_goes_on", "x = 1", SEES_THE_FAILURE)
    write_lesson(tmp_path, "02_waits", "x = 1")
    assert course.run(jobs=2, root=tmp_path) == 1
    dies, goes_on, waits = entries(tmp_path).values()
    assert [entry["status"] for entry in (dies, goes_on, waits)] == ["failed", "done", "waiting"]
    assert "Kernel died" in dies["error"]["message"] and dies["error"]["source"] == "import os\nos._exit(3)"
    assert "00_dies failed" in capsys.readouterr().out


@pytest.mark.parametrize("bar", [True, False])
def test_the_manifest_says_how_long_a_lesson_showed_nothing_new(tmp_path: Path, bar: bool):
    moves = "from posekit.bars import progress_bar\nfor _ in progress_bar(range(20), desc='steps'): time.sleep(0.25)"
    write_lesson(tmp_path, "00_a", "x = 1", "import time", moves if bar else "time.sleep(5)", "y = 2")
    assert course.run(jobs=1, root=tmp_path) == 0
    (entry,) = entries(tmp_path).values()
    assert entry["still"]["seconds"] < 3 if bar else entry["still"] == {"seconds": pytest.approx(5, abs=1), "cell": 3}
    (folder,) = (tmp_path / "runs").iterdir()
    assert not list(folder.glob("*.status"))


def test_without_a_terminal_a_course_writes_what_it_does(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("posekit.course.execution.SECONDS", 0.5)
    moves = "from posekit.bars import progress_bar\nfor _ in progress_bar(range(8), desc='steps'): time.sleep(0.5)"
    write_lesson(tmp_path, "00_a", "x = 1", "import time", moves)
    assert course.run(jobs=1, root=tmp_path) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("00_a: cell 3 of 3 steps, ")]
    assert len(lines) >= 3 and any("/8 it" in line for line in lines)


def test_the_second_ctrl_c_ends_a_course_at_once(tmp_path: Path):
    """Also a lesson that ignores the first one, and what it has started in a session of its own."""
    stubborn = """import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print(os.getpid(), child.pid, file=open("pids", "w"))
while True:
    try:
        time.sleep(300)
    except KeyboardInterrupt:
        pass"""
    write_lesson(tmp_path, "00_a", "x = 1", stubborn)
    process = subprocess.Popen(
        [sys.executable, "-m", "posekit.cli", "course", "run"],
        env={**os.environ, "POSEKIT_ROOT": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    start, pids = time.monotonic(), tmp_path / "pids"
    while not (pids.is_file() and pids.read_text().endswith("\n")):
        assert process.poll() is None and time.monotonic() < start + 60
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    lines, asked = iter(process.stdout.readline, ""), time.monotonic()
    assert any("stopping" in line for line in lines) and time.monotonic() - asked < 1
    process.send_signal(signal.SIGINT)
    rest = next(line for line in process.stdout if "interrupted" in line)
    assert rest and time.monotonic() - asked < 3
    process.communicate(timeout=60)
    assert process.returncode == 130
    for pid in map(int, pids.read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("stop", "background"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, False)],
)
def test_a_stopped_course_ends_its_kernels(tmp_path: Path, stop: signal.Signals, background: bool):
    """Also one that a script has put into the background: it ignores Ctrl-C, but no other signal."""
    for stem in ("00_a", "01_b"):
        write_lesson(tmp_path, stem, f"stem = '{stem}'", "import os, time\nprint(os.getpid(), file=open(stem, 'w'))",
                     "time.sleep(300)")  # fmt: skip
    command = [sys.executable, "-m", "posekit.cli", "course", "run", "--jobs", "2"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "POSEKIT_ROOT": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.SIG_DFL),
    )
    pids = [tmp_path / stem for stem in ("00_a", "01_b")]
    start = time.monotonic()
    while not all(path.is_file() and path.read_text().endswith("\n") for path in pids):
        assert process.poll() is None and time.monotonic() < start + 60
        time.sleep(0.1)
    if background:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):  # nothing to wait for: it continues
            process.wait(0.5)
    process.send_signal(stop)
    if stop == signal.SIGINT:
        time.sleep(0.1)
        process.send_signal(stop)  # an impatient user
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "stopped by Ctrl-C" in out and "--resume" in out
    assert [entry["status"] for entry in entries(tmp_path).values()] == ["interrupted"] * 2
    for path in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)
