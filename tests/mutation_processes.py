"""Processes that have everything imported and run posekit's commands, with a watch on time and memory."""

import hashlib
import json
import os
import re
import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mutation_kinds import ROOT, make_base

SECONDS = 30  # of one case
MEMORY = 4e9  # bytes of one process
CASES = 150  # of one process: MindSpore keeps every graph that it has compiled
READY = "ready"


@dataclass
class Done:
    """What a command did: its exit code, what it printed, and a digest of every file that it wrote."""

    code: int
    out: str
    err: str
    files: dict[str, str]
    memory: float = 0
    seconds: float = 0


def serve() -> None:
    """Run commands from stdin, a JSON line each, and answer each with a line: exit code and memory."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    import mindspore  # noqa: F401
    import onnxruntime  # noqa: F401
    import torch  # noqa: F401

    import posekit.cli.main  # noqa: F401

    print(READY, file=answers)
    for line in sys.stdin:
        folder, arguments, printed = json.loads(line)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the memory's peak begins anew
        code = _run(folder, arguments, printed)
        status = Path("/proc/self/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024
        print(json.dumps([code, peak]), file=answers)


def _run(folder: str, arguments: list[str], printed: str) -> int:
    """The command as `posekit` runs it; its output goes to `printed`.out and .err."""
    os.chdir(folder)
    for number, name in ((1, ".out"), (2, ".err")):
        file = os.open(printed + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    for stream, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, stream, open(os.dup(number), "w", encoding="utf-8"))
    sys.argv = ["posekit", *arguments]
    try:
        command(arguments)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.close()
    sys.stderr.close()
    return code


def command(arguments: list[str]) -> None:
    """`posekit ARGUMENTS`; RECIPE shows what `posekit train --config` would train, without the training."""
    from posekit.cli import main as cli

    if arguments[0] != "RECIPE":
        cli.main()
        return
    from posekit.recipes import get_recipe
    from posekit.settings import override_from_file, to_json

    with cli.boundary():
        print(to_json(override_from_file(get_recipe("hourglass-tiny"), Path(arguments[1]))))


def make(folder: str) -> None:
    """All the valid files, in this folder."""
    from posekit.cli.main import main

    def posekit(*arguments: str) -> None:
        sys.argv = ["posekit", *arguments]
        try:
            main()
        except SystemExit as end:
            assert not end.code, arguments

    make_base(Path(folder), posekit)


# Around them


class Worker:
    """A process that runs commands, replaced when one of them ends it and after `CASES` of them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._count = 0

    def run(self, folder: Path, arguments: list[str]) -> Done | str:
        """What the command did in `folder`, or the finding that there is instead."""
        process = self._started()
        printed = f"{folder}-printed"
        before = listing(folder)
        began, peak = time.monotonic(), 0
        process.stdin.write(json.dumps([str(folder), arguments, printed]) + "\n")
        process.stdin.flush()
        while not select.select([process.stdout], [], [], 0.05)[0]:
            peak = _memory(process.pid)
            if time.monotonic() - began > SECONDS or peak > MEMORY:
                process.kill()
                break
        seconds = time.monotonic() - began
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self._process = None
            if seconds > SECONDS:
                return f"hangs: more than {SECONDS} s"
            return f"memory: {peak / 1e9:.1f} GB" if peak > MEMORY else f"crash: ended by signal {-code}"
        code, peak = json.loads(line)
        if peak > MEMORY:
            return f"memory: {peak / 1e9:.1f} GB"
        out, err = (Path(printed + name).read_text(errors="replace") for name in (".out", ".err"))
        out = re.sub(r"\d[\d.]* ms", "… ms", out)  # no two runs agree
        after = listing(folder)
        files = {name: it[0] for name, it in after.items() if before.get(name) != it}
        return Done(code, out, err, files, peak, seconds)

    def _started(self) -> subprocess.Popen:
        self._count += 1
        if self._count % CASES == 0:
            self.close()
        if self._process is None:
            environment = os.environ | {"GLOG_v": "4", "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("mutations.py")), "--serve"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )  # fmt: skip
            assert self._process.stdout.readline().strip() == READY
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _memory(process: int) -> int:
    with suppress(OSError, TypeError):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) * 1024
    return 0


def listing(folder: Path) -> dict[str, tuple[str, int]]:
    """A digest of every file below the folder, and when it was written."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
    }
