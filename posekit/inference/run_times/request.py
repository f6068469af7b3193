"""What a run time is asked to open."""

from dataclasses import dataclass
from pathlib import Path

from posekit.errors import InputError


class MissingRunTime(InputError):
    """A run time, or what it needs of the machine, is not here. The message says what to install."""


@dataclass(frozen=True)
class Request:
    """A model file, and how to run it: `batch` where the file leaves it open, `precision` None for the usual one."""

    model: Path
    device: str = "auto"
    batch: int = 16
    precision: str | None = None
    lite_python: Path | None = None

    def only(self, *precisions: str) -> str:
        """The precision asked for, the first of `precisions` without a wish; InputError when it is none of them."""
        if self.precision and self.precision not in precisions:
            raise InputError(
                f"{self.model}: computes in {' or '.join(precisions)} here, not in {self.precision}; change --precision"
            )
        return self.precision or precisions[0]
