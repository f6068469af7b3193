"""List the lessons, and plan which of them a course runs, in which order and with which parameters."""

import ast
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posekit.course.cells import has_tag, source_of
from posekit.course.results import shipped_for
from posekit.course.translation import language, localised
from posekit.errors import InputError
from posekit.files import ROOT, home

# A scale only chooses the recipes, one per network.
SCALES = {
    "quick": ("poseestnet-quick", "hourglass-quick"),
    "smoke": ("poseestnet-smoke", "hourglass-smoke"),
    "laptop": ("poseestnet-laptop", "hourglass-laptop"),
    "full": ("poseestnet", "hourglass"),
}
USUAL = "quick"  # the scale of a course that names none
ON_SHIPPED = ("quick",)  # scales that train too little: there, lessons that take a model get the networks that ship
EACH_RECIPE = ("04", "06", "07")  # chapters whose lessons run once for every recipe of the scale
TRAINED = ("02", "03", "06", "07", "08", "09")  # chapters whose lessons use what lesson 04 trains with their recipe
ALONE = ("05",)  # lessons that measure the speed of the whole machine, so no other lesson may run beside them
LINUX = ("05",)  # lessons that start msrun, which exists on Linux only; elsewhere a course skips them unless named

# What a course's report begins with: results, by their lesson and the beginning of their name; lessons' first pictures.
HEADLINES = (("06", "PCK@"), ("07", "fastest"), ("04", "best PCK"), ("04", "speed"), ("09", "PCK"), ("00", ""))
PICTURED = ("06", "04", "00")


@dataclass(frozen=True)
class Lesson:
    """A notebook: its file, its title and the defaults of its parameters."""

    path: Path
    title: str
    parameters: dict[str, object]

    @property
    def number(self) -> str:
        """What the file's name starts with: 06, or 06b for a lesson that continues 06."""
        return self.path.stem.split("_")[0]

    @property
    def chapter(self) -> str:
        """The two digits of the number, which 06, 06b and 06c share."""
        return self.number[:2]


@dataclass(frozen=True)
class Step:
    """One execution of a lesson: the name of its output (04_train-poseestnet-smoke) and its parameters.

    needs: names of the steps that must end first, if they are part of the course.
    """

    name: str
    lesson: Lesson
    parameters: dict[str, object]
    needs: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether no other step may run at the same time."""
        return self.lesson.number in ALONE


def list_lessons(root: Path = ROOT) -> list[Lesson]:
    """List the lessons notebooks/NN_*.ipynb and NNb_*.ipynb below `root`, in order; raise InputError if none exist."""
    folder = root / "notebooks"
    paths = sorted([*folder.glob("[0-9][0-9]_*.ipynb"), *folder.glob("[0-9][0-9][a-z]_*.ipynb")])
    if not paths:
        raise InputError(
            f"{root / 'notebooks'}: no lessons; run in a clone of the repository, or set POSEKIT_ROOT to it"
        )
    return [read_lesson(path) for path in paths]


def kernel_environment(root: Path = ROOT) -> dict[str, str]:
    """For programs that start kernels: this environment's, not the user's, with the same places in every folder."""
    places = {"POSEKIT_ROOT": str(root), "POSEKIT_HOME": str(home(root))}
    return {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", **places}


def read_lesson(path: Path) -> Lesson:
    """Read a lesson's title and parameters. InputError if the file isn't a notebook."""
    try:
        cells = localised(path, language())["cells"]
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: not a notebook ({error}); restore it with git checkout") from error
    sources = [source_of(cell) for cell in cells if cell["cell_type"] == "markdown"]
    heading = next((line for text in sources for line in text.splitlines() if line.startswith("#")), path.stem)
    tagged = [cell for cell in cells if has_tag(cell, "parameters")]
    defaults = _literals(source_of(tagged[0])) if tagged else {}
    return Lesson(path, heading.lstrip("# "), defaults)


def _literals(source: str) -> dict[str, object]:
    """Read the `name: type = literal` assignments of a parameters cell, with or without the type."""
    lines = [line for line in ast.parse(source).body if isinstance(line, ast.Assign | ast.AnnAssign)]
    pairs = [(line.target if isinstance(line, ast.AnnAssign) else line.targets[0], line.value) for line in lines]
    return {name.id: ast.literal_eval(value) for name, value in pairs if isinstance(name, ast.Name) and value}


def plan(scale: str, only: Sequence[str], parameters: dict[str, str], root: Path, folder: Path) -> list[Step]:
    """Plan the steps of a course that writes to `folder`; raise InputError for anything unknown."""
    if scale not in SCALES:
        raise InputError(f"unknown scale {scale!r}; choose one of {', '.join(SCALES)}")
    lessons = _select(list_lessons(root), only)
    _check_parameters(lessons, parameters)
    recipes = chosen_recipes(scale, parameters)
    if parameters.get("data") and len(recipes) > 1:
        lines = " or ".join(f"-p recipe={recipe}" for recipe in recipes)
        raise InputError(f"data={parameters['data']}: one data folder fits one network; choose it with {lines}")
    runs = folder.relative_to(home(root)).as_posix() if folder.is_relative_to(home(root)) else str(folder)
    steps = []
    for lesson in lessons:
        each = lesson.chapter in EACH_RECIPE and "recipe" in lesson.parameters
        for recipe in recipes if each else _recipe_of_line(lesson, recipes):
            place = {"run": f"{runs}/{recipe}"} if lesson.number == "04" else {}  # where a stopped training resumes
            model = _model(scale, lesson, recipe, parameters)
            values = {"runs": runs, **place, **model, **parameters, "recipe": recipe}
            chosen = {name: _typed(name, values[name], lesson) for name in lesson.parameters if name in values}
            steps.append(Step(f"{lesson.path.stem}-{recipe}" if each else lesson.path.stem, lesson, chosen))
    if not steps:
        raise InputError(f"the {scale} scale has no recipe for {', '.join(only)}; name one with -p recipe=NAME")
    return [replace(step, needs=_needs(step, steps)) for step in steps]


def _needs(step: Step, steps: Sequence[Step]) -> tuple[str, ...]:
    """The trainings whose network a lesson uses, or would use if there were one: it must not depend on who is first."""
    if step.lesson.chapter not in TRAINED or step.parameters.get("model"):
        return ()
    recipe = step.parameters.get("recipe")
    return tuple(s.name for s in steps if s.lesson.number == "04" and s.parameters.get("recipe") == recipe)


def _model(scale: str, lesson: Lesson, recipe: str, parameters: dict[str, str]) -> dict[str, str]:
    """The network that ships, as parameter of a lesson that takes one, unless other parameters name a network."""
    named = {"recipe", "run", "model", "data"} & {name for name, value in parameters.items() if value}
    name = shipped_for(recipe) if scale in ON_SHIPPED and "model" in lesson.parameters and not named else None
    return {"model": name} if name else {}


def chosen_recipes(scale: str, parameters: dict[str, str]) -> tuple[str, ...]:
    """Return the recipes of a course: the scale's, or the one named by the `recipe` parameter."""
    return (parameters["recipe"],) if parameters.get("recipe") else SCALES[scale]


