"""Running the lessons headless, as a course.

papermill executes each lesson in a kernel of its own (see execution); one folder under runs/ holds the executed
notebooks, the logs, a manifest and the report. `run(resume=...)` continues a course that was stopped.
"""

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from posekit.course.execution import execute
from posekit.course.lessons import USUAL, Step, chosen_recipes, list_lessons, plan
from posekit.course.results import read_course, resolve, result_text
from posekit.course.times import measured
from posekit.course.translation import known_language, language
from posekit.errors import InputError
from posekit.files import ROOT, expanded, home, read_json, write_json
from posekit.locks import one_writer
from posekit.manifest import data_hash, describe


def print_lessons(root: Path = ROOT) -> None:
    """Print the lessons with their titles and parameters."""
    table = Table("lesson", "title", "parameters")
    for lesson in list_lessons(root):
        table.add_row(lesson.path.stem, Text(lesson.title), ", ".join(lesson.parameters))
    Console().print(table)


def run(
    scale: str | None = None,
    only: Sequence[str] = (),
    resume: str | Path | None = None,
    parameters: Sequence[str] = (),
    jobs: int | None = None,
    root: Path = ROOT,
    lang: str | None = None,
) -> int:
    """Run the lessons (`only` those numbers) at a scale, quick by default, with `name=value` parameters.

    jobs: how many at once, each on its share of the cores; by default two on a CPU, one on another device.
    lang: the lessons' language, en or zh; that of `language()` by default.
    `resume` names the folder of a stopped run; its scale, lessons, parameters and language stay. Returns the exit code:
    0, 1 when a lesson failed, 130 after Ctrl-C. InputError, before anything runs, for anything unknown.
    """
    if resume is None:
        lang = known_language(lang or language())
        folder, manifest, steps = _new(root, scale or USUAL, only, _pairs(parameters), lang)
    else:
        folder, manifest, steps = _stopped(root, expanded(resume), scale, only, parameters, lang)
    console = Console()
    jobs = jobs or _jobs(manifest["parameters"].get("device", "auto"))
    with one_writer(folder):
        code = _run_steps(console, folder, manifest, steps, root, jobs)
        _finish(console, folder, manifest)
    return code


def _pairs(parameters: Sequence[str]) -> dict[str, str]:
    for text in parameters:
        if "=" not in text:
            raise InputError(f"parameter {text!r}: write name=value, for example device=cpu")
    return dict(text.split("=", 1) for text in parameters)


