"""The table of a class, as grades.csv and as a page."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posekit.course.exercises import Exercise, Verdict
from posekit.figures.pages import write_page
from posekit.files import write_text

LONGEST = 600  # characters of a verdict's text
MOST_HINTS = 5  # of an exercise
SIGNS = {"ok": "✓", "not yet": "○", "error": "!", "": "–"}


@dataclass
class Row:
    """A student: exercise → verdict, for those handed in, and remarks on the files."""

    student: str
    verdicts: dict[str, Verdict]
    remarks: list[str]

    @property
    def right(self) -> int:
        """How many exercises are right."""
        return sum(verdict.status == "ok" for verdict in self.verdicts.values())

    def status(self, exercise: Exercise) -> str:
        """ok, not yet, error, or "" where nothing was handed in."""
        return self.verdicts[exercise.name].status if exercise.name in self.verdicts else ""


@dataclass(frozen=True)
class Grades:
    """The table: the exercises are its columns. sandbox: how students' code was run."""

    exercises: Sequence[Exercise]
    rows: Sequence[Row]
    seed: int
    sandbox: str

    def hints(self, exercise: Exercise) -> list[tuple[int, str]]:
        """The commonest reasons why answers to this exercise aren't right: how many students, and a text."""
        wrong = [row.verdicts[exercise.name] for row in self.rows if row.status(exercise) in ("not yet", "error")]
        texts = {verdict.cause: verdict.text for verdict in reversed(wrong)}
        counted = Counter(verdict.cause for verdict in wrong).most_common(MOST_HINTS)
        return [(count, printable(texts[cause])) for cause, count in counted]

    def right(self, exercise: Exercise) -> int:
        """How many students have this exercise right."""
        return sum(row.status(exercise) == "ok" for row in self.rows)


def printable(text: str) -> str:
    """The text without what neither a page nor a terminal should get, and cut where it is long."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text[:LONGEST])
    return f"{shown}…" if len(text) > LONGEST else shown


def write_grades(grades: Grades, out: Path) -> None:
    """Write grades.csv and grades.html into the folder `out`."""
    write_text(out / "grades.csv", f"\ufeff{_csv(grades)}")  # the mark by which Excel knows UTF-8
    write_page(out / "grades.html", "course/grading/grades.html.j2", grades=grades, signs=SIGNS, printable=printable)


def _csv(grades: Grades) -> str:
    """A row for each student, for spreadsheets, too: they take a text that begins with =, +, - or @ for a formula.

    All is in quotation marks, since some of them separate columns by semicolons.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["student", *(exercise.name for exercise in grades.exercises), "right", "of", "remarks"])
    for row in grades.rows:
        statuses = [row.status(exercise) for exercise in grades.exercises]
        words = _no_formula(row.student), *statuses, row.right, len(grades.exercises), "; ".join(row.remarks)
        writer.writerow([*words[:-1], _no_formula(str(words[-1]))])
    return text.getvalue()


def _no_formula(text: str) -> str:
    text = printable(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
