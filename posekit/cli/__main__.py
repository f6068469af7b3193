"""python -m posekit.cli, and the `posekit` command."""

import signal
import sys
from types import FrameType
from typing import NoReturn

_arrived: list[int] = []  # Ctrl-C, as often as it was pressed
_WAIT = 0.05  # seconds until it is looked again whether an import has ended


def main() -> None:
    """Import the commands and run one; Ctrl-C while they are imported is one line, too."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not so in a shell's background jobs
        signal.signal(signal.SIGINT, _interrupt)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, _later)
    try:
        from posekit.cli.main import main as run
        from posekit.graph_cache import enable

        enable()
        run()
    except KeyboardInterrupt:
        _end()
    except Exception:
        if _arrived:  # what was being imported has made an error of its own of it
            _end()
        raise


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; at first after the import under way, since modules in C print errors of their own."""
    _arrived.append(number)
    if hasattr(signal, "setitimer") and len(_arrived) == 1 and _imports(frame):
        signal.setitimer(signal.ITIMER_REAL, _WAIT)
    else:
        raise KeyboardInterrupt


def _later(number: int, frame: FrameType | None) -> None:
    """Press Ctrl-C again for the user, when the import has ended."""
    if _imports(frame):
        signal.setitimer(signal.ITIMER_REAL, _WAIT)
    else:
        signal.raise_signal(signal.SIGINT)  # whose handler may be another one now


def _imports(frame: FrameType | None) -> bool:
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _end() -> NoReturn:
    print("posekit: interrupted", file=sys.stderr)
    sys.exit(130)


if __name__ == "__main__":
    main()
