"""`posekit course collect`: many runs in one table and one picture, failed and unfinished ones too.

A run is a training's folder, a notebook that papermill executed, or a lesson of a course. A notebook NAME.ipynb and the
training in the folder NAME beside it, as scripts/slurm/array.sbatch makes them, are one run.
"""

import json
import math
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from posekit.course.cells import source_of
from posekit.course.results import read_results
from posekit.errors import InputError
from posekit.figures.results import run_bars
from posekit.files import atomic_path, read_text, reading

_OF_COURSES = {"done": "completed", "running": "unfinished", "waiting": "not started"}
_PATHS = ("run", "runs")  # a lesson's parameters that say where: the run's name says so already
_LONGEST = 2**30  # bytes of a notebook with its pictures
_SHOWN = 4  # results, at most, in the printed table; the file has all


@dataclass(frozen=True)
class Run:
    """One run; its status: completed, failed, interrupted, unfinished (killed or running), not started, unreadable."""

    name: str  # its path below the folder that was searched, without suffix
    status: str
    seconds: float = math.nan
    settings: dict[str, object] = field(default_factory=dict)
    results: Mapping[str, object] = field(default_factory=dict)
    error: str = ""


def collect(folder: Path, console: Console) -> pd.DataFrame:
    """Print a table of the runs below `folder`, and write it there as collected.csv and collected.png; returns it."""
    runs = gather(folder)
    frame = tabulate(runs)
    with atomic_path(folder / "collected.csv") as temporary:
        frame.to_csv(temporary, index=False)
    numbers = {name: pd.to_numeric(frame[name], errors="coerce") for name in [*_common_results(runs)[:2], "seconds"]}
    with atomic_path(folder / "collected.png") as temporary:
        run_bars(list(frame["run"]), list(frame["status"]), numbers).savefig(temporary)
    console.print(_printable(runs))
    counts = Counter(run.status for run in runs)
    console.print(", ".join(f"{count} {status}" for status, count in counts.most_common()), highlight=False)
    console.print(f"{folder}: collected.csv and collected.png", markup=False, soft_wrap=True, highlight=False)
    return frame


def gather(folder: Path) -> list[Run]:
    """Every run below `folder`, folder by folder: tasks as their file has them, others by name. InputError for none."""
    runs: dict[str, Run] = {}
    there = list(folder.rglob("*"))  # also links that lead nowhere, which rglob("recipe.json") leaves out
    sources = ("tasks.txt", _tasks), ("recipe.json", _training), ("*.ipynb", _notebook), ("manifest.json", _course)
    for pattern, read in sources:
        paths = sorted((path.relative_to(folder) for path in there if path.match(pattern)), key=_by_value)
        for path in (path for path in paths if not any(part.startswith(".") for part in path.parts)):
            for run in _readable(read, folder, path):
                runs[run.name] = _joined(runs[run.name], run) if run.name in runs else run
    if not runs:
        raise InputError(f"{folder}: no runs there; give a folder of trainings, executed notebooks or courses")
    return sorted(runs.values(), key=lambda run: _by_value(Path(run.name).parent))


def _by_value(path: Path) -> list[str]:
    """A key to sort by, with which seed-2 comes before seed-10."""
    return [part.zfill(12) if part.isdigit() else part for part in re.split(r"(\d+)", path.as_posix())]


