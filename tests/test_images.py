"""Image files to pixels, held against OpenCV's decoder; damage and bounds."""

import io
import os
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from posekit import bounds
from posekit.datasets import images, jpeg
from posekit.datasets.images import BadImage, decode_image, decode_reduced, holds_several, read_file
from posekit.datasets.png import chunks as png_chunks
from posekit.geometry import enlarging

EXIF = b"\xff\xe1\x00\x22Exif\0\0"
JPEGS = [
    *({"quality": quality, "subsampling": sampling} for quality in (30, 90, 100) for sampling in (0, 1, 2)),
    {"progressive": True},
    {"optimize": True},
    {"restart_marker_blocks": 3},
    {"keep_rgb": True},
]


def picture(seed: int, width: int = 120, height: int = 90) -> np.ndarray:
    """Smooth noise (H, W, 3) uint8 RGB with an even part, as a photograph has."""
    rng = np.random.default_rng(seed)
    pixels = cv2.GaussianBlur(rng.integers(0, 255, (height, width, 3), np.uint8), (0, 0), 1.5)
    pixels[: height // 4] = rng.integers(0, 255, 3)
    return pixels


def encoded(form: str, pixels: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def by_opencv(data: bytes, upright: bool = False) -> np.ndarray:
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), flags), cv2.COLOR_BGR2RGB)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def fault(data: bytes) -> tuple[str, str]:
    """The kind and the message of what is wrong; two empty texts if nothing is."""
    try:
        decode_image(data, "here")
    except BadImage as error:
        assert str(error).startswith("here: ") and "\n" not in str(error)
        return error.kind, str(error)
    return "", ""


# What can be read is read as before


