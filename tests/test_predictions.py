"""The predictions table: what is written is read again, and what is wrong is named."""

import time
from pathlib import Path

import numpy as np
import pytest

from posekit.errors import InputError
from posekit.predictions import Predictions, read_predictions, write_predictions


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
    ],
)
def test_a_malformed_file_is_refused_with_row_and_column(tmp_path: Path, text: str, said: str):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_predictions(path, 1)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


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
