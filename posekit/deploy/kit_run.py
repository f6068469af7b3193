"""Run a kit on this computer as on a board: in another Python where one has what infer.py needs, without posekit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from posekit.errors import InputError
from posekit.files import ROOT

PYTHONS = "POSEKIT_KIT_PYTHONS"  # names Pythons with what infer.py needs: paths, as in $PATH
_NEEDS = """
import importlib, platform, sys
import numpy, PIL
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    print(f"Python {platform.python_version()} with NumPy {numpy.__version__}, Pillow {PIL.__version__} and {name}")
    break
"""
_WITHOUT_POSEKIT = (
    "import runpy, sys; sys.modules['posekit'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0], None, '__main__')"
)


def find_python(kit: Path) -> tuple[Path, str]:
    """A Python that can run a kit, and what it is: one of $POSEKIT_KIT_PYTHONS, the path or .lite/, else this one."""
    for python in _others():
        if about := _about(python, kit):
            return python, f"another Python: {about}"
    about = _about(Path(sys.executable), kit)
    return Path(sys.executable), f"this Python, since no other here has what infer.py needs: {about}"


def run_infer(python: Path, kit: Path, *arguments: str) -> list[str]:
    """Run a kit's infer.py in this Python; returns the lines that it prints. InputError with its message if it fails.

    The process sees neither this one's modules nor posekit.
    """
    command = [python, "-I", "-c", _WITHOUT_POSEKIT, kit / "infer.py", *arguments]
    done = subprocess.run(command, cwd=kit, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise InputError(done.stderr.strip() or f"{kit / 'infer.py'}: ended with exit code {done.returncode}")
    return done.stdout.splitlines()


def _others() -> Iterator[Path]:
    """Pythons 3.7 to 3.13 that may be here, without this one."""
    names = (f"python3.{minor}" for minor in range(13, 6, -1))
    named = os.environ.get(PYTHONS, "").split(os.pathsep)
    found = (*named, *map(shutil.which, (*names, "python3")), "/usr/bin/python3", str(ROOT / ".lite/bin/python"))
    mine = os.path.dirname(os.path.abspath(sys.executable))  # links aren't followed: they tell environments apart
    for path in dict.fromkeys(os.path.abspath(path) for path in found if path):
        if os.path.dirname(path) != mine and os.path.isfile(path):
            yield Path(path)


def _about(python: Path, kit: Path) -> str:
    """What a Python has of what the kit needs, in words; nothing if it lacks a part."""
    modules = ["onnxruntime", *["mindspore_lite"] * (kit / "model-cpu.mindir").is_file()]
    try:
        done = subprocess.run([python, "-I", "-c", _NEEDS, *modules], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
