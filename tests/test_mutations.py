"""200 damaged inputs, the same in each run: no traceback, no hang, no huge memory, no silent change.

`python tests/mutations.py --count 2000` tries others.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SEED = "20261126"


@pytest.mark.machine
def test_damaged_inputs(tmp_path_factory: pytest.TempPathFactory):
    script = Path(__file__).with_name("mutations.py")
    kept = tmp_path_factory.mktemp("mutations")
    arguments = ["--count", "200", "--seed", SEED, "--kept", str(kept)]
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    assert "200 cases" in done.stdout
