"""posekit doctor on machines with a GPU or an Ascend: stand-ins for the vendors' tools, the wheel's real plug-in."""

import shutil
from pathlib import Path

import pytest

from posekit.doctor import accelerators, diagnose
from posekit.doctor.accelerators import accelerator_checks

LIBRARIES = (
    "libcublas.so.11", "libcurand.so.10", "libcusolver.so.11", "libcufft.so.10", "libcusparse.so.11", "libcuda.so.1",
)  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of PATH; no variable of a real installation is set."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in ("LD_LIBRARY_PATH", "ASCEND_HOME_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(accelerators, "_ASCEND_DRIVER", tmp_path / "version.info")
    return tmp_path


def say(tools: Path, program: str, script: str) -> None:
    (tools / program).write_text(f"#!/bin/sh\n{script}\n")
    (tools / program).chmod(0o755)


def nvidia(tools: Path, driver: str, capability: str) -> None:
    say(tools, "nvidia-smi", f'case "$*" in *compute_cap*) echo {capability};; *) echo "NVIDIA A100, {driver}";; esac')


def cuda(tools: Path, monkeypatch: pytest.MonkeyPatch, version: str, nvrtc: str) -> None:
    """Libraries under the names that CUDA gives them, for the loader to find; what is in them does not matter."""
    some = next(Path("/lib/x86_64-linux-gnu").glob("libm.so.6"), None)
    if some is None:
        pytest.skip("no /lib/x86_64-linux-gnu/libm.so.6 to stand for CUDA's libraries")
    full = {"libcudart.so.11.0": f"libcudart.so.{version}.55", "libcudnn.so.8": "libcudnn.so.8.5.0"}
    for name in (*LIBRARIES, *full, f"libnvrtc.so.{nvrtc}"):
        shutil.copy(some, tools / full.get(name, name))
        if name in full:
            (tools / name).symlink_to(full[name])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tools))


def test_a_gpu_as_the_wheel_wants_it(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(tools, "535.104.05", "8.0")
    cuda(tools, monkeypatch, "11.6", "11.2")
    cards, libraries = accelerator_checks("gpu")
    assert cards.ok and cards.detail == "1 × NVIDIA A100; driver 535.104.05 (CUDA 11.6 needs 510.39.01)"
    assert libraries.ok and libraries.detail == "runtime 11.6.55, cuDNN 8.5.0, for plug-in 11.6"


def test_cuda_11_1_is_served_by_its_own_plugin(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(tools, "470.57.02", "7.0")
    cuda(tools, monkeypatch, "11.1", "11.1")
    cards, libraries = accelerator_checks("gpu")
    assert cards.ok and "needs 450.80.02" in cards.detail
    assert libraries.ok and libraries.detail.endswith("plug-in 11.1")


@pytest.mark.parametrize(
    ("driver", "capability", "ok", "words"),
    [
        ("470.57.02", "8.0", False, "470.57.02 (CUDA 11.6 needs 510.39.01)"),
        ("535.104.05", "5.2", False, "below 6.0"),
        ("535.104.05", "8.6", True, "driver 535"),
        ("535.104.05", "9.0", True, "newer than the wheel's kernels"),
        ("450.51", "Field is not a valid field to query.", False, "driver 450.51"),  # as old drivers answer
    ],
)
def test_driver_and_card(tools: Path, driver: str, capability: str, ok: bool, words: str) -> None:
    nvidia(tools, driver, f"'{capability}'")
    cards, _ = accelerator_checks("gpu")
    assert cards.ok == ok and words in cards.detail


def test_cuda_missing_or_of_another_version(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(tools, "535.104.05", "8.0")
    _, libraries = accelerator_checks("gpu")
    assert not libraries.ok and "libcudnn.so.8" in libraries.detail and "libcudart.so.11.0" in libraries.detail
    assert "CUDA 11.6 with cuDNN 8.5" in libraries.remedy
    cuda(tools, monkeypatch, "11.8", "11.2")
    _, libraries = accelerator_checks("gpu")
    assert not libraries.ok and "runtime 11.8.55" in libraries.detail


def test_no_driver_at_all(tools: Path) -> None:
    say(tools, "nvidia-smi", "echo 'NVIDIA-SMI has failed because it could not reach the driver.'; exit 9")
    assert [check.ok for check in accelerator_checks("gpu")] == [False, False]


CHIPS = """
| npu-smi 24.1.rc1                 Version: 24.1.rc1                                             |
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| 0     910B3               | OK            | 97.6        52                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3525 / 65536         |
| 1     910B3               | OK            | 97.6        52                0    / 0             |
| 0                         | 0000:C2:00.0  | 0           0    / 0          3525 / 65536         |
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
| 0       0                 | 12345         | python                   | 2048                    |
"""


def test_an_ascend_and_its_cann(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tools / "chips").write_text(CHIPS)
    say(tools, "npu-smi", f'cat "{tools}/chips"')
    (tools / "version.info").write_text("Version=24.1.rc1\nfirmware_version=1\n")
    cann = tools / "cann" / "compiler" / "version.info"
    cann.parent.mkdir(parents=True)
    cann.write_text("Version=8.5.0\n")
    chips, missing = accelerator_checks("ascend")
    assert chips.ok and chips.detail == "2 × 910B3; driver 24.1.rc1"
    assert not missing.ok and "ASCEND_HOME_PATH" in missing.detail and "set_env.sh" in missing.remedy
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tools / "cann"))
    _, found = accelerator_checks("ascend")
    assert found.ok and found.detail.startswith("8.5.0 at ")
    cann.write_text("Version=7.0.0.1.2\n")
    _, old = accelerator_checks("ascend")
    assert not old.ok and "accepts 8.2, 8.3, 8.5, 9.0, 9.1" in old.detail
    (tools / "chips").write_text(CHIPS.replace("910B3               | OK     ", "910A                | Warning"))
    chips, _ = accelerator_checks("ascend")
    assert not chips.ok and "2 × 910A" in chips.detail and "built for the 910B" in chips.detail


def test_with_auto_an_unusable_gpu_is_a_note(tools: Path) -> None:
    nvidia(tools, "470.57.02", "8.0")
    found = {check.name: check for check in diagnose.checks()}
    assert (found["GPU"].ok, found["GPU"].needed) == (False, False)
    assert found["device"].ok, "the CPU serves"
    asked = {check.name: check for check in diagnose.checks("gpu")}
    assert asked["GPU"].needed and not asked["device"].ok


def test_nothing_is_said_where_there_is_no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert list(accelerator_checks("auto")) == list(accelerator_checks("cpu")) == []
