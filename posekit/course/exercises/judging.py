"""Judge answers that `running.run_cases` collected. Runs nothing that a student wrote."""

import copy
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from posekit.course.exercises.running import decode, encode
from posekit.course.exercises.spec import Exercise, Verdict
from posekit.course.translation import say
from posekit.errors import shown

_MOST_SHOWN = 12  # values of an array


def judge(exercise: Exercise, cases: Sequence[Sequence[Any]], answers: Sequence[dict[str, Any]]) -> Verdict:
    """Return the verdict on one student's answers to an exercise's cases.

    Looked for in this order: an error, nothing returned, a wrong value (one of the exercise's own mistakes, or by type,
    shape and size), and a right value whose function changes its arguments.
    """
    if errors := [answer["error"] for answer in answers if "error" in answer]:
        return _error(errors[0])
    values = [decode(answer["value"]) for answer in answers]
    if any(value is None for value in values):
        return _nothing(exercise, values)
    if exercise.kind == "code" and not answers[0]["called"]:
        text = say("`{answer}` isn't a function: keep the line with `def`", answer=exercise.answer)
        return Verdict("not yet", text, "no function")
    for case, value, truth in zip(cases, values, _values(exercise.truth, cases), strict=True):
        if not _equal(exercise, value, truth):
            hints = [it.hint for it in exercise.mistakes if _all_equal(exercise, values, _values(it.wrong, cases))]
            wrong = _wrong(exercise, _call(exercise, case), value, truth)
            return Verdict("not yet", say(hints[0]), hints[0]) if hints else wrong
    if changed := [position for answer in answers for position in answer.get("changed", [])]:
        said = "the result is right, but `{answer}` changes its argument {number}: work on a copy"
        text = say(said, answer=exercise.answer, number=changed[0] + 1)
        return Verdict("not yet", text, "changes its argument")
    right = say("right") if exercise.kind == "predict" else say("right in {count} cases", count=len(cases))
    return Verdict("ok", right, "right")


def _values(function: Any, cases: Sequence[Sequence[Any]]) -> list[Any]:
    """The function's values, as they look after the way through JSON; a value is the same for all cases."""
    call = function if callable(function) else lambda *_: function
    return [decode(encode(call(*copy.deepcopy(list(case))))) for case in cases]


def _error(error: dict[str, Any]) -> Verdict:
    said = f"{error['type']}: {error['message']}".removesuffix(": ")
    where = say(" in line {line}: {source}", line=error["line"], source=error["source"]) if error["line"] else ""
    return Verdict("error", said + where, error["type"])


def _nothing(exercise: Exercise, values: Sequence[Any]) -> Verdict:
    if exercise.kind == "predict":
        text = say("no prediction yet: write yours in place of None, `{answer} = …`", answer=exercise.answer)
        return Verdict("not yet", text, "empty")
    some = say("sometimes returns") if any(value is not None for value in values) else say("returns")
    said = "`{answer}` {some} nothing (None); does every way through it end with `return` and your result?"
    return Verdict("not yet", say(said, answer=exercise.answer, some=some), "returns nothing")


# Comparing


def _equal(exercise: Exercise, value: Any, truth: Any) -> bool:
    if _is_several(truth):
        parts = _parts(value)
        return len(parts) == len(truth) and all(_equal(exercise, *pair) for pair in zip(parts, truth, strict=True))
    if isinstance(truth, str):
        return isinstance(value, str | list) and _text(exercise, value) == _text(exercise, truth)
    got, wanted = _array(value), _array(truth)
    if got is None or wanted is None or got.shape != wanted.shape:
        return False
    return bool(np.allclose(got, wanted, rtol=exercise.tolerance, atol=exercise.tolerance, equal_nan=True))


def _all_equal(exercise: Exercise, values: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(_equal(exercise, *pair) for pair in zip(values, others, strict=True))


def _is_several(truth: Any) -> bool:
    """Whether a function returns several things of their own, as `return keypoints, visible` does."""
    return isinstance(truth, list) and any(isinstance(part, np.ndarray | str | list) for part in truth)


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim) else [value]


