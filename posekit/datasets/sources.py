"""Where a split's images lie: a folder or a zip file, addressed by file name."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from posekit.datasets.archive import Archive
from posekit.datasets.dataset import read_file
from posekit.errors import InputError

Source = Path | Archive


def found_in(folder: str | Path, most: int = 5) -> str:
    """What a folder holds, in a few words, for messages."""
    folder = Path(folder)
    if not folder.is_dir():
        return "a file" if folder.exists() else "no such folder"
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    more = f" and {len(entries) - most} more" if len(entries) > most else ""
    return ", ".join(entries[:most]) + more if entries else "an empty folder"


def labels_missing(data: str | Path, path: Path, layout: str, remedy: str) -> InputError:
    """The error for a folder `data` in whose annot the label file `path` is not."""
    there = path.parent.is_dir()
    found = f"{path.parent.name}/ with {found_in(path.parent)}" if there else found_in(data)
    looked = path.relative_to(data).as_posix()
    return InputError(f"{data}: not the {layout} layout: looked for {looked}, found {found}; {remedy}")


def is_plain_name(name: str) -> bool:
    """True for a file name without a folder, a comma, a quote or a line end, so that a csv can hold it as it is."""
    return name not in ("", ".", "..") and not set(name) & set('/\\,"\r\n')


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
    if root.is_dir() and not set(os.listdir(root)).isdisjoint(names):
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
    """InputError when images are missing; `kind` is the layout, for the remedy."""
    wanted = dict.fromkeys(names)
    there = source.names() if isinstance(source, Archive) else set(os.listdir(source))
    missing = [name for name in wanted if name not in there]
    if missing:
        where = source.path if isinstance(source, Archive) else source
        raise InputError(
            f"{where}: {len(missing)} of {len(wanted)} images are missing, the first is {missing[0]}; "
            f"complete the data set (`posekit data check {kind}` lists what lacks)"
        )


def readers(source: Source, names: Sequence[str]) -> tuple[Callable[[int], bytes], Callable[[int], str]]:
    """`read_bytes` and `where` of a `PoseDataset` whose row i shows the image `names[i]`."""
    if isinstance(source, Archive):
        return (lambda i: source.read(names[i])), (lambda i: source.where(names[i]))
    return (lambda i: read_file(source / names[i])), (lambda i: str(source / names[i]))