def tabulate(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run: name, status and seconds, each setting, each result, the error."""
    return pd.DataFrame(
        [
            {"run": run.name, "status": run.status, "seconds": run.seconds, **run.settings, **run.results}
            | {"error": run.error}
            for run in runs
        ]
    )


def differing(runs: Sequence[Run]) -> list[str]:
    """The settings that tell these runs apart: the recipe, and what differs between runs of the same recipe."""
    values: dict[str, dict[object, set[str]]] = {"recipe": {None: {str(run.settings.get("recipe")) for run in runs}}}
    for run in runs:
        for name, value in run.settings.items():
            if name != "recipe":
                values.setdefault(name, {}).setdefault(run.settings.get("recipe"), set()).add(str(value))
    return [name for name, of_recipe in values.items() if max(map(len, of_recipe.values())) > 1]


# Reading


def _readable(read: Callable[[Path, Path], Iterator[Run]], folder: Path, path: Path) -> list[Run]:
    """What `read` finds in the file `path` below `folder`; a run that says so where it cannot be read."""
    try:
        return list(read(folder, path))
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        name = path.with_suffix("").as_posix() if path.suffix == ".ipynb" else _folder_name(folder, path)
        return [Run(name, "unreadable", error=f"{path.name}: {error!r}")]


def _folder_name(folder: Path, path: Path) -> str:
    """The name of the run in whose folder the file `path` below `folder` is."""
    return path.parent.as_posix() if path.parent.parts else Path(os.path.realpath(folder)).name


def _joined(before: Run, run: Run) -> Run:
    """One run from two sources; where both say something, the later one counts."""
    return replace(run, settings=before.settings | run.settings, results=run.results or before.results)


def _tasks(folder: Path, path: Path) -> Iterator[Run]:
    """The tasks of a job array: of one that has not begun, nothing else tells."""
    for line in read_text(folder / path).splitlines():
        for name in shlex.split(line, comments=True)[:1]:
            yield Run((path.parent / name).as_posix(), "not started")


def _training(folder: Path, path: Path) -> Iterator[Run]:
    """A training, completed where its manifest is written; before that, what its log holds."""
    recipe = _json(folder / path)
    settings = {"recipe": recipe.pop("name"), **recipe}
    name = _folder_name(folder, path)
    if (folder / path).with_name("manifest.json").is_file():
        manifest = _json((folder / path).with_name("manifest.json"))
        settings |= {"pretrained": manifest["pretrained"], **_origin(manifest)}
        yield Run(name, "completed", manifest["seconds"], settings, manifest["results"])
    else:
        log = (folder / path).with_name("log.csv")
        with reading(log):
            best = float(pd.read_csv(log)["valid_pck"].max()) if os.path.lexists(log) else math.nan
        so_far = {} if math.isnan(best) else {f"best PCK@{recipe['validation_threshold']:g}": best}
        yield Run(name, "unfinished", settings=settings, results=so_far)


def _notebook(folder: Path, path: Path) -> Iterator[Run]:
    """A notebook that papermill executed."""
    notebook = _json(folder / path)
    about = notebook["metadata"].get("papermill")
    if about is None:
        return
    status, error = _outcome(notebook["cells"], about)
    settings = {name: value for name, value in about["parameters"].items() if name not in _PATHS}
    results = _named(read_results(folder / path))
    seconds = about["duration"] if about["duration"] is not None else math.nan
    yield Run(path.with_suffix("").as_posix(), status, seconds, settings, results, error)


def _outcome(cells: list[dict], about: dict) -> tuple[str, str]:
    """Status and error. papermill notes no exception when the kernel dies: then a cell's execution has no reply."""
    for output in (output for cell in cells for output in cell.get("outputs", [])):
        if output["output_type"] == "error":
            return "failed", f"{output['ename']}: {output['evalue']}"
    if about["end_time"] is None:
        return "unfinished", ""
    code = [cell for cell in cells if cell["cell_type"] == "code" and source_of(cell).strip()]
    replies = ["shell.execute_reply" in cell["metadata"].get("execution", {}) for cell in code]
    if all(replies) and not about["exception"]:
        return "completed", ""
    return "failed", f"the kernel died in cell In [{replies.index(False) + 1}]" if False in replies else ""


def _course(folder: Path, path: Path) -> Iterator[Run]:
    """The lessons of a course, which its manifest lists; other manifests are trainings'."""
    manifest = _json(folder / path)
    for entry in manifest.get("lessons", []):
        status = str(entry["status"])
        yield Run(
            (path.parent / entry["name"]).as_posix(),
            _OF_COURSES.get(status, status),
            entry["seconds"] or math.nan,
            {k: v for k, v in entry["parameters"].items() if k not in _PATHS} | _origin(manifest),
            _named(entry.get("results", [])),
            (entry.get("error") or {}).get("message", ""),
        )


def _json(path: Path) -> dict:
    return json.loads(read_text(path, longest=_LONGEST))


def _origin(manifest: dict) -> dict[str, object]:
    """Where a run was made: the device, and the commit with a + where files differed from it."""
    commit = (manifest["git_commit"] or "")[:10] + ("+" if manifest["git_dirty"] else "")
    return {"device": manifest["device"].split(" (")[0], "commit": commit}


def _named(results: list[dict]) -> dict[str, object]:
    """Recorded results by name and unit."""
    return {f"{result['name']} ({result['unit']})".removesuffix(" ()"): result["value"] for result in results}


# Showing


def _common_results(runs: Sequence[Run]) -> list[str]:
    """Names of results, those that most runs have first."""
    return [name for name, _ in Counter(name for run in runs for name in run.results).most_common()]


def _printable(runs: Sequence[Run]) -> Table:
    settings, results = differing(runs), _common_results(runs)[:_SHOWN]
    table = Table("run", "status", "seconds", *settings, *results, "error")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for run in runs:
        style = {"completed": "green", "failed": "red", "unreadable": "red"}.get(run.status, "yellow")
        cells = [_shown(value) for value in (run.seconds, *map(run.settings.get, settings))]
        cells += [_shown(run.results.get(name)) for name in results]
        table.add_row(Text(run.name), Text(run.status, style), *map(Text, cells), Text(run.error.split("\n")[0][:80]))
    return table


def _shown(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
