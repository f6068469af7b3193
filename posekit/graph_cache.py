"""Keep compiled graphs from one process to the next: a second start skips most of the compiler's work.

MindSpore's own compile cache tells graphs apart by the order in which a process compiles them, so a folder that two
recipes share gives one the other's graph. Here every graph is a file of its own, named by a digest of all that it
depends on. MindSpore sees one graph at a time, in a folder of this process alone. Only `posekit` commands use the
cache: they build networks from recipes and from the code on the disk, as a notebook may not.
"""

import hashlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.bounds import GRAPH_BYTES
from posekit.files import atomic_path, caches
from posekit.runtime import chosen_device

if TYPE_CHECKING:
    from mindspore import Tensor, nn

MOST_DAYS = 30  # for which an unused file is kept
_DIGEST = 32  # bytes at a file's start: the SHA-256 of the rest
# For MindSpore: use the cache, and don't look for changed code in the file that Python was started with.
_SWITCHES = {"MS_COMPILER_CACHE_ENABLE": "1", "MS_DEV_FORCE_USE_COMPILE_CACHE": "1"}
_enabled = 0.0  # when the cache was switched on
_compiled = 0  # graphs that MindSpore has numbered in this process


def enable() -> None:
    """Use the cache from now on in this process; for a process that runs posekit's own code and nothing else."""
    global _enabled
    _enabled = time.time()


def compile_cached(network: "nn.Cell", made_of: str, *inputs: "Tensor") -> bool:
    """Compile a network for inputs of these shapes and types; returns whether its graph came from the cache.

    made_of: what the graph depends on besides posekit's code, the network's parameters and the inputs.
    The cache serves single processes on the CPU; GPU, Ascend and several ranks are untested. Does nothing in pynative
    mode, which has no graphs.
    """
    import mindspore as ms

    if ms.get_context("mode") != ms.GRAPH_MODE:
        return False
    device = chosen_device()
    if _enabled and device.target == "CPU" and device.ranks == 1:
        with suppress(Exception):  # a graph that MindSpore can't store, a full disk: compile as without a cache
            return _compile(network, caches() / "graphs" / _key(network, made_of, inputs), inputs)
    network.compile(*inputs)
    return False


def _compile(network: "nn.Cell", kept: Path, inputs: "tuple[Tensor, ...]") -> bool:
    """Compile with the graph in the file `kept` if that is whole; else keep the new one there."""
    global _compiled
    folder, before = _own_folder(), len(network.compile_cache)
    given = folder / f"compile_cache_{_compiled}.mindir"
    content = _read(kept)
    if content:
        given.write_bytes(content)
        os.utime(given, (0, 0))
    try:
        with _switched_on():
            network.compile(*inputs)
        if len(network.compile_cache) == before:  # it was compiled already
            return False
        made = [path for path in folder.glob("compile_cache_*.mindir") if path.stat().st_mtime > 0]
        if made:
            _compiled = int(made[0].stem.rpartition("_")[2]) + 1
            _write(kept, made[0].read_bytes())
        else:
            _compiled += 1
        return not made
    finally:
        for path in folder.iterdir():  # so that the next graph never meets this one
            path.unlink()


@contextmanager
def _switched_on() -> Iterator[None]:
    os.environ.update(_SWITCHES)
    try:
        yield
    finally:
        for name in _SWITCHES:
            os.environ.pop(name, None)


@cache
def _own_folder() -> Path:
    """The folder in which MindSpore looks for graphs; it keeps to the first one that a process names."""
    place = tempfile.TemporaryDirectory(prefix="posekit-graphs-", ignore_cleanup_errors=True)
    _kept_open.append(place)
    os.environ["MS_COMPILER_CACHE_PATH"] = place.name
    folder = Path(place.name, "rank_0", "graph_cache")
    folder.mkdir(parents=True)
    return folder


_kept_open: list[tempfile.TemporaryDirectory] = []  # removed when Python ends


def _key(network: "nn.Cell", made_of: str, inputs: "tuple[Tensor, ...]") -> str:
    """The name of a graph's file."""
    import mindspore as ms

    own = {*_SWITCHES, "MS_COMPILER_CACHE_PATH", "MS_OM_PATH"}
    parts = [
        *(made_of, type(network).__qualname__, network.training, chosen_device().target, ms.get_context("mode")),
        *(ms.__version__, sys.version, platform.machine(), _code()),
        *sorted((name, value) for name, value in os.environ.items() if name.startswith("MS_") and name not in own),
        *((p.name, p.shape, p.dtype, p.requires_grad) for p in network.get_parameters()),
        *((tensor.shape, tensor.dtype) for tensor in inputs),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _code() -> str:
    """A digest of posekit's code. OSError if that has changed since the cache was switched on: what runs is older."""
    package = Path(__file__).parent
    files = sorted(package.rglob("*.py"))
    if _enabled and max(path.stat().st_mtime for path in files) > _enabled:
        raise OSError(f"{package}: has changed")
    named = [bytes(path.relative_to(package)) + b"\0" + path.read_bytes() for path in files]
    return hashlib.sha256(b"\0".join(named)).hexdigest()


def _read(kept: Path) -> bytes:
    """The graph in a file; empty if there is none, or it isn't what was written."""
    if not kept.exists() or kept.stat().st_size > GRAPH_BYTES:
        return b""
    whole = kept.read_bytes()
    digest, content = whole[:_DIGEST], whole[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return b""
    os.utime(kept)  # used now
    return content


def _write(kept: Path, content: bytes) -> None:
    """Write a graph's file whole, and remove those that are the longest unused, so that the folder stays small."""
    with atomic_path(kept) as temporary:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
    files = {path: path.stat() for path in kept.parent.iterdir() if path.is_file()}
    total, oldest = 0, time.time() - MOST_DAYS * 86_400
    for path in sorted(files, key=lambda path: files[path].st_mtime, reverse=True):
        total += files[path].st_size
        if total > GRAPH_BYTES or files[path].st_mtime < oldest:
            path.unlink(missing_ok=True)
