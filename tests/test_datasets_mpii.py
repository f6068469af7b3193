"""Reading and checking the MPII layout."""

import os
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from check_reports import count, problems
from mpii_files import HEIGHT, WIDTH, images_of, people, write_labels, write_mpii
from veri_files import jpeg, write_veri

from posekit.errors import InputError
from posekit.layouts import get_layout
from posekit.layouts.mpii import MPII, read_labels
from posekit.layouts.veri import VERI

real_labels = pytest.mark.skipif("POSEKIT_ANNOTATIONS" not in os.environ, reason="needs the published label files")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_mpii(tmp_path / "data")


def change(data: Path, field: str, index: object, value: object, file: str = "valid") -> None:
    with h5py.File(data / "annot" / f"{file}.h5", "r+") as labels:
        labels[field][index] = value


def replace_field(data: Path, field: str, values: object) -> None:
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        del labels[field]
        if values is not None:
            labels[field] = values


# Labels


def test_a_data_set_holds_what_the_file_says(data: Path):
    fields = people(images_of("test", 4), len("test"))
    dataset = get_layout("mpii").read(data, "test")
    assert dataset.skeleton.name == "person16" and dataset.split == "test" and len(dataset) == 4
    assert dataset.names == ["000005000.jpg:0", "000005000.jpg:1", "000005001.jpg:2", "000005002.jpg:3"]
    assert np.array_equal(dataset.keypoints, fields["part"]) and dataset.keypoints.dtype == np.float64
    assert np.array_equal(dataset[1].keypoints, fields["part"][1]) and dataset[1].keypoints.dtype == np.float32
    assert np.array_equal(dataset.center, fields["center"].astype(np.float32))
    assert dataset.box_size == pytest.approx(200 * fields["scale"])
    assert np.array_equal(dataset.unit, fields["normalize"])


def test_every_joint_with_coordinates_is_visible_and_covered_ones_are_hidden_besides(data: Path):
    change(data, "part", 1, np.zeros((16, 2)))
    change(data, "part", (1, 4), (7, 0))  # only (0, 0) is missing
    change(data, "part", (1, 5), (0, 7))
    change(data, "visible", 1, np.zeros(16))
    change(data, "visible", (1, 5), 1)
    dataset = MPII.read(data, "test")
    assert np.flatnonzero(dataset.visible[1]).tolist() == [4, 5]
    assert np.flatnonzero(dataset.hidden[1]).tolist() == [4]
    sample = dataset[1]
    assert sample.image.shape == (HEIGHT, WIDTH, 3) and sample.visible.sum() == 2


def test_keypoints_of_vehicles_are_either_visible_or_hidden(tmp_path: Path):
    dataset = VERI.read(write_veri(tmp_path), "test")
    assert np.array_equal(dataset.hidden, ~dataset.visible)


def test_people_of_one_image_share_its_file(data: Path):
    dataset = MPII.read(data, "test")
    assert dataset.where(0) == dataset.where(1) == str(data / "images" / "000005000.jpg")
    assert dataset.read_bytes(0) == dataset.read_bytes(1) == jpeg(0, WIDTH, HEIGHT)
    assert dataset.read_bytes(3) == jpeg(2, WIDTH, HEIGHT)


def test_valid_is_another_name_of_the_test_split(data: Path):
    assert MPII.read(data, "valid").names == MPII.read(data, "test").names
    assert MPII.read(data, "valid").split == "test" and len(MPII.read(data, "train")) == 5


def test_names_of_variable_length_are_taken_and_further_fields_ignored(data: Path):
    replace_field(data, "imgname", [name.decode() for name in people(images_of("test", 4))["imgname"]])
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        labels["torsoangle"] = np.full(4, np.nan)
    assert MPII.read(data, "test").names[3] == "000005002.jpg:3"


@real_labels
def test_the_published_valid_file_loads():
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "mpii_valid.h5")
    assert len(labels.names) == len(set(labels.names)) == 2958 and len(set(labels.images)) == 2729
    assert labels.names[0] == "005808361.jpg:0"
    assert np.allclose(labels.unit, 20 * labels.scale)
    # The published report counts 44,239 joints; one more has x = 0, which that report takes for missing.
    assert labels.visible.sum() == 44240
    assert (labels.visible & (labels.keypoints[..., 0] != 0)).sum() == 44239


# Images


