"""Reading images out of a zip file without unpacking it."""

import os
import threading
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from posekit.errors import InputError


class Archive:
    """The images of one folder in a zip file, found by file name.

    Takes the members whose folder is called `folder`, wherever that lies; when there is none, the members that lie in
    no other `image_…` folder. Reading is safe from several threads and after a fork.
    Raises InputError when the file is no zip, or when any member's path is absolute or climbs out with `..`.
    """

    def __init__(self, path: Path, folder: str):
        self.path = path
        self._lock = threading.Lock()
        self._zip, self._process = self._open(), os.getpid()
        self._members = self._find(folder)

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{self.path}: not a readable zip file ({error}); download it again") from error

    def _find(self, folder: str) -> dict[str, str]:
        paths = {}
        for member in self._zip.namelist():
            path = PurePosixPath(member.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or any(":" in part for part in path.parts[:1]):
                raise InputError(f"{self.path}: the member {member!r} points outside the archive; do not use this file")
            if path.name and not member.endswith("/"):
                paths[member] = path
        inside = {path.name: member for member, path in paths.items() if path.parent.name == folder}
        if inside:
            return inside
        others = [path for path in paths.values() if any(part.startswith("image_") for part in path.parent.parts)]
        return {path.name: member for member, path in paths.items() if path not in others}

    def names(self) -> set[str]:
        """The file names that can be read."""
        return set(self._members)

    def where(self, name: str) -> str:
        """The archive and the member's path, for messages."""
        return f"{self.path}:{self._members.get(name, name)}"

    def read(self, name: str) -> bytes:
        """The bytes of an image; InputError when it is not there or damaged."""
        if name not in self._members:
            raise InputError(f"{self.where(name)}: cannot read the image (not in the archive); complete the data set")
        try:
            with self._lock:
                if self._process != os.getpid():  # forked processes would share one file position
                    self._zip, self._process = self._open(), os.getpid()
                return self._zip.read(self._members[name])
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:
            raise InputError(f"{self.where(name)}: damaged in the archive ({error}); download it again") from error
