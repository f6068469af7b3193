"""Images in zip files: which one is meant, and what is refused before it is read."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from veri_files import jpeg

from posekit import bounds
from posekit.datasets import archive
from posekit.datasets.archive import Archive
from posekit.datasets.images import BadImage
from posekit.datasets.sources import check_present
from posekit.errors import InputError


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def changed(path: Path, member: str, place: int, form: str, value: int) -> Path:
    """A field of a member's entry in the list of members, at its place from the entry's begin."""
    data = bytearray(path.read_bytes())
    at = data.rindex(member.encode()) - 46
    assert data[at : at + 4] == b"PK\1\2"
    struct.pack_into(form, data, at + place, value)
    path.write_bytes(data)
    return path


def test_images_are_read_by_name(tmp_path: Path):
    names = ["a.jpg", "walk, left.jpg", 'a"b.jpg', "12:30.jpg", "我的 文件.jpg", "=cmd.jpg"]
    path = zipped(tmp_path / "a.zip", {f"images/{name}": jpeg(i) for i, name in enumerate(names)})
    images = Archive(path, "images")
    assert images.names() == set(names)
    assert [images.read(name) for name in names] == [jpeg(i) for i in range(len(names))]


def test_a_member_of_10_gb_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = zipped(tmp_path / "a.zip", {"images/a.jpg": jpeg(0)})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("read"))
    changed(path, "images/a.jpg", 24, "<I", 4_000_000_000)
    with pytest.raises(BadImage, match=r"a.zip:images/a.jpg: 4,000,000,000 bytes, where an image has") as caught:
        Archive(path, "images").read("a.jpg")
    assert caught.value.kind == "too large"
    changed(path, "images/a.jpg", 24, "<I", 100_000_000)
    with pytest.raises(BadImage, match="unpacks to 100,000,000 bytes, which no image does"):
        Archive(path, "images").read("a.jpg")


@pytest.mark.parametrize("size", [10, 9_000])
def test_a_size_that_lies_is_found(tmp_path: Path, size: int):
    """No more than it says is read, and the checksum is of the rest, too."""
    content = jpeg(0, 200, 100)
    assert 9_000 < len(content)
    path = zipped(tmp_path / "a.zip", {"images/a.jpg": content})
    changed(path, "images/a.jpg", 24, "<I", size)
    with pytest.raises(BadImage, match="damaged in the archive") as caught:
        Archive(path, "images").read("a.jpg")
    assert caught.value.kind == "damaged"


def test_a_long_list_of_members_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = zipped(tmp_path / "a.zip", {f"images/{i:05d}.jpg": b"" for i in range(100)})
    monkeypatch.setattr(archive, "LARGEST_DIRECTORY", 6_200)
    assert len(Archive(path, "images").names()) == 100
    monkeypatch.setattr(archive, "LARGEST_DIRECTORY", 6_199)
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *_: pytest.fail("read"))
    with pytest.raises(InputError, match=r"its list of members takes 6,200 bytes, where 6,199 can be read; unpack it"):
        Archive(path, "images")
    assert bounds.LARGEST_DIRECTORY >= 64 * 500_000


def test_one_name_for_several_images_is_refused(tmp_path: Path):
    """Two cameras' 0001.jpg; the same image twice does no harm."""
    members = {"cam1/0001.jpg": jpeg(1), "cam2/0001.jpg": jpeg(2), "cam1/0002.jpg": jpeg(3), "cam2/0002.jpg": jpeg(3)}
    images = Archive(zipped(tmp_path / "a.zip", members), "images")
    assert images.read("0002.jpg") == jpeg(3)
    with pytest.raises(BadImage, match=r"several different images of this name"):
        images.read("0001.jpg")
    check_present(images, ["0002.jpg"], "veri")
    with pytest.raises(InputError, match=r"a.zip: 1 images are in it several times and differ, the first is 0001.jpg"):
        check_present(images, ["0001.jpg", "0002.jpg"], "veri")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_member_twice_is_refused(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"images/a.jpg": jpeg(0)})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("images/a.jpg", jpeg(1))
    with pytest.raises(BadImage, match="several different images of this name"):
        Archive(path, "images").read("a.jpg")


def test_an_encrypted_archive_is_refused(tmp_path: Path):
    path = changed(zipped(tmp_path / "a.zip", {"images/a.jpg": jpeg(0)}), "images/a.jpg", 8, "<H", 1)
    with pytest.raises(InputError, match="a.zip: is encrypted; unpack it with its password and give the folder"):
        Archive(path, "images")


def test_a_compression_that_python_does_not_know(tmp_path: Path):
    """As Windows uses for large files."""
    path = changed(zipped(tmp_path / "a.zip", {"images/a.jpg": jpeg(0)}), "images/a.jpg", 10, "<H", 9)
    with pytest.raises(BadImage, match=r"images/a.jpg: .*not supported.*; unpack the archive and give the folder"):
        Archive(path, "images").read("a.jpg")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_found_whatever_the_compression(tmp_path: Path, compression: int):
    path = zipped(tmp_path / "a.zip", {"images/a.jpg": jpeg(0, 200, 100)}, compression)
    data = path.read_bytes()
    for at in range(60, 2000, 150):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(BadImage, match="damaged in the archive"):
            Archive(path, "images").read("a.jpg")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda data: data[: len(data) // 2], "not a readable zip file"),
        (lambda data: b"7z\xbc\xaf\x27\x1c" + data, "is a 7z archive; unpack it first"),
        (lambda data: b"<html>404</html>", "is an HTML page"),
        (lambda data: b"", "is an empty file"),
    ],
)
def test_other_files_are_named(tmp_path: Path, make: Callable[[bytes], bytes], said: str):
    path = zipped(tmp_path / "a.zip", {"images/a.jpg": jpeg(0)})
    path.write_bytes(make(path.read_bytes())[:-30] if said.startswith("is a 7z") else make(path.read_bytes()))
    with pytest.raises(InputError, match=f"a.zip: {said}"):
        Archive(path, "images")
