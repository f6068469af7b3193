"""The check of re-identification data finds each way in which it can be wrong, and nothing in what posekit wrote."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from check_reports import problems
from reid_files import NAMES, oracle, write_data

from posekit.errors import InputError
from posekit.reid import check as reid_check
from posekit.reid.check import check_reid
from posekit.reid.write import write_reid

ROWS = {"test": [220, 40, 100, 40], "query": [80, 20]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data", ROWS)


@pytest.mark.parametrize("settings", [{}, {"lossless": True}, {"threshold": 0.3}], ids=str)
def test_what_posekit_wrote_is_right(data: Path, tmp_path: Path, settings: dict):
    write_reid(oracle(), data, [*ROWS], tmp_path / "out", **settings)
    report = check_reid(tmp_path / "out", data)
    assert problems(report) == []
    counts = {finding.what: finding.count for finding in report.findings}
    assert (counts["test: rows"], counts["query: rows"]) == (4, 2)


def damage(out: Path, how: str) -> None:
    heatmaps, segments = (out / f"{kind}_test" / NAMES[40][:-4] for kind in ("heatmap", "segment"))
    table = out / "pose_test.csv"
    lines = table.read_text().splitlines(keepends=True)
    if how == "missing":
        (heatmaps / "07.jpg").unlink()
    elif how == "truncated":
        (segments / "12.jpg").write_bytes((segments / "12.jpg").read_bytes()[:-40])
    elif how == "larger":
        cv2.imwrite(str(heatmaps / "00.jpg"), np.zeros((65, 64), np.uint8))
    elif how == "too many":
        (segments / "13.jpg").write_bytes((segments / "12.jpg").read_bytes())
    elif how == "exchanged":
        other = out / "heatmap_test" / NAMES[100][:-4]
        for a, b in ((heatmaps, out / "x"), (other, heatmaps), (out / "x", other)):
            os.rename(a, b)
    elif how == "other order":
        table.write_text("".join(lines[::-1]))
    elif how == "too few":
        table.write_text("".join(lines[:-1]))
    elif how == "unfinished":
        os.rename(table, out / "pose_test.csv.part")
    elif how == "leftovers":
        (out / ".partial-test").mkdir()
        (out / "segment_test" / "another").mkdir()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("missing", [("error", f"test: {reid_check.INCOMPLETE}", 2)]),  # the image is in two rows
        ("truncated", [("error", f"test: {reid_check.INCOMPLETE}", 2)]),
        ("larger", [("error", f"test: {reid_check.INCOMPLETE}", 2)]),
        ("too many", [("error", f"test: {reid_check.INCOMPLETE}", 2)]),
        ("other order", [("error", "test: rows that differ from the label file", 4)]),
        ("too few", [("error", "test: rows that differ from the label file", 1)]),
        ("unfinished", [("error", "test: not finished, run posekit reid again", 1)]),
        (
            "leftovers",
            [("error", "leftovers of an interrupted run", 1), ("warning", "test: segment folders without a row", 1)],
        ),
    ],
)
def test_damage_is_found(data: Path, tmp_path: Path, how: str, expected: list[tuple[str, str, int]]):
    write_reid(oracle(), data, ["test"], tmp_path / "out")
    damage(tmp_path / "out", how)
    assert problems(check_reid(tmp_path / "out", data)) == expected


def test_exchanged_heatmaps_are_found(data: Path, tmp_path: Path):
    write_reid(oracle(), data, ["test"], tmp_path / "out")
    damage(tmp_path / "out", "exchanged")
    ((severity, what, count),) = problems(check_reid(tmp_path / "out", data))
    assert (severity, what) == ("error", f"test: {reid_check.OTHER_HEATMAPS}") and count > 3 * 10


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_other_keypoints_than_the_segments_are_found(data: Path, tmp_path: Path, suffix: str):
    """A corner moved by three pixels in the table."""
    write_reid(oracle(), data, ["query"], tmp_path / "out", lossless=suffix == "png")
    table = tmp_path / "out" / "pose_query.csv"
    first, second = table.read_text().splitlines()
    cells = first.split(",")
    shown = (
        cv2.imread(str(tmp_path / "out" / "segment_query" / cells[0][:-4] / f"{s:02d}.{suffix}"), 0) for s in range(13)
    )
    visible = [s for s, picture in enumerate(shown) if picture.any()]
    corner = reid_check.VEHICLE.segments[visible[0]][0]
    cells[1 + 3 * corner] = f"{float(cells[1 + 3 * corner]) + 3:.3f}"
    table.write_text(",".join(cells) + "\n" + second + "\n")
    report = problems(check_reid(tmp_path / "out", data))
    assert ("error", f"query: {reid_check.OTHER_SEGMENTS}") in [finding[:2] for finding in report]


def test_an_image_that_cannot_be_read(data: Path, tmp_path: Path):
    write_reid(oracle(), data, ["query"], tmp_path / "out")
    (data / "image_query" / NAMES[20]).write_bytes(b"")
    assert problems(check_reid(tmp_path / "out", data)) == [("error", f"query: {reid_check.UNREADABLE}", 1)]


def test_nothing_to_check(data: Path):
    with pytest.raises(InputError, match="looked for pose_SPLIT.csv, found .*give the folder of posekit reid"):
        check_reid(data, data)