@pytest.mark.parametrize("options", JPEGS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpegs_have_opencvs_pixels(options: dict, mode: str):
    options = {name: value for name, value in options.items() if mode == "RGB" or name != "keep_rgb"}
    for seed, (width, height) in enumerate([(120, 90), (33, 57), (1, 1), (8, 16)]):
        data = encoded("JPEG", picture(seed, width, height), mode, **options)
        assert (decode_image(data, "here") == by_opencv(data)).all()


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        *(("PNG", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
        *(("BMP", mode, {}) for mode in ("RGB", "L", "P", "1")),
        *(("TIFF", mode, {}) for mode in ("RGB", "RGBA", "L", "P", "I;16")),
        *(("TIFF", "RGB", {"compression": f"tiff_{kind}"}) for kind in ("lzw", "adobe_deflate", "jpeg")),
        *(("WEBP", mode, {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (False, True)),
    ],
    ids=str,
)
def test_other_formats_have_opencvs_pixels(form: str, mode: str, options: dict):
    data = encoded(form, picture(1), mode, **options)
    assert (decode_image(data, "here") == by_opencv(data)).all()


def test_the_real_photographs_and_drawn_ones_have_opencvs_pixels(tiny_vehicles: Path):
    folders = [tiny_vehicles, *filter(None, [os.environ.get("POSEKIT_PHOTOS")])]
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.jpg"))[::7]]
    assert len(files) > 4
    for path in files:
        data = path.read_bytes()
        assert (decode_image(data, str(path)) == by_opencv(data)).all(), path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", range(10))
def test_upright_is_as_opencv_turns(order: str, tag: int):
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, tag, 0)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, 1)
    data = encoded("JPEG", picture(0))
    turned = data[:2] + EXIF + head + entry + bytes(4) + data[2:]
    other = data[:2] + b"\xff\xe1\x00\x08hello\0" + turned[2:]
    for given in (turned, other):
        for upright in (False, True):
            assert (decode_image(given, "here", upright) == by_opencv(given, upright)).all()
    assert decode_image(turned, "here", upright=True).shape[:2] == ((120, 90) if 5 <= tag <= 8 else (90, 120))


def with_tag(data: bytes, tag: int) -> bytes:
    """A JPEG with that orientation tag."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, tag, 0)
    return data[:2] + EXIF + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + data[2:]


def shift(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """By how many pixels `found` is to the right of `wanted` and below it, by least squares, and what then remains."""
    found, wanted = found.mean(2), wanted.mean(2)
    slopes = np.stack([-np.gradient(wanted, axis=axis)[1:-1, 1:-1].ravel() for axis in (1, 0)], 1)
    off = (found - wanted)[1:-1, 1:-1].ravel()
    moved = np.linalg.lstsq(slopes, off, rcond=None)[0]
    return np.array([*moved, (off - slopes @ moved).std()])


@pytest.mark.parametrize("options", JPEGS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_of_fewer_pixels_is_not_moved(options: dict, mode: str):
    """Its pixels are the means of 2 × 2, 4 × 4 or 8 × 8; of odd sides the last are means of fewer."""
    options = {name: value for name, value in options.items() if mode == "RGB" or name != "keep_rgb"}
    columns, rows = np.meshgrid(np.arange(333), np.arange(219))
    waves = np.dstack([np.sin(columns / 9), np.sin(rows / 11), np.sin((columns + rows) / 13)])
    data = encoded("JPEG", (127 + 100 * waves).round().astype(np.uint8), mode, **options)
    whole = decode_image(data, "here").astype(float)
    for times in (2, 4, 8):
        found = decode_reduced(data, "here", times=times)
        assert found.size == (333, 219) and np.array_equal(found.enlarging, enlarging(times))
        assert found.pixels.shape == (-(-219 // times), -(-333 // times), 3)
        height, width = 219 // times, 333 // times
        means = whole[: height * times, : width * times].reshape(height, times, width, times, 3).mean((1, 3))
        *moved, rest = shift(found.pixels[:height, :width], means)
        assert np.abs(moved).max() < 0.02 and rest < 5  # means moved by half a pixel would be 0.06 and more


@pytest.mark.parametrize("size", [(160, 96), (161, 99)])
@pytest.mark.parametrize("tag", range(1, 9))
def test_a_turned_jpeg_of_fewer_pixels_is_not_moved(tag: int, size: tuple[int, int]):
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = np.dstack([np.sin(columns / 9), np.sin(rows / 11), np.sin((columns + rows) / 13)])
    data = with_tag(encoded("JPEG", (127 + 100 * waves).round().astype(np.uint8)), tag)
    found, whole = decode_reduced(data, "here", True, 4), decode_image(data, "here", True)
    assert found.size == whole.shape[1::-1]
    times = 1 if found.enlarging is None else 4
    assert times == (1 if tag > 1 and size == (161, 99) else 4)
    height, width = (side // times for side in whole.shape[:2])
    parts = whole[: height * times, : width * times].astype(float)
    means = parts.reshape(height, times, width, times, 3).mean((1, 3))
    assert np.abs(shift(found.pixels[:height, :width], means)[:2]).max() < 0.02


def test_what_is_no_jpeg_or_small_is_decoded_whole():
    for form, size in (("PNG", (120, 90)), ("JPEG", (31, 31)), ("JPEG", (1, 1))):
        found = decode_reduced(encoded(form, picture(0, *size)), "here", times=4)
        assert found.enlarging is None and found.size == found.pixels.shape[1::-1] == size
    odd = encoded("JPEG", picture(0), "CMYK", subsampling=1)
    assert decode_reduced(odd, "here", times=2).size == (120, 90)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
TURNED = {  # NumPy's own words for the tags of TIFF 6.0 and Exif 2.3
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 3), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("tag", TURNED)
@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_every_form_is_turned_if_upright_is_asked_for_and_else_not(form: str, options: dict, tag: int):
    """OpenCV turns TIFFs always and WebPs never."""
    exif = Image.Exif()
    exif[0x112] = tag
    data = encoded(form, picture(0), exif=exif, **options)
    assert np.array_equal(decode_image(data, "here"), picture(0))
    assert np.array_equal(decode_image(data, "here", upright=True), TURNED[tag](picture(0)))


def test_what_does_no_harm_is_read():
    """A film after the end, as phones keep it; padding; another JFIF; a selection that means nothing in a sequential
    scan; a rare ratio of colours."""
    data, pixels = encoded("JPEG", picture(0)), by_opencv(encoded("JPEG", picture(0)))
    scan = next(s for s in jpeg.segments(data) if s.marker == 0xDA)
    for given in (
        data + b"film" * 1000 + b"\xff\xd8\xff",
        data[:-2] + bytes(4000) + data[-2:],
        data[:-2] + b"\xff" * 40 + data[-2:],
        data.replace(b"JFIF\0\1\1", b"JFIF\0\7\7"),
        data[: scan.end - 3] + b"\0\0\0" + data[scan.end :],
    ):
        assert given != data and (decode_image(given, "here") == pixels).all()
    odd = encoded("JPEG", picture(0), "CMYK", subsampling=1)
    assert (decode_image(odd, "here") == by_opencv(odd)).all()


# Damage


def zeros(data: bytes, rng: np.random.Generator, count: int) -> bytes:
    """A stretch of zero bytes among the pixels of a JPEG."""
    first = next(s.end for s in jpeg.segments(data) if s.marker == 0xDA)
    at = int(rng.integers(first, len(data) - 2 - count))
    return data[:at] + bytes(count) + data[at + count :]


def cut(data: bytes, rng: np.random.Generator, count: int) -> bytes:
    """Cut in the middle of the pixels, and closed with an end marker."""
    first = next(s.end for s in jpeg.segments(data) if s.marker == 0xDA)
    return data[: int(rng.integers(first, len(data) - 2 - count))] + b"\xff\xd9"


def without(data: bytes, rng: np.random.Generator, count: int) -> bytes:
    first = next(s.end for s in jpeg.segments(data) if s.marker == 0xDA)
    at = int(rng.integers(first, len(data) - 2 - count))
    return data[:at] + data[at + count :]


@pytest.mark.parametrize(("damage", "count"), [(zeros, 16), (zeros, 64), (zeros, 512), (cut, 20), (without, 512)])
@pytest.mark.parametrize("options", [{}, {"optimize": True}], ids=str)
def test_damaged_jpegs_are_found(damage: Callable, count: int, options: dict):
    rng = np.random.default_rng(0)
    wrong = 0
    for seed in range(40):
        whole = encoded("JPEG", picture(seed, 300, 200), quality=90, **options)
        assert fault(whole) == ("", "")
        broken = damage(whole, rng, count)
        kind, message = fault(broken)
        wrong += kind == "damaged" and "the JPEG is damaged (" in message
        for times in (2, 8) if kind else ():
            with pytest.raises(BadImage, match=re.escape(message)):
                decode_reduced(broken, "here", times=times)
        if not kind:
            assert (decode_image(broken, "") == by_opencv(broken)).all()
    assert wrong >= 39, wrong


def test_damaged_headers_of_jpegs_are_found():
    rng = np.random.default_rng(0)
    for seed in range(30):
        data = encoded("JPEG", picture(seed))
        pixels = by_opencv(data)
        at = int(rng.integers(20, next(s.end for s in jpeg.segments(data) if s.marker == 0xDA) - 64))
        broken = data[:at] + bytes(64) + data[at + 64 :]
        assert fault(broken)[0] or (decode_image(broken, "") == pixels).all()


def test_missing_scans_of_a_progressive_jpeg_are_found():
    data = encoded("JPEG", picture(0), progressive=True)
    scans = [s.begin for s in jpeg.segments(data) if s.marker in (0xDA, 0xC4)]
    kind, message = fault(data[: scans[-1]] + b"\xff\xd9")
    assert kind == "damaged" and "scans are missing" in message


def test_even_areas_are_not_damage():
    """Zeros may code even areas, where the Huffman code of zeros ends a block."""
    for value in range(0, 256, 15):
        flat = np.full((1000, 1500, 3), value, np.uint8)
        for options in ({}, {"optimize": True}, {"progressive": True}, {"quality": 5}):
            assert fault(encoded("JPEG", flat, **options)) == ("", "")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF"])
def test_files_cut_off_are_found(form: str):
    data = encoded(form, picture(0))
    for length in (len(data) - 5, len(data) // 2, 100, 30):
        assert fault(data[:length])[0] in ("truncated", "unreadable", "damaged")


def test_checksums_are_checked():
    rng = np.random.default_rng(0)
    for form, options in (("PNG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})):
        data = encoded(form, picture(0, 300, 200), **options)
        for _ in range(60):
            at = int(rng.integers(200, len(data) - 300))
            flipped = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
            assert fault(flipped)[0] == "damaged"


def test_a_damaged_side_chunk_of_a_png_is_found():
    """It may hold the orientation."""
    data = encoded("PNG", picture(0), dpi=(72, 72))
    at = data.index(b"pHYs") + 6
    assert fault(data[:at] + b"\x55" + data[at + 1 :])[0] == "damaged"


def edited_png(pixels: Callable[[bytes], bytes], height: int = 90, kind: bytes = b"IDAT", **options: object) -> bytes:
    """A PNG of 120 × 90 pixels, each checksum of a chunk right, the packed pixels changed."""
    data = encoded("PNG", picture(0), **options)
    parts = [(c.kind, data[c.begin + 8 : c.end - 4]) for c in png_chunks(data)]
    packed = pixels(b"".join(content for name, content in parts if name == b"IDAT"))
    header = parts[0][1][:4] + struct.pack(">I", height) + parts[0][1][8:]
    return data[:8] + chunk(b"IHDR", header) + chunk(kind, packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (edited_png(lambda packed: packed[: len(packed) // 2]), "fewer pixels than its header says"),
        (edited_png(lambda packed: packed[:-4]), "the end of its pixels is missing"),
        (edited_png(lambda packed: packed[:-4] + b"abcd"), "incorrect data check"),
        (edited_png(bytes, height=180), "fewer pixels than its header says"),
        (edited_png(bytes, height=45), "more pixels than its header says"),
        (edited_png(bytes, mode="P"), "no palette"),
        (edited_png(bytes, kind=b"CgBI"), "it needs 'CgBI', which only some programs read"),
    ],
)
def test_damaged_pixels_of_a_png_are_one_line(data: bytes, said: str, capfd: pytest.CaptureFixture):
    """libpng would print more on standard error, or cut the picture off in silence."""
    assert said in fault(data)[1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pngs_are_read_in_silence_as_by_opencv(mode: str, capfd: pytest.CaptureFixture):
    """A wrong colour profile, which many programs write, is nothing to complain about."""
    pixels = picture(0)[..., 0].astype(np.uint16) * 257 if mode == "I;16" else picture(0)
    data = encoded("PNG", pixels, mode, icc_profile=b"no profile")
    expected = by_opencv(data)
    capfd.readouterr()
    assert (decode_image(data, "here") == expected).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 5), (8, 9), (120, 90)])
def test_interlaced_pngs_are_read(size: tuple[int, int]):
    """Rows of the seven passes of Adam7, small ones without a pixel."""
    width, height = size
    pixels = picture(0)[:height, :width]
    rows = b""
    for x, y, across, down in ADAM7:
        part = pixels[y::down, x::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part) if part.size else b""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data = start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert (decode_image(data, "here") == pixels).all()


def test_lzw_that_breaks_off_is_found():
    data = encoded("TIFF", picture(0, 300, 200), compression="tiff_lzw")
    assert fault(data[:5000] + bytes(64) + data[5064:])[0] == "damaged"


# Bounds


def png(width: int, height: int) -> bytes:
    """A header of that size, and few pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, ...]], long: bool = False) -> bytes:
    """A TIFF of tags alone, values of 32 bits; `long`: as BigTIFF, with 64 bits for places."""
    place, room = ("<Q", 8) if long else ("<I", 4)
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) if long else b"II*\0" + struct.pack("<I", 8)
    later = len(head) + (8 if long else 2) + len(tags) * (4 + 2 * room) + room
    directory, values = struct.pack("<Q" if long else "<H", len(tags)), b""
    for tag, numbers in tags.items():
        content = struct.pack(f"<{len(numbers)}I", *numbers)
        directory += struct.pack("<HH", tag, 4) + struct.pack(place, len(numbers))
        if len(content) > room:
            directory += struct.pack(place, later + len(values))
            values += content
        else:
            directory += content.ljust(room, b"\0")
    return head + directory + bytes(room) + values


