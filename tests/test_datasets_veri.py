"""Reading and preparing the VeRi layout."""

import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from veri_files import HEIGHT, WIDTH, jpeg, label_row, names_of, write_rows, write_veri

from posekit.datasets.images import decode_image
from posekit.errors import InputError
from posekit.layouts import get_layout
from posekit.layouts.veri import VERI, prepare_veri, read_labels


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_veri(tmp_path / "data")


def zip_folder(archive: Path, folder: Path, inside: str) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for image in sorted(folder.iterdir()):
            file.write(image, f"{inside}{image.name}")


# Labels


def test_labels_hold_what_the_file_says(tmp_path: Path):
    cells = ["a.jpg", "126", "135"] + [str(v) for k in range(36) for v in (k, 2 * k, k % 2)]
    labels = read_labels(write_rows(tmp_path / "l.csv", [cells]))
    assert labels.names == ["a.jpg"] and labels.sizes.tolist() == [[126, 135]]
    assert labels.keypoints.shape == (1, 36, 2) and labels.keypoints[0, 7].tolist() == [7, 14]
    assert labels.visible.dtype == bool and labels.visible[0].tolist() == [k % 2 == 1 for k in range(36)]


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path: Path):
    rows = [label_row("0012"), label_row("NA"), label_row("1e5")]
    assert read_labels(write_rows(tmp_path / "l.csv", rows)).names == ["0012", "NA", "1e5"]


def test_byte_order_mark_windows_line_ends_and_blank_lines_are_taken(tmp_path: Path):
    path = tmp_path / "l.csv"
    text = ",".join(label_row("a.jpg")) + "\r\n\r\n" + ",".join(label_row("b.jpg")) + "\r\n\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_labels(path).names == ["a.jpg", "b.jpg"]


@pytest.mark.skipif("POSEKIT_ANNOTATIONS" not in os.environ, reason="needs the published label files")
def test_every_row_of_the_published_test_labels_loads():
    labels = read_labels(Path(os.environ["POSEKIT_ANNOTATIONS"]) / "veri_label_test.csv")
    assert len(labels.names) == len(set(labels.names)) == 1060
    assert labels.names == sorted(labels.names)
    assert labels.visible.sum() == 25622  # summed with awk over the file's every third column


def changed(column: int, text: str) -> list[list[str]]:
    """Two good rows, then one with `text` in the given column (from 1)."""
    rows = [label_row("a.jpg"), label_row("b.jpg", 1), label_row("c.jpg", 2)]
    rows[2][column - 1] = text
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "the file is empty"),
        ([[""]], "the file is empty"),
        ([label_row("a.jpg"), label_row("b.jpg")[:-1]], "row 2: 110 columns where 111 are expected"),
        ([label_row("a.jpg"), label_row("b.jpg") + ["1"]], "row 2: 112 columns where 111 are expected"),
        ([label_row("a.jpg")[:-1]], "row 1: 110 columns where 111 are expected"),
        ([label_row("a.jpg") + ["1"]], "row 1: 112 columns where 111 are expected"),
        (changed(9, "abc"), "row 3, column 9: 'abc' is not a number"),
        (changed(111, ""), "row 3, column 111: '' is not a number"),
        (changed(4, "nan"), "row 3, column 4: 'nan' is not a number"),
        (changed(4, "inf"), "row 3, column 4: 'inf' is not a number"),
        (changed(6, "2"), "row 3, column 6: visibility 2 is neither 0 nor 1"),
        (changed(9, "0.5"), "row 3, column 9: visibility 0.5 is neither 0 nor 1"),
        (changed(2, "0"), "row 3, column 2: the image's size 0 is not positive"),
        (changed(3, "-5"), "row 3, column 3: the image's size -5 is not positive"),
        (changed(2, "1e30"), "row 3, column 2: 1e+30 is beyond ±2,097,152"),
        (changed(2, "2000000"), "row 3, column 2: 2e+06 is not a whole number of pixels up to 1,048,576"),
        (changed(3, "40.5"), "row 3, column 3: 40.5 is not a whole number of pixels"),
        (changed(7, "1e9"), "row 3, column 7: 1e+09 is beyond ±2,097,152"),
        (changed(7, "5000"), "row 3, column 7: 5000 is far outside the image of 60 x 40 pixels"),
        (changed(8, "-61"), "row 3, column 8: -61 is far outside the image of 60 x 40 pixels"),
        (changed(110, "101"), "row 3, column 110: 101 is far outside the image of 60 x 40 pixels"),
        (changed(109, "9" * 400), "row 3, column 109: 'inf' is not a number"),
        (changed(9, "x" * 100_000), f"row 3, column 9: '{'x' * 80}'… (100,000 characters) is not a number"),
        (changed(1, "../c.jpg"), "row 3, column 1: the name is not a plain file name"),
        (changed(1, ""), "row 3, column 1: the name is not a plain file name"),
    ],
)
def test_a_malformed_label_file_is_refused_with_row_and_column(tmp_path: Path, rows: list[list[str]], said: str):
    path = write_rows(tmp_path / "label_test.csv", rows)
    with pytest.raises(InputError) as error:
        read_labels(path)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


