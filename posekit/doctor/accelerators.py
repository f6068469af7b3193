"""For `posekit doctor`: driver, CUDA and CANN of this machine against what MindSpore's wheel needs.

It asks nvidia-smi, npu-smi, the system's loader and CANN's version files; no device is used. Which versions suit is
what the wheel itself says (its plug-ins, its list of CANN versions) and, for drivers, MindSpore's documentation.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from posekit.doctor.checks import Check
from posekit.doctor.chips import Chip, chip_of, stack_of

# CUDA of a GPU plug-in of the wheel → the cuDNN that belongs to it, and the lowest driver.
_CUDA = {"11.1": ("8.0", "450.80.02"), "11.6": ("8.5", "510.39.01")}
_OLDEST, _NEWEST = (6, 0), (8, 0)  # compute capabilities that the wheel has kernels for; the newest serve all of 8.x
_ASCEND_DRIVER = Path("/usr/local/Ascend/driver/version.info")
_CANN_REMEDY = "source /usr/local/Ascend/ascend-toolkit/set_env.sh, or for CANN 9 /usr/local/Ascend/cann/set_env.sh"


def accelerator_checks(device: str) -> Iterator[Check]:
    """The checks of the device that is named, gpu or ascend; with auto of those whose driver's tools are here."""
    kind = device.partition(":")[0].lower()
    if kind == "gpu" or (kind == "auto" and shutil.which("nvidia-smi")):
        yield from _gpu_checks()
    if kind == "ascend" or (kind == "auto" and shutil.which("npu-smi")):
        yield from _ascend_checks()


def _gpu_checks() -> Iterator[Check]:
    """NVIDIA's cards and driver, and the CUDA libraries that the wheel's GPU plug-in loads."""
    cuda, libraries = _plugin()
    cudnn, driver = _CUDA[cuda]
    yield _cards(cuda, driver)
    if not libraries:
        yield Check("CUDA", False, "this wheel has no GPU plug-in", "use MindSpore's wheel for Linux on x86")
        return
    missing = [name for name, place in libraries.items() if place is None]
    runtime, neural = (_version_of(libraries.get(name)) for name in ("libcudart.so.11.0", "libcudnn.so.8"))
    detail = f"not found: {', '.join(missing)}" if missing else f"runtime {runtime}, cuDNN {neural}, for plug-in {cuda}"
    remedy = f"install CUDA {cuda} with cuDNN {cudnn} and add their lib64 folders to LD_LIBRARY_PATH"
    yield Check("CUDA", not missing and runtime.startswith(cuda), detail, remedy)


def _plugin() -> tuple[str, dict[str, Path | None]]:
    """The CUDA version of the wheel's GPU plug-in that lacks least here, and where the loader finds what it needs."""
    spec = find_spec("mindspore")
    folder = Path(spec.origin).parent / "lib" / "plugin" if spec and spec.origin else Path()
    found = {cuda: _libraries(folder / f"libmindspore_gpu.so.{cuda}") for cuda in reversed(_CUDA)}
    return min(found.items(), key=lambda item: list(item[1].values()).count(None))


def _libraries(path: Path) -> dict[str, Path | None]:
    """Name → file of every library that `path` needs, None where the loader finds none."""
    printed = _printed("ldd", str(path))
    found = re.findall(r"^\s*(\S+) => (not found|/\S+)", printed, re.MULTILINE)
    return {name: None if place == "not found" else Path(place).resolve() for name, place in found}


def _version_of(library: Path | None) -> str:
    """11.6.55 of libcudart.so.11.6.55."""
    return library.name.partition(".so.")[2] if library else ""


def _cards(cuda: str, lowest: str) -> Check:
    """The cards and their driver, which must be at least `lowest` for that CUDA version."""
    query = ("nvidia-smi", "--format=csv,noheader", "--query-gpu=name,driver_version")
    rows = [line.rsplit(", ", 1) for line in _printed(*query).splitlines() if ", " in line]
    if not rows:
        return Check("GPU", False, "nvidia-smi shows none", f"install NVIDIA's driver, {lowest} or later")
    driver = rows[0][1]
    capability = _printed("nvidia-smi", "--format=csv,noheader", "--query-gpu=compute_cap").splitlines()
    detail = f"{_counted(row[0] for row in rows)}; driver {driver} (CUDA {cuda} needs {lowest})"
    kernels = [tuple(map(int, text.split("."))) for text in capability if re.fullmatch(r"\d+\.\d+", text)]
    if kernels and min(kernels) < _OLDEST:
        return Check("GPU", False, f"{detail}; compute capability below 6.0", "use a newer card, or the CPU")
    if kernels and max(kernels)[0] > _NEWEST[0]:
        detail += "; newer than the wheel's kernels: they are compiled for it when first used, which nobody documents"
    return Check("GPU", _numbers(driver) >= _numbers(lowest), detail, f"update NVIDIA's driver to {lowest} or later")