def test_images_may_lie_apart_or_in_a_zip(data: Path, tmp_path: Path):
    expected = MPII.read(data, "test").read_bytes(2)
    shutil.move(data / "images", tmp_path / "pictures")
    assert MPII.read(data, "test", tmp_path / "pictures").read_bytes(2) == expected
    for inside in ("images/", "mpii_human_pose_v1/images/", ""):
        with zipfile.ZipFile(data / "images.zip", "w") as archive:
            for image in (tmp_path / "pictures").iterdir():
                archive.write(image, inside + image.name)
        assert MPII.read(data, "test").read_bytes(2) == expected
        assert MPII.read(data, "test", data / "images.zip").read_bytes(2) == expected
    (tmp_path / "apart").mkdir()
    shutil.move(tmp_path / "pictures", tmp_path / "apart" / "images")
    assert MPII.read(data, "test", tmp_path / "apart").read_bytes(2) == expected


def test_a_folder_of_images_is_taken_before_a_zip_beside_it(data: Path, tmp_path: Path):
    expected = MPII.read(data, "test").read_bytes(2)
    shutil.move(data / "images", tmp_path / "pictures")
    (tmp_path / "pictures.zip").write_text("some other file")
    assert MPII.read(data, "test", tmp_path / "pictures").read_bytes(2) == expected


def test_missing_images_are_counted_once_a_file(data: Path):
    (data / "images" / "000005000.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of 3 images are missing, the first is 000005000.jpg; .*check mpii"):
        MPII.read(data, "test")
    assert len(MPII.read(data, "train")) == 5
    with pytest.raises(InputError, match="000005000.jpg: cannot read the image"):
        MPII.read(data, "test", require_images=False).image(1)


# Bad input


def refused(data: Path, split: str = "test") -> str:
    with pytest.raises(InputError) as error:
        MPII.read(data, split)
    message = str(error.value)
    assert "\n" not in message and "; " in message
    return message


@pytest.mark.parametrize("field", ["imgname", "center", "scale", "part", "visible", "normalize"])
def test_a_missing_field_is_named(data: Path, field: str):
    replace_field(data, field, None)
    assert f"valid.h5: field {field} is missing (found " in refused(data)


@pytest.mark.parametrize(
    ("field", "values", "said"),
    [
        ("part", np.zeros((4, 15, 2)), "field part: shape (4, 15, 2) where (4, 16, 2) is expected"),
        ("part", np.zeros((3, 16, 2)), "field part: shape (3, 16, 2) where (4, 16, 2) is expected"),
        ("center", np.zeros(4), "field center: shape (4,) where (4, 2) is expected"),
        ("visible", np.zeros((4, 16, 1)), "field visible: shape (4, 16, 1)"),
        ("scale", np.ones((4, 1)), "field scale: shape (4, 1) where (4,) is expected"),
        ("scale", 1.0, "field scale: not an array of numbers"),
        ("scale", np.array([b"1"] * 4), "field scale: not an array of numbers"),
        ("imgname", np.arange(4), "field imgname: not a list of file names"),
        ("imgname", np.zeros((0,), "S5"), "the file holds no person"),
    ],
)
def test_fields_of_another_shape_or_type_are_refused(data: Path, field: str, values: object, said: str):
    replace_field(data, field, values)
    assert said in refused(data)


@pytest.mark.parametrize(
    ("field", "index", "value", "said"),
    [
        ("part", (2, 9, 1), np.nan, "field part, row 2 (from 0), head top: not a finite number"),
        ("center", (3, 0), np.inf, "field center, row 3 (from 0): not a finite number"),
        ("scale", 1, np.nan, "field scale, row 1 (from 0): not a finite number"),
        ("scale", 1, 0, "field scale, row 1 (from 0): not positive"),
        ("scale", 1, 1e-300, "field scale, row 1 (from 0): a box of less than a pixel"),
        ("normalize", 0, -3, "field normalize, row 0 (from 0): not positive"),
        ("part", (2, 9, 1), 1e9, "field part, row 2 (from 0), head top: beyond ±2,097,152"),
        ("center", (3, 0), -1e300, "field center, row 3 (from 0): beyond ±2,097,152"),
        ("scale", 1, 1e5, "field scale, row 1 (from 0): a box of more than 1,048,576 pixels"),
        ("normalize", 0, 1e-9, "field normalize, row 0 (from 0): below 0.001 pixels"),
        ("normalize", 0, 1e6, "field normalize, row 0 (from 0): more than 10 times the person's box"),
        ("imgname", 2, "ä.jpg".encode("latin-1"), r"row 2 (from 0): the name \xe4.jpg is not UTF-8"),
        ("visible", (2, 0), 2, "field visible, row 2 (from 0), right ankle: neither 0 nor 1"),
        ("imgname", 2, b"../x.jpg", "field imgname, row 2 (from 0): the name is not a plain file name"),
        ("imgname", 2, b"x\\y.jpg", "field imgname, row 2 (from 0): the name is not a plain file name"),
        ("imgname", 2, b"", "field imgname, row 2 (from 0): the name is not a plain file name"),
    ],
)
def test_bad_values_are_refused_with_field_and_row(data: Path, field: str, index: object, value: object, said: str):
    change(data, field, index, value)
    assert said in refused(data)