def test_one_hidden_keypoint_does_not_make_the_unit_huge(tmp_path: Path):
    """All of an image's keypoints would count as right."""
    row = label_row("a.jpg")
    row[3:6] = ["1000000000", "5", "0"]
    with pytest.raises(InputError, match="row 1, column 4: 1e"):
        VERI.labels(write_rows(tmp_path / "label_test.csv", [row]), "test")


def test_keypoints_a_little_outside_the_image_are_read(tmp_path: Path):
    rows = changed(7, "-60")
    rows[2][10] = "100"
    assert read_labels(write_rows(tmp_path / "l.csv", rows)).keypoints[2, 1:3].tolist()[0][0] == -60


def test_rows_are_counted_as_an_editor_shows_them(tmp_path: Path):
    path = tmp_path / "l.csv"
    path.write_text(",".join(label_row("a.jpg")) + "\n\n\n" + ",".join(changed(6, "7")[2]) + "\n")
    with pytest.raises(InputError, match="row 4, column 6"):
        read_labels(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01" * 40, bytes(200), jpeg(0)])
def test_a_label_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(InputError, match="l.csv"):
        read_labels(tmp_path / "l.csv")


def test_an_absent_label_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="nowhere.csv: cannot read"):
        read_labels(tmp_path / "nowhere.csv")


# Data sets


def test_the_box_is_the_whole_image_with_the_seeds_margin(data: Path):
    dataset = get_layout("veri").read(data, "test")
    sample = dataset[1]
    assert len(dataset) == 3 and dataset.names == names_of("test", 3)
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert sample.center.tolist() == [WIDTH / 2, HEIGHT / 2]
    assert sample.box_size == 1.25 * WIDTH  # scale = max(w, h) / 200 * 1.25 in units of 200 px
    assert sample.keypoints.shape == (36, 2) and sample.visible.shape == (36,)


def test_images_are_rgb(data: Path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 2] = 255  # OpenCV writes blue, green, red
    cv2.imwrite(str(data / "images" / "image_test" / names_of("test", 1)[0]), pixels)
    assert VERI.read(data, "test").image(0)[20, 30].tolist() == pytest.approx([255, 0, 0], abs=3)


@pytest.mark.parametrize(
    ("archive", "inside"),
    [
        ("images.zip", "image_test/"),
        ("images.zip", "images/image_test/"),
        ("images/image_test.zip", ""),
        ("images/image_test.zip", "image_test/"),
    ],
)
def test_images_may_lie_in_a_zip_file(data: Path, archive: str, inside: str):
    folder = data / "images" / "image_test"
    expected = [(folder / name).read_bytes() for name in names_of("test", 3)]
    zip_folder(data / "moved.zip", folder, inside)
    shutil.rmtree(data / "images")
    (data / archive).parent.mkdir(exist_ok=True)
    (data / "moved.zip").rename(data / archive)
    dataset = VERI.read(data, "test")
    assert [dataset.read_bytes(i) for i in range(3)] == expected
    assert dataset.where(0).endswith(names_of("test", 1)[0]) and archive in dataset.where(0)


def test_a_zip_may_name_its_own_root(data: Path):
    zip_folder(data / "images.zip", data / "images" / "image_test", "./image_test/")
    with zipfile.ZipFile(data / "images.zip", "a") as file:
        file.writestr("./", "")
    assert VERI.read(data, "test", data / "images.zip").read_bytes(0) == VERI.read(data, "test").read_bytes(0)


