"""What a file really is, from its first bytes: for messages about a file that can't be read as what it should be."""

from pathlib import Path

from posekit.errors import InputError

HEAD = 4096  # bytes that are looked at

# First bytes of binary files. Those that are letters count only where zero bytes follow: a name may begin like them.
MAGIC = (
    (b"PK\x05\x06", "an empty zip file"),
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"BZh91AY&SY", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "a rar archive; unpack it first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"MATLAB", "a MATLAB file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "a file of torch.save in its old format"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.xls, .doc)"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM film"),
    (b"\x00\x05\x16\x07", "a Mac's companion file (._NAME), which holds no data; take NAME"),
    (b"\x00\x05\x16\x00", "a Mac's companion file, which holds no data"),
    (b"\x4c\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut; give the file that it points to"),
    (b"bplist", "a Mac's property list"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"\xff\xfe\x00\x00", "UTF-32 text; save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text; save it as UTF-8"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
)
# What the first 4 KB of a zip file name.
IN_ZIP = (
    (b"xl/", "an Excel workbook"),
    (b"opendocument.spreadsheet", "a spreadsheet of LibreOffice"),
    (b"word/", "a Word document"),
    (b"data.pkl", "a file of torch.save"),
    (b".npy", "a file of numpy.savez"),
)
# What stands after a container's first bytes: of an MP4 at byte 4, of a RIFF at byte 8.
IN_BOX = ((b"heic", "a HEIC image"), (b"heix", "a HEIC image"), (b"mif1", "a HEIC image"), (b"avif", "an AVIF image"))
IN_RIFF = ((b"WEBP", "a WebP image"), (b"AVI ", "an AVI film"))
# How text begins, without a BOM and spaces, in lower case.
TEXT = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer; run git lfs pull"),
    (b"version https://hawser.github.com/spec/", "a Git LFS pointer; run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer; run git annex get"),
    (b"%pdf-", "a PDF document"),
    (b"%!ps", "a PostScript document"),
    (b"{\\rtf", "a rich-text document; save it as plain text"),
    (b"[internetshortcut]", "a link to a web page; give the file itself"),
    (b"<svg", "an SVG drawing"),
    (b"<<<<<<< ", "text with a merge conflict of git; resolve it"),
    (b"traceback (most recent call last)", "a program's error message"),
)
TAGS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<script", b"<meta")


def said_to_be(path: Path) -> str | None:
    """What the first bytes of `path` say it is, in words such as "an HTML page, perhaps a download's warning".

    A known remedy follows after a semicolon: "a Git LFS pointer; run git lfs pull". None for other files, for plain
    text, and where nothing can be read. A file that is what it should be is named, too: ask when reading has failed.
    """
    try:
        if path.is_dir():
            return "a folder"
        if not path.is_file():
            return "a device or a pipe; give a file" if path.exists() else None
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return None
    return begins_as(head)


def begins_as(head: bytes) -> str | None:
    """What a file that begins with these bytes is, in the words of `said_to_be`; None where they don't say."""
    return _binary(head) or _text(head)


def wrong_kind(path: Path, remedy: str) -> InputError | None:
    """An InputError that says what the file is, with its own remedy or else `remedy`; None where that isn't known."""
    said = said_to_be(path)
    if said is None:
        return None
    return InputError(f"{path}: is {said}" if ";" in said else f"{path}: is {said}; {remedy}")


def _binary(head: bytes) -> str | None:
    if not head:
        return "an empty file"
    if not head.strip(b"\x00"):
        return "nothing but zero bytes, as of a broken download"
    if head.startswith(b"PK\x03\x04"):
        return next((what for part, what in IN_ZIP if part in head), "a zip file; unpack it first")
    if head[4:8] == b"ftyp":
        return next((what for brand, what in IN_BOX if head[8:12] == brand), "an MP4 or QuickTime film")
    if head.startswith(b"RIFF"):
        return next((what for kind, what in IN_RIFF if head[8:12] == kind), None)
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < 2**30:
        return "a safetensors file"
    if len(head) > 8 and (not any(head[1:64:2]) or not any(head[:64:2])):
        return "UTF-16 text; save it as UTF-8"
    found = (pair for pair in MAGIC if head.startswith(pair[0]))
    return next((what for magic, what in found if b"\x00" in head or not magic.isalnum()), None)


def _text(head: bytes) -> str | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<") and any(tag in start for tag in TAGS):
        return "an HTML page, perhaps a download's warning"
    if start.startswith(b"<?xml"):
        return "an SVG drawing" if b"<svg" in start else "an XML document, perhaps a download's warning"
    if start.startswith((b'{"', b"{\n", b"{\r", b"[{")) or start == b"{}":
        return "a JSON document"
    return next((what for begin, what in TEXT if start.startswith(begin)), None)
