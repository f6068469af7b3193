"""Image files to pixels: bounds before anything is decoded, damage found as far as the format allows."""

import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from posekit import filetypes
from posekit.bounds import LARGEST_IMAGE, LARGEST_RASTER, LARGEST_SIDE, MOST_PIXELS
from posekit.datasets import jpeg, png
from posekit.errors import InputError, shortened
from posekit.geometry import enlarging

COPY = "copy or download it again"
KINDS = ("missing", "truncated", "damaged", "too large", "unreadable")  # what can be wrong with an image file


class BadImage(InputError):
    """An image file that can't be used; `kind` is one of KINDS, or wrongly sized: not as large as its labels say."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Picture:
    """An image's pixels, or means of them."""

    pixels: np.ndarray  # (H, W, 3) uint8 RGB
    size: tuple[int, int]  # width and height of the whole image
    enlarging: np.ndarray | None = None  # (2, 3) map from these pixels to the image's; None: they are the image's


def one_line(path: str | Path) -> str:
    """A path for messages: whole, but in one line and printable, whatever its name holds."""
    return shortened(str(path), 2**12)


def read_file(path: Path) -> bytes:
    """The bytes of an image file; BadImage if it isn't there, isn't a file or is larger than any image."""
    where = one_line(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadImage("unreadable", f"{where}: is {filetypes.said_to_be(path)}, not an image file; check the path")
        check_bytes(status.st_size, where)
        return path.read_bytes()
    except OSError as error:
        kind = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        remedy = "complete the data set, or check the path" if kind == "missing" else "check the file and its folder"
        raise BadImage(kind, f"{where}: cannot read the image ({error.strerror}); {remedy}") from error


def check_bytes(size: int, where: str) -> None:
    """BadImage for a file of `size` bytes that is larger than any image."""
    if size > LARGEST_IMAGE:
        raise BadImage("too large", f"{where}: {size:,} bytes, where an image has {LARGEST_IMAGE:,} at most; remove it")


def decode_image(data: bytes, where: str, upright: bool = False) -> np.ndarray:
    """Decode an image file's bytes to (H, W, 3) uint8 RGB, as `decode_reduced` does."""
    return decode_reduced(data, where, upright).pixels


def decode_reduced(data: bytes, where: str, upright: bool = False, times: int = 1) -> Picture:
    """Decode an image file's bytes; BadImage names `where` and what is wrong.

    upright: turned as its orientation tag says. Labels, as the originals', are in the stored pixels, which no tag
    turns. Of a file with several pictures this is the first.
    times: 1, 2, 4 or 8, by which a JPEG may be decoded smaller, which takes less time and finds the same damage.

    JPEGs are searched for damage that decoders fill with grey (`jpeg.damage`), and their decoder must not warn. PNGs
    and some TIFFs have checksums. A WebP must be decoded to its end, a BMP not end early; other damage can't be seen.
    """
    try:
        form = form_of(data)
        if form is None:
            raise _other_form(data)
        _check_size(*_SIZES[form](data))
        picture = _decode_jpeg(data, upright, times) if form == "JPEG" else _whole(_decode_other(form, data, upright))
    except BadImage as error:
        raise BadImage(error.kind, f"{where}: {error}") from None
    except MemoryError as error:
        raise BadImage("too large", f"{where}: not enough memory for this image; scale it down") from error
    except (struct.error, SyntaxError, OSError, ValueError, LookupError, TypeError, cv2.error):  # of a header
        picture = None
    if picture is None:
        raise BadImage("unreadable", f"{where}: not a readable image; {COPY}")
    return picture


def form_of(data: bytes) -> str | None:
    """The format that an image file's first bytes say, if it is one of those that are read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return next((form for form, begins in _MAGIC.items() if data.startswith(begins)), None)


def _other_form(data: bytes) -> BadImage:
    """The error for a file of no format that is read."""
    said = filetypes.begins_as(data[: filetypes.HEAD])
    if said is None:
        return BadImage("unreadable", f"not a readable image; {COPY} as JPEG or PNG")
    remedy = "convert it to JPEG or PNG" if "image" in said else COPY
    return BadImage("unreadable", f"not a readable image but {said}" + ("" if ";" in said else f"; {remedy}"))


def holds_several(data: bytes) -> bool:
    """True for an image file with several pictures: an animation, or pages."""
    form = form_of(data)
    if form == "PNG":
        return b"acTL" in data[: 2**12]
    if form == "WebP":
        return data[12:16] == b"VP8X" and bool(data[20] & 2)
    return form == "TIFF" and _tiff_tags(data)[1]


_MAGIC = {
    "JPEG": (b"\xff\xd8",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*", b"II+\x00"),
}


# The width and height that the header says


def _check_size(width: int, height: int) -> None:
    if min(width, height) < 1:
        raise BadImage("unreadable", f"not a readable image ({width} × {height} pixels); {COPY}")
    if width * height > MOST_PIXELS or max(width, height) > LARGEST_SIDE:
        most = f"{MOST_PIXELS:,} pixels and a side of {LARGEST_SIDE:,}"
        raise BadImage("too large", f"{width:,} × {height:,} pixels; the most is {most}; scale it down")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    if jpeg.is_truncated(data):
        raise BadImage("truncated", f"the JPEG is truncated (no end marker); {COPY}")
    return jpeg.size(data)


def _png_size(data: bytes) -> tuple[int, int]:
    return struct.unpack_from(">II", data, 16)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Of a simple WebP an upper bound: its format has 14 bits for a side."""
    extended = data[12:16] == b"VP8X"
    sides = (data[24:27], data[27:30]) if extended else (b"\xfe\x3f", b"\xfe\x3f")
    width, height = (1 + int.from_bytes(side, "little") for side in sides)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    old = int.from_bytes(data[14:18], "little") == 12
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return width, abs(height)


def _tiff_size(data: bytes) -> tuple[int, int]:
    tags, _ = _tiff_tags(data)
    (width,), (height,) = tags[256], tags[257]
    if width * height * sum(tags.get(258, (1,))) > 8 * LARGEST_RASTER:
        raise BadImage("too large", f"unpacks to more than {LARGEST_RASTER:,} bytes; scale it down, or save it as PNG")
    if tags.get(254, (0,))[0] & 1:
        raise BadImage("unreadable", "holds a preview only, as a camera's raw file does; develop it to JPEG")
    return width, height


def _tiff_tags(data: bytes) -> tuple[dict[int, tuple[int, ...]], bool]:
    """The tags of a TIFF's first image that are whole numbers, and whether there is another image."""
    order, long = ("<" if data[:2] == b"II" else ">"), data[2] == 43  # the long kind has 64 bits for a place
    number, entry, place = (order + kind for kind in (("Q", "HHQ", "Q") if long else ("H", "HHI", "I")))
    (at,) = struct.unpack_from(place, data, 8 if long else 4)
    (count,) = struct.unpack_from(number, data, at)
    first, room = at + struct.calcsize(number), struct.calcsize(place)
    step = struct.calcsize(entry) + room
    tags = {}
    for start in range(first, first + step * min(count, 2**16), step):
        tag, kind, length = struct.unpack_from(entry, data, start)
        if kind in _TIFF_NUMBERS:
            values = f"{order}{length}{_TIFF_NUMBERS[kind]}"
            there = start + step - room
            if struct.calcsize(values) > room:
                (there,) = struct.unpack_from(place, data, there)
            tags.setdefault(tag, struct.unpack_from(values, data, there))
    (following,) = struct.unpack_from(place, data, first + step * count)
    return tags, following > 0


_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # bytes, and whole numbers of 16, 32 and 64 bits


_SIZES = {"JPEG": _jpeg_size, "PNG": _png_size, "WebP": _webp_size, "BMP": _bmp_size, "TIFF": _tiff_size}


# Pixels


def _decode_jpeg(data: bytes, upright: bool, times: int) -> Picture | None:
    if fault := jpeg.damage(data):
        raise BadImage("damaged", f"the JPEG is damaged ({fault}); {COPY}")
    size, tag = jpeg.size(data), jpeg.orientation(data) if upright else 1
    if min(size) < 8 * times or (tag in _TURNS and any(side % times for side in size)):
        times = 1  # there is little to gain; or the last pixels, means of fewer, would come first
    try:
        image = jpeg.pixels(data, times)
    except ValueError as error:
        if "subsampling" in str(error):  # a ratio of colour to brightness pixels that simplejpeg doesn't know
            return _whole(_decode_with_opencv(data, upright))
        try:
            image = jpeg.pixels(jpeg.without_oddities(data), times)
        except ValueError:
            raise BadImage("damaged", f"the JPEG is damaged ({error}); {COPY}") from None
    width, height = size[::-1] if 5 <= tag <= 8 else size
    return Picture(_turned(image, tag), (width, height), enlarging(times) if times > 1 else None)


def _whole(image: np.ndarray | None) -> Picture | None:
    """The picture of all the image's pixels, if there is one."""
    return None if image is None else Picture(image, (image.shape[1], image.shape[0]))


def _turned(image: np.ndarray, tag: int) -> np.ndarray:
    """The image as its orientation tag says."""
    turn = _TURNS.get(tag)
    return image if turn is None else np.ascontiguousarray(turn(image))


_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}  # by the orientation tag


