"""Executing the steps of a course: a papermill process for each, several at a time, each on its share of the cores.

Two networks that train on the same two cores wait for each other; kept to one core each they do 1.4 times the work of
one that has both, and what runs on one core anyway (imports, compiling, drawing figures) takes half the time.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, raise_signal, signal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from posekit.lessons import Step
from posekit.results import read_results
from posekit.runtime import cores, keep_to

_PATIENCE = 30  # seconds that a lesson gets to end after it was told to
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
        self._note("failed" if self.process.returncode else "done")
        return True

    def stop(self) -> None:
        """End it now; papermill ends the kernel and what that has started."""
        self.process.send_signal(SIGINT)
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._note("interrupted")

    def _note(self, status: str) -> None:
        self.bars.remove_task(self.bar)
        seconds = round(time.monotonic() - self.started, 1)
        self.entry.update(status=status, seconds=seconds, results=read_results(self.notebook))
        if status != "done":
            self.entry["error"] = _describe_error(status, self.notebook, self.log)


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
    with Progress(*_COLUMNS, TimeElapsedColumn(), console=console, transient=True) as bars, _sigterm_as_ctrl_c():
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
            for run in runs:
                run.stop()
                noted(run.entry)


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
def _sigterm_as_ctrl_c() -> Iterator[None]:
    before = signal(SIGTERM, lambda *_: raise_signal(SIGINT))
    try:
        yield
    finally:
        signal(SIGTERM, before)


def _describe_error(status: str, notebook: Path, log: Path) -> dict[str, object]:
    """What went wrong, and the cell that was running: its number as the notebook shows it, In [5], and its source."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"] if notebook.is_file() else []
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
