"""The ranges of numbers that come from outside, and checks that look before anything is allocated, cast or looped over.

Every range is stated here, with its unit and the reason for it, and nowhere else.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from posekit.errors import InputError

if TYPE_CHECKING:
    import numpy as np

# Lengths
LONGEST_LINE = 1_000_000  # characters of a line of a csv; 111 numbers of 25 digits take 3,000
LONGEST_NAME = 1024  # bytes of a file's name in a label file; file systems allow 255

# Tables and label files
MOST_ROWS = 1_000_000  # of a table: 9 hours of film, or all of VeRi 20 times
LARGEST_CHUNK = 2**28  # bytes that HDF5 unpacks at once
COCO_BYTES = 2**30  # of a COCO file: the keypoints of COCO's training split take 0.25 GB
LARGEST_MATLAB = 2**30  # bytes of a MATLAB file, unpacked; MPII's annotation takes about 200 MB

# Pixels and scores
LARGEST_SIDE = 2**20  # pixels of an image's side: what OpenCV reads
LARGEST_NUMBER = 2.0**21  # of any number in a table, either sign: coordinates may lie outside the image
SMALLEST_UNIT = 0.001  # pixels by which a distance may be divided

# Resampling
MOST_DRAWS = 100_000  # resamples of a comparison; 1,000 are usual


# Images
MOST_PIXELS = 2**28  # of an image: 16,384 × 16,384; the largest phones take 2 × 10^8
LARGEST_IMAGE = 2**30  # bytes of an image file: MOST_PIXELS without compression take 0.8 of it
LARGEST_RASTER = 2**30  # bytes of an image's pixels as its file stores them, unpacked; TIFF has up to 32 a pixel
MOST_SCANS = 100  # of a JPEG: 10 are usual, and each takes the time of the whole image
MOST_TOGETHER = 2**26  # pixels of images that wait for their turn, at once
MOST_FRAME_PIXELS = 2**26  # of a video's frame: 8,192 × 8,192
LARGEST_COPY = 1_000_000  # pixels of a side: what libpng writes
LARGEST_WARP = 2**15 - 2  # pixels of a side: what OpenCV's warpAffine takes

# Zip files
LARGEST_DIRECTORY = 2**26  # bytes of a zip's list of members: up to a million images
LARGEST_RATIO = 1032  # unpacked to packed size: the most that deflate can do

# Model files, in bytes on disk; looked at before anything is read.
MODEL_BYTES = 2**30  # of .onnx, .mindir, .air and .om: HRNet-W48 has 0.26 GB
WEIGHTS_BYTES = 2**32  # of .ckpt, .pth and .safetensors: an optimiser's state is three times the weights
PICKLE_BYTES = 2**24  # of the names and shapes in a .pth
ZIP_DIRECTORY_BYTES = 2**22  # of all members' names in a .pth or .npz
LABELS_BYTES = 2**30  # of the files by which infer310's stages hand over; 1,060 vehicles take 1 MB
GRAPH_BYTES = 2**28  # of all compiled graphs that are kept: PoseEstNet's training step takes 5.5 MB
DESCRIPTION_BYTES = 2**20  # of the .json beside a model, and of a recipe in ONNX metadata
# What they hold.
LARGEST_WEIGHT = 1e12  # of a network's values, either sign: a flipped bit of an exponent gives 1e18 or more
PARAMETERS = 300_000_000  # values of one network: HRNet-W64 has 0.13 billion
BATCH = (1, 4096)  # images that an exported file takes at a time


def outside(values: "np.ndarray", low: "float | np.ndarray", high: "float | np.ndarray") -> "np.ndarray":
    """True where a value isn't in low…high, and for NaN."""
    return ~((values >= low) & (values <= high))


def check_size(path: Path, most: int) -> None:
    """InputError when the file has more than `most` bytes."""
    if (size := path.stat().st_size) > most:
        raise InputError(f"{path}: has {size:,} bytes, posekit reads at most {most:,}; check that it is the right file")
