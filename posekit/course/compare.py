"""`posekit course compare`: does one headless run of the course reproduce another?

Of the lessons that both ran it compares the parameters, the data's hashes, the results, the trainings' curves and the
pictures' pixels. What they ran on decides how closely: on CPUs of the same name and number of cores everything must be
equal to the last digit, else it must be within `nearness.OTHER`. Times and speeds aren't compared.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from posekit.course.cells import has_tag
from posekit.course.nearness import OTHER, SAME, STAMP, Tolerance, first_difference, near, outcome, share_off
from posekit.errors import InputError, in_words, shortened
from posekit.files import expanded, home, read_json

_REMEDY = "give the whole folder of a headless course, runs/TIME-SCALE"
_LONGEST = 2**30  # bytes of a notebook with its pictures
_ELSEWHERE = re.compile(r"(.*_)?(data|folder|run|runs|model|pictures|labels|device)")  # what machines call otherwise
_SETUP = ("device", "processor", "cpu_count", "platform", "git_commit", "git_dirty")
_MEASURED = "measured"  # tag of cells whose pictures show times
_TIMES = re.compile(r"(s|ms|images/s|times as fast)\b")  # units
_PICTURES = ("image/png", "image/jpeg")
_CURVES = ["step", "learning_rate", "loss", "valid_pck"]  # columns of a training's log that aren't times
_KINDS = ("parameters", "data", "lesson", "results", "curves", "pictures")


@dataclass(frozen=True)
class Finding:
    """One thing that was compared."""

    where: str  # the lesson, or the training's folder; empty for the whole run
    kind: str  # set-up, or one of _KINDS
    what: str
    pair: Sequence[object]  # in the run that was named first, and in the other
    alike: bool
    decides: bool = True  # whether the runs don't reproduce each other unless it is alike


def compare_runs(one: Path, other: Path, points: float | None = None, relative: float | None = None) -> list[Finding]:
    """Compare the folders of two courses. `points`, `relative`: tolerances in place of those of the device.

    InputError if one isn't the folder of a course, or if they have no lesson in common.
    """
    given = {name: value for name, value in (("points", points), ("relative", relative)) if value is not None}
    try:
        return list(_compare(_folder(one), _folder(other), given))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, cv2.error) as error:
        raise InputError(f"{one}, {other}: damaged, or not of a course ({in_words(error)}); {_REMEDY}") from error


def print_comparison(findings: list[Finding], console: Console) -> bool:
    """Print what was compared and what differs; returns whether the runs reproduce each other."""
    counted = Table("compared", "equal or near", "different")
    for kind in _KINDS:
        some = [finding for finding in findings if finding.kind == kind]
        counted.add_row(kind, str(sum(f.alike for f in some)), str(sum(not f.alike for f in some)))
    console.print(counted)
    reasons = [finding for finding in findings if not finding.alike and finding.decides]
    notes = [finding for finding in findings if not finding.alike and not finding.decides]
    for title, some in (("differs, but doesn't decide", notes), ("differs", reasons)):
        if some:
            table = Table("where", "what", "first run", "second run", title=title, title_justify="left")
            for f in some:
                table.add_row(Text(f.where or "course"), Text(f.what), *(Text(_shown(value)) for value in f.pair))
            console.print(table)
    count = f"{len(reasons)} difference{'s' * (len(reasons) > 1)}"
    console.print(f"not reproduced: {count}" if reasons else "reproduced", highlight=False)
    return not reasons


def _shown(value: object) -> str:
    return shortened("" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value))


# Comparing


def _folder(path: Path) -> Path:
    found = next((place for place in (expanded(path), home() / path) if (place / "manifest.json").is_file()), None)
    if found is None:
        raise InputError(f"{path}: no course there; {_REMEDY}")
    return found


def _compare(one: Path, other: Path, given: Mapping[str, float]) -> Iterator[Finding]:
    a, b = (read_json(folder / "manifest.json", _REMEDY) for folder in (one, other))
    lessons, others = ({lesson["name"]: lesson for lesson in run["lessons"]} for run in (a, b))
    common, alone = [name for name in lessons if name in others], sorted(lessons.keys() ^ others.keys())
    if not common:
        raise InputError(f"{one}, {other}: no lesson in common; compare runs of one scale, or of the same recipe")
    yield from _setups(a, b)
    yield from (_in_one(name, "lesson", lessons, others, decides=False) for name in alone)
    for name in common:
        pair = lessons[name], others[name]
        states, cores = ([lesson.get(key) for lesson in pair] for key in ("status", "cores"))
        yield Finding(name, "lesson", "status", states, states == ["done", "done"])
        yield from _parameters(name, *(lesson["parameters"] for lesson in pair))
        allowed = _tolerance(a, b, cores[0] == cores[1], given)
        results = [_named(lesson.get("results", [])) for lesson in pair]
        yield from _results(name, results[0], results[1], allowed)
        yield from _pictures(name, one, other, allowed)
    first, second = (_trainings(folder) for folder in (one, other))
    for name in dict.fromkeys([*first, *second]):
        if name in first and name in second:
            yield from _training(name, first[name], second[name], _tolerance(a, b, True, given))
        else:
            yield _in_one(name, "curves", first, second, decides=not alone)


def _tolerance(one: dict, other: dict, same_cores: bool, given: Mapping[str, float]) -> Tolerance:
    """Of results: exact on equal CPUs; an accelerator adds up in no fixed order."""
    kinds = {run["device"].lower().split(" ")[0].split(":")[0] for run in (one, other)}
    exact = same_cores and kinds in ({"cpu"}, {"auto"}) and one.get("processor") == other.get("processor")
    return SAME if exact and not given else OTHER._replace(**given)


def _in_one(where: str, kind: str, first: Mapping, second: Mapping, decides: bool) -> Finding:
    pair = ["there" if where in some else "missing" for some in (first, second)]
    return Finding(where, kind, "", pair, False, decides)


def _setups(one: dict, other: dict) -> Iterator[Finding]:
    """Scale, parameters and data, which decide; versions, machine and commit, which don't."""
    scales = one["scale"], other["scale"]
    yield Finding("", "parameters", "scale", scales, scales[0] == scales[1])
    yield from _parameters("", one["parameters"], other["parameters"])
    data = [", ".join(f"{name} {value[:8]}" for name, value in run["data"].items()) for run in (one, other)]
    yield Finding("", "data", "hashes", data, sorted(one["data"].values()) == sorted(other["data"].values()))
    about = [{name: run.get(name) for name in _SETUP} | run["versions"] for run in (one, other)]
    for name in dict.fromkeys([*about[0], *about[1]]):
        values = [some.get(name) for some in about]
        yield Finding("", "set-up", name, values, values[0] == values[1], decides=False)


