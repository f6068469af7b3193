"""Which run time reads an ONNX file fastest on this machine, with how many threads and images at a time.

That depends on the processor, the network and the versions; it is measured at the first use, which takes seconds, and
kept in the folder of `caches`. Where the processor has AVX-512 nothing is measured: OpenVINO is fastest there.
"""

import hashlib
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from posekit.errors import InputError
from posekit.files import caches, read_json, write_json
from posekit.inference.run_times import load_predictor
from posekit.inference.run_times.description import Description, read_description
from posekit.inference.run_times.request import Request
from posekit.runtime import cores, cpu_flags, cpu_name
from posekit.settings import graph_text

_READERS = ("openvino", "onnxruntime")
_BATCHES = (1, 4, 16)  # images at a time
_SECONDS = 0.2  # for each way, and at least three calls


@dataclass(frozen=True)
class Choice:
    """A way to run a network, and how long an image then takes."""

    backend: str
    threads: int
    batch: int
    milliseconds: float


def choose(request: Request) -> Request:
    """The request for an ONNX file on the CPU with the fastest way filled in; `batch` 1 stays 1."""
    here = readers()
    if "avx512f" in cpu_flags() or len(here) < 2:
        return request
    about = read_description(request.model)
    path, key = caches() / "run-times.json", _key(request, about, here)
    known = _known(path)
    try:
        choice = Choice(**known[key])
    except (KeyError, TypeError):
        print(f"{request.model.name}: measuring which run time is fastest here, this time only", file=sys.stderr)
        choice = _measure(request, about, here)
        _keep(path, {**known, key: asdict(choice)})
    batch = choice.batch if request.batch > 1 else 1
    return replace(request, backend=choice.backend, threads=choice.threads, batch=batch)


def readers() -> list[str]:
    """The run times for ONNX files on the CPU that are installed."""
    return [name for name in _READERS if find_spec(name)]


def _key(request: Request, about: Description, here: list[str]) -> str:
    versions = [f"{name} {version(name)}" for name in here]
    parts = (cpu_name(), len(cores()), platform.machine(), *versions, about.batch, request.precision or about.precision)
    return hashlib.sha256(" ".join(map(str, (*parts, graph_text(about.recipe)))).encode()).hexdigest()


def _known(path: Path) -> dict:
    try:
        return read_json(path, "") if path.is_file() else {}
    except InputError:
        return {}


def _keep(path: Path, choices: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, choices)
    except (InputError, OSError) as error:  # a folder that can't be written to: measured again next time
        print(f"posekit: {error}; what was measured isn't kept", file=sys.stderr)


def _measure(request: Request, about: Description, here: list[str]) -> Choice:
    """First run time and threads, one image at a time; with the best of them, how many images."""
    threads = sorted({len(cores()), -(-len(cores()) // 2)}, reverse=True)
    ways = [(backend, number, 1) for backend in here for number in threads]
    best = _best(request, ways)
    batches = _BATCHES[1:] if about.batch is None else ()
    return _best(request, [(best.backend, best.threads, batch) for batch in batches], best)


def _best(request: Request, ways: Iterable[tuple[str, int, int]], best: Choice | None = None) -> Choice:
    for backend, threads, batch in ways:
        predictor = load_predictor(replace(request, backend=backend, threads=threads, batch=batch))
        images = np.random.default_rng(0).standard_normal((predictor.batch, *predictor.recipe.input_shape), np.float32)
        milliseconds = 1e3 * _seconds(lambda run=predictor.run, images=images: run(images)) / predictor.batch
        if best is None or milliseconds < best.milliseconds:
            best = Choice(backend, threads, batch, round(milliseconds, 3))
    assert best
    return best


def _seconds(call: Callable[[], object]) -> float:
    """The shortest of several calls: other programs only ever make it longer."""
    call()
    times: list[float] = []
    while sum(times) < _SECONDS or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
