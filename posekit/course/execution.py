"""Execute the steps of a course: each job runs papermill in a process for one step after another.

Two trainings that share two cores wait for each other. Pinned to one core each, they finish 1.4 times faster than in
sequence, and work that uses one core anyway (imports, compiling, drawing figures) takes half the time.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from posekit.course.lessons import Step
from posekit.course.results import read_cells, results_in
from posekit.course.translation import localised
from posekit.files import write_json
from posekit.runtime import cores, keep_to

_PATIENCE = 20  # seconds that an interrupted lesson gets to end
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), TextColumn("cell {task.completed} of {task.total}"))


def execute(
    steps: Sequence[Step],
    entries: Sequence[dict],
    folder: Path,
    root: Path,
    jobs: int,
    noted: Callable[[dict], None],
    console: Console,
    lang: str = "en",
) -> None:
    """Run the steps that are not done yet, `jobs` at a time; write executed notebooks and logs into `folder`.

    entries: the manifest's entry of each step, updated in place; `noted` is called with each entry that has changed.
    lang: the language of the lessons and of what their checks print.
    After a failure no new step starts. Ctrl-C, SIGTERM and SIGHUP stop the running steps.
    """
    every = set(cores())
    shares = [set(map(int, share)) for share in np.array_split(sorted(every), min(jobs, len(every)))]
    by_name = {entry["name"]: entry for entry in entries}
    waiting = [step for step in steps if by_name[step.name]["status"] != "done"]
    running: dict[Future, tuple[Step, set[int]]] = {}
    bars = Progress(*_COLUMNS, TimeElapsedColumn(), console=console, transient=True)
    with _signals() as stopped, bars, ThreadPoolExecutor(len(shares)) as pool:
        try:
            while True:
                for step in (chosen := next_steps(waiting, [step for step, _ in running.values()], len(shares))):
                    taken = [share for _, share in running.values()]
                    free = [share for share in shares if share not in taken]
                    share = every if len(chosen) == 1 and not running else free[0]
                    waiting.remove(step)
                    by_name[step.name].update(status="running", error=None, cores=len(share))
                    noted(by_name[step.name])
                    running[pool.submit(_run, step, share, folder, root, bars, stopped, lang)] = step, share
                if not running:
                    return
                ended, _ = wait(running, 1, FIRST_COMPLETED)  # Windows delivers Ctrl-C only between waits
                for future in ended:
                    step, _ = running.pop(future)
                    by_name[step.name].update(future.result())
                    noted(by_name[step.name])
                    if by_name[step.name]["status"] != "done":
                        waiting.clear()
        finally:  # also after an error such as a full disk
            stopped.append(signal.SIGTERM)


def _run(
    step: Step, share: set[int], folder: Path, root: Path, bars: Progress, stopped: Sequence[int], lang: str
) -> dict:
    """Run a step until it ends or `stopped` holds a signal; return the new values of its manifest entry."""
    notebook, log = folder / f"{step.name}.ipynb", folder / f"{step.name}.log"
    lesson = localised(step.lesson.path, lang)
    write_json(notebook, lesson)  # papermill reads it, and then writes the executed cells in its place
    bar = bars.add_task(step.name, total=sum(cell["cell_type"] == "code" for cell in lesson["cells"]))
    started = time.monotonic()
    with log.open("w") as output, keep_to(share):
        process = subprocess.Popen(
            _command(step, notebook, root),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # the kernel of this environment, not of the user
            env={**os.environ, "POSEKIT_LANG": lang, "JUPYTER_PREFER_ENV_PATH": "1"},
            start_new_session=True,  # a terminal's Ctrl-C doesn't reach it
        )
    try:
        while process.poll() is None and not stopped:
            bars.update(bar, completed=log.read_text(encoding="utf-8", errors="replace").count("\nEnding Cell"))
            time.sleep(0.2)
    finally:
        _end(process)
    bars.remove_task(bar)
    status = "interrupted" if stopped else "failed" if process.returncode else "done"
    return {"status": status, "seconds": round(time.monotonic() - started, 1), **_outcome(status, notebook, log)}


def _command(step: Step, notebook: Path, root: Path) -> list[str]:
    command = [sys.executable, "-m", "papermill", str(notebook), str(notebook)]
    command += ["--kernel", "python3", "--cwd", str(root), "--log-output", "--no-progress-bar"]
    for name, value in step.parameters.items():
        command += ["--parameters_raw" if isinstance(value, str) else "--parameters", name, str(value)]
    return command


def _end(process: subprocess.Popen) -> None:
    """Interrupt papermill if it is still running; it ends the kernel and the kernel's child processes."""
    process.send_signal(signal.SIGINT) if os.name == "posix" else process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def next_steps(waiting: Sequence[Step], running: Sequence[Step], jobs: int) -> list[Step]:
    """Choose the steps to start now, among those whose `needs` have ended.

    They start in the order of the course; with several jobs, steps that others need come first. A step that must run
    alone starts when nothing is running and no other step is ready.
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
def _signals() -> Iterator[list[int]]:
    """Yield a list that collects the signals received: Ctrl-C, SIGTERM, a closed terminal.

    Signals that were ignored, as under nohup, stay ignored, but by a handler: child processes inherit SIG_IGN, and
    could then not be interrupted; they don't inherit a handler.
    """
    come: list[int] = []
    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        ignored = handler == signal.SIG_IGN
        signal.signal(number, (lambda *_: None) if ignored else lambda number, _: come.append(number))
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _outcome(status: str, notebook: Path, log: Path) -> dict:
    """Return the results in the executed notebook and, unless the step is done, its error."""
    try:
        cells = read_cells(notebook)
    except (OSError, ValueError):  # not written yet, or cut off when the lesson was ended
        cells = []
    results = results_in(cells)
    return {"results": results} if status == "done" else {"results": results, "error": _error(status, cells, log)}


def _error(status: str, cells: list[dict], log: Path) -> dict[str, object]:
    """Return the error message and the cell that was running: its number, as in the notebook's In [5], and source."""
    started = [
        cell
        for cell in cells
        if cell["cell_type"] == "code" and cell["metadata"].get("papermill", {}).get("start_time")
    ]
    errors = [output for cell in started[-1:] for output in cell["outputs"] if output["output_type"] == "error"]
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    message = f"{errors[-1]['ename']}: {errors[-1]['evalue']}" if errors else (lines or ["the log is empty"])[-1]
    if status == "interrupted":
        message = "stopped by Ctrl-C"
    return {"message": message, "cell": len(started), "source": "".join(started[-1]["source"]) if started else ""}
