"""What a run time is asked to open."""

from dataclasses import dataclass
from pathlib import Path

from posekit.errors import InputError

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


class MissingRunTime(InputError):
    """A run time, or something that it needs, isn't installed here. The message says what to install."""


@dataclass(frozen=True)
class Request:
    """A model file, and how to run it.

    device: auto, cpu, gpu or ascend, with :ID for one of several.
    batch: images at a time, where the file leaves it open; an exported file may have been made for one number.
    backend: a run time that reads the file (mindspore, mindir, onnxruntime, openvino, lite or om); None: by file and
        device.
    precision: fp32, fp16, bf16 or int8; None: what the run time is usually used with.
    lite_python: a Python interpreter that has MindSpore Lite; None: the usual places.
    flip_test: overrides the recipe's.
    threads: of an ONNX file's run time on the CPU; None: as many as there are cores.
    """

    model: Path
    device: str = "auto"
    batch: int = 16
    backend: str | None = None
    precision: str | None = None
    lite_python: Path | None = None
    flip_test: bool | None = None
    threads: int | None = None

    def only(self, *precisions: str) -> str:
        """The requested precision, or the first of `precisions` if none is requested; InputError for any other."""
        if self.precision and self.precision not in precisions:
            raise InputError(
                f"{self.model}: computes in {' or '.join(precisions)} here, not in {self.precision}; change --precision"
            )
        return self.precision or precisions[0]
