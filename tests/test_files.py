"""Reading and writing files in any place: modes, file systems that can't do everything, texts of any editor, errors."""

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from posekit import files
from posekit.errors import InputError, system_error
from posekit.files import (
    atomic_path,
    expanded,
    flush_to_disk,
    home,
    new_folder,
    read_json,
    read_text,
    reading,
    replace_file,
    write_json,
    write_text,
    writing,
)
from posekit.layouts import embedded_data
from posekit.recipes import get_recipe

posix = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")


# Home directories


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/我 b")
    assert expanded("~/x y") == Path("/home/我 b/x y") and expanded("~") == Path("/home/我 b")
    assert expanded("./~/x") == Path("~/x"), "a folder of that name"
    assert expanded("a/~/x") == Path("a/~/x") and expanded("~$report.csv") == Path("~$report.csv")
    with pytest.raises(InputError, match=r"^~nobody-here/x: no such home directory; .*\./~nobody-here/x"):
        expanded("~nobody-here/x")


@posix
def test_a_tilde_of_another_user():
    pwd = pytest.importorskip("pwd")
    user = pwd.getpwuid(os.getuid())
    assert expanded(f"~{user.pw_name}/x") == Path(user.pw_dir, "x")


# Where posekit writes


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without POSEKIT_HOME; the user's own folder is ./own."""
    root = tmp_path / "clone"
    (root / "notebooks").mkdir(parents=True)
    monkeypatch.delenv("POSEKIT_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    return root


def read_only(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Nothing may be written below the folders, even by root."""
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not any(Path(path).is_relative_to(f) for f in folders)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_DATA_HOME is for Linux")
def test_home_is_a_clone_that_can_be_written_to_or_the_users_folder(clone: Path, monkeypatch: pytest.MonkeyPatch):
    own = clone.parent / "own" / "posekit"
    assert home(clone) == clone
    (site := clone.parent / "site-packages").mkdir()
    assert home(site) == own, "an installed package"
    read_only(monkeypatch, clone)
    assert home(clone) == own
    monkeypatch.setenv("POSEKIT_HOME", str(clone.parent / "named"))
    assert home(clone) == clone.parent / "named"
    monkeypatch.setenv("HOME", str(clone.parent))
    monkeypatch.setenv("POSEKIT_HOME", "~/named")
    assert home(clone) == clone.parent / "named"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_DATA_HOME is for Linux")
def test_without_a_home_one_line_says_what_to_set(clone: Path, monkeypatch: pytest.MonkeyPatch):
    read_only(monkeypatch, clone.parent)
    with pytest.raises(InputError, match=r"own/posekit: cannot be written; set POSEKIT_HOME to a folder"):
        home(clone)


def test_drawn_data_of_a_read_only_clone_is_read_there_and_drawn_at_home(clone: Path, monkeypatch: pytest.MonkeyPatch):
    recipe, drawn = get_recipe("poseestnet-tiny"), []
    monkeypatch.setattr("posekit.layouts.ROOT", clone)
    monkeypatch.setenv("POSEKIT_HOME", str(clone.parent / "mine"))
    layout = embedded_data.__globals__["LAYOUTS"][recipe.dataset]
    name = f"{layout.drawn}-{recipe.synthetic_train}-{recipe.synthetic_test}-s0"
    fake = type("Layout", (), {"drawn": layout.drawn, "draw": staticmethod(lambda out, *_, **__: drawn.append(out))})
    monkeypatch.setattr("posekit.layouts.get_layout", lambda _: fake)
    assert embedded_data(recipe) == clone.parent / "mine" / "data" / name == drawn[0]
    (clone / "data" / name).mkdir(parents=True)
    assert embedded_data(recipe) == clone / "data" / name and len(drawn) == 1


# Modes


@pytest.fixture(params=[0o077, 0o002, 0o022, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_files_and_folders_are_as_the_umask_says(umask: int, tmp_path: Path):
    write_text(tmp_path / "a" / "b.txt", "x")
    with atomic_path(tmp_path / "by-mindspore.ckpt") as temporary:
        temporary.write_text("x")
        temporary.chmod(0o400)
    with new_folder(tmp_path / "folder") as building:
        (building / "c").mkdir()
        write_json(building / "c" / "d.json", {})
    for path in sorted(tmp_path.rglob("*")):
        assert mode(path) == (0o777 if path.is_dir() else 0o666) & ~umask, path
    assert len(list(tmp_path.rglob("*"))) == 6, "nothing else is left"


@posix
def test_devices_and_pipes_are_not_replaced(tmp_path: Path):
    """Root could replace /dev/null."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{name}: is a device or a pipe; give the name of a file"):
            write_text(tmp_path / name, "x")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_char_device()
    assert len(list(tmp_path.iterdir())) == 2


# File systems that lack something


@pytest.mark.parametrize("cause", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_refuses_chmod(cause: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: object, *_: object, **__: object) -> None:
        raise OSError(cause, os.strerror(cause), str(path))

    monkeypatch.setattr(os, "chmod", refuse)
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")
        os.chmod(temporary, 0o400)  # as MindSpore does
    with new_folder(tmp_path / "b") as building:
        write_text(building / "c", "y")
    assert (tmp_path / "a").read_text() + (tmp_path / "b" / "c").read_text() == "xy"
    assert os.chmod is refuse


@pytest.mark.parametrize("cause", [errno.EPERM, errno.EEXIST, errno.ENOTSUP])
def test_a_file_system_where_nothing_may_take_a_files_place(cause: int, tmp_path: Path, monkeypatch):
    def refuse(source: Path, target: Path) -> None:
        if os.path.exists(target):
            raise OSError(cause, os.strerror(cause), str(source), None, str(target))
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    for content in "xyz":
        write_text(tmp_path / "a", content)
    assert (tmp_path / "a").read_text() == "z" and os.listdir(tmp_path) == ["a"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: cannot write"):
        write_text(tmp_path / "folder", "x")


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if Path(source).name == "new":
            raise PermissionError(errno.EPERM, "no")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PermissionError):
        replace_file(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old" and sorted(os.listdir(tmp_path)) == ["new", "old"]


def test_fsync_is_left_out_where_a_file_system_lacks_it_but_not_its_errors(tmp_path: Path, monkeypatch):
    (tmp_path / "a").write_text("x")
    for cause, harmless in ((errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False), (errno.ENOSPC, False)):

        def refuse(_: int, cause: int = cause) -> None:
            raise OSError(cause, os.strerror(cause))

        monkeypatch.setattr(os, "fsync", refuse)
        if harmless:
            flush_to_disk(tmp_path / "a")
        else:
            with pytest.raises(OSError, match=os.strerror(cause)):
                flush_to_disk(tmp_path / "a")


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "车" * 83, "a b", "a\nb", "-rf", os.fsdecode(b"\xe9")])
def test_any_name_that_a_file_system_allows(name: str, tmp_path: Path):
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "x"


# Errors of the system


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ("ENOSPC", "make room, or choose another place"),
        ("EDQUOT", "make room, or choose another place"),
        ("EACCES", "check the permissions, or choose another place"),
        ("EROFS", "choose a place that can be written to"),
        ("ENAMETOOLONG", "choose a shorter name"),
        ("EMFILE", r"raise the limit on open files \(ulimit -n\)"),
        ("EIO", "check the disk or the network drive"),
        ("ESTALE", "check the network drive and try again"),
        ("ENOTEMPTY", "choose another name, or remove what is there"),
    ],
)
def test_an_error_of_the_system_names_file_cause_and_remedy(cause: str, remedy: str, tmp_path: Path):
    number = getattr(errno, cause)
    words = os.strerror(number)
    with pytest.raises(InputError, match=f"^out.csv: cannot write \\({words}\\); {remedy}$"), writing("out.csv"):
        raise OSError(number, words, "/some/temporary/file")
    with pytest.raises(InputError, match=f"cannot write \\({words}\\); {remedy}$"), atomic_path(tmp_path / "a"):
        raise OSError(number, words)
    assert os.listdir(tmp_path) == []