def large(form: str) -> bytes:
    """A file whose header says 40,000 × 30,000 pixels or so."""
    data = encoded(form, picture(0))
    if form == "JPEG":
        frame = next(s.start for s in jpeg.segments(data) if s.marker == 0xC0)
        return data[: frame + 1] + struct.pack(">HH", 30_000, 40_000) + data[frame + 5 :]
    if form == "BMP":
        return data[:18] + struct.pack("<ii", 40_000, -30_000) + data[26:]
    if form == "TIFF":
        return tiff({256: (40_000,), 257: (30_000,)})
    if form == "WEBP":
        content = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + (39_999).to_bytes(3, "little")
        content += (29_999).to_bytes(3, "little") + data[12:]
        return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content
    return png(40_000, 30_000)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_sizes_are_checked_before_pixels(form: str, monkeypatch: pytest.MonkeyPatch):
    data = large(form)
    for name in ("imdecode",):
        monkeypatch.setattr(cv2, name, lambda *_: pytest.fail("decoded"))
    kind, message = fault(data)
    assert kind == "too large" and "40,000 × 30,000 pixels; the most is 268,435,456 pixels" in message


def test_long_sides_and_no_pixels_are_refused():
    assert "2,000,000 × 1 pixels" in fault(png(2_000_000, 1))[1]
    assert "not a readable image (0 × 5 pixels)" in fault(png(0, 5))[1]


