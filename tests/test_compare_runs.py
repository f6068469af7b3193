"""posekit course compare: which differences between two runs count, on equal devices and on different ones."""

import json
import shutil
from base64 import b64encode
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from posekit.course.compare import Finding, compare_runs, print_comparison
from posekit.errors import InputError
from posekit.files import write_json

GPU = "GPU:0 (asked for; 8 threads; oneDNN: not used)"
LOG = "epoch,step,learning_rate,loss,images_per_second,wait_share,memory_mb,valid_pck\n"


def picture(*marks: int) -> str:
    """A PNG of 10 × 10 pixels, those of the numbers `marks` white, in base64."""
    pixels = np.zeros((100, 3), np.uint8)
    pixels[list(marks)] = 255
    return b64encode(cv2.imencode(".png", pixels.reshape(10, 10, 3))[1].tobytes()).decode()


def write_run(folder: Path, **changes: object) -> Path:
    """A course of lesson 04 with results, two pictures, one of them of times, and a training."""
    results = [
        {"name": "PCK", "value": 81.25, "unit": "%"},
        {"name": "gain", "value": "2.10 [1.11, 3.13]", "unit": "points"},
        {"name": "error", "value": 0.5, "unit": "px"},
        {"name": "samples", "value": 400, "unit": ""},
        {"name": "speed", "value": 132.0, "unit": "images/s"},
    ]
    parameters = {"recipe": "poseestnet-quick", "seed": 0, "runs": folder.name}
    write_json(
        folder / "manifest.json",
        {
            "scale": "quick", "parameters": {}, "device": "CPU:0 (auto; 2 threads)", "processor": "EPYC",
            "data": {"drawn": "0123456789abcdef"}, "versions": {"numpy": "1.26.4"}, "git_commit": "abc",
            "lessons": [{"name": "04", "parameters": parameters, "status": "done", "cores": 1, "results": results}],
            **changes,
        },
    )  # fmt: skip
    output = {"output_type": "display_data", "data": {"image/png": picture(3)}}
    cells = [
        {"cell_type": "code", "id": "curve", "metadata": {}, "outputs": [output]},
        {"cell_type": "code", "id": "speed", "metadata": {"tags": ["measured"]}, "outputs": [output]},
    ]
    write_json(folder / "04.ipynb", {"metadata": {}, "cells": cells})
    training = folder / "own-20261126-125731"
    write_json(training / "recipe.json", {"name": "net", "seed": 0})
    (training / "log.csv").write_text(LOG + "1,10,0.1,0.5,100,0,900,\n2,20,0.1,0.4,101,0,900,61.5\n")
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "20261126-1"), write_run(tmp_path / "20261126-2")


def differences(pair: tuple[Path, Path], **tolerances: float) -> dict[tuple[str, str], tuple[object, ...]]:
    """What keeps the runs from reproducing each other, by kind and name."""
    found = [f for f in compare_runs(*pair, **tolerances) if f.decides and not f.alike]
    return {(f.kind, f.what): tuple(f.pair) for f in found}


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_equal_runs_reproduce_whatever_their_names_and_times(pair: tuple[Path, Path]) -> None:
    change(pair[1] / "manifest.json", "132.0", "75.0")
    cells = json.loads((pair[1] / "04.ipynb").read_text())
    cells["cells"][1]["outputs"][0]["data"]["image/png"] = picture(*range(90))
    write_json(pair[1] / "04.ipynb", cells)
    shutil.move(pair[1] / "own-20261126-125731", pair[1] / "own-20261127-000000")
    change(pair[1] / "own-20261127-000000" / "log.csv", ",101,0,900,", ",55,0.5,1000,")
    assert differences(pair) == {}
    kinds = [finding.kind for finding in compare_runs(*pair)]
    assert {kind: kinds.count(kind) for kind in ("results", "pictures", "curves")} == {
        "results": 4, "pictures": 1, "curves": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("81.25", "81.25000000000001", ("results", "PCK")),
        ("2.10 [", "2.11 [", ("results", "gain")),
        ('"value": 400', '"value": 401', ("results", "samples")),
        ('"seed": 0', '"seed": 1', ("parameters", "seed")),
        ("01234567", "11234567", ("data", "hashes")),
        ('"status": "done"', '"status": "failed"', ("lesson", "status")),
        ('"name": "error"', '"name": "other error"', ("results", "error")),
    ],
)
def test_on_the_same_device_the_last_digit_counts(pair: tuple, old: str, new: str, what: tuple) -> None:
    change(pair[1] / "manifest.json", old, new)
    assert what in differences(pair)


