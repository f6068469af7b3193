"""Make a sandbox's file system in this process's own namespaces, which `unshare` has made, and start a program in it.

A script that needs Python alone. Its first argument is JSON: `root`, an empty folder to mount on; `steps`, pairs of
("bind" or "hide", path) from the outside in; `folder`, the only place that can be written to, of `size` bytes;
`pivot_root`, the program; `command`, what to start.
"""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

_BIND, _RECURSIVE, _NO_SETUID = 4096, 16384, 2  # of mount(2)
_DETACH = 2  # of umount2(2)
_MOUNT_SETATTR = 442  # the system call, by the same number on every kind of machine
_HERE, _WHOLE_TREE = -100, 0x8000
_READ_ONLY_NO_SETUID = 3
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Mount what the plan names, read-only, make that the root, and run the plan's program there.

    This process stays: it is the namespace's first, with whose end all others end.
    """
    plan = json.loads(sys.argv[1])
    root = plan["root"]
    _mount("tmpfs", root, "tmpfs", 0, "size=1m,mode=755")
    for kind, path in plan["steps"]:
        _make_place(path, root + path)
        if kind == "bind":
            _mount(path, root + path, None, _BIND | _RECURSIVE, None)
        else:
            _mount("tmpfs", root + path, "tmpfs", 0, "size=64k,mode=755")
    os.makedirs(root + plan["folder"], exist_ok=True)
    _make_read_only(root)
    _mount("tmpfs", root + plan["folder"], "tmpfs", _NO_SETUID, f"size={plan['size']},nr_inodes=10k,mode=1777")
    os.chdir(root)
    subprocess.run([plan["pivot_root"], ".", "."], check=True)
    _call("umount2", _libc.umount2(b".", _DETACH))
    os.chdir(plan["folder"])
    if not (child := os.fork()):
        os.execv(plan["command"][0], plan["command"])
    while (ended := os.wait())[0] != child:
        pass
    sys.exit(os.waitstatus_to_exitcode(ended[1]) and 1)


def _make_place(source: str, target: str) -> None:
    """Make what `source` is to be mounted on, a folder or a file, if it isn't there."""
    if Path(source).is_dir():
        os.makedirs(target, exist_ok=True)
    elif not Path(target).exists():
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    words = [word and os.fsencode(word) for word in (source, target, kind, options)]
    _call(f"mount {target}", _libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]))


def _make_read_only(root: str) -> None:
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY_NO_SETUID, 0, 0, 0)
    words = _HERE, os.fsencode(root), _WHOLE_TREE, attributes, ctypes.c_size_t(ctypes.sizeof(attributes))
    _call("mount_setattr", _libc.syscall(_MOUNT_SETATTR, *words))


def _call(what: str, result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
