"""posekit course collect: trainings, executed notebooks and courses in one table, whatever became of them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from posekit.course.collect import collect, differing, gather
from posekit.course.results import RESULT_MIME
from posekit.errors import InputError
from posekit.files import write_json


def write_training(folder: Path, recipe: str = "net", finished: bool = True, **fields: object) -> None:
    """A training's folder: recipe, log, and the manifest where it is finished."""
    write_json(folder / "recipe.json", {"name": recipe, "validation_threshold": 0.1, **fields})
    (folder / "log.csv").write_text("epoch,step,valid_pck\n1,10,\n1,20,40.5\n2,40,39\n")
    device = "CPU:0, rank 0 of 2 (asked for; 2 threads)"
    about = {"device": device, "git_commit": "0123456789abcdef", "git_dirty": True, "pretrained": None}
    if finished:
        write_json(folder / "manifest.json", {"seconds": 12.5, "results": {"best PCK@0.1": 40.5}, **about})


def cell(source: str, *outputs: dict, replied: bool = True) -> dict:
    metadata = {"execution": {"shell.execute_reply": "2026-01-01T00:00:00Z"} if replied else {}}
    return {"cell_type": "code", "source": [source], "metadata": metadata, "outputs": list(outputs)}


def write_notebook(path: Path, *cells: dict, ended: bool = True, exception: bool | None = None, **parameters) -> None:
    """A notebook as papermill leaves it."""
    about = {"parameters": parameters, "duration": 3.25 if ended else None, "end_time": "now" if ended else None}
    write_json(path, {"metadata": {"papermill": {**about, "exception": exception}}, "cells": list(cells)})