def test_a_curve_tells_where_it_leaves_the_other(pair: tuple[Path, Path]) -> None:
    log = pair[1] / "own-20261126-125731" / "log.csv"
    change(log, ",0.4,", ",0.40000000000000002,")
    assert differences(pair) == {}, "the same number"
    change(log, ",0.40000000000000002,", ",0.4000001,")
    assert differences(pair) == {("curves", "loss in row 2 of log.csv"): (0.4, 0.4000001)}
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    assert differences(pair) == {("curves", "step in row 1 of log.csv"): (10, None)}


def test_a_picture_counts_its_pixels(pair: tuple[Path, Path]) -> None:
    change(pair[1] / "04.ipynb", picture(3), picture(3, 4))
    assert differences(pair) == {("pictures", "picture 1 of cell curve: 1.00% of its pixels"): ("", "")}


@pytest.mark.parametrize(("changes", "device"), [({"device": GPU}, "GPU"), ({"processor": "Xeon"}, "CPU")])
def test_another_device_has_its_tolerances(tmp_path: Path, changes: dict, device: str) -> None:
    pair = write_run(tmp_path / "a"), write_run(tmp_path / "b", **changes)
    for old, new in (("81.25", "82.25"), ("2.10 [", "2.90 ["), ('"value": 0.5', '"value": 0.52')):
        change(pair[1] / "manifest.json", old, new)
    change(pair[1] / "04.ipynb", picture(3), picture(*range(50)))
    change(pair[1] / "own-20261126-125731" / "log.csv", ",0.4,", ",0.41,")
    assert differences(pair) == {}
    listed = [f.what for f in compare_runs(*pair) if not f.alike]
    assert "picture 1 of cell curve: 49.00% of its pixels" in listed, "it is named, but doesn't decide"
    assert set(differences(pair, points=0.5)) == {("results", "PCK"), ("results", "gain")}
    assert set(differences(pair, relative=0.02)) == {("results", "error"), ("curves", "loss at the end")}
    change(pair[1] / "manifest.json", "82.25", "82.26")
    change(pair[1] / "manifest.json", '"value": 400', '"value": 401')
    assert set(differences(pair)) == {("results", "PCK"), ("results", "samples")}


def test_versions_and_commits_are_told_but_do_not_decide(tmp_path: Path) -> None:
    pair = write_run(tmp_path / "a"), write_run(tmp_path / "b", versions={"numpy": "2"}, git_commit="def")
    assert differences(pair) == {}
    told = {f.what: tuple(f.pair) for f in compare_runs(*pair) if not f.alike}
    assert told == {"numpy": ("1.26.4", "2"), "git_commit": ("abc", "def")}


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=120)
    equal = Finding("04", "results", "PCK", (1.0, 1.0), True)
    assert print_comparison([equal], console) and capsys.readouterr().out.endswith("reproduced\n")
    other = Finding("04", "results", "[b]PCK", (81.25, 80.0), False)
    assert not print_comparison([equal, other], console)
    out = capsys.readouterr().out
    assert "[b]PCK" in out and "81.25" in out and out.endswith("not reproduced: 1 difference\n")


def test_bad_input(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no course there; give the whole folder"):
        compare_runs(pair[0], tmp_path)
    other = write_run(tmp_path / "other")
    change(other / "manifest.json", '"name": "04"', '"name": "06"')
    with pytest.raises(InputError, match="no lesson in common"):
        compare_runs(pair[0], other)
    for file, old, new in (
        ("04.ipynb", picture(3), "AAAA"),
        ("manifest.json", '"lessons"', '"none"'),
        ("own-20261126-125731/log.csv", "loss", "lost"),
    ):
        shutil.rmtree(pair[1])
        change(write_run(pair[1]) / file, old, new)
        with pytest.raises(InputError, match="damaged, or not of a course"):
            compare_runs(*pair)
    (pair[1] / "04.ipynb").unlink()
    with pytest.raises(InputError, match="04.ipynb"):
        compare_runs(*pair)