def test_a_huge_shape_is_refused_before_memory_is_asked_for(data: Path):
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        for name, shape in (("part", (10**9, 16, 2)), ("imgname", (10**9,))):
            kind = labels[name].dtype
            del labels[name]
            labels.create_dataset(name, shape, kind, chunks=(1000, *shape[1:]))
    assert "valid.h5: 1,000,000,000 rows, at most 1,000,000 are read" in refused(data)
    replace_field(data, "imgname", np.array(["a.jpg"] * 4, "S"))
    assert "field part: shape (1000000000, 16, 2) where (4, 16, 2) is expected" in refused(data)


def test_a_huge_chunk_or_value_is_refused_before_memory_is_asked_for(data: Path):
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        del labels["scale"]
        labels.create_dataset("scale", data=np.ones(4), maxshape=(None,), chunks=(10**8,), compression="gzip")
    assert "field scale: stored in pieces of 800,000,000 bytes" in refused(data)
    replace_field(data, "scale", np.full(4, 0.2))
    replace_field(data, "imgname", np.array(["a.jpg"] * 4, "S5000"))
    assert "field imgname: values of 5,000 bytes each" in refused(data)
    replace_field(data, "imgname", ["a" * 5000 + ".jpg"] * 4)
    assert "field imgname, row 0 (from 0): 5,004 bytes are not a file's name" in refused(data)


def test_an_unknown_compression_is_named(data: Path):
    """Of a plugin; another copy of the file would not help."""
    path = data / "annot" / "valid.h5"
    with h5py.File(path, "a") as labels:
        values = labels["part"][:]
        del labels["part"]
        labels.create_dataset("part", data=values, compression="gzip")
    content = path.read_bytes()
    at = content.index(b"deflate") - 8  # of the filter's number
    path.write_bytes(content[:at] + (32001).to_bytes(2, "little") + content[at + 2 :])
    message = refused(data)
    assert "field part: packed by a filter that isn't there (32001, deflate); save the file with gzip" in message


def test_links_are_not_followed(data: Path, tmp_path: Path):
    secret = tmp_path / "other.h5"
    write_labels(secret, people(images_of("test", 4)))
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(32))
    for link in (h5py.SoftLink("/normalize"), h5py.ExternalLink(str(secret), "scale"), h5py.SoftLink("/nowhere")):
        replace_field(data, "scale", link)
        assert "field scale: a link to somewhere else, which is not followed" in refused(data)
    for make in (
        lambda file: file.create_virtual_dataset("scale", h5py.VirtualLayout((4,), float)),
        lambda file: file.create_dataset("scale", (4,), float, external=[(str(raw), 0, 32)]),
    ):
        replace_field(data, "scale", None)
        with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
            make(labels)
        assert "field scale: a link to somewhere else, which is not followed" in refused(data)
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        del labels["scale"]
        labels.create_group("scale")
    assert "field scale: not an array of numbers" in refused(data)
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        del labels["scale"]
        labels.create_dataset("scale", data=[labels["part"].ref] * 4, dtype=h5py.ref_dtype)
    assert "field scale: not an array of numbers" in refused(data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!doctype html>", "(an HTML page, perhaps a download's warning); copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "(a Git LFS pointer); run git lfs pull"),
        (b"", "(an empty file); copy or download it again"),
    ],
)
def test_a_label_file_that_is_another_kind_of_file_is_named(data: Path, content: bytes, said: str):
    (data / "annot" / "valid.h5").write_bytes(content)
    assert f"valid.h5: not a readable HDF5 file {said}" in refused(data)


def test_fractional_joints_stay_exact(data: Path):
    """In float64, as the published evaluator reads them."""
    change(data, "part", (1, 3, 0), 12.1)
    assert read_labels(data / "annot" / "valid.h5").keypoints[1, 3, 0] == 12.1
    assert MPII.read(data, "test").keypoints[1, 3, 0] == 12.1