def _new(
    root: Path, scale: str, only: Sequence[str], pairs: dict[str, str], lang: str = "en"
) -> tuple[Path, dict, list[Step]]:
    folder = home(root) / "runs" / f"{datetime.now():%Y%m%d-%H%M%S}-{scale}"
    steps = plan(scale, only, pairs, root, folder)
    manifest = {
        "scale": scale,
        "only": list(only),
        "parameters": pairs,
        "language": lang,
        "started": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "device": pairs.get("device", "auto"),
        "photographs": bool(os.environ.get("POSEKIT_PHOTOS")),  # lessons show some of them
        **describe(root),
        "data": _data(scale, pairs, steps),
        "seconds": 0.0,
        "lessons": [{"name": s.name, "parameters": s.parameters, "status": "waiting", "seconds": 0.0} for s in steps],
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:  # of a course that began in the same second
        time.sleep(1)
        return _new(root, scale, only, pairs, lang)
    write_json(folder / "manifest.json", manifest)
    return folder, manifest, steps


def _data(scale: str, pairs: dict[str, str], steps: list[Step]) -> dict[str, str]:
    """Folder → hash of the data that the lessons read; the embedded data is made here where it is missing."""
    if not any("data" in step.lesson.parameters for step in steps):
        return {}
    if folder := resolve(pairs.get("data", "")):
        if not folder.is_dir():
            raise InputError(f"data={pairs['data']}: no such folder; check the path")
        return {pairs["data"]: data_hash(folder)}
    from posekit.layouts import embedded_data
    from posekit.recipes import get_recipe

    every = any(sum(name.endswith("data") for name in step.lesson.parameters) > 1 for step in steps)
    used = {step.parameters.get("recipe") for step in steps if "data" in step.lesson.parameters}
    recipes = [name for name in chosen_recipes(scale, pairs) if every or name in used]
    folders = [Path(embedded_data(get_recipe(name))) for name in recipes]
    return {folder.name: data_hash(folder) for folder in folders}


def _stopped(
    root: Path, resume: Path, scale: str | None, only: Sequence[str], parameters: Sequence[str], lang: str | None
) -> tuple[Path, dict, list[Step]]:
    folder = next((path.resolve() for path in (resume, home(root) / resume) if path.is_dir()), resume)
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{resume}: no course to resume there; give the folder of a course, runs/TIME-SCALE")
    manifest = read_course(folder, "only", "parameters")
    request = manifest["scale"], manifest["only"], manifest["parameters"]
    ours = scale in (None, manifest["scale"]) and lang in (None, manifest.get("language", "en"))
    if only or parameters or not ours:
        said = "--resume continues that run with its own scale, lessons, parameters and language"
        raise InputError(f"{said}; leave the others out")
    steps = plan(*request, root, folder)
    if [step.name for step in steps] != [lesson["name"] for lesson in manifest["lessons"]]:
        raise InputError(f"{resume}: the lessons are no longer the same; start a new run")
    for entry in manifest["lessons"]:
        if entry["status"] != "done":
            entry.update(status="waiting", error=None)
    return folder, manifest, steps


# Running


def _run_steps(console: Console, folder: Path, manifest: dict, steps: list[Step], root: Path, jobs: int) -> int:
    """Run what is not done yet, noting each outcome in the manifest; returns the exit code."""
    entries = manifest["lessons"]

    def noted(entry: dict) -> None:
        manifest["device"] = _device_used(folder) or manifest["device"]
        write_json(folder / "manifest.json", manifest)
        said = {"running": ": started", "done": f": done in {entry['seconds']:.0f} s"}.get(entry["status"])
        if said is None:
            _print_failure(console, folder, entry)
        else:
            place = f"[{entries.index(entry) + 1}/{len(entries)}]"
            console.print(f"{place} {entry['name']}{said}", markup=False, highlight=False)

    start = time.monotonic()
    known, lang = measured(manifest["scale"]), manifest.get("language", "en")
    execute(steps, entries, folder, root, jobs, noted, console, known, lang)
    manifest["seconds"] = round(manifest.get("seconds", 0.0) + time.monotonic() - start, 1)
    write_json(folder / "manifest.json", manifest)
    outcomes = {entry["status"] for entry in entries}
    return 130 if "interrupted" in outcomes else int(outcomes != {"done"})


def _jobs(device: str) -> int:
    """How many lessons run at once: two where a CPU is all they use and its cores can be shared out, else one."""
    tools = shutil.which("nvidia-smi") or shutil.which("npu-smi")
    on_cpu = device == "cpu" or (device == "auto" and not tools)
    return 2 if on_cpu and hasattr(os, "sched_setaffinity") else 1


def _device_used(folder: Path) -> str | None:
    """The device that the trainings in this course's folder say they ran on; what was asked for may be "auto"."""
    manifests = [read_json(path, "remove it") for path in sorted(folder.glob("*/manifest.json"))]
    return next((manifest["device"] for manifest in manifests if "device" in manifest), None)


def _print_failure(console: Console, folder: Path, entry: dict) -> None:
    """The failure in one block: lesson, cell, error, where to look and how to continue."""
    error = entry["error"]
    source = [f"    {line}" for line in error["source"].strip().splitlines()[:8]]
    lines = [f"in cell In [{error['cell']}]:", *source, ""] if source else []
    lines += [error["message"], ""]
    lines += [f"what it has written: {_shown(folder / entry['name'])}.ipynb (and .log)"]
    lines += [f"to continue from here: posekit course run --resume {shlex.quote(_shown(folder))}"]
    console.print(Panel(Text("\n".join(lines)), title=f"lesson {entry['name']} {entry['status']}", title_align="left"))


def _shown(path: Path) -> str:
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


def _finish(console: Console, folder: Path, manifest: dict) -> None:
    """Write the report; print the table of lessons, the results and where the report is."""
    from posekit.course.report import write_report

    report = write_report(folder)
    table = Table("lesson", "status", "seconds")
    table.columns[2].justify = "right"
    for entry in manifest["lessons"]:
        table.add_row(entry["name"], entry["status"], f"{entry['seconds']:.0f}")
    console.print(table)
    for entry in manifest["lessons"]:
        for result in entry.get("results", []):
            console.print(f"{entry['name']}: {result_text(result)}", markup=False)
    console.print(f"report: {_shown(report)}", markup=False, soft_wrap=True)
