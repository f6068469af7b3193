"""Open JupyterLab on the lessons."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from posekit.course.lessons import kernel_environment, list_lessons
from posekit.errors import InputError
from posekit.files import ROOT


def open_lab(arguments: Sequence[str] = ()) -> int:
    """Run this environment's JupyterLab on the repository until it ends; return its exit code.

    JupyterLab opens the first lesson. `arguments` are passed to `jupyter lab` unchanged.
    """
    if find_spec("jupyterlab") is None:
        raise InputError("jupyterlab is not installed here; run pip install -e . in the repository")
    first = list_lessons()[0].path.relative_to(ROOT).as_posix()
    print(f"JupyterLab opens {first}; run a lesson with Run → Run All Cells. End it with Ctrl-C here.", flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--LabApp.default_url=/lab/tree/{first}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=kernel_environment()) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:  # JupyterLab gets it, too, and asks for confirmation
                continue
