"""The exercises' specs, their checker and their cells in the lessons; no lesson is run."""

import ast
import json
import sys

import numpy as np
import pytest
from exercise_cells import calls, lesson_path, read_cells, solution_source, student_cell, tags

from posekit.course import exercises
from posekit.course.exercises import running
from posekit.course.exercises.judging import judge
from posekit.course.exercises.running import run_cases, run_cell
from posekit.course.exercises.spec import Exercise, Mistake, Verdict
from posekit.errors import InputError

EVERY = exercises.all_exercises()
CHECKED = [exercise for exercise in EVERY if exercise.kind != "open"]
LESSONS = sorted({exercise.name.split(".")[0] for exercise in EVERY})
MISTAKES = [(exercise, mistake) for exercise in CHECKED for mistake in exercise.mistakes]
SEEDS = (exercises.SEED, 1, 2)


def judged(exercise: Exercise, run, seed: int = 0) -> Verdict:
    """The verdict on what `run(cases)` answers, both having gone through a file."""
    cases = running.encode(exercise.cases(np.random.default_rng(seed)))
    cases = running.decode(json.loads(json.dumps(cases)))
    return judge(exercise, cases, json.loads(json.dumps(run(cases))))


def named(value: object) -> str | None:
    return value.name if isinstance(value, Exercise) else value.hint[:20] if isinstance(value, Mistake) else None


# The exercises


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_has_three_to_five_exercises_of_all_kinds(lesson: str) -> None:
    found = exercises.lesson_exercises(lesson)
    if lesson == "00":  # shows how an exercise works
        assert [exercise.kind for exercise in found] == ["code"]
    else:
        assert 3 <= len(found) <= 5 and {exercise.kind for exercise in found} == {"predict", "code", "open"}
    assert [exercise.name for exercise in found] == [f"{lesson}.{i + 1}" for i in range(len(found))]


@pytest.mark.parametrize("exercise", CHECKED, ids=named)
def test_mistakes_can_be_told_apart(exercise: Exercise) -> None:
    """Each has answers and a hint of its own, and none is right."""
    assert len(exercise.mistakes) >= 2 and len({mistake.hint for mistake in exercise.mistakes}) == len(
        exercise.mistakes
    )
    for seed in SEEDS:
        assert judged(exercise, lambda cases: run_cases(exercise.truth, cases), seed).status == "ok"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=named)
def test_each_mistake_gets_its_own_hint(exercise: Exercise, mistake: Mistake) -> None:
    for seed in SEEDS:
        verdict = judged(exercise, lambda cases: run_cases(mistake.wrong, cases), seed)
        assert (verdict.status, verdict.text) == ("not yet", mistake.hint), seed


@pytest.mark.parametrize("exercise", CHECKED, ids=named)
def test_the_lessons_cells_alone(exercise: Exercise) -> None:
    """As a grader runs them: the student's cell as it stands is empty, the solution's is right."""
    cells = read_cells(lesson_path(exercise.name.split(".")[0]))
    empty, name = student_cell(cells, exercise.name)["source"], exercise.answer
    assert judged(exercise, lambda cases: run_cell(empty, name, cases, exercise.preamble)).status == "not yet"
    right = solution_source(cells, exercise.name, name)
    for seed in SEEDS:
        verdict = judged(exercise, lambda c: run_cell(right, f"{name}_solution", c, exercise.preamble), seed)
        assert verdict.status == "ok", verdict


@pytest.mark.parametrize("exercise", CHECKED, ids=named)
def test_no_answer_and_nonsense_pass_no_check(exercise: Exercise) -> None:
    for answer in (None, 0, "", "?", [], lambda *_: None, lambda *_: 0, lambda *_: "", lambda *given: given):
        assert judged(exercise, lambda cases, answer=answer: run_cases(answer, cases)).status == "not yet"
    for wrong in (lambda: -1, lambda *_: sys.exit(), lambda *_: 1 / 0):
        assert judged(exercise, lambda cases, wrong=wrong: run_cases(wrong, cases)).status != "ok"


def test_open_exercises_have_a_rubric() -> None:
    for exercise in set(EVERY) - set(CHECKED):
        assert len(exercise.rubric) >= 3
        shown = exercises.rubric(exercise.name).data
        assert all(f"- {line}" in shown for line in exercise.rubric)
        with pytest.raises(InputError, match="an open task has no check"):
            exercises.check(exercise.name, "text")


def test_an_unknown_exercise_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"exercise '02\.9': .*02\.1, 02\.2"):
        exercises.check("02.9", 1)
    for name in ("2", "../x.1", "77.1", 2.1, print):
        with pytest.raises(InputError, match="there is none of this name"):
            exercises.check(name, 1)


