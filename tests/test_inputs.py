"""Folders of phones and Macs: what is read, what is skipped and said, and what copies are called."""

import os
from pathlib import Path

import pytest
from veri_files import jpeg

from posekit.errors import InputError
from posekit.inference.inputs import find_inputs

COMPANION = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(100)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(100)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(100)


def put(folder: Path, *names: str, content: bytes = b"") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content or jpeg(0))
    return [folder / name for name in names]


def called(*sources: Path) -> list[tuple[str, str]]:
    """Names and copies of what is found, where nothing is skipped."""
    inputs, skipped = find_inputs(list(sources))
    assert not skipped.names
    return [(given.name, given.copy) for given in inputs]


def test_a_picture_and_its_film_keep_their_names(tmp_path: Path):
    put(tmp_path, "IMG_0001.JPG", "IMG_0002.JPG")
    put(tmp_path, "IMG_0001.MOV", content=MP4)
    assert called(tmp_path) == [
        ("IMG_0001.JPG", "IMG_0001.png"), ("IMG_0001.MOV", "IMG_0001.mp4"), ("IMG_0002.JPG", "IMG_0002.png"),
    ]  # fmt: skip


def test_copies_of_one_stem_get_the_suffix_too(tmp_path: Path):
    put(tmp_path, "a.jpg", "a.png", "b.jpg")
    assert [copy for _, copy in called(tmp_path)] == ["a.jpg.png", "a.png.png", "b.png"]


def test_two_cameras(tmp_path: Path):
    put(tmp_path / "cam1", "0001.jpg", "0002.jpg")
    put(tmp_path / "cam2", "0001.jpg", "0003.jpg")
    assert called(tmp_path / "cam1", tmp_path / "cam2") == [
        ("cam1/0001.jpg", "cam1-0001.jpg.png"), ("0002.jpg", "0002.png"),
        ("cam2/0001.jpg", "cam2-0001.jpg.png"), ("0003.jpg", "0003.png"),
    ]  # fmt: skip


def test_two_cards_of_the_same_camera(tmp_path: Path):
    """The folder above tells them apart."""
    for card in ("monday", "tuesday"):
        put(tmp_path / card / "DCIM", "IMG_1.jpg")
    names, copies = zip(*called(tmp_path / "monday" / "DCIM", tmp_path / "tuesday" / "DCIM"), strict=True)
    assert names == ("monday/DCIM/IMG_1.jpg", "tuesday/DCIM/IMG_1.jpg")
    assert copies == ("monday-DCIM-IMG_1.jpg.png", "tuesday-DCIM-IMG_1.jpg.png")


def test_names_that_differ_in_case_or_accents_alone(tmp_path: Path):
    """Other file systems take them for one."""
    put(tmp_path, "a.jpg", "A.JPG", "\u00e9.jpg", "e\u0301.jpg")
    inputs, _ = find_inputs([tmp_path])
    assert sorted(given.name for given in inputs) == sorted(["a.jpg", "A.JPG", "\u00e9.jpg", "e\u0301.jpg"])
    assert sorted(given.copy for given in inputs)[:2] == ["A.png", "a-2.png"]
    assert len({given.copy.casefold() for given in inputs}) == 4


def test_copies_are_distinct_whatever_the_names(tmp_path: Path):
    """Also where one copy's longer name is another's own."""
    put(tmp_path / "x", "a.jpg", "a.png", "a.jpg.png", "x-a.jpg", "b-2.jpg", "b.jpg", "B.jpg")
    put(tmp_path / "y", "a.jpg", "x-a.jpg.png")
    put(tmp_path, "x-a.jpg.jpg")
    found = called(tmp_path / "x", tmp_path / "y", tmp_path / "x-a.jpg.jpg")
    names, copies = zip(*found, strict=True)
    assert len(set(names)) == len({copy.casefold() for copy in copies}) == len(found) == 10


def test_the_same_file_twice_is_predicted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (path,) = put(tmp_path, "a.jpg")
    monkeypatch.chdir(tmp_path)
    assert called(path, tmp_path, Path("a.jpg"), Path("../") / tmp_path.name / "a.jpg") == [("a.jpg", "a.png")]


