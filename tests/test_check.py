"""Verifying a data set, and the index file that the seed's evaluation expects."""

import csv
import json
import os
import struct
import zipfile
import zlib
from io import StringIO
from pathlib import Path

import pytest
from check_reports import count, problems
from rich.console import Console
from veri_files import HEIGHT, WIDTH, jpeg, label_row, names_of, write_rows, write_veri

from posekit.errors import InputError
from posekit.layouts.veri import VERI


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_veri(tmp_path / "data")


def test_a_sound_data_set_has_no_problems_and_is_counted(data: Path):
    report = VERI.check(data)
    assert problems(report) == []
    assert count(report, "train: rows") == 4 and count(report, "test: rows") == 3
    assert count(report, "train: readable images") == 4
    assert count(report, "test: keypoints") == 3 * 36
    assert count(report, "train: identities") == 2
    visible = sum(cell == "1" for i in range(3) for cell in label_row("", i)[5::3])
    assert count(report, "test: visible keypoints") == visible


def test_damaged_images_are_told_apart(data: Path):
    folder = data / "images" / "image_train"
    missing, truncated, unreadable, _ = names_of("train", 4)
    (folder / missing).unlink()
    (folder / truncated).write_bytes(jpeg(1)[:-200])
    (folder / unreadable).write_bytes(b"no picture")
    report = VERI.check(data)
    assert problems(report) == [
        ("error", "train: missing images", 1),
        ("error", "train: truncated images", 1),
        ("error", "train: unreadable images", 1),
    ]
    assert [finding.examples for finding in report.errors] == [(missing,), (truncated,), (unreadable,)]
    assert count(report, "train: readable images") == 1


