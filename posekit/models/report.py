"""What became of every tensor of a file of weights: a table with one row per tensor, and its summary in a few lines.

Its columns are the tensor's name in the file and in posekit, its shape and type in the file, and its status: loaded or
written (under the same name), renamed, missing (in the file), unexpected (by posekit), counter (num_batches_tracked,
which neither network computes with), left out, added (zeros that change no result), or no tensor (what else a training
file holds).
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from posekit.files import atomic_path
from posekit.models.readings import Reading
from posekit.models.torch_files import type_of

COUNTER = "num_batches_tracked"
COLUMNS = ["file", "posekit", "shape", "type", "status"]
USED = ["loaded", "renamed"]  # statuses of what was copied
NAMED = ["missing", "unexpected", "left out", "added", "no tensor"]  # statuses whose tensors the summary names


def write_report(path: Path, report: pd.DataFrame) -> None:
    """Write the report as a csv."""
    with atomic_path(path) as temporary:
        report.to_csv(temporary, index=False)


def summary(report: pd.DataFrame) -> str:
    """The report in a few lines: how many tensors there are of each status, and the names of what was not copied."""
    counts = report.status.value_counts()
    lines = [", ".join(f"{count:,} {status}" for status, count in counts.drop(NAMED, errors="ignore").items())]
    for status in NAMED:
        names = report.file[report.status == status].tolist()
        lines += [f"{status} ({len(names)}): {_grouped(names)}"] if names else []
    return "\n".join(lines + report.attrs.get("notes", []))


def matched(wanted: Mapping[str, tuple[int, ...]], reading: Reading, name_of: Callable[[str], str]) -> pd.DataFrame:
    """The report of copying tensors into parameters of these shapes; "shape" marks those that differ."""
    rows, used = [], {name_of(name) for name in wanted}
    for name, shape in wanted.items():
        source, tensor = name_of(name), reading.tensors.get(name_of(name))
        if tensor is None:
            status = "missing"
        elif tuple(tensor.shape) != shape:
            status = "shape"
        else:
            status = "loaded" if reading.shown(source) == name else "renamed"
        rows.append((reading.shown(source), name, shape, "" if tensor is None else type_of(tensor), status))
    for source, tensor in reading.tensors.items():
        if source not in used:
            status = "counter" if source.replace(COUNTER, "running_var") in used else "unexpected"
            rows.append((reading.shown(source), "", tuple(tensor.shape), type_of(tensor), status))
    rows += [(name, "", shape, "", "unexpected") for name, shape in reading.others.items()]
    rows += [(name, "", (), "", status) for name, status in reading.beside.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def notes(report: pd.DataFrame, reading: Reading) -> list[str]:
    """Where in the file the network was found, and what was converted to float32; none where both go without saying."""
    found = " and ".join(f"{prefix}*" for prefix in reading.prefixes)
    types = report.type[report.status.isin(USED) & (report.type != "float32")].value_counts()
    converted = ", ".join(f"{count:,} from {kind}" for kind, count in types.items())
    return ([f"found as {found} ({reading.layout})"] if found != "*" else []) + (
        [f"converted to float32: {converted}"] if converted else []
    )


def _grouped(names: list[str]) -> str:
    """A few names as they are, many as module.* with their number."""
    if len(names) <= 4:
        return ", ".join(names)
    modules = pd.Series([re.sub(r"^(model\.|module\.)+", "", name).split(".")[0] for name in names])
    modules = modules.value_counts(sort=False)
    return ", ".join(f"{module}.* {count}" for module, count in modules.items())
