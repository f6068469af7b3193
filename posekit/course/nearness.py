"""How near two values, pictures or curves of two runs are to each other, and how near they must be."""

import math
import re
from base64 import b64decode
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

STAMP = re.compile(r"\d{8}-\d{6}")  # when a run began, in names of folders
_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
_SLIGHT = 1e-3  # on another device a number may always be off by this: it may be the difference of two equal things


class Tolerance(NamedTuple):
    """By how much two runs may differ."""

    points: float  # of percentages and their differences
    relative: float  # of other numbers; whole ones must be equal
    pixels: float  # share of a picture's pixels
    brightness: int  # of 255: what a pixel must be off by to count


SAME = Tolerance(0.0, 0.0, 0.0, 0)
OTHER = Tolerance(1.0, 0.05, 0.05, 32)  # published for one network: 82.32 on Ascend, 82.58 on a GPU, 82.77 on a 310


def near(one: object, other: object, unit: str, allowed: Tolerance) -> bool:
    """Whether two values are within the tolerance. Texts must be equal but for the numbers in them."""
    if isinstance(one, str) and isinstance(other, str):
        texts = [STAMP.sub("", text) for text in (one, other)]
        numbers = [[float(number.replace(",", "")) for number in _NUMBER.findall(text)] for text in texts]
        if _NUMBER.sub("", texts[0]) != _NUMBER.sub("", texts[1]) or len(numbers[0]) != len(numbers[1]):
            return False
        return all(near(a, b, unit, allowed) for a, b in zip(*numbers, strict=True))
    if one == other or not (isinstance(one, float) and isinstance(other, float)):
        return one == other
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if unit.startswith(("%", "points")):
        return abs(one - other) <= allowed.points
    return bool(abs(one - other) <= max(allowed.relative * max(abs(one), abs(other)), _SLIGHT * bool(allowed.relative)))


def share_off(one: str, other: str, brightness: int) -> float:
    """The share of two pictures' (base64) pixels of which a channel is off by more than `brightness`.

    1 for pictures of different sizes. cv2.error or ValueError for what isn't a picture.
    """
    if one == other:
        return 0.0
    a, b = (cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), cv2.IMREAD_COLOR) for data in (one, other))
    if a is None or b is None:
        raise ValueError("a picture that cannot be read")
    return float((cv2.absdiff(a, b).max(2) > brightness).mean()) if a.shape == b.shape else 1.0


def first_difference(one: pd.DataFrame, other: pd.DataFrame) -> tuple[str, object, object] | None:
    """Where two logs of trainings differ first, by one's columns, and the two values; None if they are equal."""
    for row in range(max(len(one), len(other))):
        for column in one.columns:
            a, b = (log[column].iloc[row] if row < len(log) else None for log in (one, other))
            if a != b and not (a != a and b != b):
                return f"{column} in row {row + 1} of log.csv", a, b
    return None


def outcome(log: pd.DataFrame) -> dict[str, tuple[float, str]]:
    """What a training came to, with units: the mean loss of the last tenth of its log, and its best validation."""
    loss = float(log["loss"].tail(max(1, len(log) // 10)).mean())
    return {"loss at the end": (loss, ""), "best validation": (float(log["valid_pck"].max()), "%")}