@dataclass(frozen=True)
class Card:
    """A GPU, or one chip of an Ascend card, as its driver's tool shows it; memory in megabytes, 0 if not shown."""

    name: str
    memory: int
    health: str = "OK"


def gpus() -> list[Card]:
    """NVIDIA's cards here."""
    printed = _printed("nvidia-smi", "--format=csv,noheader,nounits", "--query-gpu=name,memory.total")
    return [Card(name, int(memory)) for name, memory in re.findall(r"^(.+), (\d+)$", printed, re.MULTILINE)]


def npus() -> list[Card]:
    """Ascend's chips here; npu-smi prints two lines for each, the second ends with its used and whole memory."""
    row = r"^\| *\d+ +((?:Ascend)?\d{3}[\w-]*) *\| *(\w+).*(?:\n\|.*/ *(\d+) *\|$)?"
    found = re.findall(row, _printed("npu-smi", "info"), re.MULTILINE)
    return [Card(name, int(memory or 0), health) for name, health, memory in found]


def _ascend_checks() -> Iterator[Check]:
    """Ascend's chips, what they are good for, CANN and the driver."""
    cards = npus()
    ill = [card.health for card in cards if card.health != "OK"]
    driver = _version_in(_ASCEND_DRIVER) or "unknown"
    detail = f"{_counted(card.name for card in cards) or 'npu-smi shows none'}; driver {driver}"
    remedy = f"health {ill[0]}: look at npu-smi info" if ill else "install Ascend's driver and firmware"
    yield Check("Ascend", bool(cards) and not ill, detail, remedy)
    chips = {card.name: chip_of(card.name) for card in cards}
    for name, chip in chips.items():
        yield _use(name, chip)
    yield from _cann(driver, next((chip for chip in chips.values() if chip and chip.trains is False), None))


def _use(name: str, chip: Chip | None) -> Check:
    """What a chip is good for."""
    remedy = "see docs/ascend-chips.md"
    if chip is None:
        return Check("chip", False, f"{name}: not in posekit's table", remedy, needed=False)
    remedy = "train on a 910B, a 910C, a GPU or the CPU, and export; " + remedy if chip.trains is False else remedy
    return Check("chip", bool(chip.trains), f"{name} is a {chip.name}. {chip.runs}", remedy, needed=False)


def _cann(driver: str, infers: Chip | None) -> Iterator[Check]:
    """CANN, as the environment names it, against what the wheel accepts, or what is documented for a chip that only
    infers; and the driver against CANN."""
    from mindspore.run_check._check_version import AscendEnvChecker

    accepted = infers.cann if infers else AscendEnvChecker(None).version
    home = os.environ.get("ASCEND_HOME_PATH")
    found = _version_in(Path(home, "compiler", "version.info")) if home else None
    if not home or found is None:
        detail = f"{home}: no compiler/version.info with a version" if home else "ASCEND_HOME_PATH is not set"
        yield Check("CANN", False, detail, _CANN_REMEDY)
        return
    whose = f"documented for {infers.name}:" if infers else "the wheel accepts"
    detail = f"{found} at {home}; {whose} {', '.join(accepted)}"
    good = ".".join(found.split(".")[:2]) in accepted
    yield Check("CANN", good, detail, f"install CANN {accepted[-1]}", needed=not infers)
    if stack := stack_of(found):
        oldest = stack.oldest or stack.driver
        detail = f"{driver}; CANN {found} was published with {stack.driver}"
        detail += f", and works from {stack.oldest}" if stack.oldest else ""
        good = _numbers(driver)[:2] >= _numbers(oldest)[:2]
        yield Check("driver", good, detail, f"update Ascend's driver to {oldest} or later", needed=bool(stack.oldest))


def _printed(*command: str) -> str:
    """What a command prints; nothing where there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version_in(path: Path) -> str | None:
    """The version of a version.info file of Ascend's packages."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r"^Version=(\S+)", text, re.MULTILINE)
    return found[1] if found else None


def _counted(names: Iterable[str]) -> str:
    """'8 × 910B3'"""
    return ", ".join(f"{count} × {name}" for name, count in Counter(names).items())


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
