"""Where errors end: each becomes one line on standard error and an exit code. Only bugs stay tracebacks."""

import atexit
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer
import typer.core

from posekit.errors import InputError, Stopped, in_words, system_error

WRONG = 2  # bad input, or what the system refuses
STOPPED = 75  # sysexits.h's EX_TEMPFAIL: try again, here with --resume
INTERRUPTED = 130  # as shells report Ctrl-C
READER_GONE = 141  # as shells report a closed pipe


class Commands(typer.core.TyperGroup):
    """The commands inside `boundary`, before typer makes its own of some errors."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        with boundary():
            return super().invoke(ctx)


@contextmanager
def boundary() -> Iterator[None]:
    """End the process with one line about any error that isn't a bug."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, where a closed pipe or a full disk is caught
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich have caught it
            _end("", READER_GONE)
        raise
    except InputError as error:
        _end(str(error), STOPPED if isinstance(error, Stopped) else WRONG)
    except KeyboardInterrupt:
        _end("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader, head for example, has what it wanted
        _end("", READER_GONE)
    except OSError as error:
        _end(system_error(error), WRONG)
    except MemoryError as error:
        _end(f"out of memory ({in_words(error)}); close other programs, or make batch or images smaller", WRONG)
    except UnicodeEncodeError as error:
        name = error.object[:80].encode("ascii", "backslashreplace").decode()
        if error.encoding == "utf-8":
            _end(f"{name}: not a name in UTF-8; rename the file", WRONG)
        _end(f"{name}: a name that {error.encoding}, this locale's encoding, lacks; set LC_ALL=C.UTF-8", WRONG)


def _end(message: str, code: int) -> None:
    if bars := sys.modules.get("posekit.bars"):
        bars.close_all()
    try:
        sys.stdout.flush()
    except OSError:  # what is left would make Python complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if message:
        with suppress(OSError):
            print(f"posekit: {message}", file=sys.stderr)
    sys.exit(code)


def check_current_folder() -> None:
    """InputError if the folder that the command runs in was removed: libraries crash there while they are imported."""
    try:
        os.getcwd()
    except OSError as error:
        raise InputError(f"the current folder can't be used ({in_words(error)}); change to another") from error


def adapt_to_place() -> None:
    """Make do with any terminal and any home directory.

    What a terminal can't show is printed as its code. Where the home directory can't be written to, the files that
    libraries keep there (fonts, kernels) go to a temporary folder.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by >&-
            setattr(sys, name, open(os.devnull, "w"))
        if hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    own = os.path.expanduser("~")
    if os.access(own, os.W_OK):
        return
    names = {"MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}
    if missing := names - os.environ.keys():
        place = tempfile.TemporaryDirectory(prefix="posekit-", ignore_cleanup_errors=True)
        atexit.register(place.cleanup)
        os.environ.update({name: os.path.join(place.name, name.lower()) for name in missing})
