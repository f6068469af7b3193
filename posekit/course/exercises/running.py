"""Run a student's answer on an exercise's cases, and write what came back as JSON.

Needs NumPy and nothing of posekit, so that a sandbox can hold this file alone.
"""

import copy
import linecache
import re
import traceback
from collections.abc import Sequence
from types import CodeType
from typing import Any

import numpy as np

MOST_VALUES = 1_000_000  # of one answer; a larger one is named, not kept
LONGEST_TEXT = 2_000
_IPYTHON = re.compile(r"^%time (?=.)|^[%!].*|^.*\?$", re.MULTILINE)  # %matplotlib inline, !pip install, np.zeros?


def encode(value: Any) -> Any:
    """Return the value as JSON can hold it: arrays with their shape; what JSON has no word for by its type."""
    if hasattr(value, "asnumpy"):  # a tensor
        value = value.asnumpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 63:  # more than arrays can hold
        return float(value) if value.bit_length() < 1024 else float("inf" if value > 0 else "-inf")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, list | tuple):
        return [encode(item) for item in value[:MOST_VALUES]]
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU" and value.size <= MOST_VALUES:
        return encode(value.tolist())
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.size <= MOST_VALUES:
        value = np.asarray(value)  # of a masked array, all values
        return {"array": value.ravel().tolist(), "shape": list(value.shape), "type": str(value.dtype)}
    return {"other": type(value).__name__}


def decode(value: Any) -> Any:
    """Return what `encode` was given; tuples come back as lists, and what it only named as {"other": type}."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], value["type"]).reshape(value["shape"])
    return value


def run_cases(answer: Any, cases: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Call the answer once per case, with copies of the case's arguments; an answer that is a value stands for all.

    Returns one record per case, fit for JSON: `value`, encoded; `changed`, the arguments that the call changed; or
    `error`, as `error_record` makes it. `called` is false where the answer isn't a function.
    """
    return [_run_case(answer, case) for case in cases]


def _run_case(answer: Any, case: Sequence[Any]) -> dict[str, Any]:
    if not callable(answer):
        return {"called": False, "value": encode(answer)}
    arguments = copy.deepcopy(list(case))
    try:
        value = encode(answer(*arguments))
    except (Exception, SystemExit) as error:
        return {"called": True, "error": error_record(error)}
    changed = [i for i, (now, before) in enumerate(zip(arguments, case, strict=True)) if _differ(now, before)]
    return {"called": True, "value": value, "changed": changed}


def _differ(now: Any, before: Any) -> bool:
    return repr(encode(now)) != repr(encode(before))  # as text, since NaN equals NaN there


def run_cell(source: str, name: str, cases: Sequence[Sequence[Any]], preamble: str = "") -> list[dict[str, Any]]:
    """Run an exercise's cell by itself, after the preamble's imports, and the answer it defines on the cases.

    Where the cell itself fails, each case has its error; where it doesn't define the name, each has the value None.
    What works in a notebook alone is left out: lines for IPython, and calls of `check` and `display`.
    """
    namespace: dict[str, Any] = {"__name__": "exercise", "check": _ignore, "display": _ignore}
    file = f"<exercise {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    try:
        exec(preamble, namespace)
        exec(_compiled(source, file), namespace)
    except (Exception, SystemExit) as error:
        return [{"called": False, "error": error_record(error)} for _ in cases]
    return run_cases(namespace.get(name), cases)


def _ignore(*_: Any, **__: Any) -> None: ...


def _compiled(source: str, file: str) -> CodeType:
    """The cell as code; where it isn't Python as it is, without its lines for IPython."""
    try:
        return compile(source, file, "exec")
    except SyntaxError:
        return compile(_IPYTHON.sub("", source), file, "exec")


def error_record(error: BaseException) -> dict[str, Any]:
    """Return type, message, line and source of an error, the line being the last one that the student wrote."""
    record = {"type": type(error).__name__, "message": str(error)[:LONGEST_TEXT], "line": None, "source": ""}
    if isinstance(error, SyntaxError):
        return {**record, "message": error.msg, "line": error.lineno, "source": (error.text or "").strip()}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    theirs = [frame for frame in frames if _is_cell(frame.filename)] or frames[:1]
    if theirs:
        record.update(line=theirs[-1].lineno, source=(theirs[-1].line or "").strip())
    return record


def _is_cell(file: str) -> bool:
    return "ipykernel_" in file or file.startswith(("<exercise", "<ipython", "<stdin"))