def _parameters(where: str, one: dict, other: dict) -> Iterator[Finding]:
    for name in dict.fromkeys([*one, *other]):
        values = one.get(name), other.get(name)
        if not _ELSEWHERE.fullmatch(name):
            yield Finding(where, "parameters", name, values, values[0] == values[1])


def _named(results: list[dict]) -> dict[tuple[str, int], dict]:
    """Results by name, and how often it came before; without times and speeds."""
    seen: Counter[str] = Counter()
    found = {}
    for result in results:
        if not _TIMES.match(result["unit"]):
            found[result["name"], seen[result["name"]]] = result
        seen[result["name"]] += 1
    return found


def _results(where: str, one: dict, other: dict, allowed: Tolerance) -> Iterator[Finding]:
    missing = {"value": None, "unit": ""}
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key, missing), other.get(key, missing)
        values = a["value"], b["value"]
        yield Finding(where, "results", key[0], values, near(*values, a["unit"], allowed))


def _pictures(where: str, one: Path, other: Path, allowed: Tolerance) -> Iterator[Finding]:
    """The pictures of an executed lesson.

    On another device they are only listed, and don't decide: many show samples that were chosen by rank.
    """
    first, second = (_pictures_of(folder / f"{where}.ipynb") for folder in (one, other))
    for key in dict.fromkeys([*first, *second]):
        pair = first.get(key), second.get(key)
        off = 1.0 if pair[0] is None or pair[1] is None else share_off(pair[0], pair[1], allowed.brightness)
        shown = ["missing" if picture is None else "" for picture in pair]
        what = f"picture {key[1]} of cell {key[0]}: {off:.2%} of its pixels"
        yield Finding(where, "pictures", what, shown, off <= allowed.pixels, allowed.pixels == 0)


def _pictures_of(notebook: Path) -> dict[tuple[str, int], str]:
    """The pictures in a notebook's outputs, in base64, by cell and number; without those of cells that measure."""
    found = {}
    for place, cell in enumerate(read_json(notebook, _REMEDY, _LONGEST)["cells"]):
        bundles = [output.get("data", {}) for output in cell.get("outputs", [])]
        pictures = [bundle[kind] for bundle in bundles for kind in _PICTURES if kind in bundle]
        if not has_tag(cell, _MEASURED):
            found |= {(cell.get("id", str(place)), k): "".join(data) for k, data in enumerate(pictures, 1)}
    return found


def _trainings(folder: Path) -> dict[str, Path]:
    """The folders of trainings below a run's, by their path there without times of day."""
    trainings = sorted(recipe.parent for recipe in folder.rglob("recipe.json") if recipe.with_name("log.csv").is_file())
    return {STAMP.sub("TIME", training.relative_to(folder).as_posix()): training for training in trainings}


def _training(name: str, one: Path, other: Path, allowed: Tolerance) -> Iterator[Finding]:
    """Recipe and curves of a training: every row where it must be exact, else what it came to."""
    yield from _parameters(name, *(read_json(folder / "recipe.json", _REMEDY) for folder in (one, other)))
    logs = [
        pd.read_csv(folder / "log.csv", usecols=_CURVES, float_precision="round_trip")[_CURVES]
        for folder in (one, other)
    ]
    if allowed == SAME and _threads(one) == _threads(other):
        found = first_difference(*logs)
        what, *values = found or ("log.csv", "", "")
        yield Finding(name, "curves", what, values, found is None)
        return
    first, second = map(outcome, logs)
    for what, (value, unit) in first.items():
        values = value, second[what][0]
        yield Finding(name, "curves", what, values, near(*values, unit, OTHER if allowed == SAME else allowed))


def _threads(folder: Path) -> str:
    """The number of threads that a training says it had."""
    path = folder / "manifest.json"
    return "".join(re.findall(r"\d+ threads", read_json(path, _REMEDY)["device"])) if path.is_file() else ""