def test_causes_without_a_remedy_are_quoted():
    assert system_error(OSError(errno.ECHILD, "No child processes")) == "No child processes"
    assert system_error(OSError("the library's words\nand more")) == "the library's words"
    assert system_error(OSError("x" * 5000)).startswith("x" * 200 + "…")
    assert system_error(FileNotFoundError(errno.ENOENT, "No such file", "atc")) == "atc: No such file; check the path"
    named = system_error(PermissionError(errno.EACCES, "Permission denied", "a\nb"), doing="read")
    assert named == r"a\nb: cannot read (Permission denied); check the permissions"
    with pytest.raises(InputError, match="run the stage before"), reading("a.bin", "run the stage before"):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "a.bin")


def test_an_error_of_another_file_stays(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="else"), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")
        open(tmp_path / "somewhere else")  # noqa: SIM115
    assert os.listdir(tmp_path) == []


def test_a_new_folder_that_another_process_makes_in_the_meantime(tmp_path: Path):
    with pytest.raises(InputError, match=r"data: cannot write \(Directory not empty\); choose another name"):
        with new_folder(tmp_path / "data") as building:
            write_text(building / "a", "mine")
            write_text(tmp_path / "data" / "a", "theirs")
    assert (tmp_path / "data" / "a").read_text() == "theirs" and os.listdir(tmp_path) == ["data"]


def test_a_new_folder_at_a_mount_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (out := tmp_path / "volume").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == out)
    monkeypatch.setattr(files.os, "replace", None)
    with new_folder(out) as building:
        assert building.is_relative_to(out)
        (building / "annot").mkdir()
    assert os.listdir(out) == ["annot"]


# Texts of any editor


TEXT = 'epochs = 3\nname = "我的 é"\n'


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_as_editors_write_them(encoding: str, ends: str, tmp_path: Path):
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    (tmp_path / "a").write_bytes((mark + TEXT).replace("\n", ends).encode(encoding))
    assert read_text(tmp_path / "a") == TEXT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nb\né".encode("latin-1"), r"a: line 3 is not UTF-8 text; save it as UTF-8"),
        (b"\xff\xfea\0b", r"a: line 1 is not UTF-16 text; save it as UTF-8"),
        (b"x" * 101, r"a: more than 100 bytes; look again"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, message: str, tmp_path: Path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text(tmp_path / "a", "look again", 100)
    with pytest.raises(InputError, match=r"cannot read \(Is a directory\); this is a folder; give a file"):
        read_text(tmp_path)


@posix
def test_a_text_without_end_is_refused():
    with pytest.raises(InputError, match="/dev/zero: more than"):
        read_text(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is there twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ("[" * 100_000 + "]" * 100_000, "recursion"),
        ('{"a": ' + "1" * 5000 + "}", "limit"),
        ("[1]", "not a JSON object"),
        ("", "not valid JSON"),
        ('{"a": 1} x', "Extra data"),
    ],
)
def test_what_is_no_json_object_is_refused(text: str, message: str, tmp_path: Path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=rf"a.json: .*{message}.*; make it again") as raised:
        read_json(tmp_path / "a.json", "make it again")
    assert len(str(raised.value)) < 500 and "\n" not in str(raised.value)


def test_json_comes_back(tmp_path: Path):
    value = {"name": "我的 é", "numbers": [1, 2.5e-300, True, None], "below": {"x": {}}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "") == value == json.loads((tmp_path / "a.json").read_text())
