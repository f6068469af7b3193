"""How long lessons and their cells take, measured in courses: for a course's bars and for the lessons' heads."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from posekit.course.cells import notebook_text, source_of
from posekit.course.lessons import list_lessons
from posekit.course.results import read_cells, read_course
from posekit.course.watching import SLOW
from posekit.errors import InputError
from posekit.files import ROOT, read_json, write_json, write_text

FILE = Path(__file__).with_name("times.json")  # scale -> step -> cell id -> seconds
STILL = 10  # seconds without visible progress that are too long
_ROW = re.compile(r"^(\| \*\*Time\*\* \| )(.*)( \|)$", re.MULTILINE)
_DURATION = r"[^;,·|:`]*?"  # in words, as `spoken` says it


def measured(scale: str) -> dict[str, dict[str, float]]:
    """Seconds of the slow cells by step and cell id, as measured before; empty for a scale without measurement."""
    return read_json(FILE, "restore it with git checkout").get(scale, {}) if FILE.is_file() else {}


def cell_seconds(notebook: Path) -> dict[str, float]:
    """Seconds of each code cell of an executed notebook by its id; "start" is what passed before the first cell."""
    times = {}
    for cell in read_cells(notebook):
        seconds = cell["metadata"].get("papermill", {}).get("duration")
        if cell["cell_type"] == "code" and seconds is not None:
            times[cell.get("id", "")] = float(seconds)
    return times


def _times(run: Path, entry: Mapping) -> dict[str, float]:
    """The seconds of a step's cells, without the start; empty where its notebook is gone."""
    path = run / f"{entry['name']}.ipynb"
    return cell_seconds(path) if path.is_file() else {}


def print_times(run: Path, console: Console) -> int:
    """Print a row per lesson; return 1 if a bar stood still for too long, else 0. InputError if no lesson has run."""
    table = Table("lesson", "seconds", "cores", "slowest cells: In [n] seconds", "stood still")
    table.columns[0].no_wrap = table.columns[3].no_wrap = True
    code, entries = 0, read_course(run)["lessons"]
    if not any("still" in entry for entry in entries):
        raise InputError(f"{run}: no lesson has run; continue the course with posekit course run --resume")
    for entry in entries:
        times = list(_times(run, entry).values())
        slow = sorted(enumerate(times, 1), key=lambda item: -item[1])[:3]
        words = ", ".join(f"[{number}] {seconds:.0f}" for number, seconds in slow if seconds >= SLOW)
        still = entry.get("still", {"seconds": 0.0, "cell": 0})
        code |= still["seconds"] > STILL
        where = f"{still['seconds']:.0f} s at In [{still['cell']}]" if "still" in entry else "not measured"
        table.add_row(entry["name"], f"{entry.get('seconds', 0):.0f}", str(entry.get("cores", "")), words, where)
    console.print(table, markup=False)
    worst = max((entry.get("still", {}).get("seconds", 0.0) for entry in entries), default=0.0)
    verdict = "[fail] more than" if code else "[ok] not more than"
    console.print(f"{verdict} {STILL} s without visible progress: at most {worst:.1f} s", markup=False)
    return int(code)


def update_times(run: Path, console: Console, root: Path = ROOT, file: Path = FILE) -> None:
    """Write the measured times into the heads of the lessons below `root` and into `file`, for this course's scale."""
    manifest = read_course(run)
    scale, done = manifest["scale"], [entry for entry in manifest["lessons"] if entry["status"] == "done"]
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    steps = known.setdefault(scale, {})
    for entry in done:
        steps[entry["name"]] = {key: round(s) for key, s in _times(run, entry).items() if s >= SLOW}
    write_json(file, known)
    for lesson in list_lessons(root):
        stem = lesson.path.stem
        seconds = [e["seconds"] for e in done if e["name"] == stem or e["name"].startswith(f"{stem}-")]
        if seconds and write_head(lesson.path, f"{spoken(min(seconds), max(seconds))} at `{scale}`"):
            console.print(f"{stem}: {spoken(min(seconds), max(seconds))}", markup=False)


def write_head(path: Path, time: str) -> bool:
    """Put a time, such as "2 minutes at `quick`", into the Time row of a lesson; return whether it changed."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = source_of(cell)
        if cell["cell_type"] == "markdown" and (row := _ROW.search(source)):
            changed = source[: row.start(2)] + with_time(row[2], time) + source[row.end(2) :]
            if changed == source:
                return False
            cell["source"] = changed.splitlines(keepends=True)
            write_text(path, notebook_text(notebook))
            return True
    return False


def with_time(row: str, time: str) -> str:
    """The words of a Time row with this time in place of the one that it has for the same scale, or before all."""
    scale = time.rpartition(" at ")[2]
    for pattern in (rf"{_DURATION} at {scale}", rf"{scale}: {_DURATION}(?=[;,·]|$)"):
        if found := re.search(pattern, row):
            blank = re.match(r"\s*", found[0])
            assert blank is not None
            return f"{row[: found.start()]}{blank[0]}{time}{row[found.end() :]}"
    return f"{time}; {row}"


def spoken(low: float, high: float) -> str:
    """A range of seconds in words: 40 seconds, 1 to 2 minutes."""
    first, last = _rounded(low), _rounded(high)
    if first == last:
        return f"{first[0]:g} {first[1] if first != (1, 'minutes') else 'minute'}"
    if first[1] == last[1]:
        return f"{first[0]:g} to {last[0]:g} {first[1]}"
    return f"{first[0]:g} {first[1]} to {last[0]:g} {last[1] if last[0] != 1 else 'minute'}"


def _rounded(seconds: float) -> tuple[float, str]:
    """To 10 seconds up to a minute, to half minutes up to 5, then to minutes; never less."""
    if seconds <= 50:
        return max(10, -(-seconds // 10) * 10), "seconds"
    step = 30 if seconds < 300 else 60
    return -(-seconds // step) * step / 60, "minutes"