def test_damage_that_decoders_pass_over_and_huge_images_are_found(data: Path):
    """The check continues after each."""
    for split, folder in (("train", data / "images" / "image_train"), ("test", data / "images" / "image_test")):
        zeros, cut, huge = names_of(split, 3)
        content = jpeg(0)
        (folder / zeros).write_bytes(content[:1000] + bytes(64) + content[1064:])
        (folder / cut).write_bytes(content[: len(content) // 2] + b"\xff\xd9")
        header = struct.pack(">IIBBBBB", 40_000, 30_000, 8, 2, 0, 0, 0)
        (folder / huge).write_bytes(
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + header + zlib.crc32(b"IHDR" + header).to_bytes(4, "big")
        )
    report = VERI.check(data)
    assert problems(report) == [
        ("error", f"{split}: {kind} images", count)
        for split in ("train", "test")
        for kind, count in (("damaged", 2), ("too large", 1))
    ]
    assert count(report, "train: readable images") == 1 and count(report, "test: readable images") == 0


def test_images_in_an_archive_are_checked_one_by_one(data: Path, tmp_path: Path):
    names = names_of("test", 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names[:2]:
            archive.writestr(f"image_test/{name}", jpeg(0))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[300:310] = bytes(10)  # inside the first image
    (tmp_path / "a.zip").write_bytes(content)
    (data / "annot" / "label_train.csv").unlink()
    report = VERI.check(data, tmp_path / "a.zip")
    assert problems(report) == [
        ("warning", "train: no label file", 1),
        ("error", "test: missing images", 1),
        ("error", "test: damaged images", 1),
    ]
    assert [finding.examples for finding in report.errors] == [(names[2],), (names[0],)]


def test_names_of_any_kind_are_read_and_shown_in_a_line(data: Path):
    """What a csv can express; a report neither breaks nor is marked up by them."""
    names = ["walk, left.jpg", 'a"b.jpg', "two\nlines.jpg", "[red]x.jpg", "x" * 240 + ".jpg"]
    with (data / "annot" / "label_test.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(label_row(name, i) for i, name in enumerate(names))
    for i, name in enumerate(names):
        (data / "images" / "image_test" / name).write_bytes(jpeg(i)[: -50 if i > 2 else None])
    report = VERI.check(data)
    assert count(report, "test: readable images") == 3
    (error,) = report.errors
    assert error.examples[0] == "[red]x.jpg" and error.examples[1].startswith("xxx")
    console = Console(width=200, record=True, file=StringIO())
    console.print(report.table())
    assert "[red]x.jpg" in console.export_text()


def test_rows_repeated_or_out_of_order_are_found(data: Path):
    a, b, c = names_of("test", 3)
    write_rows(data / "annot" / "label_test.csv", [label_row(name) for name in (b, a, c, a)])
    assert problems(VERI.check(data)) == [
        ("error", "test: repeated names", 1),
        ("warning", "test: names not in sorted order", 2),
    ]


def test_sizes_that_disagree_are_found(data: Path):
    name = names_of("test", 3)[2]
    (data / "images" / "image_test" / name).write_bytes(jpeg(2, WIDTH + 20, HEIGHT + 10))
    (error,) = VERI.check(data).errors
    assert (error.what, error.count) == ("test: sizes that disagree with the label", 1)
    assert error.examples == (f"{name}: label {WIDTH}x{HEIGHT}, image {WIDTH + 20}x{HEIGHT + 10}",)


def test_keypoints_out_of_bounds_are_found(data: Path):
    rows = [label_row(name, i) for i, name in enumerate(names_of("test", 3))]
    rows[0][3:6] = [str(WIDTH), "0", "1"]  # the last column is WIDTH - 1
    rows[1][6:9] = ["0", "-1", "0"]
    rows[2][9:12] = [str(WIDTH - 1), str(HEIGHT - 1), "1"]
    write_rows(data / "annot" / "label_test.csv", rows)
    report = VERI.check(data)
    assert problems(report) == [
        ("error", "test: visible keypoints outside the image", 1),
        ("warning", "test: hidden keypoints outside the image", 1),
    ]
    assert report.errors[0].examples == (f"{names_of('test', 1)[0]}: left rear wheel at ({WIDTH}, 0)",)


def test_rows_without_a_visible_keypoint_are_found(data: Path):
    rows = [label_row(name, i) for i, name in enumerate(names_of("test", 3))]
    rows[1][5::3] = ["0"] * 36
    write_rows(data / "annot" / "label_test.csv", rows)
    assert problems(VERI.check(data)) == [("warning", "test: rows without a visible keypoint", 1)]


def test_keypoints_on_one_line_are_found(data: Path):
    rows = [label_row(name, i) for i, name in enumerate(names_of("test", 3))]
    rows[2][3::3] = ["7"] * 36
    write_rows(data / "annot" / "label_test.csv", rows)
    (error,) = VERI.check(data).errors
    assert (error.what, error.count, error.examples) == (
        "test: keypoint boxes without area", 1, (rows[2][0],),
    )  # fmt: skip


def test_the_report_prints_as_a_table(data: Path):
    (data / "images" / "image_train" / names_of("train", 1)[0]).unlink()
    console = Console(width=200, record=True, file=StringIO())
    console.print(VERI.check(data).table())
    (line,) = [line for line in console.export_text().splitlines() if "missing images" in line and "train" in line]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "error", "1", "train: missing images", names_of("train", 1)[0],
    ]  # fmt: skip


def test_images_and_identities_in_both_splits_are_found(data: Path):
    shared, other = names_of("train", 1)[0], "0002_c009_00000001_0.jpg"
    rows = [label_row(name, i) for i, name in enumerate(sorted([shared, other, *names_of("test", 3)]))]
    write_rows(data / "annot" / "label_test.csv", rows)
    for name in (shared, other):
        (data / "images" / "image_test" / name).write_bytes(jpeg(0))
    report = VERI.check(data)
    assert problems(report) == [
        ("error", "images in both splits", 1),
        ("warning", "identities in both splits", 2),
    ]
    assert report.problems[1].examples == ("0001", "0002")


def test_a_lone_split_is_checked_and_the_other_reported(data: Path):
    (data / "annot" / "label_train.csv").unlink()
    report = VERI.check(data)
    assert problems(report) == [("warning", "train: no label file", 1)] and count(report, "test: rows") == 3


def test_the_index_file_has_the_seeds_form(data: Path, monkeypatch):
    a, b, c = names_of("test", 3)
    write_rows(data / "annot" / "label_test.csv", [label_row(name) for name in (c, a, b)])
    monkeypatch.chdir(data.parent)
    VERI.check("data")
    index = json.loads((data / "annot" / "image_test.json").read_text())
    expected = {str(row): os.path.join("data", "images", "image_test", name) for row, name in enumerate((a, b, c))}
    assert index == expected and list(index) == ["0", "1", "2"]
    assert all(Path(path).is_file() for path in index.values())


def test_another_layout_or_a_malformed_file_is_refused(data: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="looked for annot/label_train.csv, found an empty folder"):
        VERI.check(tmp_path / "empty")
    (data / "annot" / "label_test.csv").write_text("")
    with pytest.raises(InputError, match="label_test.csv: the file is empty"):
        VERI.check(data)
