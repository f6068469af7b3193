"""Set up device, threads, oneDNN, seed and ranks: the only place that branches on hardware, with a reason each."""

import ctypes
import logging
import os
import platform
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from posekit.errors import InputError

if TYPE_CHECKING:
    from mindspore import nn

_TARGETS = {"cpu": "CPU", "gpu": "GPU", "ascend": "Ascend"}
_ISA_AVX2 = 0x7  # oneDNN's dnnl_cpu_isa_avx2
_oneDNN: str | None = None  # what limit_onednn decided: it can act only once a process
_device: "Device | None" = None  # what set_up chose last


@dataclass(frozen=True)
class Device:
    """What MindSpore was told to run on, and why."""

    target: str  # CPU, GPU or Ascend
    id: int
    reason: str
    onednn: str
    threads: int
    rank: int = 0  # of this process among those that train together
    ranks: int = 1

    def __str__(self) -> str:
        together = f", rank {self.rank} of {self.ranks}" if self.ranks > 1 else ""
        return f"{self.target}:{self.id}{together} ({self.reason}; {self.threads} threads; oneDNN: {self.onednn})"


def cores() -> list[int]:
    """The processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


@contextmanager
def keep_to(share: set[int]) -> Iterator[None]:
    """Keep processes started inside the block to these processors, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, share)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def set_up(device: str = "auto", seed: int = 0, mode: str = "graph") -> Device:
    """Set MindSpore up. `device` is auto, cpu, gpu or ascend (":ID" picks one of several), `mode` graph or pynative.

    Under msrun it also waits for the other ranks; without a launcher this process is rank 0 of 1.
    Raises InputError if the device is unknown or missing. May be called again with the same device.
    """
    if launched() and ":" in str(device):
        raise InputError(f"device {device}: each rank has its own device; leave out :{device.partition(':')[2]}")
    onednn = limit_onednn()
    os.environ.setdefault("GLOG_v", "3")  # errors only: warnings would hide a lesson's own output
    # A failed compilation leaves its graph here; MindSpore's default is the working directory.
    os.environ.setdefault("MS_OM_PATH", str(Path(tempfile.gettempdir(), f"mindspore-{os.getpid()}")))
    # MindSpore's compile cache tells graphs apart by their order alone: another recipe would get the wrong one.
    os.environ.pop("MS_COMPILER_CACHE_ENABLE", None)
    import mindspore as ms

    # MindSpore reads GLOG_v when it is imported, which may have been before.
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").setLevel(logging.ERROR)

    target, device_id, reason = _choose(device)
    try:
        ms.set_device(target, device_id)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"device {device}: {str(error).splitlines()[0]}; run posekit doctor") from error
    ms.set_context(mode={"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}[mode])
    rank, ranks = _join()
    ms.set_seed(seed)
    global _device
    _device = Device(target, device_id, reason, onednn, len(cores()), rank, ranks)
    return _device


@cache
def _join() -> tuple[int, int]:
    """Join the other processes that msrun has started, once; returns this process's rank and their number.

    HCCL, NCCL or, on the CPU, MindSpore's own library then connects the ranks. msrun starts one process more than
    ranks, the scheduler: it stays in `init` until the others have ended.
    """
    if not launched():
        return 0, 1
    import mindspore as ms
    from mindspore import communication

    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
    communication.init()
    if os.environ["MS_ROLE"] == "MS_SCHED":
        sys.exit()
    return communication.get_rank(), communication.get_group_size()


def launched() -> bool:
    """Whether msrun has started this process, as one of several."""
    return "MS_ROLE" in os.environ


def announce() -> None:
    """Under msrun, print which worker this process is; scripts/distributed.sh reads that line."""
    if os.environ.get("MS_ROLE") == "MS_WORKER":
        ranks = f"rank {os.environ.get('RANK_ID', '?')} of {os.environ.get('RANK_SIZE', '?')}"
        print(f"{ranks} on {socket.gethostname()}, process {os.getpid()}", flush=True)


def chosen_device(default: str = "auto") -> Device:
    """What `set_up` chose last; calls it with `default` if it hasn't been called yet."""
    return _device or set_up(default)


def split_device(device: str) -> tuple[str, int]:
    """auto, cpu, gpu or ascend, and the ID: the one given, that of $DEVICE_ID, or 0. InputError for anything else."""
    name, _, number = str(device).lower().partition(":")
    if name != "auto" and (name not in _TARGETS or (number and not number.isdigit())):
        raise InputError(f"unknown device {device!r}; use auto, cpu, gpu or ascend, with :ID for one of several")
    return name, int(number or os.environ.get("DEVICE_ID", 0))


def _choose(device: str) -> tuple[str, int, str]:
    """(target, device id, reason)"""
    from mindspore import device_context

    name, device_id = split_device(device)
    simulated = ["ascend"] if "MS_SIMULATION_LEVEL" in os.environ else []  # MindSpore compiles for one that isn't here
    found = simulated or [t for t in ("ascend", "gpu") if getattr(device_context, t).is_available()]
    if name == "auto":
        if found:
            return _TARGETS[found[0]], device_id, f"auto: the first of {', '.join(found)} found"
        return "CPU", 0, "auto: MindSpore finds no Ascend and no GPU"
    if name != "cpu" and name not in found:
        raise InputError(
            f"device {device}: MindSpore finds no {_TARGETS[name]} here; run posekit doctor, or use --device cpu"
        )
    return _TARGETS[name], 0 if name == "cpu" else device_id, "asked for"


def precision(level: str) -> str:
    """Describe what `mixed_precision` does on the chosen device at this AMP level."""
    if level == "O0":
        return "fp32"
    if chosen_device().target == "CPU":
        return f"fp32: amp {level} is ignored, fp16 gains nothing on this CPU backend"
    return f"amp {level}: fp16 with weights and loss in fp32"


def mixed_precision(network: "nn.Cell", level: str) -> "nn.Cell":
    """Make the network compute at an AMP level, O0, O2, O3 or auto, on devices that gain from it. Weights stay fp32.

    Changes the given network, and returns what to call instead of it.
    """
    from mindspore import amp

    return network if chosen_device().target == "CPU" else amp.auto_mixed_precision(network, level)


def whole_fp32() -> None:
    """After `set_up`: make convolutions and matrix products compute in full fp32, which isn't the devices' default.

    The default is TF32 on an NVIDIA GPU and HF32 on an Ascend. By the documentation; untested on either.
    """
    from mindspore import device_context

    target = chosen_device().target
    if target == "GPU":
        device_context.gpu.op_precision.conv_allow_tf32(False)
        device_context.gpu.op_precision.matmul_allow_tf32(False)
    elif target == "Ascend":
        device_context.ascend.op_precision.conv_allow_hf32(False)
        device_context.ascend.op_precision.matmul_allow_hf32(False)


def memory_mb() -> float:
    """Megabytes (10^6 bytes) of memory that this process holds on the chosen device."""
    if chosen_device().target != "CPU":
        import mindspore as ms

        return ms.runtime.memory_reserved() / 1e6
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if status.exists() else float("nan")


def available_mb() -> float:
    """Megabytes of memory that are free on this host, and in its container if it has a limit; NaN if nobody says."""
    status = Path("/proc/meminfo")
    found = re.search(r"^MemAvailable: +(\d+) kB", status.read_text() if status.exists() else "", re.MULTILINE)
    free = int(found[1]) * 1024 if found else float("nan")
    limit, used = (Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory.current"))
    if limit.exists() and used.exists() and (most := limit.read_text().strip()).isdigit():
        free = min(free, int(most) - int(used.read_text()))
    return free / 1e6


def limit_onednn() -> str:
    """Keep MindSpore's oneDNN off its slow AVX-512 path; returns what was done and why.

    MindSpore hands oneDNN plain NCHW tensors; with AVX-512, oneDNN then picks its reference kernel, some 40 times
    slower than the AVX2 one. Must come before MindSpore's first operation. It affects only MindSpore's own copy of the
    library, not that of OpenVINO or PyTorch in the same process.
    """
    global _oneDNN
    if _oneDNN is None:
        _oneDNN = _limit_onednn()
    return _oneDNN


def _limit_onednn() -> str:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "left alone: not x86 Linux"
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        return f"left alone: ONEDNN_MAX_CPU_ISA={os.environ['ONEDNN_MAX_CPU_ISA']} is set"
    if os.environ.get("POSEKIT_ONEDNN") == "untouched":
        return "left alone: POSEKIT_ONEDNN=untouched is set"
    if "avx512f" not in cpu_flags():
        return "left alone: no AVX-512, its fast kernels are chosen anyway"
    spec = find_spec("mindspore")
    library = Path(spec.origin).parent / "lib" / "libdnnl.so.3" if spec and spec.origin else None
    if library is None or not library.exists():
        return "left alone: MindSpore's libdnnl.so.3 not found"
    late = ctypes.CDLL(str(library)).dnnl_set_max_cpu_isa(_ISA_AVX2)
    return (
        "too late to limit: an operation has already run" if late else "limited to AVX2, whose kernels are faster here"
    )


def cpu_flags() -> set[str]:
    """The processor's feature flags on Linux; empty elsewhere."""
    return set(_cpu("flags").split())


def cpu_name() -> str:
    """What the processor calls itself, on Linux; else what Python says."""
    return _cpu("model name") or platform.processor()


def _cpu(field: str) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")
