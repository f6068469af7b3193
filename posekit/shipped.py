"""The trained networks that ship with posekit, which may be named wherever a model file is taken.

`weights/NAME.ckpt` is a checkpoint in half precision; `weights/weights.json` says of each its recipe, what it was
trained on, its scores and its SHA-256. scripts/ship.py makes both.
"""

import re
from pathlib import Path

from posekit.errors import InputError
from posekit.files import read_json, sha256

WEIGHTS = Path(__file__).parent / "weights"
_AGAIN = "install posekit again"


def shipped() -> dict[str, dict]:
    """What weights.json says of each network, by name."""
    return read_json(WEIGHTS / "weights.json", _AGAIN)


def model_path(model: str | Path) -> Path:
    """The path of a model: of a shipped network, given by name, its checked file; of any other, what was given.

    A file of that name comes first, a folder doesn't.
    """
    about = shipped().get(str(model))
    if about is None and re.fullmatch(r"\w+", str(model)) and not Path(model).exists():
        raise InputError(f"{model}: no such model file; give one, or {' or '.join(shipped())}, which ship with posekit")
    if about is None or Path(model).is_file():
        return Path(model)
    path = WEIGHTS / f"{model}.ckpt"
    if sha256(path) != about["sha256"]:
        raise InputError(f"{path}: isn't the file that posekit ships (its checksum differs); {_AGAIN}")
    return path


def shipped_name(model: Path) -> str | None:
    """The name of the shipped network that is in this file; None for any other file."""
    return model.stem if model.parent == WEIGHTS and model.stem in shipped() else None


def title(model: Path) -> str:
    """What to call a model: its path; a shipped network by its name, with recipe and training data."""
    name = shipped_name(model)
    return f"{name} ({shipped()[name]['about']})" if name else str(model)