def _decode_other(form: str, data: bytes, upright: bool) -> np.ndarray | None:
    if form == "PNG":
        data = _plain_png(data)
    if form == "TIFF":
        _check_tiff(data)
    if form == "WebP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise BadImage("truncated", f"the WebP is truncated; {COPY}")
    if form == "WebP" and not _loads(WebPImageFile, data):  # OpenCV fills up what it can't decode
        raise BadImage("damaged", f"the WebP is damaged; {COPY}")
    image = _decode_with_opencv(data, upright)
    return image if image is None else _turned(image, _tag_left(form, data, upright))


def _tag_left(form: str, data: bytes, upright: bool) -> int:
    """How to turn what OpenCV decoded: it turns a TIFF whatever its flag says, and a WebP never."""
    if form == "WebP" and upright:
        return jpeg.tag_of(WebPImageFile(BytesIO(data)).info.get("exif", b"").removeprefix(b"Exif\0\0"))
    if form == "TIFF" and not upright:
        (tag,) = _tiff_tags(data)[0].get(274, (1,))
        return {6: 8, 8: 6}.get(tag, tag)  # the others undo themselves
    return 1


def _decode_with_opencv(data: bytes, upright: bool) -> np.ndarray | None:
    """None if OpenCV can't read it; what it logs of that is silenced."""
    cv2.setLogLevel(0)
    flags = cv2.IMREAD_COLOR_RGB | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def _plain_png(data: bytes) -> bytes:
    """The PNG without what decoders complain of though it does no harm; BadImage for what does."""
    kind, fault = png.fault(data)
    if kind:
        raise BadImage(kind, f"{fault}; {COPY}")
    return png.without_extras(data)


