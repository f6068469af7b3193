"""Executing the steps of a course: a papermill process for each, several at a time, each on its share of the cores.

Two networks that train on the same two cores wait for each other; kept to one core each they do 1.4 times the work of
one that has both, and what runs on one core anyway (imports, compiling, drawing figures) takes half the time.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from posekit.course.lessons import Step
from posekit.course.results import read_results
from posekit.runtime import cores, keep_to

_PATIENCE = 20  # seconds that a lesson gets to end after it was told to
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), TextColumn("cell {task.completed} of {task.total}"))


class _Run:
    """One step while it runs, on its share of the cores."""

    def __init__(self, step: Step, entry: dict, folder: Path, root: Path, share: set[int], bars: Progress) -> None:
        self.step, self.entry, self.share, self.bars = step, entry, share, bars
        self.notebook, self.log = folder / f"{step.name}.ipynb", folder / f"{step.name}.log"
        self.notebook.unlink(missing_ok=True)  # of an earlier try
        self.started = time.monotonic()
        command = [sys.executable, "-m", "papermill", str(step.lesson.path), str(self.notebook)]
        command += ["--kernel", "python3", "--cwd", str(root), "--log-output", "--no-progress-bar"]
        for name, value in step.parameters.items():
            command += ["--parameters_raw" if isinstance(value, str) else "--parameters", name, str(value)]
        environment = {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"}  # this environment's kernel, not one of the user's
        with self.log.open("w") as log, keep_to(share):
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
        cells = json.loads(step.lesson.path.read_text(encoding="utf-8"))["cells"]
        self.bar = bars.add_task(step.name, total=sum(cell["cell_type"] == "code" for cell in cells))
        entry.update(status="running", error=None, cores=len(share))

    def ended(self) -> bool:
        """Whether it has ended; if so, its entry says how."""
        cells = self.log.read_text(encoding="utf-8", errors="replace").count("\nEnding Cell")
        self.bars.update(self.bar, completed=cells)
        if self.process.poll() is None:
            return False
        self.note("failed" if self.process.returncode else "done")
        return True

    def note(self, status: str) -> None:
        """Write into the entry how it ended."""
        self.bars.remove_task(self.bar)
        self.entry.update(status=status, seconds=round(time.monotonic() - self.started, 1))
        try:
            self.entry["results"] = read_results(self.notebook)
            cells = json.loads(self.notebook.read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError):  # not written yet, or cut off by what ended the lesson
            self.entry["results"], cells = [], []
        if status != "done":
            self.entry["error"] = _describe_error(status, cells, self.log)


def execute(
    steps: Sequence[Step],
    entries: Sequence[dict],
    folder: Path,
    root: Path,
    jobs: int,
    noted: Callable[[dict], None],
    console: Console,
) -> None:
    """Run the steps that are not done, `jobs` at a time, into `folder`: for each the executed notebook and its log.

    entries: what the manifest says of each step; `noted` is called with every one that has changed. After a failure
    nothing new starts; Ctrl-C, or SIGTERM, stops what runs.
    """
    every = set(cores())
    shares = [set(map(int, share)) for share in np.array_split(sorted(every), min(jobs, len(every)))]
    by_name = {entry["name"]: entry for entry in entries}
    waiting = [step for step in steps if by_name[step.name]["status"] != "done"]
    runs: list[_Run] = []
    with Progress(*_COLUMNS, TimeElapsedColumn(), console=console, transient=True) as bars, _stopped_by_signals():
        try:
            while True:
                for step in (chosen := next_steps(waiting, [run.step for run in runs], len(shares))):
                    free = [share for share in shares if share not in [run.share for run in runs]]
                    share = every if len(chosen) == 1 and not runs else free[0]
                    runs.append(_Run(step, by_name[step.name], folder, root, share, bars))
                    waiting.remove(step)
                    noted(runs[-1].entry)
                if not runs:
                    return
                time.sleep(0.2)
                for run in [run for run in runs if run.ended()]:
                    runs.remove(run)
                    noted(run.entry)
                    if run.entry["status"] == "failed":
                        waiting.clear()
        except KeyboardInterrupt:
            _stop(runs)
            for run in runs:
                run.note("interrupted")
                noted(run.entry)
        finally:  # a full disk, say, ends this, too
            _stop(runs)


def _stop(runs: Sequence[_Run]) -> None:
    """End them all; papermill ends the kernel and what that has started. A second Ctrl-C must not leave one behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    deadline = time.monotonic() + _PATIENCE
    for run in runs:
        run.process.send_signal(signal.SIGINT) if os.name == "posix" else run.process.terminate()
    for run in runs:
        try:
            run.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            run.process.kill()
            run.process.wait()
    signal.signal(signal.SIGINT, before)


def next_steps(waiting: Sequence[Step], running: Sequence[Step], jobs: int) -> list[Step]:
    """The steps to start now: of those whose needs are over first what others need, where there is more than one job,
    then in the order of the course. One that must be alone starts when nothing runs and nothing else is ready.
    """
    unfinished = {step.name for step in (*waiting, *running)}
    ready = [step for step in waiting if not unfinished & set(step.needs)]
    if jobs == 1:
        return [] if running else ready[:1]
    if any(step.alone for step in running):
        return []
    needed = {name for step in waiting for name in step.needs}
    together = sorted((step for step in ready if not step.alone), key=lambda step: step.name not in needed)
    return together[: jobs - len(running)] if together or running else ready[:1]


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a terminal that is closed raise KeyboardInterrupt, but for those that are ignored, as with
    nohup. A handler, even one that does nothing, is not passed on to new processes: they can be interrupted.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signals = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    before = {number: signal.signal(number, stop) for number in signals}
    for number in signals:
        if before[number] == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, before[number])


def _describe_error(status: str, cells: list[dict], log: Path) -> dict[str, object]:
    """What went wrong, and the cell that was running: its number as the notebook shows it, In [5], and its source."""
    started = [
        cell
        for cell in cells
        if cell["cell_type"] == "code" and cell["metadata"].get("papermill", {}).get("start_time")
    ]
    errors = [output for cell in started[-1:] for output in cell["outputs"] if output["output_type"] == "error"]
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    message = f"{errors[-1]['ename']}: {errors[-1]['evalue']}" if errors else (lines or ["no word of why"])[-1]
    if status == "interrupted":
        message = "stopped by Ctrl-C"
    return {"message": message, "cell": len(started), "source": "".join(started[-1]["source"]) if started else ""}
