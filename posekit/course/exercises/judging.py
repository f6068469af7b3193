"""Judge answers that `running.run_cases` collected. Runs nothing that a student wrote."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from posekit.course.exercises.running import decode, encode
from posekit.course.exercises.spec import Exercise, Mistake, Verdict
from posekit.errors import shown


def judge(exercise: Exercise, cases: Sequence[Sequence[Any]], answers: Sequence[dict[str, Any]]) -> Verdict:
    """Return the verdict on one student's answers to an exercise's cases."""
    for answer in answers:
        if "error" in answer:
            return _error(answer["error"])
    values = [decode(answer["value"]) for answer in answers]
    if any(value is None for value in values):
        return _nothing(exercise, answers)
    if exercise.kind == "code" and not answers[0]["called"]:
        return Verdict("not yet", f"`{exercise.answer}` isn't a function: keep the line with `def`", "no function")
    truths = _values(exercise.truth, cases)
    for mistake in exercise.mistakes:
        if all(map(_equal(exercise), values, _values(mistake.wrong, cases))):
            return Verdict("not yet", mistake.hint, mistake.hint)
    for case, value, truth in zip(cases, values, truths, strict=True):
        if not _equal(exercise)(value, truth):
            return _wrong(exercise, case, value, truth)
    if changed := next((answer["changed"] for answer in answers if answer.get("changed")), []):
        text = f"the result is right, but `{exercise.answer}` changes its argument {changed[0] + 1}: work on a copy"
        return Verdict("not yet", text, "changes its input")
    return Verdict("ok", _well_done(exercise, cases), "right")


def wrong_answers(mistake: Mistake, cases: Sequence[Sequence[Any]]) -> list[Any]:
    """Return what somebody who makes this mistake answers."""
    return _values(mistake.wrong, cases)


def _values(function: Any, cases: Sequence[Sequence[Any]]) -> list[Any]:
    """The function's values, as they look after the way through JSON; a value stands for a function of nothing."""
    call = function if callable(function) else lambda: function
    return [decode(encode(call(*copy.deepcopy(list(case))))) for case in cases]


def _well_done(exercise: Exercise, cases: Sequence[Any]) -> str:
    return "right" if exercise.kind == "predict" else f"right in {len(cases)} cases"


def _nothing(exercise: Exercise, answers: Sequence[dict[str, Any]]) -> Verdict:
    if exercise.kind == "predict":
        return Verdict("not yet", f"no prediction yet: replace None in `{exercise.answer}`", "empty")
    some = "sometimes returns" if any(answer["value"] is not None for answer in answers) else "returns"
    remedy = "is there a `return` in front of your result?"
    return Verdict("not yet", f"`{exercise.answer}` {some} nothing (None): {remedy}", "returns nothing")


def _error(error: dict[str, Any]) -> Verdict:
    where = f"line {error['line']}: {error['source']}" if error["line"] else "before the first line of yours"
    return Verdict("error", f"{error['type']}: {error['message']}\n        {where}", error["type"])


def _equal(exercise: Exercise):
    def equal(value: Any, truth: Any) -> bool:
        if isinstance(truth, str) or isinstance(value, str):
            return str(value).strip().lower() == str(truth).strip().lower()
        got, wanted = _array(value), _array(truth)
        if got is None or wanted is None or got.shape != wanted.shape:
            return False
        return bool(np.allclose(got, wanted, rtol=exercise.tolerance, atol=exercise.tolerance, equal_nan=True))

    return equal


def _array(value: Any) -> np.ndarray | None:
    """Numbers, arrays and lists of them as an array; None for anything else."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # lists of different lengths
        return None
    return array.astype(float) if array.dtype.kind in "biuf" else None


def _wrong(exercise: Exercise, case: Sequence[Any], value: Any, truth: Any) -> Verdict:
    """What is wrong with this value, as closely as its kind, its shape and itself say."""
    look = f"; {exercise.look}" if exercise.look else ""
    if exercise.kind == "predict" and isinstance(value, str) == isinstance(truth, str):
        return Verdict("not yet", f"not {shown(value)}{look}", "another value")
    call = f"{exercise.answer}({', '.join(_short(argument) for argument in case)})" if case else f"`{exercise.answer}`"
    got, wanted = None if isinstance(value, str) else _array(value), _array(truth)
    if isinstance(truth, str) or wanted is None or got is None:
        said = f"{call} is {_kind(value)}, but {_kind(truth)} is asked"
        return (
            Verdict("not yet", said, "another type")
            if _kind(value) != _kind(truth)
            else _other(call, value, truth, look)
        )
    if wanted.ndim == 0 and got.ndim:
        text = f"{call} is {_kind(value)}, but a number is asked: which of its values, or which sum or mean of them?"
        return Verdict("not yet", text, "an array, not a number")
    if got.shape != wanted.shape:
        return Verdict("not yet", f"{call} has shape {got.shape}, but {wanted.shape} is asked", "another shape")
    if np.isnan(got).any() > np.isnan(wanted).any():
        return Verdict("not yet", f"{call} has NaN in it: look for 0 / 0 and for the mean of nothing", "NaN")
    return _other(call, value, truth, look)


def _other(call: str, value: Any, truth: Any, look: str) -> Verdict:
    return Verdict("not yet", f"{call} should be {_short(truth)}, not {_short(value)}{look}", "another value")


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"a {value['other']}"
    if isinstance(value, str):
        return "text"
    array = _array(value)
    if array is None:
        return "a list of other things than numbers"
    return f"an array of shape {array.shape}" if array.ndim else "a number"


def _short(value: Any) -> str:
    """The value for a message: arrays by their numbers where they are few, else by their shape."""
    if isinstance(value, np.ndarray):
        few = np.array2string(value, separator=", ", precision=4, suppress_small=True)
        return " ".join(few.split()) if value.size <= 16 else f"<array {value.shape}>"
    if isinstance(value, float):
        return f"{value:.6g}"
    return shown(value)
