"""The ranges of numbers that come from outside, and checks that look before anything is allocated, cast or looped over.

Every range is stated here, with its unit and what it is for, and nowhere else.
"""

from pathlib import Path

from posekit.errors import InputError

LONGEST_QUOTE = 80  # characters of a cell or name that a message shows


def cut(text: object) -> str:
    """`text` as a message quotes it: in quotation marks, with its length where it is longer than LONGEST_QUOTE."""
    text = str(text)
    if len(text) <= LONGEST_QUOTE:
        return repr(text)
    return f"{text[:LONGEST_QUOTE]!r}… ({len(text):,} characters)"


# Model files, in bytes on disk; looked at before anything is read.
MODEL_BYTES = 2**30  # of .onnx, .mindir, .air and .om: HRNet-W48 has 0.26 GB
WEIGHTS_BYTES = 2**32  # of .ckpt, .pth and .safetensors: an optimiser's state is three times the weights
PICKLE_BYTES = 2**24  # of the names and shapes in a .pth
ZIP_DIRECTORY_BYTES = 2**22  # of all members' names in a .pth or .npz
DESCRIPTION_BYTES = 2**20  # of the .json beside a model, and of a recipe in ONNX metadata
# What they hold.
PARAMETERS = 300_000_000  # values of one network: HRNet-W64 has 0.13 billion
BATCH = (1, 4096)  # images that an exported file takes at a time


def check_size(path: Path, most: int) -> None:
    """InputError when the file has more than `most` bytes."""
    if (size := path.stat().st_size) > most:
        raise InputError(f"{path}: has {size:,} bytes, posekit reads at most {most:,}; check that it is the right file")
