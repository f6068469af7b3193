"""Open JupyterLab on the learner's copies of the lessons."""

import os
import runpy
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from posekit.course.copies import copy_lessons, work_folder
from posekit.course.lessons import kernel_environment, list_lessons
from posekit.errors import InputError
from posekit.files import home

_CONFIG = Path(__file__).parent  # with labconfig/: JupyterLab neither asks about news nor looks for updates


def open_lab(arguments: Sequence[str] = ()) -> None:
    """Be this environment's JupyterLab until it ends, in this process, so that what stops the one stops the other.

    It opens the first lesson in work/, where the lessons are copied on the first start, so that git sees no change.
    `arguments` are passed to `jupyter lab` unchanged. In the language of `language()`, as is what the checks print.
    """
    if find_spec("jupyterlab") is None:
        raise InputError("jupyterlab is not installed here; run pip install -e . in the repository")
    for note in copy_lessons():
        print(note)
    first = (work_folder() / list_lessons()[0].path.name).relative_to(home()).as_posix()
    print(f"JupyterLab opens {first}; run a lesson with Run → Run All Cells. End it with Ctrl-C here.", flush=True)
    config = os.pathsep.join(filter(None, [str(_CONFIG), os.environ.get("JUPYTER_CONFIG_PATH")]))
    os.environ |= {**kernel_environment(), "JUPYTER_CONFIG_PATH": config}
    os.chdir(home())
    sys.argv = ["jupyterlab", f"--LabApp.default_url=/lab/tree/{first}", *arguments]
    runpy.run_module("jupyterlab", run_name="__main__", alter_sys=True)
