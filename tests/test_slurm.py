"""scripts/slurm: what the launchers ask of papermill and of distributed.sh, and both on a real Slurm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from slurm_cluster import Slurm, ended, slurm

from posekit.course.collect import gather

SCRIPTS = Path(__file__).parents[1] / "scripts" / "slurm"
pytestmark = [pytest.mark.machine, pytest.mark.skipif(sys.platform != "linux", reason="Slurm is for Linux")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with slurm(nodes=2) as running:
        yield running


def run_task(folder: Path, line: int, tasks: str | bytes) -> subprocess.CompletedProcess[str]:
    """A task of array.sbatch outside Slurm, with a Python that only prints its arguments."""
    (folder / "sweep").mkdir(parents=True)
    (folder / "sweep/tasks.txt").write_bytes(tasks if isinstance(tasks, bytes) else tasks.encode())
    (folder / "python").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (folder / "python").chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": str(line)}
    command = ["bash", str(SCRIPTS / "array.sbatch"), "sweep/tasks.txt"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_line_becomes_papermills_arguments(tmp_path: Path) -> None:
    done = run_task(tmp_path, 2, 'a x.ipynb\nb lessons/y.ipynb -p changes "seed=1 epochs=2"  -p run other/place\n')
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[:2] == ["-m", "papermill"]
    words = words[2:]
    assert words[:4] == ["--log-output", "--no-progress-bar", "-k", "python3"]
    given = ["-p", "changes", "seed=1 epochs=2", "-p", "run", "other/place"]  # the last of a name counts
    assert words[4:] == ["lessons/y.ipynb", "sweep/b.ipynb", "-p", "run", "sweep/b", *given]


TASKS = '# a sweep\n\nfirst  x.ipynb\n  # the second\nsecond "my lesson.ipynb" -p changes "seed=1 epochs=2"\n'


@pytest.mark.parametrize(
    "tasks",
    [
        TASKS.encode(),
        TASKS.encode().rstrip(),
        TASKS.replace("\n", "\r\n").encode(),
        TASKS.encode("utf-8-sig"),
        TASKS.replace("\n", "\r\n").encode("utf-8-sig"),
        TASKS.encode("utf-16"),
        TASKS.replace("  ", "\t").encode(),
    ],
    ids=["plain", "no-last-line-end", "CRLF", "BOM", "BOM-CRLF", "UTF-16", "tabs"],
)
def test_a_task_file_as_any_editor_writes_it(tmp_path: Path, tasks: bytes) -> None:
    """Comments and empty lines aren't tasks; the sweep's folder may have any name."""
    done = run_task(tmp_path / "我的 (a+b)", 2, tasks)
    assert (done.returncode, done.stderr) == (0, "")
    given = ["my lesson.ipynb", "sweep/second.ipynb", "-p", "run", "sweep/second", "-p", "changes", "seed=1 epochs=2"]
    assert done.stdout.splitlines()[6:] == given
    found = [run.name for run in gather(tmp_path / "我的 (a+b)" / "sweep")]
    assert found == ["first", "second"]


@pytest.mark.parametrize(
    ("line", "tasks", "message"),
    [
        (1, "a x.ipynb\nb x.ipynb\na y.ipynb\n", "sweep/tasks.txt: two tasks are named a"),
        (3, "a x.ipynb\nb x.ipynb\n", "sweep/tasks.txt: task 3 names no notebook"),
        (1, "x.ipynb\n", "sweep/tasks.txt: task 1 names no notebook"),
    ],
)
def test_a_bad_task_file_is_refused(tmp_path: Path, line: int, tasks: str, message: str) -> None:
    done = run_task(tmp_path, line, tasks)
    assert (done.returncode, done.stdout) == (2, "") and message in done.stderr


@pytest.mark.parametrize("words", [(), ("8",), ("poseestnet", "--out", "runs/a"), ("0", "poseestnet")])
def test_a_training_without_its_number_of_workers_is_refused(words: tuple[str, ...]) -> None:
    done = subprocess.run(["bash", str(SCRIPTS / "train.sbatch"), *words], capture_output=True, text=True)
    assert done.returncode == 2 and "number of workers on a node" in done.stderr


MSRUN = """#!/bin/bash
for word in "$@"; do [[ "$word" != --log_dir=* ]] || logs="${word#*=}"; done
(
    trap 'sleep 2; echo saved >>"$logs/saved"; exit 75' TERM
    echo "rank 0 of 1 on here, process $BASHPID" >"$logs/worker_0.log"
    while true; do sleep 0.1; done
) &
wait
"""


def test_a_sigterm_that_ends_msrun_too_lets_the_workers_save(tmp_path: Path) -> None:
    """Slurm sends it to every process of a job; that is how msrun behaves then."""
    (tmp_path / "msrun").write_text(MSRUN)
    (tmp_path / "msrun").chmod(0o755)
    script = str(SCRIPTS.parent / "distributed.sh")
    command = ["bash", script, "--workers", "1", "--master-port", "29", "--", "poseestnet", "--out", "run"]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    log = tmp_path / "run/logs/worker_0.log"
    wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
    (msrun,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[:1]
    worker = log.read_text().split()[-1]
    for number in (worker, msrun, process.pid):
        os.kill(int(number), signal.SIGTERM)
    assert process.wait(60) == 1
    assert (tmp_path / "run/logs/saved").read_text() == "saved\n", "the launcher ended before its worker"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


CELLS = """
from pathlib import Path
from posekit.course.results import record
Path(run).mkdir(exist_ok=True)
checkpoint = Path(run, "checkpoint")
###
assert seed != 3, "seed 3 is made to fail"
###
if seed == 4 and not checkpoint.exists():
    import time
    checkpoint.write_text("half")
    time.sleep(300)