def _check_tiff(data: bytes) -> None:
    """BadImage for what OpenCV passes over: wrong checksums of deflate, and errors of other compressions."""
    tags, _ = _tiff_tags(data)
    offsets, sizes = (tags[324], tags[325]) if 324 in tags else (tags[273], tags[279])  # of tiles or strips
    parts = [(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True) if size]
    if any(end > len(data) for _, end in parts):
        raise BadImage("truncated", f"the TIFF is truncated; {COPY}")
    (compression,) = tags.get(259, (1,))
    if compression in (8, 32946):
        whole = _inflate([memoryview(data)[start:end] for start, end in parts])
    else:
        whole = compression == 1 or _loads(TiffImageFile, data)
    if not whole:
        raise BadImage("damaged", f"the TIFF is damaged; {COPY}")


def _loads(kind: type[ImageFile], data: bytes) -> bool:
    """False for an image in which Pillow finds damage; true where it doesn't know the kind of pixels, either."""
    try:
        image = kind(BytesIO(data))
    except SyntaxError:
        return True
    try:
        image.load()
    except (OSError, ValueError):
        return False
    return True


def _inflate(parts: list[memoryview]) -> bool:
    """True if each part is a whole zlib stream with the right checksum, and all together aren't too large."""
    left = 2 * LARGEST_RASTER  # tiles may reach over the border
    for part in parts:
        stream, rest = zlib.decompressobj(), part
        while rest and not stream.eof and left > 0:
            try:
                left -= len(stream.decompress(rest, 2**20))
            except zlib.error:
                return False
            rest = stream.unconsumed_tail
        if not stream.eof:
            return False
    return True