@pytest.mark.parametrize("long", [False, True])
def test_pixels_that_a_tiff_unpacks_to_are_bounded(long: bool):
    kind, message = fault(tiff({256: (16_000,), 257: (16_000,), 258: (64, 64, 64, 64)}, long))
    assert kind == "too large" and "unpacks to more than 1,073,741,824 bytes" in message


def test_strips_that_unpack_to_far_more_than_the_image_are_refused(monkeypatch: pytest.MonkeyPatch):
    """100,000 strips that are the same megabyte, packed to a kilobyte."""
    monkeypatch.setattr(images, "LARGEST_RASTER", 2**26)
    packed = zlib.compress(bytes(2**20), 9)
    data = tiff({256: (100,), 257: (100,), 259: (8,), 273: (8,) * 100_000, 279: (len(packed),) * 100_000})
    at = len(data)
    data = data.replace(struct.pack("<I", 8) * 100_000, struct.pack("<I", at) * 100_000) + packed
    began = time.monotonic()
    assert fault(data)[0] == "damaged" and time.monotonic() - began < 10


def test_a_jpeg_of_very_many_scans_is_refused():
    """Each may take as long as the whole image."""
    data = encoded("JPEG", picture(0), progressive=True)
    last = [s for s in jpeg.segments(data) if s.marker == 0xDA][-1]
    end = len(data) - 2
    assert "more than 100 scans" in fault(data[:end] + data[last.begin : end] * 100 + data[end:])[1]


