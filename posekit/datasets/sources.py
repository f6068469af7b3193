"""Where a split's images are: in a folder or a zip file, addressed by file name."""

import os
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from posekit.datasets.archive import Archive
from posekit.datasets.images import decode_image, one_line, read_file
from posekit.errors import InputError, shortened
from posekit.files import atomic_path, reading

Source = Path | Archive


class Readers(NamedTuple):
    """What a `PoseDataset` has to read its images: each takes a row."""

    read_bytes: Callable[[int], bytes]
    where: Callable[[int], str]
    stamp: Callable[[int], str]


def listed(folder: str | Path) -> list[str]:
    """The names in a folder; InputError if it can't be read."""
    with reading(folder):
        return os.listdir(folder)


def found_in(folder: str | Path, most: int = 5) -> str:
    """What a folder holds, in a few words, for messages."""
    folder = Path(folder)
    if not folder.is_dir():
        return "a file" if folder.exists() else "no such folder"
    entries = sorted(shortened(name) + "/" * (folder / name).is_dir() for name in listed(folder))
    more = f" and {len(entries) - most} more" if len(entries) > most else ""
    return ", ".join(entries[:most]) + more if entries else "an empty folder"


def labels_missing(data: str | Path, path: Path, layout: str, remedy: str) -> InputError:
    """The error for a folder `data` in whose annot the label file `path` is not."""
    there = path.parent.is_dir()
    found = f"{path.parent.name}/ with {found_in(path.parent)}" if there else found_in(data)
    looked = path.relative_to(data).as_posix()
    return InputError(f"{data}: not the {layout} layout: looked for {looked}, found {found}; {remedy}")


def is_plain_name(name: str) -> bool:
    """True for any name that a file can have; false for a path, whether of this system or of Windows."""
    return name not in ("", ".", "..") and Path(name).name == name and not set(name) & set("/\\\0")


def find_images(data: Path, images: str | Path | None, folder: str, split: str, names: Sequence[str]) -> Source:
    """The folder or archive that holds a split's images, `names` being theirs.

    Looks in `images` (a folder or a zip), DATA/images when None: for the folder `folder`, then for the images
    themselves, then for the folder's zip, then for DATA's images.zip. Raises InputError when there is none of these.
    """
    root = Path(images) if images else data / "images"
    if root.is_file():
        return Archive(root, folder)
    if (root / folder).is_dir():
        return root / folder
    if root.is_dir() and not set(listed(root)).isdisjoint(names):
        return root
    archives = [root / f"{folder}.zip", root.with_name(root.name + ".zip")]
    for archive in archives:
        if archive.is_file():
            return Archive(archive, folder)
    looked = ", ".join(dict.fromkeys([f"{folder}/", *(archive.name for archive in archives)]))
    raise InputError(
        f"{root}: no images of the {split} split: looked for {looked}, "
        f"found {found_in(root)}; complete the data set or give --images"
    )


def check_present(source: Source, names: Sequence[str], kind: str) -> None:
    """InputError for images that are missing, or several times in an archive; `kind` is the layout, for the remedy."""
    wanted = dict.fromkeys(names)
    there = source.names() if isinstance(source, Archive) else set(listed(source))
    where = source.path if isinstance(source, Archive) else source
    missing = [name for name in wanted if name not in there]
    if missing:
        alike = {as_compared(name): name for name in there}.get(as_compared(missing[0]))
        first = shortened(missing[0]) + (f" ({shortened(alike)} is there: names must be the same)" if alike else "")
        raise InputError(
            f"{where}: {len(missing)} of {len(wanted)} images are missing, the first is {first}; "
            f"complete the data set (`posekit data check {kind}` lists what is missing)"
        )
    if isinstance(source, Archive) and (several := [name for name in wanted if name in source.ambiguous]):
        first = f"{len(several)} images are in it several times and differ, the first is {shortened(several[0])}"
        raise InputError(f"{where}: {first}; unpack it and give the right folder")


def as_compared(name: str) -> str:
    """A name as Windows and macOS compare it: without regard to case and to how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def open_images(
    data: Path,
    images: str | Path | None,
    folder: str,
    split: str,
    names: Sequence[str],
    kind: str,
    require_images: bool = True,
) -> Readers:
    """`read_bytes`, `where` and `stamp` of a `PoseDataset` whose row i shows the image `names[i]`.

    They are found as by `find_images`; unless `require_images` is false, all must be there, as for `check_present`.
    """
    source = find_images(data, images, folder, split, names)
    if require_images:
        check_present(source, names, kind)
    return readers(source, names)


def readers(source: Source, names: Sequence[str]) -> Readers:
    """`read_bytes`, `where` and `stamp` of a `PoseDataset` whose row i shows the image `names[i]` of the source."""

    def of_name(read: Callable[[str], Any]) -> Callable[[int], Any]:
        return lambda i: read(names[i])

    if isinstance(source, Archive):
        return Readers(of_name(source.read), of_name(source.where), of_name(source.stamp))
    return Readers(
        of_name(lambda name: read_file(source / name)),
        of_name(lambda name: one_line(source / name)),
        of_name(lambda name: _stamp(source, name)),
    )


def _stamp(folder: Path, name: str) -> str:
    """Name, size and time of the last change of a file."""
    with reading(folder / name):
        status = (folder / name).stat()
    return f"{name} {status.st_size} {status.st_mtime_ns}"


def place_image(origin: Path, target: Path) -> bool:
    """Link or copy one image unless it is there and whole; true when it was made."""
    if target.is_file() and target.stat().st_size == origin.stat().st_size:
        return False
    decode_image(read_file(origin), str(origin))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(origin, target)
    except OSError:
        with atomic_path(target) as temporary:
            shutil.copyfile(origin, temporary)
    return True