def test_files_that_are_no_h5_are_refused(data: Path):
    path = data / "annot" / "valid.h5"
    whole = path.read_bytes()
    for content in (b"", b"name,x,y\n", whole[: len(whole) // 2], whole[:100], whole[:-1]):
        path.write_bytes(content)
        assert refused(data).startswith(f"{path}: not a readable HDF5 file (")
    path.unlink()
    path.mkdir()
    assert "not the MPII layout: looked for annot/valid.h5" in refused(data)


def test_damage_anywhere_in_the_file_is_one_line_or_harmless(data: Path):
    path = data / "annot" / "valid.h5"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read_labels(path)
        except InputError as error:
            assert "\n" not in str(error)


def test_another_layout_is_refused_with_what_was_looked_for_and_found(data: Path):
    assert "no split of MPII; use train or test" in refused(data, "val")
    shutil.rmtree(data / "images")
    assert "looked for images/, images.zip, found no such folder" in refused(data)
    (data / "images").mkdir()
    assert "found an empty folder" in refused(data)
    shutil.rmtree(data / "annot")
    assert "looked for annot/valid.h5, found images/" in refused(data)


# Checking


def test_a_sound_data_set_has_no_problems_and_is_counted(data: Path):
    report = MPII.check(data)
    assert problems(report) == []
    fields = people(images_of("train", 5), len("train"))
    present = fields["part"].any(axis=2)
    assert count(report, "train: rows") == 5 and count(report, "train: images") == 4
    assert count(report, "test: rows") == 4 and count(report, "test: images") == 3
    assert count(report, "train: readable images") == 4
    assert count(report, "train: visible keypoints") == present.sum()
    assert count(report, "train: hidden keypoints") == (present & (fields["visible"] == 0)).sum()
    assert count(report, "train: missing joints") == (~present).sum()


def test_each_damaged_image_file_is_counted_once(data: Path):
    shared, truncated, unreadable = dict.fromkeys(images_of("test", 4))
    (data / "images" / shared).unlink()
    (data / "images" / truncated).write_bytes(jpeg(1)[:-200])
    (data / "images" / unreadable).write_bytes(b"no picture")
    report = MPII.check(data)
    assert problems(report) == [
        ("error", "test: missing images", 1),
        ("error", "test: truncated images", 1),
        ("error", "test: unreadable images", 1),
    ]
    assert report.problems[0].examples == (f"{shared}:0",)
    assert count(report, "test: readable images") == 0


def test_joints_outside_the_image_are_told_apart_by_what_covers_them(data: Path):
    change(data, "part", (2, 9), (10, -4))
    change(data, "visible", (2, 9), 1)
    change(data, "part", (3, 0), (WIDTH, 5))  # the last column is WIDTH - 1
    change(data, "visible", (3, 0), 0)
    change(data, "part", (3, 1), (WIDTH - 1, HEIGHT - 1))
    report = MPII.check(data)
    assert problems(report) == [
        ("warning", "test: visible keypoints outside the image", 1),
        ("warning", "test: hidden keypoints outside the image", 1),
    ]
    assert report.problems[0].examples == ("000005001.jpg:2: head top at (10, -4)",)


def test_odd_labels_are_found(data: Path):
    change(data, "part", (1, 3), (0, 0))
    change(data, "visible", (1, 3), 1)
    change(data, "normalize", 2, 50.0)
    change(data, "part", (3, 3), (0, 11))
    with h5py.File(data / "annot" / "valid.h5", "r+") as labels:
        labels["center"][1] = labels["center"][0]
    report = MPII.check(data)
    assert problems(report) == [
        ("warning", "test: missing joints that are called visible", 1),
        ("error", "test: people labelled twice (the same image and center)", 2),
        ("warning", "test: normalize other than 20 x scale", 1),
    ]
    assert report.problems[0].examples == ("000005000.jpg:1: left hip",)
    assert count(report, "test: joints at x = 0, not missing") == 1


@pytest.mark.parametrize("center", [(-1000, 20), (20, 1e5), (1e5, -1e5)])
def test_boxes_outside_the_image_are_found_and_not_cut(data: Path, center: tuple[float, float]):
    """Their crops would be black."""
    change(data, "center", 1, center)
    report = MPII.check(data)
    assert ("error", "test: boxes outside the image", 1) in problems(report)
    dataset = MPII.read(data, "test")
    assert dataset[0].image.shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(InputError, match=rf":1: its box is outside the image of {WIDTH} × {HEIGHT} pixels; fix"):
        dataset[1]


def test_people_without_joints_are_found(data: Path):
    change(data, "part", 0, np.zeros((16, 2)))
    change(data, "visible", 0, np.zeros(16))
    assert problems(MPII.check(data)) == [("warning", "test: rows without a visible keypoint", 1)]


def test_images_and_people_in_both_splits_are_found(data: Path):
    fields = people(images_of("train", 5), len("train"))
    write_labels(data / "annot" / "valid.h5", {name: values[2:4] for name, values in fields.items()})
    change(data, "center", (1, 0), 3)
    report = MPII.check(data)
    assert problems(report) == [("warning", "images in both splits", 2), ("error", "people in both splits", 1)]


def test_a_lone_split_is_checked_and_the_other_reported(data: Path, tmp_path: Path):
    (data / "annot" / "train.h5").unlink()
    assert problems(MPII.check(data)) == [("warning", "train: no label file", 1)]
    with pytest.raises(InputError, match="looked for annot/train.h5, found no such folder"):
        MPII.check(tmp_path / "nowhere")
