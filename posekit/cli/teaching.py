"""`posekit course edition`, `grade` and `progress`: for teachers and learners."""

from pathlib import Path
from typing import Annotated

import typer

from posekit.cli.options import Lang


def edition(
    kind: Annotated[str, typer.Argument(help="student, without solutions, or teacher.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Also make the data that the lessons need: a few minutes, 125 MB.")
    ] = False,
    lang: Lang = None,
) -> None:
    """Write the lessons to hand out."""
    from posekit.course.editions import write_edition
    from posekit.course.translation import language

    paths = write_edition(kind, out, with_data, lang=language())
    print(f"{out}: {len(paths)} lessons, {kind} edition")


def grade(
    folder: Annotated[Path, typer.Argument(help="Students' notebooks: a folder or a file for each student.")],
    out: Annotated[Path, typer.Option(help="Folder for grades.csv and grades.html.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs; the lessons' own checks use 0.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="A lesson's number; repeatable.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="For each exercise.")] = 10,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Where there is no sandbox, run students' code without one.")
    ] = False,
) -> None:
    """Check all students' exercises, in a sandbox: a table of students and exercises, and the commonest hints."""
    from posekit.course.grading import grade as run

    grades = run(folder, out, seed, only or [], seconds, unsafe)
    print(f"{len(grades.rows)} students, {len(grades.exercises)} exercises: {out / 'grades.html'} and grades.csv")


def progress(lang: Lang = None) -> None:
    """Say how many exercises are right in your copies of the lessons, and which is next."""
    from posekit.course.progress import read_progress

    found = read_progress()
    for lesson, exercises in found.lessons.items():
        print(f"{lesson}: {sum(exercises.values())} of {len(exercises)}")
    print(found.sentence)
