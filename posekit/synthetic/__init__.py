"""Data that the project draws itself, in the published layouts."""

from pathlib import Path
from typing import TYPE_CHECKING

from posekit.errors import InputError
from posekit.files import ROOT
from posekit.synthetic.person import write_people
from posekit.synthetic.vehicle import write_vehicles

if TYPE_CHECKING:
    from posekit.recipes import Recipe

SEED = 0
_WRITERS = {"veri": ("vehicles", write_vehicles), "mpii": ("people", write_people)}


def embedded_data(recipe: "Recipe") -> Path:
    """The drawn data set of a recipe, `data/<kind>-<train>-<test>-s0`; drawn first where it does not exist yet.

    Two processes may ask at once: each draws beside the place, the first puts its folder there, the other drops its
    own.
    """
    kind, write = _WRITERS[recipe.dataset]
    out = ROOT / "data" / f"{kind}-{recipe.synthetic_train}-{recipe.synthetic_test}-s{SEED}"
    if not out.exists():
        try:
            write(out, recipe.synthetic_train, recipe.synthetic_test, SEED)
        except (InputError, OSError):
            if not out.exists():
                raise
    return out
