"""The predictions table: what every run time writes and every metric reads.

The file is the pose csv that PAMTRI uses: `name,x0,y0,score0,…`, one row per sample, no header. A name that holds a
comma, a quotation mark or a line end is in quotation marks, as Python's csv module and pandas write and read it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posekit import bounds
from posekit.errors import InputError, shortened
from posekit.files import atomic_path
from posekit.tables import check_unique, read_named_numbers

QUOTED = set(',"\r\n\ufeff')  # what a name holds that needs quotation marks; U+FEFF begins a file only as a BOM


@dataclass(frozen=True)
class Predictions:
    """Keypoints found in named samples, in pixels of each sample's image."""

    names: list[str]
    keypoints: np.ndarray  # (N, K, 2) float64
    scores: np.ndarray  # (N, K) float64
    where: str = "predictions"  # the file, for messages

    def in_order(self, names: list[str]) -> "Predictions":
        """The same predictions, reordered to `names`; InputError names what is missing or unknown."""
        rows = {name: row for row, name in enumerate(self.names)}
        missing = [name for name in names if name not in rows]
        if missing:
            raise InputError(
                f"{self.where}: {len(missing)} of {len(names)} samples are missing, the first is "
                f"{shortened(missing[0])}; predict the whole split again"
            )
        unknown = set(rows) - set(names)
        if unknown:
            raise InputError(
                f"{self.where}: {len(unknown)} samples are not in the labels, for example {shortened(min(unknown))}; "
                "score them with the labels of the same split"
            )
        index = [rows[name] for name in names]
        return Predictions(list(names), self.keypoints[index], self.scores[index], self.where)


def check_names(names: Iterable[str]) -> None:
    """InputError for the first name that no table can hold: of a file whose name's bytes are not UTF-8."""
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(
                f"{shortened(name)}: the file's name is not UTF-8, so no table can hold it; rename the file"
            ) from None


def check_values(path: str | Path, names: list[str], values: np.ndarray) -> None:
    """InputError for the first of values (N, …) that the table `path` can't hold: NaN, infinite or out of range."""
    wrong = bounds.outside(values, -bounds.LARGEST_NUMBER, bounds.LARGEST_NUMBER)
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0])
        raise InputError(
            f"{path}: not written: {shortened(names[first[0]])} has the value {values[first]:g}, which is not a "
            "coordinate or a score; check the model's weights"
        )


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write the pose csv, atomically; 3 decimals for coordinates, 6 significant digits for scores.

    Raises InputError for a name that no table can hold, and for values that `read_predictions` would refuse.
    """
    check_names(predictions.names)
    values = np.dstack([predictions.keypoints, predictions.scores[..., None]]).reshape(len(predictions.names), -1)
    check_values(path, predictions.names, values)
    line = "%s" + ",%.3f,%.3f,%.6g" * predictions.keypoints.shape[1] + "\n"
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(
            line % (_cell(name), *row.tolist()) for name, row in zip(predictions.names, values, strict=True)
        )


def read_predictions(path: str | Path, num_keypoints: int) -> Predictions:
    """Read a pose csv of `num_keypoints` keypoints; InputError names the file, row and column of what is wrong."""
    names, values = read_named_numbers(path, 1 + 3 * num_keypoints, "one row per image: name,x0,y0,score0,…")
    check_unique(path, names)
    values = values.reshape(len(names), num_keypoints, 3)
    return Predictions(names, values[..., :2], values[..., 2], str(path))


def _cell(name: str) -> str:
    """The name as a cell of a csv."""
    return '"' + name.replace('"', '""') + '"' if QUOTED & set(name) else name