RESULT = {"output_type": "display_data", "data": {RESULT_MIME: {"name": "PCK", "value": 41.5, "unit": "%"}}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no [bold]\nmore"}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A sweep of six tasks in every state, with a course beside it."""
    sweep = tmp_path / "sweep"
    write_notebook(sweep / "seed-2.ipynb", cell("a = 1"), cell(""), cell("b", RESULT), seed=2, run="x", runs="y")
    write_training(sweep / "seed-2", seed=2)
    write_notebook(sweep / "seed-10.ipynb", cell("a"), cell("b", ERROR), cell("c", replied=False), exception=True)
    write_training(sweep / "seed-10", finished=False, seed=10)
    write_notebook(sweep / "seed-11.ipynb", cell("a"), cell("b", replied=False), seed=11)
    write_notebook(sweep / "seed-12.ipynb", cell("a"), cell("b", replied=False), ended=False, seed=12)
    (sweep / "seed-13.ipynb").write_text('{"half"')
    (sweep / "tasks.txt").write_text("".join(f'seed-{n} t.ipynb -p changes "seed={n} a=b"\n' for n in (2, 10, 14)))
    write_notebook(sweep / ".ipynb_checkpoints" / "seed-2.ipynb", cell("a"))
    write_json(tmp_path / "plain.ipynb", {"metadata": {}, "cells": []})
    entry = {"name": "00_start", "parameters": {"recipe": "net", "runs": "z"}, "status": "done", "seconds": 7.0}
    failed = entry | {"name": "04_train", "status": "failed", "error": {"message": "AssertionError: no"}}
    waiting = entry | {"name": "06_evaluate", "status": "waiting", "seconds": 0.0}
    about = {"device": "auto", "git_commit": None, "git_dirty": None}
    write_json(tmp_path / "course" / "manifest.json", {"lessons": [entry, failed, waiting], **about})
    return tmp_path


def test_every_run_with_what_became_of_it(runs: Path) -> None:
    found = {run.name: (run.status, run.error) for run in gather(runs)}
    assert list(found.items()) == [
        ("course/00_start", ("completed", "")),
        ("course/04_train", ("failed", "AssertionError: no")),
        ("course/06_evaluate", ("not started", "")),
        ("sweep/seed-2", ("completed", "")),
        ("sweep/seed-10", ("failed", "ValueError: no [bold]\nmore")),
        ("sweep/seed-14", ("not started", "")),
        ("sweep/seed-11", ("failed", "the kernel died in cell In [2]")),
        ("sweep/seed-12", ("unfinished", "")),
        ("sweep/seed-13", ("unreadable", found["sweep/seed-13"][1])),
    ]
    assert "seed-13.ipynb" in found["sweep/seed-13"][1]


def test_a_notebook_and_its_training_are_one_run(runs: Path) -> None:
    by_name = {run.name: run for run in gather(runs / "sweep")}
    assert by_name["seed-2"].results == {"PCK (%)": 41.5}, "what the lesson recorded"
    assert by_name["seed-2"].seconds == 3.25
    assert by_name["seed-2"].settings == {
        "recipe": "net", "validation_threshold": 0.1, "seed": 2, "pretrained": None, "device": "CPU:0, rank 0 of 2",
        "commit": "0123456789+",
    }  # fmt: skip
    assert by_name["seed-10"].results == {"best PCK@0.1": 40.5}, "a failed lesson's training, as far as it came"


def test_trainings_alone(tmp_path: Path) -> None:
    write_training(tmp_path / "a")
    write_training(tmp_path / "b", finished=False)
    a, b = gather(tmp_path)
    assert (a.status, a.seconds, a.results) == ("completed", 12.5, {"best PCK@0.1": 40.5})
    assert (b.status, b.results) == ("unfinished", {"best PCK@0.1": 40.5})
    (itself,) = gather(tmp_path / "a")
    assert (itself.name, itself.status) == ("a", "completed")


def test_settings_that_differ_within_a_recipe_are_shown(tmp_path: Path) -> None:
    for name, recipe, fields in (
        ("a", "net", {"seed": 1, "width": 8, "epochs": 2}),
        ("b", "net", {"seed": 2, "width": 8, "epochs": 2}),
        ("c", "other", {"seed": 3, "width": 64, "epochs": 2}),
    ):
        write_training(tmp_path / name, recipe, **fields)
    assert differing(gather(tmp_path)) == ["recipe", "seed"], "width only differs because the recipe does"
    assert differing(gather(tmp_path / "a")) == []


def test_table_and_picture(runs: Path) -> None:
    console = Console(record=True, width=160)
    frame = collect(runs, console)
    text = console.export_text()
    assert "3 failed, 2 completed, 2 not started" in text
    for words in ("seed-14", "not started", "ValueError: no [bold]", "41.5", "AssertionError: no"):
        assert words in text
    table = pd.read_csv(runs / "collected.csv").set_index("run")
    assert list(table.index) == list(frame["run"])
    assert table.loc["sweep/seed-2", "PCK (%)"] == 41.5 and table.loc["sweep/seed-2", "seed"] == 2
    assert pd.isna(table.loc["sweep/seed-14", "seconds"])
    assert (runs / "collected.png").read_bytes().startswith(b"\x89PNG")
    assert len(gather(runs)) == len(frame), "what collect writes is no run"


def test_nothing_to_collect_and_a_damaged_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no runs there"):
        gather(tmp_path)
    write_training(tmp_path / "a")
    (tmp_path / "a" / "manifest.json").write_text(json.dumps({"seconds": 1})[:-2])
    (run,) = gather(tmp_path)
    assert (run.name, run.status) == ("a", "unreadable") and "manifest.json" in run.error


@pytest.mark.parametrize("name", ["recipe.json", "log.csv", "manifest.json"])
@pytest.mark.parametrize("target", ["nowhere", None], ids=["dangling", "loop"])
def test_a_link_that_leads_nowhere_is_no_missing_file(tmp_path: Path, name: str, target: str | None) -> None:
    """As of results on a disk that isn't mounted: such a run isn't unfinished, nor is it left out."""
    write_training(tmp_path / "a", finished=name == "manifest.json")
    (tmp_path / "a" / name).unlink()
    (tmp_path / "a" / name).symlink_to(target or name)
    (run,) = gather(tmp_path)
    assert (run.name, run.status) == ("a", "unreadable") and name in run.error
