"""200 damaged inputs, others in each run: no traceback, no hang, no huge memory, no silent change."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.machine
def test_damaged_inputs(tmp_path_factory: pytest.TempPathFactory):
    script = Path(__file__).with_name("mutations.py")
    kept = tmp_path_factory.mktemp("mutations")
    arguments = ["--count", "200", "--seed", str(secrets.randbelow(10**6)), "--kept", str(kept)]
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    assert "200 cases" in done.stdout
