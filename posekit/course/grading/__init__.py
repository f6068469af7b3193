"""Grade a class: run the exercises' cells of students' notebooks in a sandbox, judge the answers here, write the table.

`submissions` finds the notebooks; `sandbox`, `confine` and `worker` run what students wrote; `answers` asks and judges;
`table` writes.
"""

import re
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from posekit.bars import progress_bar
from posekit.course.exercises import Exercise, Verdict, all_exercises
from posekit.course.grading.answers import Worker, verdict_of
from posekit.course.grading.sandbox import Sandbox, open_sandbox
from posekit.course.grading.submissions import Submission, find_submissions, same_files
from posekit.course.grading.table import Grades, Row, write_grades
from posekit.errors import InputError
from posekit.files import writing
from posekit.runtime import cores

_RANK = {"ok": 2, "not yet": 1, "error": 0}


def grade(
    folder: Path, out: Path, seed: int = 1, only: Sequence[str] = (), seconds: float = 10, unsafe: bool = False
) -> Grades:
    """Grade the notebooks that students handed in; write `out`/grades.csv and `out`/grades.html.

    folder: as `find_submissions` reads it. seed: of the inputs. only: numbers of lessons; those that somebody handed in
    if empty. seconds: for one exercise. unsafe: where there is no sandbox, run students' code without. InputError for
    unknown lessons, for an empty folder, and where there is no sandbox.
    """
    folder, out = folder.resolve(), out.resolve()
    if out.is_relative_to(folder):
        raise InputError(f"{out}: is in the folder of the notebooks, and would be graded next time; choose another")
    exercises = _choose(only)
    submissions = find_submissions(folder, [exercise.name for exercise in exercises])
    handed_in = {_lesson(name) for each in submissions for name in each.sources}
    exercises = [each for each in exercises if only or _lesson(each.name) in handed_in]
    with open_sandbox([folder, out], unsafe) as sandbox:
        with writing(out):  # now, since grading takes minutes
            out.mkdir(parents=True, exist_ok=True)
        verdicts = _grade_all(submissions, exercises, sandbox, seed, seconds)
    grades = Grades(exercises, _rows(submissions, verdicts), seed, sandbox.kind)
    write_grades(grades, out)
    return grades


def _lesson(name: str) -> str:
    return name.split(".")[0]


def _choose(only: Sequence[str]) -> list[Exercise]:
    """The exercises to grade; a lesson's number, as 06, stands for those that continue it, as 06b, too."""
    exercises = [exercise for exercise in all_exercises() if exercise.kind != "open"]
    lessons = list(dict.fromkeys(_lesson(exercise.name) for exercise in exercises))
    wanted = {f"0{text}" if re.fullmatch("[0-9][a-z]?", text) else text for text in only}
    if unknown := sorted(wanted - {*lessons, *(lesson[:2] for lesson in lessons)}):
        raise InputError(f"lesson {unknown[0]}: has no exercise to grade; choose among {', '.join(lessons)}")
    return [each for each in exercises if not only or wanted & {_lesson(each.name), each.name[:2]}]


def _grade_all(
    submissions: Sequence[Submission], exercises: Sequence[Exercise], sandbox: Sandbox, seed: int, seconds: float
) -> list[dict[str, Verdict]]:
    """Exercise → verdict, of each submission; as many at a time as there are cores."""
    jobs = len(cores())
    with TemporaryDirectory(prefix="posekit-", ignore_cleanup_errors=True) as folder:
        workers = [Worker(sandbox, place, Path(folder)) for place in range(jobs)]
        free, stop = SimpleQueue(), threading.Event()
        for worker in workers:
            free.put(worker)

        def one(submission: Submission) -> dict[str, Verdict]:
            worker, sources = free.get(), submission.sources
            own = (exercise for exercise in exercises if exercise.name in sources and not stop.is_set())
            try:
                return {each.name: verdict_of(each, sources[each.name], worker, seed, seconds) for each in own}
            finally:
                worker.end()  # the next student gets a process of their own
                free.put(worker)

        with ThreadPoolExecutor(jobs) as pool:
            try:
                return list(progress_bar(pool.map(one, submissions), total=len(submissions), desc="notebooks"))
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in workers:
                    worker.end()
                raise


def _rows(submissions: Sequence[Submission], verdicts: Sequence[dict[str, Verdict]]) -> list[Row]:
    """A row for each student: of several files the best verdicts, and what there is to say about each file."""
    rows: dict[str, Row] = {}
    for submission, found in zip(submissions, verdicts, strict=True):
        row = rows.setdefault(submission.student, Row(submission.student, {}, []))
        for name, verdict in found.items():
            if name not in row.verdicts or _RANK[row.verdicts[name].status] < _RANK[verdict.status]:
                row.verdicts[name] = verdict
        if submission.problem:
            row.remarks.append(f"{submission.path.name}: {submission.problem}")
    some_right = [any(verdict.status == "ok" for verdict in found.values()) for found in verdicts]
    solved = list(compress(submissions, some_right))
    for student, others in same_files(solved).items():  # untouched lessons are the same, too
        rows[student].remarks.append(f"same file as {_some(others)}")
    return list(rows.values())


def _some(names: Collection[str], most: int = 3) -> str:
    shown = ", ".join(list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
