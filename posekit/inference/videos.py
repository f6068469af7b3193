"""Videos: their frames, and writing annotated ones.

A video has no checksums: FFmpeg guesses what is damaged, or leaves a frame out. How many frames were promised and could
be read is said, and what FFmpeg complained about.
"""

import ctypes
import errno
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

from posekit.bounds import MOST_FRAME_PIXELS
from posekit.datasets.images import one_line
from posekit.errors import InputError, shortened
from posekit.filetypes import said_to_be

USUAL_RATE = 25.0  # frames per second, for a video that doesn't say
MOST_FAILURES = 30  # frames in a row that can't be read, from which on the video is at its end
_FFMPEG = re.compile(r"\[OPENCV:FFMPEG:(00|08|16)\] ")  # begins its lines about a panic, a fatal or another error
UNEVEN = 1.5  # the longest time between frames to the shortest, from which on it is said
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "16")  # which OpenCV reads when it first opens a video


class BadVideo(InputError):
    """A video that can't be read, or whose annotated copy can't be written."""


def open_video(path: Path) -> cv2.VideoCapture:
    """The opened video. Raises BadVideo if it can't be read, or has frames larger than any camera's."""
    cv2.setLogLevel(0)
    where = one_line(path)
    if not path.is_file():
        raise BadVideo(f"{where}: no such video; check the path")
    # An absolute path, since FFmpeg takes what is before a colon for a protocol.
    with _heard():  # with one thread, so that FFmpeg complains about a frame while it is read
        capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        said = said_to_be(path) or ""
        what = "not a readable video" + (f" but {said.partition(';')[0]}" if said and "film" not in said else "")
        raise BadVideo(f"{where}: {what}; copy it again, or convert it to mp4")
    width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MOST_FRAME_PIXELS:
        raise BadVideo(f"{where}: frames of {width:,} × {height:,} pixels; scale the video down")
    return capture


def check_video(path: Path) -> None:
    """BadVideo unless a first frame can be read."""
    capture = open_video(path)
    with _heard():
        read, _ = capture.read()
        capture.release()
    if not read:
        raise BadVideo(f"{one_line(path)}: not a single frame can be read; copy the video again")


def promised_frames(capture: cv2.VideoCapture) -> int:
    """How many frames a video says it has; 0: it doesn't say."""
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


def rate_of(capture: cv2.VideoCapture) -> float:
    """Frames per second, such that MPEG-4 takes them: a fraction with a denominator below 65536."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    rate = round(rate, 1 if rate > 60 else 3)
    return rate if 0 < rate < 1000 else USUAL_RATE


_one_hears = threading.Lock()  # a film is read and another written at the same time, and there is one standard output


@contextmanager
def _heard(complaints: list[str] | None = None) -> Iterator[None]:
    """Keep FFmpeg's errors, which OpenCV prints, from standard output; add them to `complaints`."""
    with _one_hears, tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        _flush()
        output = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            _flush()
            os.dup2(output, 1)
            os.close(output)
        if complaints is not None and os.fstat(file.fileno()).st_size:
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines()
            complaints += [line[found.end() :] for line in lines if (found := _FFMPEG.match(line))]


def _flush() -> None:
    """Write out what C libraries have printed."""
    with suppress(OSError, AttributeError, TypeError):  # Windows
        ctypes.CDLL(None).fflush(None)


def frames(capture: cv2.VideoCapture, complaints: list[str]) -> Iterator[tuple[float, np.ndarray]]:
    """When each frame is shown, in milliseconds, and the frame (H, W, 3) uint8 RGB. Continues after a damaged one.

    Of each frame that FFmpeg complains about, its first line is added to `complaints`; of several that can't be read in
    a row, only that of the first, since FFmpeg repeats itself at a damaged end.
    """
    failures = 0
    while failures < MOST_FAILURES:
        said: list[str] = []
        with _heard(said):
            read, frame = capture.read()
        if read or not failures:
            complaints += said[:1]
        if read:
            yield capture.get(cv2.CAP_PROP_POS_MSEC), cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        failures = 0 if read else failures + 1


class VideoWriter:
    """Writes frames (H, W, 3) uint8 RGB of one size to an mp4; `source` is named in messages."""

    def __init__(self, path: Path, rate: float, source: Path) -> None:
        self.path, self.rate, self.source, self.count = path, rate, source, 0
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray) -> None:
        """Raises BadVideo if OpenCV can't write videos of this size and rate."""
        if self._writer is None:
            size = width, height = frame.shape[1], frame.shape[0]
            with _heard():
                self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), self.rate, size)
            if not self._writer.isOpened():
                what = f"{width:,} × {height:,} pixels at {self.rate:g} frames per second"
                raise BadVideo(f"{one_line(self.source)}: OpenCV can't write a video of {what}; convert it")
        with _heard():
            self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.count += 1

    def release(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            with _heard():
                self._writer.release()

    def check(self) -> None:
        """OSError unless the file has every frame: OpenCV doesn't say when the disk is full."""
        with _heard():
            written = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        count = promised_frames(written)
        written.release()
        if count != self.count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def remarks(promised: int, times: list[float], complaints: list[str]) -> list[str]:
    """What is odd about a video whose frames were shown at these times, in milliseconds."""
    found = []
    if complaints:
        where = f"{len(complaints)} frame{'s' * (len(complaints) > 1)}"
        found.append(
            f"FFmpeg finds damage in {where}, the first: {shortened(complaints[0])}; "
            "what is predicted there may be wrong"
        )
    if promised and promised != len(times):
        found.append(f"says it has {promised} frames, {len(times)} could be read; they are numbered as they were read")
    intervals = np.diff(times)
    if len(intervals) and intervals.max() > UNEVEN * intervals.min():
        found.append("its frames are at uneven intervals, those of the copy at even ones")
    return found
