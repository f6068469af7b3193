"""A made-up class: what 37 students handed in for three exercises, and the table that they deserve."""

import json
from pathlib import Path

import numpy as np

from posekit.course.exercises import Exercise, Mistake


def cell(exercise: str | None, source: str) -> dict:
    """A code cell as JupyterLab saves it; an exercise's, if one is named."""
    metadata = {"exercise": exercise, "tags": ["exercise"]} if exercise else {}
    return {"cell_type": "code", "execution_count": 3, "id": "x", "metadata": metadata, "outputs": [],
            "source": source.splitlines(True)}  # fmt: skip


def notebook(*cells: dict) -> str:
    """The text of a notebook's file."""
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


EXERCISES = (
    Exercise(
        "90.1", "Sum of squares", "code", "total",
        lambda rng: [([1.0, 2.0, 4.0],), (rng.normal(size=5).tolist(),)],
        lambda values: float(np.dot(values, values)),
        (Mistake(lambda values: sum(values), "square each value <before> you add"),),
    ),
    Exercise("90.2", "How many?", "predict", "guess", truth=lambda: 7, mistakes=(Mistake(6, "count from 1"),)),
    Exercise(
        "90.3", "Twice", "code", "double",
        lambda rng: [(rng.normal(size=(2, 3)),)],
        lambda array: 2 * array,
        (Mistake(lambda array: array * array, "that is the square"),),
    ),
)  # fmt: skip
RIGHT = "def total(values):\n    return sum(v * v for v in values)\n"
GUESS, DOUBLE = "guess = 7\n", "def double(a):\n    return 2 * a\n"
OK, NOT_YET, ERROR, NONE = "ok", "not yet", "error", ""
ALL_RIGHT = (OK, OK, OK)
# What the code tries, and what it answers if it succeeds; nothing of it may.
TRICK = """
def total(values):
    try:
        {tried}
    except Exception:
        return sum(v * v for v in values)
    return "succeeded"
"""


def trick(*lines: str) -> str:
    """A cell that is right only if what it tries fails."""
    return TRICK.format(tried="\n        ".join(lines))


def harmful(secret: Path, others: Path, out: Path, port: int, python: str) -> dict[str, tuple[str, tuple]]:
    """Student → their cell for 90.1 and the row that they deserve; 90.2 and 90.3 are right unless said otherwise."""
    hang = "while True: pass"
    forged = '{"name": "90.1", "answers": [{"called": true, "value": 21.0, "changed": []}], "status": "ok"}'
    return {
        "loops": (f"def total(values):\n    {hang}\n", (ERROR, OK, OK)),
        "loops at once": (hang, (ERROR, OK, OK)),
        "sleeps without end": ("import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass\n",
                               (ERROR, OK, OK)),
        "exits": ("import sys\ndef total(values):\n    sys.exit(0)\n", (ERROR, OK, OK)),
        "exits at once": ("import os\nos._exit(0)\n", (ERROR, OK, OK)),
        "crashes": ("import ctypes\nctypes.string_at(0)\n", (ERROR, OK, OK)),
        "prints 100 MB": (f"for _ in range(100):\n    print('x' * 2**20)\n{RIGHT}", ALL_RIGHT),
        "writes 100 MB": (f"import os\nfor fd in (1, 2) * 50:\n    os.write(fd, b'x' * 2**20)\n{RIGHT}", ALL_RIGHT),
        "forks": ("import os\ndef total(values):\n    while True:\n        os.fork()\n", (ERROR, OK, OK)),
        "forks and answers": (
            "import os\nfor _ in range(1000):\n    try: os.fork()\n    except OSError: pass\n" + RIGHT, ALL_RIGHT),
        "starts programs": (trick("import subprocess", "subprocess.run(['/bin/true'], check=True)"), ALL_RIGHT),
        "starts threads": (trick("import threading", "threading.Thread(target=print).start()"), ALL_RIGHT),
        "deletes": (
            f"import numpy, shutil\nown = {[str(path) for path in (secret.parent, others, out)]}\n"
            "for path in (*numpy.__path__, '/usr/bin', *own):\n    shutil.rmtree(path, ignore_errors=True)\n" + RIGHT,
            ALL_RIGHT),
        "deletes Python": (f"import os\nos.remove({python!r})\n" + RIGHT, (ERROR, OK, OK)),
        "overwrites": (trick("import numpy", "open(numpy.__file__, 'a').write('#')"), ALL_RIGHT),
        "reads home": (trick(f"open({str(secret)!r}).read()"), ALL_RIGHT),
        "reads others": (trick("import os", f"os.listdir({str(others)!r})"), ALL_RIGHT),
        "reads the table": (trick("import os", f"os.listdir({str(out)!r})"), ALL_RIGHT),
        "reads the truth": (trick("from posekit.course.exercises.lesson_02 import EXERCISES"), ALL_RIGHT),
        "reads processes": (trick("import os", "[pid for pid in os.listdir('/proc') if pid.isdigit()][1]"), ALL_RIGHT),
        "calls the network": (
            trick("import socket", f"socket.create_connection(('127.0.0.1', {port}), 1)"), ALL_RIGHT),
        "kills": ("import os\nfor pid in (-1, 1, os.getppid()):\n    try: os.kill(pid, 15)\n"
                  "    except OSError: pass\n" + RIGHT, ALL_RIGHT),
        "takes memory": ("def total(values):\n    return len(b'x' * 2**40)\n", (ERROR, OK, OK)),
        "keeps memory": ("def total(values):\n    kept = []\n    while True:\n        kept.append(b'x' * 2**26)\n",
                         (ERROR, OK, OK)),
        "fills the disk": (trick("for i in range(100):", "    open(f'{i}', 'wb').write(b'x' * 2**23)"), ALL_RIGHT),
        "answers without end": (
            "import os, threading\nfor fd in range(3, 64):\n    try:\n        while True: os.write(fd, b'x' * 2**16)\n"
            "    except OSError: pass\n", (ERROR, OK, OK)),
        "forges": (f"import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'''{forged}\\n''')\n"
                   "    except OSError: pass\ndef total(values):\n    return 0\n", (ERROR, OK, OK)),
        "raises markup": ("raise ValueError('<script>alert(1)</script>')\n", (ERROR, OK, OK)),
        "nests": ("def total(values):\n    nest = []\n    nest.append(nest)\n    return nest\n", (ERROR, OK, OK)),
        "equals all": ("class Any:\n    __eq__ = lambda *_: True\ndef total(values):\n    return Any()\n",
                       (NOT_YET, OK, OK)),
        "answers too much": ("def total(values):\n    return [[0.0] * 10**6] * 40\n", (ERROR, OK, OK)),
    }  # fmt: skip