def test_a_zip_of_both_splits_keeps_them_apart(data: Path):
    same = "0001_c001_00000000_0.jpg"
    write_rows(data / "annot" / "label_test.csv", [label_row(same)])
    with zipfile.ZipFile(data / "both.zip", "w") as file:
        file.writestr(f"image_test/{same}", jpeg(7))
        for name in names_of("train", 4):
            file.writestr(f"image_train/{name}", jpeg(8))
    assert VERI.read(data, "test", data / "both.zip").read_bytes(0) == jpeg(7)
    assert VERI.read(data, "train", data / "both.zip").read_bytes(0) == jpeg(8)


def test_a_zip_is_read_by_many_threads_at_once(tmp_path: Path):
    data = write_veri(tmp_path / "data", test=40)
    folder = data / "images" / "image_test"
    expected = [(folder / name).read_bytes() for name in names_of("test", 40)]
    zip_folder(data / "images.zip", folder, "image_test/")
    dataset = VERI.read(data, "test", data / "images.zip")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dataset.read_bytes, list(range(40)) * 10)) == expected * 10


@pytest.mark.parametrize(
    "member", ["../evil.jpg", "image_test/../../evil.jpg", "/etc/evil.jpg", "C:/evil.jpg", "..\\x"]
)
def test_an_archive_whose_paths_escape_is_refused(data: Path, member: str):
    archive = data / "images.zip"
    zip_folder(archive, data / "images" / "image_test", "image_test/")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(member, b"x")
    with pytest.raises(InputError, match="points outside the archive"):
        VERI.read(data, "test", archive)


def test_a_file_that_is_no_zip_or_a_damaged_one_is_named(data: Path):
    archive = data / "images.zip"
    archive.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="images.zip: not a readable zip file"):
        VERI.read(data, "test", archive)
    zip_folder(archive, data / "images" / "image_test", "image_test/")
    content = bytearray(archive.read_bytes())
    content[200:300] = bytes(100)  # inside the first image
    archive.write_bytes(content)
    with pytest.raises(InputError, match=f"{names_of('test', 1)[0]}: damaged in the archive"):
        VERI.read(data, "test", archive).image(0)


def test_images_may_lie_elsewhere(data: Path, tmp_path: Path):
    expected = (data / "images" / "image_test" / names_of("test", 1)[0]).read_bytes()
    (data / "images").rename(tmp_path / "pictures")
    assert VERI.read(data, "test", tmp_path / "pictures").read_bytes(0) == expected
    assert VERI.read(data, "test", tmp_path / "pictures" / "image_test").read_bytes(0) == expected


def test_a_missing_image_is_counted_and_named(data: Path):
    name = names_of("test", 3)[1]
    (data / "images" / "image_test" / name).unlink()
    with pytest.raises(InputError, match=f"1 of 3 images are missing, the first is {name}"):
        VERI.read(data, "test")
    with pytest.raises(InputError, match=f"{name}: cannot read the image"):
        VERI.read(data, "test", require_images=False).image(1)


def test_a_truncated_image_is_named(data: Path):
    path = data / "images" / "image_test" / names_of("test", 1)[0]
    path.write_bytes(jpeg(0)[:-300])
    with pytest.raises(InputError, match=f"{path.name}: the JPEG is truncated"):
        VERI.read(data, "test").image(0)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xd9"])
def test_a_file_that_is_no_image_is_named(content: bytes):
    with pytest.raises(InputError, match="here.jpg: not a readable image"):
        decode_image(content, "here.jpg")


def test_bytes_after_the_end_of_a_jpeg_do_no_harm_and_a_thumbnail_does_not_hide_a_cut():
    assert decode_image(jpeg(0) + bytes(500), "padded").shape == (HEIGHT, WIDTH, 3)
    assert decode_image(jpeg(0) + b"a phone's film \xff\xda", "film").shape == (HEIGHT, WIDTH, 3)
    thumbnail = jpeg(1, 16, 16)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = jpeg(0)[:2] + segment + jpeg(0)[2:]
    assert decode_image(whole, "whole").shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(InputError, match="truncated"):
        decode_image(whole[:-300], "cut")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: shutil.rmtree(data / "annot"), r"looked for annot/label_test.csv, found images/"),
        (lambda data: (data / "annot" / "label_test.csv").unlink(), r"looked for annot/label_test.csv, found annot/"),
        (lambda data: shutil.rmtree(data / "images" / "image_test"), r"looked for image_test/.* found image_train/"),
        (lambda data: shutil.rmtree(data / "images"), "found no such folder"),
        (lambda data: shutil.rmtree(data), "found no such folder"),
    ],
)
def test_a_folder_of_another_layout_is_refused_with_what_was_looked_for_and_found(data: Path, change, said: str):
    change(data)
    with pytest.raises(InputError, match=said) as error:
        VERI.read(data, "test")
    assert "\n" not in str(error.value)


