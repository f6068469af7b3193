"""Execute the steps of a course: each job runs papermill in a process for one step after another.

Two trainings that share two cores wait for each other. Pinned to one core each, they finish 1.4 times faster than in
sequence, and work that uses one core anyway (imports, compiling, drawing figures) takes half the time.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from posekit.bars import SECONDS, STATUS
from posekit.course.lessons import Step, kernel_environment
from posekit.course.results import read_cells, results_in
from posekit.course.translation import localised
from posekit.course.watching import Watch, executed_cells
from posekit.files import WORKBOOK, home, write_json
from posekit.runtime import cores, keep_to

_PATIENCE = 20  # seconds that an interrupted lesson gets to end
_STOPPING = "stopping: saving what the lessons have written takes some seconds; Ctrl-C again ends them at once"
_DOING = Column(no_wrap=True, overflow="ellipsis", ratio=1)
_COLUMNS = (
    TextColumn("{task.description}"), BarColumn(10), TextColumn("cell {task.completed} of {task.total}"),
    TextColumn("{task.fields[doing]}", markup=False, table_column=_DOING), TimeElapsedColumn(),
)  # fmt: skip


def execute(
    steps: Sequence[Step],
    entries: Sequence[dict],
    folder: Path,
    root: Path,
    jobs: int,
    noted: Callable[[dict], None],
    console: Console,
    expected: Mapping[str, Mapping[str, float]] | None = None,
    lang: str = "en",
) -> None:
    """Run the steps that are not done yet, `jobs` at a time; write executed notebooks and logs into `folder`.

    entries: the manifest's entry of each step, updated in place; `noted` is called with each entry that has changed.
    expected: seconds of each cell, by step name and cell id, where they are known.
    lang: the language of the lessons and of what their checks print.
    After a failure no new step starts. Ctrl-C, SIGTERM and SIGHUP stop the running steps; a second one, at once.
    """
    every = set(cores())
    shares = [set(map(int, share)) for share in np.array_split(sorted(every), min(jobs, len(every)))]
    by_name = {entry["name"]: entry for entry in entries}
    waiting = [step for step in steps if by_name[step.name]["status"] != "done"]
    running: dict[Future, tuple[Step, set[int]]] = {}
    bars = Progress(*_COLUMNS, console=console, transient=True, expand=True)
    known = expected or {}
    seconds = {name: sum(cells.values()) for name, cells in known.items()}
    with _signals(console) as stopped, bars, ThreadPoolExecutor(len(shares)) as pool:
        try:
            while True:
                chosen = next_steps(waiting, [step for step, _ in running.values()], len(shares), seconds)
                for step in chosen:
                    taken = [share for _, share in running.values()]
                    free = [share for share in shares if share not in taken]
                    share = every if len(chosen) == 1 and not running else free[0]
                    waiting.remove(step)
                    by_name[step.name].update(status="running", error=None, cores=len(share))
                    noted(by_name[step.name])
                    run = _Run(step, folder, root, known.get(step.name, {}), lang)
                    running[pool.submit(_follow, run, share, bars, stopped)] = step, share
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


@dataclass(frozen=True)
class _Run:
    """One execution of a step: its files, the seconds that its cells are expected to take, by id, and its language."""

    step: Step
    folder: Path
    root: Path
    expected: Mapping[str, float]
    lang: str

    def file(self, suffix: str) -> Path:
        return self.folder / f"{self.step.name}.{suffix}"


def _follow(run: _Run, share: set[int], bars: Progress, stopped: Sequence[int]) -> dict:
    """Run a step until it ends or `stopped` holds a signal; return the new values of its manifest entry."""
    notebook, log, status = run.file("ipynb"), run.file("log"), run.file("status")
    status.unlink(missing_ok=True)  # of an earlier attempt
    write_json(notebook, lesson := localised(run.step.lesson.path, run.lang))  # papermill reads it, then writes over it
    cells = executed_cells(lesson["cells"], run.step.parameters)
    started = time.monotonic()
    with log.open("w") as output, keep_to(share):
        process = subprocess.Popen(
            _command(run.step, notebook, run.root),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**kernel_environment(run.root), "POSEKIT_LANG": run.lang, STATUS: str(status)},
            start_new_session=True,  # a terminal's Ctrl-C doesn't reach it
        )
    watch = Watch(cells, log, status, run.expected)
    try:
        _show(run.step.name, process, watch, bars, stopped)
    finally:
        _end(process, stopped)
        status.unlink(missing_ok=True)
    state = "interrupted" if stopped else "failed" if process.returncode else "done"
    seconds, still = round(time.monotonic() - started, 1), asdict(watch.still)
    return {"status": state, "seconds": seconds, "still": still, **_outcome(state, notebook, log)}


def _show(name: str, process: subprocess.Popen, watch: Watch, bars: Progress, stopped: Sequence[int]) -> None:
    """Show what the step does until it ends: as a bar, or where there is no terminal as a line now and then."""
    bar, said, last = bars.add_task(name, total=watch.total, doing=""), "", time.monotonic()
    while process.poll() is None and not stopped:
        doing = watch.look()
        bars.update(bar, completed=watch.done, doing=doing)
        line = f"{name}: cell {watch.done + 1} of {watch.total} {doing}".rstrip()
        if not bars.console.is_terminal and line != said and time.monotonic() - last >= SECONDS:
            bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
            said, last = line, time.monotonic()
        time.sleep(0.2)
    bars.remove_task(bar)


def _command(step: Step, notebook: Path, root: Path) -> list[str]:
    command = [sys.executable, "-m", "papermill", str(notebook), str(notebook)]
    command += [
        "--kernel",
        "python3",
        "--cwd",
        str(home(root) if root == WORKBOOK else root),
        "--log-output",
        "--no-progress-bar",
    ]
    for name, value in step.parameters.items():
        command += ["--parameters_raw" if isinstance(value, str) else "--parameters", name, str(value)]
    return command


def _end(process: subprocess.Popen, stopped: Sequence[int]) -> None:
    """Interrupt papermill if it is still running; it ends the kernel and the kernel's child processes.

    After some patience, or a second signal in `stopped`, the kernel is killed, too.
    """
    process.send_signal(signal.SIGINT) if os.name == "posix" else process.terminate()
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until and len(stopped) < 2:
        time.sleep(0.05)
    if process.poll() is None:
        _kill(process) if os.name == "posix" else process.kill()
        process.wait()


def _kill(process: subprocess.Popen) -> None:
    """Kill papermill and, on Linux, all that its kernel has started; elsewhere a kernel ends when papermill has."""
    for pid in [*_started_by(process.pid), process.pid]:
        with suppress(OSError):  # it has ended
            os.kill(pid, signal.SIGKILL)


def _started_by(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have; none where there is no /proc."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found += [int(child) for child in listed.read_text().split()]
    return [each for child in found for each in (child, *_started_by(child))]


def next_steps(
    waiting: Sequence[Step], running: Sequence[Step], jobs: int, seconds: Mapping[str, float] | None = None
) -> list[Step]:
    """Choose the steps to start now, among those whose `needs` have ended.

    They start in the order of the course; with several jobs, steps that others need come first, then those that take
    the most `seconds`, so that no core is idle at the end. A step that must run alone starts when nothing is running
    and no other step is ready.
    """
    unfinished = {step.name for step in (*waiting, *running)}
    ready = [step for step in waiting if not unfinished & set(step.needs)]
    if jobs == 1:
        return [] if running else ready[:1]
    if any(step.alone for step in running):
        return []
    needed = {name for step in waiting for name in step.needs}
    long = seconds or {}
    together = [step for step in ready if not step.alone]
    together.sort(key=lambda step: (step.name not in needed, -long.get(step.name, 0)))
    return together[: jobs - len(running)] if together or running else ready[:1]


@contextmanager
def _signals(console: Console) -> Iterator[list[int]]:
    """Yield a list that collects the signals received: Ctrl-C, SIGTERM, a closed terminal. The first is answered.

    Signals that were ignored, as under nohup, stay ignored, but by a handler: child processes inherit SIG_IGN, and
    could then not be interrupted; they don't inherit a handler.
    """
    come: list[int] = []

    def answer(number: int) -> None:
        come.append(number)
        if len(come) == 1:
            with suppress(OSError):  # of a terminal that was closed
                console.print(_STOPPING, markup=False)

    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        ignored = handler == signal.SIG_IGN
        signal.signal(number, (lambda *_: None) if ignored else lambda number, _: answer(number))
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
