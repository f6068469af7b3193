"""How far a learner is: reads what the checks have printed in the notebooks in work/; runs nothing."""

import re
from dataclasses import dataclass
from pathlib import Path

from posekit.course.cells import checked_exercise, printed
from posekit.course.copies import work_folder
from posekit.course.lessons import list_lessons
from posekit.course.results import NOT_A_NOTEBOOK, read_cells
from posekit.errors import InputError
from posekit.files import ROOT


@dataclass(frozen=True)
class Progress:
    """Of each lesson with exercises, by its file's name: exercise → whether its check has printed [ok]."""

    lessons: dict[str, dict[str, bool]]

    @property
    def sentence(self) -> str:
        """As "11 of 30, next: 06, exercise 2"."""
        every = {name: done for exercises in self.lessons.values() for name, done in exercises.items()}
        count = f"{sum(every.values())} of {len(every)}"
        following = next((name.split(".") for name, done in every.items() if not done), None)
        return f"{count}, next: {following[0]}, exercise {following[1]}" if following else f"{count}: all done"


def read_progress(root: Path = ROOT) -> Progress:
    """Read the learner's progress; what isn't in work/ yet counts as not done."""
    lessons = {}
    for lesson in list_lessons(root):
        exercises = [name for cell in read_cells(lesson.path) if (name := checked_exercise(cell))]
        if exercises:
            done = _done(work_folder(root) / lesson.path.name)
            lessons[lesson.path.stem] = {name: name in done for name in exercises}
    return Progress(lessons)


def _done(notebook: Path) -> set[str]:
    """The exercises whose check has printed [ok] when it was last run."""
    if not notebook.is_file():
        return set()
    try:
        checks = [(checked_exercise(cell), printed(cell)) for cell in read_cells(notebook)]
    except NOT_A_NOTEBOOK as error:
        raise InputError(f"{notebook}: not a notebook any more; rename it, and posekit lab copies it again") from error
    return {name for name, text in checks if name and re.search(r"^\[ok\]", text, re.MULTILINE)}
