"""The lessons' exercises: what they ask, running an answer, judging it, and `check`, which does both in a lesson.

A file `lesson_NN.py` holds a lesson's exercises. `running` is by itself, for a sandbox; `judging` runs no student code.
"""

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from posekit.course.exercises.judging import judge
from posekit.course.exercises.running import run_cases
from posekit.course.exercises.spec import Exercise, Mistake, Verdict
from posekit.course.translation import say
from posekit.errors import InputError

__all__ = ["Exercise", "Mistake", "Verdict", "all_exercises", "check", "get_exercise", "lesson_exercises", "rubric"]

SEED = 0  # of the cases in a lesson


def lesson_exercises(lesson: str) -> tuple[Exercise, ...]:
    """Return the exercises of a lesson ("02"), in order; none if it has none."""
    if not (Path(__file__).parent / f"lesson_{lesson}.py").is_file():
        return ()
    return importlib.import_module(f"{__name__}.lesson_{lesson}").EXERCISES


def all_exercises() -> tuple[Exercise, ...]:
    """Return the exercises of all lessons, in order."""
    lessons = sorted(path.stem.removeprefix("lesson_") for path in Path(__file__).parent.glob("lesson_*.py"))
    return tuple(exercise for lesson in lessons for exercise in lesson_exercises(lesson))


def get_exercise(name: str) -> Exercise:
    """Return the exercise of that name ("02.1"). InputError for an unknown one."""
    lesson = name.split(".")[0] if isinstance(name, str) and re.fullmatch(r"\w+\.\d+", name) else ""
    named = {exercise.name: exercise for exercise in lesson_exercises(lesson)}
    if name not in named:
        known = ", ".join(named or (exercise.name for exercise in all_exercises()))
        raise InputError(f"exercise {name!r}: there is none of this name; choose one of {known}")
    return named[name]


def verdict(name: str, answer: Any, seed: int = SEED) -> Verdict:
    """Run the answer on the exercise's cases and judge it. InputError for an open exercise."""
    exercise = get_exercise(name)
    if exercise.kind == "open":
        raise InputError(f"exercise {name}: an open task has no check; `rubric({name!r})` says what a good answer has")
    cases = exercise.cases(np.random.default_rng(seed))
    return judge(exercise, cases, run_cases(answer, cases))


def check(name: str, answer: Any) -> None:
    """Print [ok], [not yet] with a hint, or [error] with the line at fault, for an answer to the exercise."""
    print(verdict(name, answer))


def rubric(name: str) -> Any:
    """Return the rubric of an open exercise as Markdown for a notebook to show."""
    from IPython.display import Markdown

    lines = [f"- {say(line)}" for line in get_exercise(name).rubric]
    return Markdown("\n".join([say("**A good answer**"), "", *lines]))
