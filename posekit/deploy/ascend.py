"""Ascend's converters: the exact commands, written beside the ONNX file, and `atc` run where it is.

By the documentation of CANN 8.2 to 9.1 and of MindSpore Lite 2.10; untested on a real Ascend.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from posekit.errors import InputError, shown
from posekit.files import atomic_path, write_text
from posekit.geometry import Size, sides
from posekit.inference.run_times.description import write_description
from posekit.inference.run_times.request import MissingRunTime
from posekit.plain_paths import plain_input, plain_output
from posekit.recipes import Recipe

SOC = "Ascend310"  # "Ascend" and the name that `npu-smi info` shows; the original 310 needs CANN 8.2 or older
_SCRIPT = """#!/usr/bin/env bash
# {onnx} for {soc}: run this where CANN is installed, after
#   source /usr/local/Ascend/ascend-toolkit/set_env.sh    (CANN 9: /usr/local/Ascend/cann/set_env.sh)
set -euo pipefail
cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")"
{atc}

# For MindSpore Lite instead, which then reads {stem}-lite.mindir:
# {lite}
"""


def atc_command(onnx: Path | str, out: Path | str, soc: str) -> list[str]:
    """CANN's converter: ONNX to `out`.om. It computes in fp16 where an operation can."""
    return ["atc", f"--model={onnx}", "--framework=5", f"--output={out}", f"--soc_version={soc}"]


def converter_command(onnx: Path | str, out: Path | str, batch: int, size: Size) -> list[str]:
    """MindSpore Lite's converter: ONNX to `out`.mindir for an Ascend, images (batch, 3, height, width) of that size."""
    width, height = sides(size)
    return [
        "converter_lite", "--fmk=ONNX", "--saveType=MINDIR", f"--modelFile={onnx}", f"--outputFile={out}",
        f"--inputShape=images:{batch},3,{height},{width}", "--optimize=ascend_oriented",
    ]  # fmt: skip


def check_soc(soc: str) -> None:
    """InputError for what can't be a chip's name."""
    if not re.fullmatch(r"Ascend\w{1,34}", soc):
        raise InputError(f"--soc {shown(soc)}: give Ascend and the name that npu-smi info shows, as {SOC}")


def write_commands(onnx: Path, batch: int, size: Size, soc: str) -> Path:
    """Write both commands for an ONNX file as a script beside it, `<stem>.atc.sh`; returns its path.

    InputError for names that can't be in a script.
    """
    if not onnx.name.isprintable():
        raise InputError(f"{onnx}: its name can't be in a shell script; give --out a name that can be printed")
    check_soc(soc)
    atc = atc_command(onnx.name, onnx.stem, soc)
    lite = converter_command(onnx.name, f"{onnx.stem}-lite", batch, size)
    path = onnx.with_suffix(".atc.sh")
    texts = {"atc": shlex.join(atc), "lite": shlex.join(lite)}
    write_text(path, _SCRIPT.format(onnx=onnx.name, stem=onnx.stem, soc=soc, **texts))
    return path


def convert_om(onnx: Path, out: Path, recipe: Recipe, batch: int, soc: str) -> None:
    """ONNX to OM by `atc`; MissingRunTime where it isn't installed, InputError when it fails.

    In both cases the description of the OM file, which is then made by hand, is written; an older OM file is removed.
    """
    script = onnx.with_suffix(".atc.sh").name
    if shutil.which("atc") is None:
        _make_by_hand(out, recipe, batch)
        raise MissingRunTime(
            f"{out}: atc is not on the path; install CANN and source its set_env.sh. {onnx.name} and the command, "
            f"{script}, are written: run that where CANN is, and keep {out.name}.json beside the .om file"
        )
    with atomic_path(out) as temporary:
        with plain_input(onnx) as source, plain_output(temporary) as made:
            command = atc_command(source, made.with_suffix(""), soc)
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
            )
            if done.returncode or not made.is_file():
                _make_by_hand(out, recipe, batch)
                reason = (done.stdout.strip().splitlines() or ["no output"])[-1].strip()[:200]
                raise InputError(f"{out}: atc failed ({reason}); {script} holds the command, run it by hand")
        write_description(out, recipe, batch, "fp16", made=temporary)


def _make_by_hand(out: Path, recipe: Recipe, batch: int) -> None:
    """Leave the description that the OM file will need, and no OM file that it doesn't describe."""
    out.unlink(missing_ok=True)
    write_description(out, recipe, batch, "fp16")
