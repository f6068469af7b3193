"""What an exercise is: its cases, the truth, and the mistakes that students make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Cases = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation (for a prediction: a wrong value), and the hint for whoever has its answers."""

    wrong: Any
    hint: str


def one_case(rng: np.random.Generator) -> Cases:
    """Return the only case of a prediction: no arguments."""
    return [()]


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lesson.

    name: lesson and number, "02.1". kind: predict (the student assigns a value), code (the student writes a function)
    or open (a rubric, nothing checked). answer: the name that the student defines.
    cases: makes the argument tuples, which JSON can hold (see `running.encode`). truth: the expected value for a
    case's arguments, written independently of the solution. tolerance: relative and absolute.
    look: where to look if the answer is wrong in a way that no mistake explains. preamble: the imports that the
    student's cell needs; nothing else of the lesson is there when it is graded. rubric: what a good open answer has.
    """

    name: str
    title: str
    kind: Literal["predict", "code", "open"]
    answer: str = ""
    cases: Callable[[np.random.Generator], Cases] = one_case
    truth: Callable[..., Any] | None = None
    mistakes: Sequence[Mistake] = ()
    tolerance: float = 1e-6
    look: str = ""
    preamble: str = "import numpy as np"
    rubric: Sequence[str] = ()


@dataclass(frozen=True)
class Verdict:
    """A judgement: its status, a text for the student, and its cause in a few words, the same for all it applies to."""

    status: Literal["ok", "not yet", "error"]
    text: str
    cause: str = ""

    def __str__(self) -> str:
        return f"[{self.status}] {self.text}"
