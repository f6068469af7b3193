"""The predictions table: what every run time writes and every metric reads.

The file is the pose csv that PAMTRI uses: `name,x0,y0,score0,…`, one row a sample, no header.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from posekit.errors import InputError
from posekit.files import atomic_path


@dataclass(frozen=True)
class Predictions:
    """Keypoints found in named samples, in pixels of each sample's image."""

    names: list[str]
    keypoints: np.ndarray  # (N, K, 2) float64
    scores: np.ndarray  # (N, K) float64

    def in_order(self, names: list[str]) -> "Predictions":
        """The same predictions, reordered to `names`; InputError names what is missing or unknown."""
        rows = {name: row for row, name in enumerate(self.names)}
        missing = [name for name in names if name not in rows]
        if missing:
            raise InputError(
                f"predictions lack {len(missing)} of {len(names)} samples, the first is {missing[0]}; "
                "predict the whole split again"
            )
        unknown = set(rows) - set(names)
        if unknown:
            raise InputError(
                f"predictions name {len(unknown)} samples that the labels lack, for example {min(unknown)}; "
                "score them with the labels of the same split"
            )
        index = [rows[name] for name in names]
        return Predictions(list(names), self.keypoints[index], self.scores[index])


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write the pose csv, atomically; 3 decimals for coordinates, 6 significant digits for scores."""
    count = len(predictions.names)
    columns = {"name": predictions.names}
    for k in range(predictions.keypoints.shape[1]):
        columns[f"x{k}"] = np.char.mod("%.3f", predictions.keypoints[:, k, 0]) if count else []
        columns[f"y{k}"] = np.char.mod("%.3f", predictions.keypoints[:, k, 1]) if count else []
        columns[f"score{k}"] = np.char.mod("%.6g", predictions.scores[:, k]) if count else []
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, header=False, index=False)


def read_predictions(path: str | Path, num_keypoints: int) -> Predictions:
    """Read a pose csv of `num_keypoints` keypoints; InputError names the file, row and column of what is wrong."""
    path = Path(path)
    columns = 1 + 3 * num_keypoints
    table = read_table(path, columns)
    names = [str(name) for name in table[0]]
    seen: dict[str, int] = {}
    for row, name in enumerate(names, start=1):
        if name in seen:
            raise InputError(f"{path}: row {row} repeats {name} of row {seen[name]}; keep one row a sample")
        seen[name] = row
    values = numbers(path, table.iloc[:, 1:]).reshape(len(names), num_keypoints, 3)
    return Predictions(names, values[..., :2], values[..., 2])


def read_table(path: Path, columns: int) -> pd.DataFrame:
    """A headerless csv of `columns` columns as strings; InputError when it is absent, empty or a row is short or long."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; give a csv") from error
    rows = [line.split(",") for line in text.splitlines() if line.strip()]
    if not rows:
        raise InputError(f"{path}: the file is empty; it should have one row a sample")
    for number, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise InputError(f"{path}: row {number} has {len(row)} columns, expected {columns}; mend or remove the row")
    return pd.DataFrame(rows)


def numbers(path: Path, table: pd.DataFrame) -> np.ndarray:
    """The columns of `table` as finite floats; InputError names the first row and column (from 1) that is none."""
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        text, label = table.iloc[row, column], table.columns[column] + 1
        raise InputError(f"{path}: row {row + 1}, column {label}: {text!r} is not a number; mend the row")
    return values
