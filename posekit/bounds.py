"""The ranges of numbers that come from outside, and checks that look before anything is allocated, cast or looped over.

Every range is stated here, with its unit and the reason for it, and nowhere else.
"""

import numpy as np

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
