"""`posekit doctor`: what is installed, which device is chosen and why, and whether convolutions run fast."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from posekit.doctor.accelerators import accelerator_checks
from posekit.doctor.checks import Check, device_check, kernel_check, opencv_check, packages_check, speed_checks


def diagnose(console: Console, device: str = "auto") -> int:
    """Print every check for that device as it is made; returns 0 if all needed ones are ok, else 1."""
    good = True
    for check in checks(device):
        good = _show(console, check) and good
    if device not in ("auto", "cpu"):
        return 0 if good else 1
    console.print("measuring HRNet-W32, half a minute, or two where oneDNN is slow …", style="dim")
    for check in speed_checks():
        good = _show(console, check) and good
    return 0 if good else 1


def _show(console: Console, check: Check) -> bool:
    table = Table.grid(padding=(0, 2))
    failed = Text("[fail]", "red") if check.needed else Text("[note]", "yellow")
    table.add_row(Text("[ok]", "green") if check.ok else failed, f"{check.name}:", Text(check.detail))
    if not check.ok:
        table.add_row("", "", Text(f"-> {check.remedy}", "bold"))
    console.print(table)
    return check.ok or not check.needed


def checks(device: str = "auto") -> Iterator[Check]:
    """Run the quick checks: Python, packages, OpenCV, driver and CUDA or CANN, MindSpore's device, disk.

    With auto, a missing piece of an accelerator is only a note: the CPU works without it.
    """
    found = platform.python_version()
    yield Check(
        "Python", found.startswith("3.11."), f"{found} at {sys.prefix}", "use Python 3.11: MindSpore's wheel is for it"
    )
    yield packages_check()
    yield opencv_check()
    yield kernel_check()
    for check in accelerator_checks(device):
        yield replace(check, needed=check.needed and device != "auto")
    yield device_check(device)
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    yield Check("disk", free > 2, f"{free:.0f} GB free here", "make 2 GB free for data and runs")