def test_unknown_kinds_and_splits_are_refused(data: Path):
    with pytest.raises(InputError, match="veri"):
        get_layout("cocoa").read(data, "test")
    with pytest.raises(InputError, match="train or test"):
        get_layout("veri").read(data, "valid")


def test_repeated_names_are_refused_with_both_rows(data: Path):
    write_rows(data / "annot" / "label_test.csv", [label_row(n) for n in ("a.jpg", "b.jpg", "a.jpg")])
    with pytest.raises(InputError, match="row 3: repeats a.jpg of row 1"):
        VERI.read(data, "test")


# Preparing


@pytest.fixture
def original(tmp_path: Path) -> tuple[Path, Path]:
    """The original VeRi data set (all images in image_train) and the folder of label files."""
    made = write_veri(tmp_path / "made")
    source = tmp_path / "VeRi" / "image_train"
    source.mkdir(parents=True)
    for image in (made / "images").glob("*/*.jpg"):
        shutil.copy(image, source / image.name)
    (source / "9999_c001_unused.jpg").write_bytes(jpeg(3))
    return source.parent, made / "annot"


def test_prepare_builds_the_layout_from_image_train(original: tuple[Path, Path], tmp_path: Path):
    veri, labels = original
    assert prepare_veri(veri, labels, tmp_path / "out") == (7, 0)
    for split, count in (("train", 4), ("test", 3)):
        dataset = VERI.read(tmp_path / "out", split)
        assert [dataset.read_bytes(i) for i in range(count)] == [(veri / "image_train" / n).read_bytes()
                                                                 for n in names_of(split, count)]  # fmt: skip
        assert len(list((tmp_path / "out" / "images" / f"image_{split}").iterdir())) == count


def test_prepare_goes_on_where_it_stopped_and_replaces_half_files(original: tuple[Path, Path], tmp_path: Path):
    out = tmp_path / "out"
    prepare_veri(*original, out)
    first, second = (out / "images" / "image_train" / name for name in names_of("train", 2))
    first.unlink()
    second.unlink()
    second.write_bytes(b"half")
    assert prepare_veri(*original, out) == (2, 5)
    assert VERI.read(out, "train").image(1).shape == (HEIGHT, WIDTH, 3)


def test_prepare_copies_where_links_are_not_possible(original: tuple[Path, Path], tmp_path: Path, monkeypatch):
    def no_links(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    prepare_veri(*original, tmp_path / "out")
    assert VERI.read(tmp_path / "out", "test").image(0).shape == (HEIGHT, WIDTH, 3)


def test_prepare_lists_missing_images_before_writing_anything(original: tuple[Path, Path], tmp_path: Path):
    veri, labels = original
    for name in names_of("test", 2):
        (veri / "image_train" / name).unlink()
    with pytest.raises(InputError, match=f"2 of 7 images are missing, the first is {names_of('test', 1)[0]}"):
        prepare_veri(veri, labels, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_names_a_damaged_image_and_writes_no_labels(original: tuple[Path, Path], tmp_path: Path):
    name = names_of("train", 4)[2]
    (original[0] / "image_train" / name).write_bytes(jpeg(2)[:-300])
    with pytest.raises(InputError, match=f"{name}: the JPEG is truncated"):
        prepare_veri(*original, tmp_path / "out")
    assert not (tmp_path / "out" / "annot").exists()
    assert not (tmp_path / "out" / "images" / "image_train" / name).exists()


def test_prepare_says_when_the_disk_is_full_and_leaves_nothing_half_written(original, tmp_path: Path, monkeypatch):
    def full(source, target, **_):
        Path(target).write_bytes(b"ha")
        raise OSError(28, "No space left on device")

    def no_links(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(InputError, match="No space left on device"):
        prepare_veri(*original, tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_prepare_refuses_other_folders(original: tuple[Path, Path], tmp_path: Path):
    veri, labels = original
    with pytest.raises(InputError, match="looked for image_train/, found"):
        prepare_veri(labels, labels, tmp_path / "out")
    with pytest.raises(InputError, match="looked for label_train.csv, found image_train/"):
        prepare_veri(veri, veri, tmp_path / "out")
