"""The predictions table: what is written is read again, and what is wrong is named."""

import csv
import gzip
import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posekit import bounds
from posekit.errors import InputError
from posekit.predictions import Predictions, check_names, read_predictions, write_predictions


def some(count: int, keypoints: int = 36) -> Predictions:
    rng = np.random.default_rng(count)
    names = [f"{i:07d}.jpg" for i in range(count)]
    return Predictions(names, rng.normal(100, 50, (count, keypoints, 2)), rng.random((count, keypoints)))


def test_the_file_has_the_pose_csv_form(tmp_path: Path):
    points = np.array([[[1.5, -2.25], [3.0, 4.12345]]])
    write_predictions(tmp_path / "p.csv", Predictions(["a.jpg"], points, np.array([[0.5, 1.0]])))
    assert (tmp_path / "p.csv").read_text() == "a.jpg,1.500,-2.250,0.5,3.000,4.123,1\n"


def test_what_is_written_is_read_again(tmp_path: Path):
    predictions = some(20)
    write_predictions(tmp_path / "p.csv", predictions)
    again = read_predictions(tmp_path / "p.csv", 36)
    assert again.names == predictions.names
    np.testing.assert_allclose(again.keypoints, predictions.keypoints, rtol=0, atol=0.0005001)
    np.testing.assert_allclose(again.scores, predictions.scores, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("a,1,2,3\nb,1,2\n", "row 2: 3 columns where 4 are expected"),
        ("a,1,2,3\nb,1,2,3,4\n", "row 2: 5 columns where 4 are expected"),
        ("a,1,2,3,4\n", "row 1: 5 columns where 4 are expected"),
        ("a,1,2,3\nb,1,x,3\n", "row 2, column 3: 'x' is not a number"),
        ("a,1,2,3\nb,1,nan,3\n", "row 2, column 3: 'nan' is not a number"),
        ("a,1,2,3\nb,1,,3\n", "row 2, column 3: '' is not a number"),
        ("name,x0,y0,score0\na,1,2,3\n", "row 1, column 2: 'x0' is not a number"),
        ("a,1,2,3\nb,1,2,3\na,1,2,3\n", "row 3: repeats a of row 1"),
        ("a,1e30,2,3\n", "row 1, column 2: 1e+30 is beyond ±2,097,152"),
        ("a,1,2,-3000000\n", "row 1, column 4: -3e+06 is beyond ±2,097,152"),
        (f"a,{'9' * 400},2,3\n", "row 1, column 2: 'inf' is not a number"),
        ("a,1_0,2,3\n", "row 1, column 2: '1_0' is not a number"),
        ('a,"1,5",2,3\n', "row 1, column 2: '1,5' is not a number; write a decimal point"),
        ("a;1,5;2,5;3\n", "row 1: columns separated by semicolons; save as CSV with commas, and points in numbers"),
        ("a\t1\t2\t3\n", "row 1: columns separated by tabs"),
        (f"a,{'x' * 100_000},2,3\n", f"row 1, column 2: '{'x' * 80}'… (100,000 characters) is not a number"),
        (f"{'a' * 100_000},1,2,3\n", f"row 1, column 1: '{'a' * 80}'… (100,000 characters) is not a name"),
        (f"b,1,2,3\na,{'x' * 200_000},2,3\n", f"row 2, column 2: '{'x' * 80}'… (200,000 characters) is not a number"),
        (
            'b,1,2,3\n"' + "a,1,2,3\n" * 200_000,
            "row 2: not csv (field larger than field limit (1000000)); fix or remove",
        ),
        ("a" * 2_000_000, "row 1: more than 1,000,000 characters"),
        ('b,1,2,3\n"a,1,2,3\nc,1,2,3\n', "row 2: not csv (unexpected end of data); put names with"),
        ("a\0,1,2,3\n", "row 1: a zero byte"),
    ],
)
def test_a_malformed_file_is_refused_with_row_and_column(tmp_path: Path, text: str, said: str):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_predictions(path, 1)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html>", "is an HTML page, perhaps a download's warning; give a csv of one row per image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer; run git lfs pull"),
        (gzip.compress(b"a,1,2,3\n", mtime=0), "is a gzip file; unpack it first"),
        (b'{"a": 1}', "is a JSON document; give a csv"),
        ("a,1,2,3\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("a,1,2,3\n".encode("utf-16-le"), "is UTF-16 text; save it as UTF-8"),
        ("b,1,2,3\nä,1,2,3\n".encode("latin-1"), "row 2: not UTF-8 text (byte 0xe4); save the file as UTF-8"),
        (b"\xff\xd8\xff\xe0" * 9, "is a JPEG image; give a csv"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_predictions(path, 1)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


def test_numbers_are_read_as_python_reads_them(tmp_path: Path):
    """To the last digit, in every way of writing them."""
    rng = np.random.default_rng(0)
    cells = [repr(v) for v in (rng.normal(0, 1, 3000) * 10.0 ** rng.integers(-20, 6, 3000)).tolist()]
    cells += [f"{v:.25g}" for v in rng.uniform(0, 1000, 3000).tolist()]
    cells += ["1e5", "+3", "-0.0", ".5", "7.", "  2.5", "5e-324", "1E-3", "00012", "0.1", "2097152"]
    cells += ["0"] * (-len(cells) % 3)
    rows = [f"{i},{','.join(cells[i : i + 3])}" for i in range(0, len(cells), 3)]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    found = read_predictions(tmp_path / "p.csv", 1)
    values = np.dstack([found.keypoints, found.scores[..., None]]).ravel().tolist()
    assert [v.hex() for v in values] == [float(cell).hex() for cell in cells]


NAMES = [
    "walk, left.jpg", 'a"b.jpg', '"', "two\nlines.jpg", "two\rlines.jpg", "two\r\nlines.jpg", "=cmd", "+1", "-1", "@x",
    " a.jpg", "b.jpg ", "NA", "null", "nan", "1e5", "007", "\ufeffbom.jpg", "a;b", "a\tb", "#a", "'a'", "é中.jpg",
    "a\u2028b", "",
]  # fmt: skip


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), unique=True, min_size=1))
@example(NAMES)
@settings(max_examples=1000, deadline=None)
def test_every_name_comes_back_in_every_reader(names: list[str]):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p.csv")
        write_predictions(path, Predictions(names, np.zeros((len(names), 1, 2)), np.ones((len(names), 1))))
        assert read_predictions(path, 1).names == names
        with path.open(encoding="utf-8", newline="") as stream:
            assert [row[0] for row in csv.reader(stream)] == names
        table = pd.read_csv(path, header=None, dtype={0: str}, keep_default_na=False)
        assert table[0].tolist() == names and table.shape[1] == 4