# The lessons


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_lessons_cells_are_those_of_the_exercises(lesson: str) -> None:
    cells = read_cells(lesson_path(lesson))
    found = exercises.lesson_exercises(lesson)
    assert [c["metadata"]["exercise"] for c in cells if "exercise" in tags(c)] == [e.name for e in found]
    wanted = [("rubric", e.name, "") if e.kind == "open" else ("check", e.name, e.answer) for e in found]
    assert [call for cell in cells if "check" in tags(cell) for call in calls(cell)] == wanted
    solutions = [cell for cell in cells if "solution" in tags(cell) and cell["cell_type"] == "code"]
    assert all(cell["metadata"]["jupyter"]["source_hidden"] for cell in solutions)
    for exercise in found:  # the heading has the exercise's number
        headings = [line for cell in cells for line in cell["source"].splitlines() if line.startswith("##")]
        number, title = exercise.name.split(".")[1], exercise.title
        assert f"exercise {number}: {title}".lower() in [line.strip("# ").lower() for line in headings]


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_in_a_lesson_depends_on_a_students_answer(lesson: str) -> None:
    """Not even a solution, which is gone in the students' edition: only solutions use solutions."""
    cells, answers = read_cells(lesson_path(lesson)), set()
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        tree = ast.parse("".join(line for line in cell["source"].splitlines(True) if not line.startswith("%")))
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        if not {"exercise", "check"} & set(tags(cell)):
            assert not used & answers, cell["id"]
        if "solution" not in tags(cell):
            assert not any(name.endswith("_solution") for name in used), cell["id"]
        if name := cell["metadata"].get("exercise"):
            answers.add(exercises.get_exercise(name).answer)


# The checker

DOUBLE = Exercise("0.1", "Double", "code", "double", lambda rng: [(2,), (5,)], lambda x: 2 * x)
ROWS = Exercise(
    "0.2",
    "Sum the columns",
    "code",
    "sums",
    lambda rng: [(np.arange(6.0).reshape(2, 3),)],
    lambda a: a.sum(axis=0),
    (Mistake(lambda a: a.sum(axis=1), "that sums the rows"),),
)
MANY = Exercise("0.4", "Many", "code", "plus", lambda rng: [(np.arange(25.0).reshape(5, 5),)], lambda a: a + 1)
BOTH = Exercise("0.3", "Both", "code", "both", lambda rng: [(np.arange(3.0),)], lambda a: (a + 1, a > 1))


def says(exercise: Exercise, *lines: str) -> str:
    """What the checker says to a student's cell of these lines."""
    source = "\n".join(lines)
    return str(judged(exercise, lambda cases: run_cell(source, exercise.answer, cases, exercise.preamble)))


def test_a_right_answer_in_any_dress() -> None:
    assert says(DOUBLE, "def double(x): return x + x") == "[ok] right in 2 cases"
    assert says(DOUBLE, "def double(x): return np.float32(2 * x)").startswith("[ok]")
    assert says(DOUBLE, "double = lambda x: np.array(2 * x)").startswith("[ok]")
    assert says(ROWS, "def sums(a): return [a[:, k].sum() for k in range(3)]").startswith("[ok]")
    assert says(BOTH, "def both(a): return [list(a + 1), tuple(a > 1)]").startswith("[ok]")
    assert says(ROWS, "def sums(a): return np.array([*a.sum(axis=0)], object)").startswith("[ok]")
    assert says(ROWS, "def sums(a): return np.ma.masked_array(a.sum(axis=0), [1, 0, 0])").startswith("[ok]")


@pytest.mark.parametrize("line", ["%matplotlib inline", "%%time", "!pip install nothing", "np.zeros?", "display(1)",
                                  "check('0.1', 3)", "%time x = 3"])  # fmt: skip
def test_what_only_a_notebook_runs_does_no_harm_elsewhere(line: str) -> None:
    """As a grader runs it: the lesson's check has said [ok] to such a cell."""
    assert says(DOUBLE, line, "def double(x): return 2 * x") == "[ok] right in 2 cases"
    assert says(DOUBLE, line, "def double(x:", "    return x").endswith("in line 2: def double(x:")


def test_a_letter_from_a_chinese_keyboard() -> None:
    assert str(exercises.verdict("02.3", "Ｃ")) == str(exercises.verdict("02.3", np.array("C"))) == "[ok] right"