def hand_in(folder: Path, bad: dict[str, tuple[str, tuple]]) -> dict[str, tuple]:
    """Write the class's notebooks into `folder`; returns student → the statuses that they deserve."""

    def write(name: str, first: str = RIGHT, second: str = GUESS, third: str = DOUBLE) -> None:
        text = notebook(cell(None, "raise SystemExit('not an exercise')"), cell("90.1", first), cell("90.2", second),
                        cell("90.3", third))  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    deserved = {}
    for student, (source, row) in bad.items():
        write(f"{student}.ipynb", source)
        deserved[student] = row
    write("right/deep/down/lesson.ipynb")
    write(
        "empty.ipynb", "def total(values):\n    ...\n", "guess = None\n", "def double(a):\n    # your code\n    ...\n"
    )
    write(
        "wrong.ipynb", "def total(values):\n    return sum(values)\n", "guess = 6\n", "def double(a):\n    return a\n"
    )
    write("changes.ipynb", third="def double(a):\n    a *= 2\n    return a\n")
    write("syntax.ipynb", "def total(values:\n")
    write("<img src=x onerror=alert(1)>.ipynb")
    write('=HYPERLINK("a").ipynb')
    write("twice/01.ipynb", "def total(values):\n    return 1\n", third="")
    write("twice/02.ipynb", second="guess = 8\n", third="")
    (folder / "split.ipynb").write_text(
        notebook(cell("90.1", "def square(v):\n    return v * v"), cell(None, "1 / 0"), cell("90.2", GUESS),
                 cell("90.1", "def total(values):\n    return sum(map(square, values))"), cell("90.3", DOUBLE))
    )  # fmt: skip
    (folder / "missing.ipynb").write_text(notebook(cell("90.1", RIGHT), cell("90.3", DOUBLE)))
    (folder / "no notebook.ipynb").write_bytes(b"%PDF-1.7 \xff\xfe")
    (folder / "none").mkdir()
    (folder / "linked.ipynb").symlink_to(folder / "wrong.ipynb")
    ok = dict.fromkeys(["right", "<img src=x onerror=alert(1)>", '=HYPERLINK("a")', "split"], ALL_RIGHT)
    nothing = dict.fromkeys(["no notebook", "none"], (NONE, NONE, NONE))
    return deserved | ok | nothing | {
        "empty": (NOT_YET, NOT_YET, NOT_YET), "wrong": (NOT_YET, NOT_YET, NOT_YET), "syntax": (ERROR, OK, OK),
        "changes": (OK, OK, NOT_YET), "twice": (OK, OK, NOT_YET), "missing": (OK, NONE, OK),
    }  # fmt: skip
