"""Sandboxes for students' code: bubblewrap if it is installed, else user namespaces made by `unshare`.

In both there is no network, no process of others, and no file but Python, the system's libraries, NumPy's folder and
posekit without its exercises, all read-only; an empty folder in memory can be written to. Whoever grades as root has
the code run as a user of its own, since root has no limit on processes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import posekit
from posekit.course.exercises import running
from posekit.course.grading import confine, worker
from posekit.errors import InputError
from posekit.files import WORKBOOK

FOLDER = "/own"  # in the sandbox, the folder that code may write to
FOLDER_BYTES = 64 * 2**20
LIMITS = {  # of each process
    "RLIMIT_AS": 2 * 2**30,  # bytes of memory
    "RLIMIT_NPROC": 1,  # itself: no other process, no thread
    "RLIMIT_FSIZE": 16 * 2**20,
    "RLIMIT_NOFILE": 64,
    "RLIMIT_CORE": 0,
    "RLIMIT_CPU": 600,  # for a process that nobody is left to end
}
FIRST_USER = 61_184  # from here on systemd lends users to services; nobody's files belong to them
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_PACKAGE = Path(posekit.__file__).resolve().parent
_RUNNING, _WORKER, _CONFINE = (str(Path(str(module.__file__)).resolve()) for module in (running, worker, confine))
# Where memory runs out, the system is to end the student's process first.
_FIRST_TO_END = ("/bin/sh", "-c", 'echo 1000 >/proc/self/oom_score_adj; exec "$@"', "sh")


@dataclass(frozen=True)
class Sandbox:
    """How students' code is run: `kind` is bubblewrap, namespaces, or none for without any protection.

    hidden: folders that the code must not see, wherever they are. empty: an empty folder, for mounts.
    """

    kind: str
    hidden: Sequence[Path] = ()
    empty: Path = field(default_factory=Path)

    def command(self, place: int) -> list[str]:
        """The command that starts a worker; `place` differs among those that run at the same time."""
        as_root = self.kind != "none" and os.getuid() == 0
        settings = {
            "paths": [str(path) for path in (*_packages(), _PACKAGE.parent)],
            "running": _RUNNING,
            "confined": self.kind != "none",
            "user": FIRST_USER + place if as_root else None,
            "limits": LIMITS,
        }
        python = os.path.realpath(sys.executable)
        start = [python, "-I", "-S", "-B", _WORKER, json.dumps(settings)]
        if self.kind == "none":
            return start
        steps = _steps([*self.hidden, Path.home(), _PACKAGE / "course" / "exercises", WORKBOOK])
        inside = _in_bubblewrap if self.kind == "bubblewrap" else self._in_namespaces
        return [*_FIRST_TO_END, *inside(steps, start, as_root)]

    def _in_namespaces(self, steps: list[tuple[str, str]], start: list[str], as_root: bool) -> list[str]:
        plan = {
            "root": str(self.empty), "steps": steps, "folder": FOLDER, "size": FOLDER_BYTES,
            "pivot_root": _program("pivot_root"), "command": start,
        }  # fmt: skip
        apart = ["--mount", "--propagation=private", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        user = [] if as_root else ["--user", "--map-root-user"]
        inside = [start[0], "-I", "-S", "-B", _CONFINE, json.dumps(plan)]
        ending = [_program("setpriv") or "", "--pdeathsig", "KILL"]  # with this process
        return [*ending, _program("unshare") or "", *user, *apart, "--", *inside]


@contextmanager
def open_sandbox(hidden: Sequence[Path], unsafe: bool = False) -> Iterator[Sandbox]:
    """Yield the sandbox to use; InputError where none works, unless `unsafe` allows to do without."""
    with tempfile.TemporaryDirectory(prefix="posekit-") as folder:
        reasons = []
        for kind in ("bubblewrap", "namespaces"):
            sandbox = Sandbox(kind, [path.resolve() for path in hidden], Path(folder))
            if (reason := _why_not(sandbox)) is None:
                break
            reasons.append(f"{kind}: {reason}")
        else:
            if not unsafe:
                remedy = "install bubblewrap, or allow user namespaces; or trust the code, with --unsafe"
                raise InputError(f"no sandbox for students' code ({'; '.join(reasons)}); {remedy}")
            sandbox = Sandbox("none")
        yield sandbox


def _why_not(sandbox: Sandbox) -> str | None:
    """Why a worker can't run in this sandbox; None if one has."""
    needed = ["bwrap"] if sandbox.kind == "bubblewrap" else ["unshare", "pivot_root", "setpriv"]
    if missing := [name for name in needed if not _program(name)]:
        return f"{missing[0]} is not installed"
    done = subprocess.run(sandbox.command(0), input=b"", capture_output=True, timeout=60, env=environment())
    if done.returncode == 0 and done.stdout.strip() == b'{"ready": true}':
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def environment() -> dict[str, str]:
    """The environment of a worker: nothing of the teacher's, and one thread for NumPy."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
    system = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows needs it
    return {"HOME": FOLDER, "TMPDIR": FOLDER, "LANG": "C.UTF-8", **threads, **system}


def _packages() -> list[Path]:
    """The folders that hold packages, NumPy's among them."""
    named = [Path(path).resolve() for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return list(dict.fromkeys([*named, Path(np.__file__).resolve().parents[1]]))


def _steps(hidden: Sequence[Path]) -> list[tuple[str, str]]:
    """What to show and what to hide, from the outside in, so that what is shown in a hidden folder stays."""
    base = Path(sys.base_prefix).resolve(), Path(os.path.realpath(sys.executable)).parents[1]
    shown = [*map(Path, _SYSTEM), *base, *_packages(), _PACKAGE, Path(_RUNNING)]
    found = {str(path): "bind" for path in shown if path.exists()}
    inside = [path for path in hidden if path.is_dir() and any(path.is_relative_to(each) for each in found)]
    found.update({str(path): "hide" for path in inside if str(path) not in found})
    return [(found[path], path) for path in sorted(found, key=lambda path: len(Path(path).parts))]


def _in_bubblewrap(steps: list[tuple[str, str]], start: list[str], as_root: bool) -> list[str]:
    apart = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    rights = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if as_root else []
    parents = sorted({str(parent) for _, path in steps for parent in Path(path).parents} - {"/"})
    mounts = [word for path in parents for word in ("--perms", "0755", "--dir", path)]  # for any user to enter
    for kind, path in steps:
        shown = ["--dev-bind" if path.startswith("/dev/") else "--ro-bind", path, path]
        mounts += shown if kind == "bind" else ["--tmpfs", path]
    mounts += [word for kind, path in steps if kind == "hide" for word in ("--remount-ro", path)]
    own = ["--perms", "1777", "--size", str(FOLDER_BYTES), "--tmpfs", FOLDER, "--remount-ro", "/", "--chdir", FOLDER]
    user = [] if as_root else ["--unshare-user"]
    return [
        _program("bwrap") or "",
        "--die-with-parent",
        "--new-session",
        *user,
        *apart,
        *rights,
        *mounts,
        *own,
        *start,
    ]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