def test_a_forgotten_return() -> None:
    assert says(DOUBLE, "def double(x):", "    y = 2 * x").startswith("[not yet] `double` returns nothing (None)")
    sometimes = says(DOUBLE, "def double(x):", "    if x > 2:", "        return 2 * x")
    assert sometimes.startswith("[not yet] `double` sometimes returns nothing")
    assert says(DOUBLE, "x = 1").startswith("[not yet] `double` returns nothing")
    assert says(DOUBLE, "double = 4") == "[not yet] `double` isn't a function: keep the line with `def`"


def test_a_wrong_type_shape_and_value() -> None:
    array = says(DOUBLE, "def double(x): return np.array([2 * x])")
    assert array == "[not yet] double(2) is an array of shape (1,), but a number is asked"
    assert "double(2) is text, but a number" in says(DOUBLE, "def double(x): return str(2 * x)")
    assert "double(2) is of the type function, but" in says(DOUBLE, "def double(x): return double")
    assert "is an array of shape (1, 3), but an array of shape (3,)" in says(ROWS, "def sums(a): return a[:1]")
    assert says(ROWS, "def sums(a): return a.sum(axis=1)") == "[not yet] that sums the rows"
    assert "has NaN in it (3 of 3 values)" in says(ROWS, "def sums(a): return a.sum(axis=0) * np.nan")
    assert says(DOUBLE, "def double(x): return x * x") == "[not yet] double(5) should be 10, not 25"
    assert says(DOUBLE, "def double(x): return 10 ** 5000").endswith("double(2) should be 4, not inf")
    assert says(DOUBLE, "def double(x): return -(10 ** 30)").endswith("double(2) should be 4, not -1e+30")
    assert says(DOUBLE, "def double(x): return 2.00001 * x").endswith("double(2) should be 4, not 4.00002")
    near = says(DOUBLE, "def double(x): return 2 * x + 1.2e-5 * (x > 2)")
    assert near.endswith("double(5) should be 10, not 10.000012")
    many = says(MANY, "def plus(a):", "    a = a + 1", "    a[3, 2] = 0", "    return a")
    assert many.endswith("[3, 2] should be 18, not 0")
    assert "is an array of shape (3,), but 2 results are asked" in says(BOTH, "def both(a): return a + 1")
    assert "both([0., 1., 2.])[1] should be" in says(BOTH, "def both(a): return a + 1, a > 5")


def test_a_changed_argument() -> None:
    verdict = says(ROWS, "def sums(a):", "    a[1] += a[0]", "    return a[1]")
    assert verdict == "[not yet] the result is right, but `sums` changes its argument 1: work on a copy"


def test_an_error_names_the_students_line() -> None:
    error = says(DOUBLE, "def helper(x):", "    return x.size", "", "def double(x):", "    return helper(x)")
    assert error == "[error] AttributeError: 'int' object has no attribute 'size' in line 2: return x.size"
    library = says(ROWS, "def sums(a):", "    return np.concatenate([a, a[0]])")
    assert library.endswith(" in line 2: return np.concatenate([a, a[0]])")
    assert says(DOUBLE, "def double(x:", "    return x").endswith("in line 1: def double(x:")
    assert says(DOUBLE, "double = undefined").endswith("in line 1: double = undefined")
    assert says(DOUBLE, "def double(): return 1").startswith("[error] TypeError")
    assert says(DOUBLE, "def double(x): return double(x)").startswith("[error] RecursionError")
    assert says(DOUBLE, "def double(x): raise SystemExit(0)").startswith("[error] SystemExit: 0 in line 1")


def test_a_check_in_a_lesson_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exercises.check("02.1", lambda c: 18 * c * c) is None
    assert capsys.readouterr().out.startswith("[not yet] the convolutions are right; each norm")
    exercises.check("04.1", "C, b, a")
    exercises.check("04.1", ("C", "B", "A"))
    exercises.check("02.3", "E")
    assert capsys.readouterr().out.splitlines()[:3] == [
        "[ok] right", "[ok] right", "[not yet] not 'E'; answer with one of the letters, in quotation marks"
    ]  # fmt: skip


def test_a_sandbox_needs_one_file_and_numpy() -> None:
    tree = ast.parse(open(running.__file__, encoding="utf-8").read())
    modules = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    modules |= {
        node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    assert modules - set(sys.stdlib_module_names) == {"numpy"}


def test_what_json_cannot_hold_is_named() -> None:
    huge = np.zeros(running.MOST_VALUES + 1)
    assert running.encode(huge) == {"other": "ndarray"} and running.encode({1}) == {"other": "set"}
    for value in (1, 2.5, True, "x", None, [1, "a"], float("inf"), np.arange(6, dtype="int16").reshape(2, 3)):
        np.testing.assert_equal(running.decode(json.loads(json.dumps(running.encode(value)))), value)
