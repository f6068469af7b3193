"""posekit doctor on machines with a GPU or an Ascend: stand-ins for the vendors' tools, the wheel's real plug-in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from posekit.doctor import accelerators, diagnose
from posekit.doctor.accelerators import accelerator_checks
from posekit.doctor.checks import Check
from posekit.doctor.chips import CHIPS as FAMILIES
from posekit.doctor.chips import SOURCES, STACKS, chips_page

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


@pytest.fixture
def ascend(tools: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Check]]:
    """`ascend(chips, driver, cann)` is what doctor says where npu-smi prints these chips; cann None: not sourced."""

    def found(chips: str, driver: str = "25.5.0", cann: str | None = "8.5.0") -> dict[str, Check]:
        (tools / "chips").write_text(chips)
        say(tools, "npu-smi", f'cat "{tools}/chips"')
        (tools / "version.info").write_text(f"Version={driver}\nfirmware_version=1\n")
        (tools / "compiler").mkdir(exist_ok=True)
        (tools / "compiler/version.info").write_text(f"Version={cann}\n")
        monkeypatch.setenv("ASCEND_HOME_PATH", str(tools) if cann else "")
        return {check.name: check for check in accelerator_checks("ascend")}

    return found


def test_an_ascend_and_its_cann(ascend: Callable) -> None:
    found = ascend(CHIPS, "25.5.0", None)
    assert found["Ascend"].ok and found["Ascend"].detail == "2 × 910B3; driver 25.5.0"
    assert found["chip"].ok and "910B3 is a 910B. Trains and infers" in found["chip"].detail
    assert not found["CANN"].ok and "ASCEND_HOME_PATH" in found["CANN"].detail
    assert "set_env.sh" in found["CANN"].remedy and "driver" not in found
    found = ascend(CHIPS)
    assert found["CANN"].ok and found["CANN"].detail.startswith("8.5.0 at ") and found["driver"].ok
    old = ascend(CHIPS, cann="7.0.0.1.2")["CANN"]
    assert not old.ok and "accepts 8.2, 8.3, 8.5, 9.0, 9.1" in old.detail
    ill = ascend(CHIPS.replace("| OK     ", "| Warning"))["Ascend"]
    assert not ill.ok and "health Warning" in ill.remedy


@pytest.mark.parametrize(
    ("cann", "driver", "ok", "needed"),
    [
        ("9.1.0", "25.2.0", True, True),
        ("9.1.0", "25.0.RC1", False, True),  # the release notes' table says N
        ("9.0.0", "25.0.RC1", True, True),
        ("8.5.2", "24.1.0", False, True),
        ("8.3.RC1", "25.3.RC1", True, False),
        ("8.3.RC1", "25.2.0", False, False),  # nobody says whether it works: a note
    ],
)
def test_the_driver_is_held_against_cann(ascend: Callable, cann: str, driver: str, ok: bool, needed: bool) -> None:
    check = ascend(CHIPS, driver, cann)["driver"]
    assert (check.ok, check.needed) == (ok, needed) and driver in check.detail


# As npu-smi prints them, from public reports; the two lines of a chip, names padded to the column.
ROWS = """| 0     {:<19} | OK            | 97.6        52                0    / 0             |
| 0     0                   | 0000:C1:00.0  | 0           0    / 0          3525 / {}          |
"""


@pytest.mark.parametrize(
    ("name", "memory", "chip", "trains"),
    [
        ("310B4", 7578, "310B", False),
        ("310P3", 44280, "310P", False),
        ("910A", 32768, "910A", None),
        ("910ProB", 32768, "910A", None),
        ("910B", 32768, "910A", None),  # without a digit, the first generation
        ("910B4-1", 65536, "910B", True),
        ("Ascend910", 65536, "910C", True),
        ("Ascend310P3", 21527, "310P", False),
        ("950PR", 131072, None, None),
    ],
)
def test_chips_by_their_names(ascend: Callable, name: str, memory: int, chip: str | None, trains: bool | None) -> None:
    found = ascend(ROWS.format(name, memory))
    assert accelerators.npus() == [accelerators.Card(name, memory)]
    check = found["chip"]
    assert check.ok == bool(trains) and not check.needed
    assert (f"{name} is a {chip}. " if chip else f"{name}: not in posekit's table") in check.detail


def test_a_board_is_not_told_to_install_a_cann_that_it_cannot_have(ascend: Callable) -> None:
    board = ROWS.format("310B4", 7578)
    assert ascend(board, cann="8.0.RC3")["CANN"].ok
    new = ascend(board, cann="9.1.0")["CANN"]
    assert (new.ok, new.needed, new.remedy) == (False, False, "install CANN 8.1")
    assert "documented for 310B: 8.0, 8.1" in new.detail
    assert "train on a 910B" in ascend(board)["chip"].remedy


def test_the_docs_have_the_table() -> None:
    page = Path(__file__).parents[1] / "docs" / "ascend-chips.md"
    text = page.read_text(encoding="utf-8")
    assert chips_page() in text, "put what `python -m posekit.doctor.chips` prints into docs/ascend-chips.md"
    assert {source for row in (*FAMILIES, *STACKS) for source in row.sources} == set(SOURCES)


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