def test_files_larger_than_any_image_are_not_read(tmp_path: Path):
    path = tmp_path / "a.jpg"
    with path.open("wb") as stream:
        stream.truncate(bounds.LARGEST_IMAGE + 1)  # no blocks on the disk
    with pytest.raises(BadImage, match="a.jpg: 1,073,741,825 bytes, where an image has 1,073,741,824 at most"):
        read_file(path)


def test_what_is_no_file_is_not_read(tmp_path: Path):
    (tmp_path / "a.jpg").mkdir()
    os.mkfifo(tmp_path / "b.jpg")
    for name, what, kind in (
        ("a.jpg", "is a folder, not an image file", "unreadable"),
        ("b.jpg", "is a device or a pipe", "unreadable"),
        ("c\n.jpg", r"c\\n.jpg: cannot read the image \(No such file", "missing"),
    ):
        with pytest.raises(BadImage, match=what) as caught:
            read_file(tmp_path / name)
        assert caught.value.kind == kind


# What it is instead


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a readable image but an empty file; copy or download it again"),
        (bytes(500), "not a readable image but nothing but zero bytes"),
        (b"GIF89a\x01\x00\x01\x00", "not a readable image but a GIF image; convert it to JPEG or PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "not a readable image but a HEIC image; convert it to JPEG or PNG"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "not a readable image but a Mac's companion file"),
        (b"<!DOCTYPE html><html>", "not a readable image but an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; run git lfs pull"),
        (b"some text", "not a readable image; copy or download it again as JPEG or PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "the JPEG is truncated (no end marker)"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_other_files_are_named(data: bytes, said: str):
    assert said in fault(data)[1]


def test_a_preview_is_not_taken_for_the_image():
    """As in a camera's raw file."""
    data = encoded("TIFF", picture(0), tiffinfo={254: 1})
    assert "holds a preview only" in fault(data)[1]


def test_files_of_several_pictures():
    pictures = [Image.fromarray(picture(seed)) for seed in range(3)]
    for form in ("PNG", "WEBP", "TIFF"):
        stream = io.BytesIO()
        pictures[0].save(stream, form, save_all=True, append_images=pictures[1:])
        assert holds_several(stream.getvalue()) and not holds_several(encoded(form, picture(0)))
        assert decode_image(stream.getvalue(), "here").shape == (90, 120, 3)
    assert not holds_several(encoded("JPEG", picture(0)))


def test_anything_is_one_line():
    """Whatever the bytes: an image, or one line of a known kind."""
    rng = np.random.default_rng(0)
    for form, options in (("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("BMP", {}), ("TIFF", {"compression": "tiff_lzw"})):
        data = encoded(form, picture(0, 60, 40), **options)
        for _ in range(150):
            broken = bytearray(data)
            for _ in range(rng.integers(1, 6)):
                at = int(rng.integers(0, min(len(data), 700)))
                broken[at] = int(rng.integers(256))
            assert fault(bytes(broken))[0] in ("", *images.KINDS)