def test_any_name_is_read(tmp_path: Path):
    names = ["walk, left.jpg", 'a"b.jpg', "two\nlines.jpg", "=cmd.jpg", "<svg onload=alert(4)>.jpg", "我的 (a+b).jpg",
             "x" * 251 + ".jpg", "%d.jpg", "-o.jpg", "a.jpg:0", ".jpg", "noext"]  # fmt: skip
    put(tmp_path, *names)
    found = called(tmp_path)
    assert sorted(name for name, _ in found) == sorted(names)
    for _, copy in found:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / copy).touch()
    assert len(os.listdir(tmp_path / "out")) == len(names)


@pytest.mark.parametrize("named", [False, True])
def test_a_name_that_is_not_text_is_refused(tmp_path: Path, named: bool):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(path, "wb") as stream:
        stream.write(jpeg(0))
    with pytest.raises(InputError, match=r"caf\\udce9.jpg: the file's name is not UTF-8.*rename the file"):
        find_inputs([Path(os.fsdecode(path))] if named else [tmp_path])


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path: Path):
    folder = tmp_path / "DCIM"
    put(folder, "a.jpg", "b.jfif", "noext")  # known by what is in them
    put(folder, "HEIC.HEIC", "heif.heif", content=HEIC)
    put(folder, "x.avif", content=b"\0\0\0\x18ftypavif\0\0\0\0")
    put(folder, "x.gif", content=b"GIF89a\x01\x00")
    put(folder, "x.CR2", "x.DNG", content=b"II*\0\x10\0\0\0CR\2\0")
    put(folder, "x.livp", content=b"PK\3\4" + bytes(30))
    put(folder, ".DS_Store", content=b"\0\0\0\1Bud1")
    put(folder, "Thumbs.db", content=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    put(folder, "notes.txt", content=b"hello")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    inputs, skipped = find_inputs([folder])
    assert [given.name for given in inputs] == ["a.jpg", "b.jfif", "noext"]
    line = skipped.line(folder)
    assert line.startswith("14 of 17 skipped: ") and "\n" not in line
    for said in (
        "HEIC.HEIC, heif.heif (a HEIC image, convert it to JPEG or PNG)", "x.avif (an AVIF image, convert",
        "x.gif (a GIF image, convert", "x.CR2, x.DNG (a camera's raw file, develop it to JPEG)",
        "x.livp (a zip file, unpack it first)", ".DS_Store, notes.txt (not an image or a video)",
        "dangling.jpg (a link to a file that isn't there)", "folder.jpg, sub (a folder, which isn't entered)",
        "pipe.jpg (a device or a pipe, give a file)", "Thumbs.db (an old Office document (.xls, .doc))",
    ):  # fmt: skip
        assert said in line, line


def test_very_many_are_counted(tmp_path: Path):
    put(tmp_path, *(f"{i:03d}.HEIC" for i in range(300)), content=HEIC)
    put(tmp_path, "a.jpg")
    line = find_inputs([tmp_path])[1].line(tmp_path)
    assert "300 of 301 skipped: 000.HEIC, 001.HEIC" in line and "and 290 more (a HEIC image" in line


def test_a_folder_without_anything_to_read(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    put(tmp_path / "phone", "a.HEIC", content=HEIC)
    for name in ("monday", "tuesday"):
        put(tmp_path / "cards" / name, "a.jpg")
    for name, said in (
        ("empty", "empty: holds no images and no videos: it is empty; check the path"),
        ("phone", "phone: holds no images and no videos: 1 of 1 skipped: a.HEIC .a HEIC image, convert it"),
        ("cards", "cards: holds no images and no videos: 2 of 2 skipped: monday, tuesday .a folder, which isn't"),
    ):
        with pytest.raises(InputError, match=said):
            find_inputs([tmp_path / name])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.heic", HEIC, "a.heic: is a HEIC image; convert it to JPEG or PNG"),
        ("a.gif", b"GIF89a\x01\x00", "a.gif: is a GIF image; convert it to JPEG or PNG"),
        ("a.nef", b"II*\0\x10\0\0\0", "a.nef: is a camera's raw file; develop it to JPEG"),
        ("a.zip", b"PK\3\4" + bytes(30), "a.zip: is a zip file; unpack it first"),
        ("a.txt", b"hello", "a.txt: is not an image or a video"),
    ],
)
def test_a_named_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, said: str):
    with pytest.raises(InputError, match=said):
        find_inputs(put(tmp_path, name, content=content))
