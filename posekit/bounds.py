"""The ranges of numbers that come from outside, and checks that look before anything is allocated, cast or looped over.

Every range is stated here, with its unit and the reason for it, and nowhere else.
"""

from pathlib import Path

import numpy as np

from posekit.errors import InputError

# Lengths
LONGEST_LINE = 1_000_000  # characters of a line of a csv; 111 numbers of 25 digits take 3,000
LONGEST_NAME = 1024  # bytes of a file's name in a label file; file systems allow 255

# Tables and label files
MOST_ROWS = 1_000_000  # of a table: 9 hours of film, or all of VeRi 20 times
LARGEST_CHUNK = 2**28  # bytes that HDF5 unpacks at once
LARGEST_MATLAB = 2**30  # bytes of a MATLAB file, unpacked; MPII's annotation takes about 200 MB

# Pixels and scores
LARGEST_SIDE = 2**20  # pixels of an image's side: what OpenCV reads
LARGEST_NUMBER = 2.0**21  # of any number in a table, either sign: coordinates may lie outside the image
SMALLEST_UNIT = 0.001  # pixels by which a distance may be divided

# Resampling
MOST_DRAWS = 100_000  # resamples of a comparison; 1,000 are usual


def outside(values: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """True where a value isn't in low…high, and for NaN."""
    return ~((values >= low) & (values <= high))


# Model files, in bytes on disk; looked at before anything is read.
MODEL_BYTES = 2**30  # of .onnx, .mindir, .air and .om: HRNet-W48 has 0.26 GB
WEIGHTS_BYTES = 2**32  # of .ckpt, .pth and .safetensors: an optimiser's state is three times the weights
PICKLE_BYTES = 2**24  # of the names and shapes in a .pth
ZIP_DIRECTORY_BYTES = 2**22  # of all members' names in a .pth or .npz
LABELS_BYTES = 2**30  # of the files by which infer310's stages hand over; 1,060 vehicles take 1 MB
DESCRIPTION_BYTES = 2**20  # of the .json beside a model, and of a recipe in ONNX metadata
# What they hold.
PARAMETERS = 300_000_000  # values of one network: HRNet-W64 has 0.13 billion
BATCH = (1, 4096)  # images that an exported file takes at a time


def check_size(path: Path, most: int) -> None:
    """InputError when the file has more than `most` bytes."""
    if (size := path.stat().st_size) > most:
        raise InputError(f"{path}: has {size:,} bytes, posekit reads at most {most:,}; check that it is the right file")