def _select(lessons: list[Lesson], only: Sequence[str]) -> list[Lesson]:
    asked = [name for text in only for name in text.replace(",", " ").split()]
    wanted = {f"0{name}" if re.fullmatch("[0-9][a-z]?", name) else name for name in asked}
    unknown = wanted - {name for lesson in lessons for name in _names(lesson)}
    if unknown:
        known = ", ".join(lesson.path.stem for lesson in lessons)
        raise InputError(f"unknown lesson {', '.join(sorted(unknown))}; choose by number from {known}")
    if not wanted:
        return [lesson for lesson in lessons if sys.platform == "linux" or lesson.number not in LINUX]
    return [lesson for lesson in lessons if wanted & _names(lesson)]


def _names(lesson: Lesson) -> set[str]:
    """What `--only` may call a lesson: its file's name, its number, or its chapter, all of whose lessons are meant."""
    return {lesson.path.stem, lesson.number, lesson.chapter}


def _check_parameters(lessons: list[Lesson], parameters: dict[str, str]) -> None:
    known = {name for lesson in lessons for name in lesson.parameters}
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise InputError(f"unknown parameter {', '.join(unknown)}; the lessons have {', '.join(sorted(known))}")
    if parameters.get("recipe"):
        from posekit.recipes import get_recipe

        get_recipe(parameters["recipe"])


def _recipe_of_line(lesson: Lesson, recipes: Sequence[str]) -> list[str]:
    """For a lesson that runs once, return the recipe for the same network as its default; empty if there is none.

    A lesson without a recipe parameter gets the first recipe.
    """
    line = str(lesson.parameters.get("recipe", recipes[0])).split("-")[0]
    return [recipe for recipe in recipes if recipe.split("-")[0] == line][:1]


def _typed(name: str, text: str, lesson: Lesson) -> object:
    """Convert `text` to the type of the lesson's default; raise InputError if that fails."""
    kind = type(lesson.parameters[name])
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text) if kind in (int, float) else text
    except (KeyError, ValueError):
        raise InputError(f"parameter {name}={text}: {lesson.path.stem} takes {kind.__name__} here") from None