def test_a_name_that_is_not_utf8_is_refused_and_nothing_written(tmp_path: Path):
    name = os.fsdecode("ä.jpg".encode("latin-1"))
    check_names(["a.jpg", "é中.jpg"])
    for refuse in (
        lambda: check_names(["a.jpg", name]),
        lambda: write_predictions(tmp_path / "p.csv", Predictions([name], np.zeros((1, 1, 2)), np.ones((1, 1)))),
    ):
        with pytest.raises(InputError, match="^" + re.escape(r"\udce4.jpg: the file's name is not UTF-8")):
            refuse()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e9])
def test_values_that_could_not_be_read_again_are_not_written(tmp_path: Path, value: float):
    points = np.zeros((2, 1, 2))
    points[1, 0, 1] = value
    with pytest.raises(InputError, match="p.csv: not written: b.jpg has the value"):
        write_predictions(tmp_path / "p.csv", Predictions(["a.jpg", "b.jpg"], points, np.ones((2, 1))))
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_a_table_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "p.csv").write_text("".join(f"{i},1,2,3\n" for i in range(11)))
    monkeypatch.setattr(bounds, "MOST_ROWS", 10)
    with pytest.raises(InputError, match="p.csv: more than 10 rows; split the file"):
        read_predictions(tmp_path / "p.csv", 1)


def test_long_names_and_names_with_line_ends_are_cut_in_messages():
    with pytest.raises(InputError) as error:
        some(3, 1).in_order(["x" * 100_000])
    assert f"the first is {'x' * 80}… (100,000 characters);" in str(error.value)
    with pytest.raises(InputError, match=re.escape(r"the first is a\nb;")):
        some(3, 1).in_order(["a\nb"])


def test_an_absent_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="p.csv: cannot read"):
        read_predictions(tmp_path / "p.csv", 1)


def test_a_fault_deep_in_a_large_file_is_still_found(tmp_path: Path):
    lines = [f"{i},1,2,3" for i in range(200_000)]
    lines[150_000] = "oops,1,two,3"
    (tmp_path / "p.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="row 150001, column 3: 'two' is not a number"):
        read_predictions(tmp_path / "p.csv", 1)


def test_reordering_names_what_is_missing_or_unknown():
    predictions = some(3, 1)
    turned = predictions.in_order(predictions.names[::-1])
    assert turned.names == predictions.names[::-1]
    np.testing.assert_array_equal(turned.keypoints, predictions.keypoints[::-1])
    np.testing.assert_array_equal(turned.scores, predictions.scores[::-1])
    with pytest.raises(InputError, match="1 of 4 samples are missing, the first is z.jpg"):
        predictions.in_order([*predictions.names, "z.jpg"])
    with pytest.raises(InputError, match="1 samples are not in the labels, for example 0000000.jpg"):
        predictions.in_order(predictions.names[1:])


def test_large_tables_are_written_and_read_quickly(tmp_path: Path):
    predictions = some(10_000)
    start = time.process_time()
    write_predictions(tmp_path / "p.csv", predictions)
    read_predictions(tmp_path / "p.csv", 36)
    assert time.process_time() - start < 5  # about 0.7 s on two cores
