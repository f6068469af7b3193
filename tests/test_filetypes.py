"""What a file really is, as its first bytes say."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from posekit.filetypes import said_to_be, wrong_kind

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def zipped(*members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for member in members:
            file.writestr(member, "x" * 10)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.csv"))
    return stream.getvalue()


def picture(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.zeros((8, 8, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"\x00" * 100, "nothing but zero bytes, as of a broken download"),
        (b"<!DOCTYPE html><html><head>", "an HTML page, perhaps a download's warning"),
        (b"\xef\xbb\xbf\r\n <!-- saved --><HTML lang='en'>", "an HTML page, perhaps a download's warning"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "an XML document, perhaps a download's warning"),
        (b"<?xml version='1.0'?><svg>", "an SVG drawing"),
        (b'{"message": "Not Found"}', "a JSON document"),
        (LFS, "a Git LFS pointer; run git lfs pull"),
        (b"/annex/objects/SHA256E-s12--ab.h5\n", "a git-annex pointer; run git annex get"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        (zipped("archive/data.pkl"), "a file of torch.save"),
        (zipped("a/b.csv"), "a zip file; unpack it first"),
        (zipped(), "an empty zip file"),
        (gzip.compress(b"a,1\n", mtime=0), "a gzip file; unpack it first"),
        (tarred(), "a tar archive; unpack it first"),
        (b"%PDF-1.7\n%", "a PDF document"),
        ("a.jpg,1\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("a.jpg,1\n".encode("utf-16-le"), "UTF-16 text; save it as UTF-8"),
        (picture(".jpg"), "a JPEG image"),
        (picture(".png"), "a PNG image"),
        (picture(".bmp"), "a BMP image"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "a HEIC image"),
        (b"\x00\x00\x00\x18ftypqt  \x00\x00\x00\x00", "an MP4 or QuickTime film"),
        (b"\x00\x05\x16\x07\x00\x02", "a Mac's companion file (._NAME), which holds no data; take NAME"),
        (b"<<<<<<< HEAD\na.jpg,1\n", "text with a merge conflict of git; resolve it"),
    ],
)
def test_first_bytes_say_what_a_file_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert said_to_be(path) == said


@pytest.mark.parametrize(
    "content", [b"BMW.jpg,1,2\n", b"MZ 3.jpg,1\n", b"PAR1.jpg,3\n", b"GIF89.jpg,1\n", b"a", b"\xe4\n"]
)
def test_plain_text_is_nothing_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert said_to_be(path) is None


def test_folders_and_absent_files_are_told_apart(tmp_path: Path) -> None:
    assert said_to_be(tmp_path) == "a folder"
    assert said_to_be(tmp_path / "absent") is None


def test_hdf5_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.csv", "w") as file:
        file["x"] = [1]
    assert said_to_be(tmp_path / "a.csv") == "an HDF5 file"


def test_a_files_own_remedy_takes_the_place_of_the_given_one(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(LFS)
    assert str(wrong_kind(path, "download it again")) == f"{path}: is a Git LFS pointer; run git lfs pull"
    path.write_bytes(b"<html>")
    message = f"{path}: is an HTML page, perhaps a download's warning; download it again"
    assert str(wrong_kind(path, "download it again")) == message
    path.write_bytes(b"\x01")
    assert wrong_kind(path, "download it again") is None
