"""Run students' answers: a script for a sandbox, which reads requests from its standard input, a line of JSON each.

It needs NumPy and exercises/running.py, and nothing else of posekit. What students print goes nowhere. They can write
to the pipe for answers, too, but only their own answers, which are judged elsewhere.
"""

import ctypes
import importlib.util
import json
import os
import sys
from contextlib import nullcontext, suppress
from types import ModuleType
from typing import Any, BinaryIO

_NO_NEW_PRIVILEGES, _DROP_BOUND = 38, 24  # of prctl
_CAPABILITIES = 64


def main() -> None:
    """Serve requests with the settings in the first argument until standard input ends."""
    settings = json.loads(sys.argv[1])
    sys.path += settings["paths"]
    requests, answers = _own_channels()
    running = _load(settings["running"])
    if settings["confined"]:
        _give_up_rights(settings["user"])
    _limit(settings["limits"], settings["confined"])
    if settings["confined"]:
        _check_that_it_is_alone()
    _take_output()
    _write(answers, {"ready": True})
    while line := requests.readline():
        _write(answers, _answer(running, json.loads(line)))


def _own_channels() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output as files of our own."""
    return os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")


def _take_output() -> None:
    """Put the null device in the place of standard input, output and errors."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("running", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _give_up_rights(user: int | None) -> None:
    """Become that user, if one is named, and drop every capability for good."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for capability in range(_CAPABILITIES):
        libc.prctl(_DROP_BOUND, capability, 0, 0, 0)  # fails for those that are gone, or that this kernel lacks
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def _limit(limits: dict[str, int], all_of_them: bool) -> None:
    """Set the limits of the system, by name (RLIMIT_AS); those that it has, unless `all_of_them` are needed."""
    with nullcontext() if all_of_them else suppress(ImportError):
        import resource

        for name, value in limits.items():
            with nullcontext() if all_of_them else suppress(ValueError, OSError, AttributeError):
                resource.setrlimit(getattr(resource, name), (value, value))


def _check_that_it_is_alone() -> None:
    """End with a line on standard error where this process can start another."""
    try:
        child = os.fork()
    except OSError:
        return
    if child:
        os.waitpid(child, 0)
        sys.exit("the limit on processes doesn't hold")
    os._exit(0)


def _answer(running: ModuleType, request: dict[str, Any]) -> dict[str, Any]:
    """What the request's cell answers on its cases; why not, where that can't be written as JSON."""
    try:
        cases = [[running.decode(value) for value in case] for case in request["cases"]]
        records = running.run_cell(request["source"], request["answer"], cases, request["preamble"])
        json.dumps(records)
    except Exception as error:  # an answer that holds itself, a number of too many digits
        records = [{"called": False, "error": running.error_record(error)} for _ in request["cases"]]
    return {"name": request["name"], "answers": records}


def _write(file: BinaryIO, value: dict[str, Any]) -> None:
    file.write(json.dumps(value).encode() + b"\n")
    file.flush()


if __name__ == "__main__":
    main()
