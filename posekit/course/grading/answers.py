"""Ask a worker for a student's answers. What comes back is a student's work, so nothing in it is taken on trust."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from posekit.course.exercises import Exercise, Verdict, judge
from posekit.course.exercises.running import MOST_VALUES, encode
from posekit.course.grading.sandbox import Sandbox, environment

START_SECONDS = 60  # for a worker to start in
LONGEST = 32 * 2**20  # bytes of an answer


class Worker:
    """A process that runs the answers of one notebook; it starts when it is asked, and again after it was ended."""

    def __init__(self, sandbox: Sandbox, place: int, folder: Path) -> None:
        """`place` tells workers apart that run at the same time; without a sandbox it runs in this folder."""
        self._command = sandbox.command(place)
        self._folder = folder
        self._process: subprocess.Popen | None = None

    def ask(self, request: dict[str, Any], seconds: float) -> list[Any] | str:
        """The records that come back within `seconds`; otherwise why there are none: "slow", "ended" or "unreadable".

        The worker doesn't survive the latter.
        """
        if (process := self._process) is None:
            process = self._process = self._start()
            if _within(START_SECONDS, lambda: _read(process)) != {"ready": True}:
                self.end()
                return "ended"
        reply = _within(seconds, lambda: _exchange(process, request))
        if isinstance(reply, dict) and reply.get("name") == request["name"] and isinstance(reply.get("answers"), list):
            return reply["answers"]
        self.end()
        return reply if isinstance(reply, str) else "unreadable"

    def _start(self) -> subprocess.Popen:
        return subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(), cwd=self._folder, start_new_session=True,
        )  # fmt: skip

    def end(self) -> None:
        """End the process and all that it has started: they share its namespace, or without one its session."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
        process.wait()


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` returns, or "slow" if it takes longer; it is left to a thread, for a pipe may block for ever."""
    replies: list[Any] = []
    thread = threading.Thread(target=lambda: replies.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    return replies[0] if replies else "slow"


def _exchange(process: Any, request: dict[str, Any]) -> Any:
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    except OSError:
        return "ended"
    return _read(process)


def _read(process: Any) -> Any:
    """The next line's value; "ended" where there is none, "unreadable" where it isn't JSON or is too long."""
    try:
        line = process.stdout.readline(LONGEST)
        return json.loads(line) if line.endswith(b"\n") else "unreadable" if line else "ended"
    except (ValueError, RecursionError):
        return "unreadable"


def verdict_of(exercise: Exercise, source: str, worker: Worker, seed: int, seconds: float) -> Verdict:
    """Run a student's cell on the cases that the seed makes, and judge the answers here."""
    cases = exercise.cases(np.random.default_rng(seed))
    request = {
        "name": exercise.name, "answer": exercise.answer, "source": source, "preamble": exercise.preamble,
        "cases": [[encode(value) for value in case] for case in cases],
    }  # fmt: skip
    answers = worker.ask(request, seconds)
    if answers == "slow":
        return Verdict("error", f"took longer than {seconds:g} s, and was ended", "takes too long")
    if answers == "ended":
        return Verdict("error", "ended Python, or needed more than it may have of memory or files", "ends Python")
    try:
        if not isinstance(answers, str) and _sound(answers, len(cases)):
            return judge(exercise, cases, answers)
    except Exception:  # of values that no honest answer has
        pass
    worker.end()  # what it writes next may belong to this answer
    return Verdict("error", "the answer can't be read", "unreadable answer")


def _sound(answers: Sequence[Any], count: int) -> bool:
    """Whether these are records as `run_cases` makes them, one for each case."""
    return len(answers) == count and all(map(_sound_record, answers))


def _sound_record(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("called"), bool):
        return False
    if "error" not in record:
        changed = record.get("changed", [])
        whole = isinstance(changed, list) and all(type(place) is int for place in changed)
        return whole and "value" in record and _sound_value(record["value"])
    error = record["error"]
    if not isinstance(error, dict) or not isinstance(error.get("line", ""), int | None):
        return False
    return all(isinstance(error.get(name), str) for name in ("type", "message", "source"))


def _sound_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_sound_value, value))
    if not isinstance(value, dict):
        return True
    if value.keys() == {"other"}:
        return isinstance(value["other"], str)
    if value.keys() != {"array", "shape", "type"}:
        return False
    numbers, shape, kind = value["array"], value["shape"], value["type"]
    plain = isinstance(numbers, list) and all(isinstance(number, int | float) for number in numbers)
    sizes = isinstance(shape, list) and len(shape) <= 32 and all(type(size) is int and size >= 0 for size in shape)
    known = isinstance(kind, str) and kind in {np.dtype(code).name for code in "?bhilqBHILQefdg"}
    return bool(plain and sizes and known and len(numbers) <= MOST_VALUES)
