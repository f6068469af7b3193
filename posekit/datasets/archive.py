"""Reading images out of a zip file without unpacking it."""

import os
import threading
import zipfile
from pathlib import Path

from posekit.bounds import LARGEST_DIRECTORY, LARGEST_RATIO
from posekit.datasets.images import COPY, BadImage, check_bytes, one_line
from posekit.errors import InputError, shortened
from posekit.filetypes import said_to_be, wrong_kind

_ENCRYPTED = 0x1  # one of a member's flags
_DIRECTORY_SIZE = 5  # of zipfile's end record


class Archive:
    """The images of one folder in a zip file, found by file name.

    Takes the members whose folder is called `folder`, wherever that is; if there is none, the members that are in no
    other `image_…` folder. Reading is safe from several threads and after a fork.
    Raises InputError if the file isn't a zip, if its list of members is longer than any data set's, or if a member is
    encrypted or has a path that is absolute or climbs out with `..`.
    """

    def __init__(self, path: Path, folder: str):
        self.path = path
        self._lock = threading.Lock()
        self._zip, self._process = self._open(), os.getpid()
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.ambiguous: set[str] = set()  # names of several members that differ
        for name, member in self._find(folder):
            first = self._members.setdefault(name, member)
            if (first.CRC, first.file_size) != (member.CRC, member.file_size):
                self.ambiguous.add(name)

    def _open(self) -> zipfile.ZipFile:
        try:
            with self.path.open("rb") as stream:
                end = zipfile._EndRecData(stream)  # pyright: ignore[reportAttributeAccessIssue]
            if end and end[_DIRECTORY_SIZE] > LARGEST_DIRECTORY:
                most = f"{end[_DIRECTORY_SIZE]:,} bytes, where {LARGEST_DIRECTORY:,} can be read"
                raise InputError(f"{self.path}: its list of members takes {most}; unpack it and give the folder")
            return zipfile.ZipFile(self.path)
        except InputError:
            raise
        except Exception as error:  # a damaged file makes zipfile raise errors of many kinds
            other = None if "zip" in (said_to_be(self.path) or "zip") else wrong_kind(self.path, "give a zip file")
            raise other or InputError(f"{self.path}: not a readable zip file ({error}); download it again") from error

    def _find(self, folder: str) -> list[tuple[str, zipfile.ZipInfo]]:
        """The file name of each image, with its member."""
        found, inside, elsewhere = [], set(), set()
        for member in self._zip.infolist():
            *folders, name = member.filename.replace("\\", "/").split("/")
            if folders[:1] == [""] or ".." in (*folders, name) or (*folders, name)[0][1:2] == ":":
                shown = shortened(member.filename)
                raise InputError(f"{self.path}: the member {shown} points outside the archive; do not use this file")
            if name in ("", "."):
                continue
            if member.flag_bits & _ENCRYPTED:
                raise InputError(f"{self.path}: is encrypted; unpack it with its password and give the folder")
            folders = [part for part in folders if part != "."]
            if folders[-1:] == [folder]:
                inside.add(len(found))
            elif any(part.startswith("image_") for part in folders):
                elsewhere.add(len(found))
            found.append((name, member))
        return [pair for i, pair in enumerate(found) if (i in inside if inside else i not in elsewhere)]

    def names(self) -> set[str]:
        """The file names that can be read."""
        return set(self._members)

    def where(self, name: str) -> str:
        """The archive and the member's path, for messages."""
        return one_line(f"{self.path}:{self._members[name].filename if name in self._members else name}")

    def stamp(self, name: str) -> str:
        """Name, size and checksum of an image."""
        member = self._members[name]
        return f"{name} {member.file_size} {member.CRC:08x}"

    def read(self, name: str) -> bytes:
        """The bytes of an image; BadImage if it isn't there, is damaged, or would unpack to more than any image."""
        where = self.where(name)
        if name not in self._members:
            raise BadImage("missing", f"{where}: cannot read the image (not in the archive); complete the data set")
        if name in self.ambiguous:
            raise BadImage("unreadable", f"{where}: the archive has several different images of this name; remove one")
        member = self._members[name]
        check_bytes(member.file_size, where)
        if member.file_size > LARGEST_RATIO * max(1, member.compress_size):
            raise BadImage("too large", f"{where}: unpacks to {member.file_size:,} bytes, which no image does; {COPY}")
        try:
            with self._lock:
                if self._process != os.getpid():  # forked processes would share one file position
                    self._zip, self._process = self._open(), os.getpid()
                with self._zip.open(member) as stream:
                    return stream.read(member.file_size + 1)
        except NotImplementedError as error:  # a compression
            raise BadImage("unreadable", f"{where}: {error}; unpack the archive and give the folder") from error
        except Exception as error:  # a damaged file makes zipfile raise errors of many kinds
            raise BadImage("damaged", f"{where}: damaged in the archive ({error}); download it again") from error