def _text(exercise: Exercise, value: str | list) -> str:
    """Text without what doesn't matter: of predictions all but letters and digits, else the number of spaces."""
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    if exercise.kind == "predict":
        return re.sub(r"\W", "", unicodedata.normalize("NFKC", text)).lower()  # also Ａ, as Chinese keyboards write it
    return " ".join(text.split())


def _array(value: Any) -> np.ndarray | None:
    """Numbers, arrays and lists of them as an array; None for anything else."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # lists of different lengths
        return None
    return array.astype(float) if array.dtype.kind in "biuf" else None


# What is wrong


def _call(exercise: Exercise, case: Sequence[Any]) -> str:
    if not case:
        return f"`{exercise.answer}`"
    return f"{exercise.answer}({', '.join(_short(argument) for argument in case)})"


def _wrong(exercise: Exercise, call: str, value: Any, truth: Any) -> Verdict:
    """Say what is wrong with a value, as closely as its type, its shape and itself tell."""
    look = say("; {look}", look=say(exercise.look)) if exercise.look else ""
    if exercise.kind == "predict" and _kind(value) == _kind(truth):
        return Verdict("not yet", say("not {value}", value=_short(value)) + look, "another value")
    if _is_several(truth):
        return _wrong_part(exercise, call, value, truth)
    if _kind(value) != _kind(truth):
        said = say("{call} is {kind}, but {wanted} is asked", call=call, kind=_kind(value), wanted=_kind(truth))
        return Verdict("not yet", said, _cause(value, truth))
    got = _array(value)
    if got is not None and (count := int(np.isnan(got).sum())):
        said = say("{call} has NaN in it ({count} of {size} values)", call=call, count=count, size=got.size)
        return Verdict("not yet", said + look, "NaN")
    if got is not None and got.size > _MOST_SHOWN:
        call, value, truth = _first_wrong(exercise, call, got, truth)
    texts = [(_short(truth, digits), _short(value, digits)) for digits in (6, 12)]
    wanted, given = texts[texts[0][0] == texts[0][1]]
    said = say("{call} should be {wanted}, not {value}", call=call, wanted=wanted, value=given)
    return Verdict("not yet", said + look, "another value")


def _first_wrong(exercise: Exercise, call: str, got: np.ndarray, truth: Any) -> tuple[str, float, float]:
    """The first place at which arrays of one shape differ, after the call's text, with both values."""
    wanted = np.asarray(truth, float)
    right = np.isclose(got, wanted, rtol=exercise.tolerance, atol=exercise.tolerance, equal_nan=True)
    place = tuple(int(index) for index in np.argwhere(~right)[0])
    return f"{call}[{', '.join(map(str, place))}]", float(got[place]), float(wanted[place])


def _wrong_part(exercise: Exercise, call: str, value: Any, truth: list) -> Verdict:
    parts = _parts(value)
    if len(parts) != len(truth) or isinstance(value, np.ndarray):
        said = "{call} is {kind}, but {count} results are asked: `return first, second`"
        text = say(said, call=call, kind=_kind(value), count=len(truth))
        return Verdict("not yet", text, "another number of results")
    wrong = next(i for i, pair in enumerate(zip(parts, truth, strict=True)) if not _equal(exercise, *pair))
    return _wrong(exercise, f"{call}[{wrong}]", parts[wrong], truth[wrong])


def _cause(value: Any, truth: Any) -> str:
    got, wanted = _array(value), _array(truth)
    if got is None or wanted is None:
        return "another type"
    return "another shape" if wanted.ndim else "an array, not a number"


def _kind(value: Any) -> str:
    """What a value is: a number, text, an array and its shape, or its type."""
    if isinstance(value, dict):
        return say("of the type {type}", type=value["other"])
    if isinstance(value, str):
        return say("text")
    array = _array(value)
    if array is None:
        return say("a list of {count}", count=len(value))
    return say("an array of shape {shape}", shape=array.shape) if array.ndim else say("a number")


def _short(value: Any, digits: int = 6) -> str:
    """The value for a message: arrays by their numbers where they are few, else by their shape."""
    if isinstance(value, np.ndarray):
        few = np.array2string(value, separator=", ", precision=digits - 2, suppress_small=True)
        return " ".join(few.split()) if value.size <= _MOST_SHOWN else f"<array {value.shape}>"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return shown(value)