###
record("seed squared", seed**2)
record("began with", checkpoint.read_text() if checkpoint.exists() else "nothing")
"""


def write_lesson(folder: Path) -> None:
    first = new_code_cell("seed = 0\nrun = ''", metadata={"tags": ["parameters"]})
    cells = [first, *(new_code_cell(source.strip()) for source in CELLS.split("###"))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "lesson.ipynb")


def test_an_array_of_four_tasks_one_failing_and_one_put_back_into_the_queue(cluster: Slurm, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    (sweep / "tasks.txt").write_text("".join(f"seed-{n} lesson.ipynb -p seed {n}\n" for n in (1, 2, 3, 4)))
    write_lesson(tmp_path)
    logs = f"--output={sweep}/%a.log"
    job = cluster.submit("--array=1-4", logs, str(SCRIPTS / "array.sbatch"), "sweep/tasks.txt", cwd=tmp_path)
    cluster.wait(job, lambda states: (sweep / "seed-4/checkpoint").exists())
    cluster.command("scontrol", "requeue", f"{job}_4")
    cluster.wait(job, lambda states: states["4"] == "PENDING")
    # Slurm would wait for two minutes; its node refuses a job in the second in which it has killed that.
    cluster.command("scontrol", "update", f"jobid={job}_4", "starttime=now+2")

    states = cluster.wait(job, ended)
    assert states == {"1": "COMPLETED", "2": "COMPLETED", "3": "FAILED", "4": "COMPLETED"}, logs_of(sweep)
    runs = {run.name: run for run in gather(sweep)}
    assert {name: run.status for name, run in runs.items()} == {
        "seed-1": "completed", "seed-2": "completed", "seed-3": "failed", "seed-4": "completed",
    }  # fmt: skip
    assert runs["seed-3"].error == "AssertionError: seed 3 is made to fail"
    assert runs["seed-2"].results == {"seed squared": 4, "began with": "nothing"}
    assert runs["seed-4"].results == {"seed squared": 16, "began with": "half"}, "the second start saw the first's"


def test_a_training_starts_once_on_each_node(cluster: Slurm, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/distributed.sh").write_text('echo "$@" >>"rank-$SLURM_NODEID"\n')
    words = ["4", "poseestnet", "--out", "runs/a b", "--resume"]
    job = cluster.submit("--nodes=2", "--output=log", str(SCRIPTS / "train.sbatch"), *words, cwd=tmp_path)
    assert cluster.wait(job, ended) == {"N/A": "COMPLETED"}, (tmp_path / "log").read_text()
    for rank in (0, 1):
        tried, line = (tmp_path / f"rank-{rank}").read_text().splitlines()
        options = f"--node-rank {rank} --master-addr 127.0.0.1 --master-port {20000 + int(job)}"
        assert line == f"{options} --workers 8 --local-workers 4 -- {' '.join(words[1:])}"
        assert tried == f"{line} --dry-run"


def test_a_job_whose_dry_run_fails_ends_there(cluster: Slurm, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/distributed.sh").write_text('echo "$@" >>rank; [[ "${*: -1}" != --dry-run ]] || exit 2\n')
    job = cluster.submit("--output=log", str(SCRIPTS / "train.sbatch"), "1", "poseestnet", cwd=tmp_path)
    assert cluster.wait(job, ended, seconds=60) == {"N/A": "FAILED"}
    assert len((tmp_path / "rank").read_text().splitlines()) == 1


def test_a_training_that_fails_on_one_node_ends_on_all(cluster: Slurm, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/distributed.sh").write_text('[[ "$SLURM_NODEID" == 1 ]] && exit 7\nsleep 300\n')
    script = str(SCRIPTS / "train.sbatch")
    job = cluster.submit("--nodes=2", "--output=log", script, "1", "poseestnet", cwd=tmp_path)
    assert cluster.wait(job, ended, seconds=60) == {"N/A": "FAILED"}


def logs_of(folder: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()[-600:]}" for path in sorted(folder.glob("*.log")))
