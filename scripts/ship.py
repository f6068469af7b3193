"""Make a network that ships with posekit of a training: python scripts/ship.py RUN NAME

Writes posekit/weights/NAME.ckpt in half precision and NAME's part of weights.json, unless that costs accuracy.
"""

import tempfile
from pathlib import Path

import typer

from posekit.errors import InputError
from posekit.files import read_json, replace_file, sha256, write_json
from posekit.layouts import open_split
from posekit.models.checkpoint import load_network, save_half
from posekit.runtime import set_up
from posekit.shipped import WEIGHTS, shipped
from posekit.training.loop import validate

MOST_BYTES = 3 * 2**20
MOST_LOST = 0.1  # points of PCK


def ship(run: Path, name: str, data: Path | None = None) -> None:
    """Make posekit/weights/NAME.ckpt of RUN/best.ckpt, scored on the test split of DATA, else of the recipe's own."""
    set_up("cpu")
    best, training = run / "best.ckpt", read_json(run / "manifest.json", "give the folder of a finished training")
    recipe = load_network(best).recipe
    if recipe.trained_on != "drawings":
        raise InputError(f"{best}: trained on {recipe.trained_on}; only networks of drawings ship")
    test = open_split(recipe, data, "test")
    with tempfile.TemporaryDirectory(dir=WEIGHTS) as folder:
        half = Path(folder, f"{name}.ckpt")
        save_half(best, half)
        whole, score = (validate(load_network(path).network, recipe, test)[0] for path in (best, half))
        if abs(whole - score) >= MOST_LOST or half.stat().st_size > MOST_BYTES:
            size = f"{half.stat().st_size:,} bytes ({MOST_BYTES:,} at most)"
            raise InputError(f"{best}: PCK {whole:.3f} %, in half precision {score:.3f} %, {size}; nothing is shipped")
        replace_file(half, WEIGHTS / half.name)
    pck = f"PCK@{recipe.validation_threshold:g}"
    drawn = {"drawing": recipe.drawing, "train": recipe.synthetic_train, "test": recipe.synthetic_test}
    about = {
        "about": f"{recipe.name}, trained on {training['data']['train']['samples']:,} drawings",
        "sha256": sha256(WEIGHTS / f"{name}.ckpt"),
        "recipe": recipe.name,
        "trained_on": recipe.trained_on,
        "data": {**drawn, "seed": 0, "splits": training["data"]},
        "seed": recipe.seed,
        "scores": {"test images": len(test), pck: round(score, 3), f"{pck} in float32": round(whole, 3)},
        "commit": training["git_commit"],
        "versions": training["versions"],
    }
    write_json(WEIGHTS / "weights.json", dict(sorted({**shipped(), name: about}.items())))
    print(f"{WEIGHTS / name}.ckpt: {pck} {score:.3f} %, {whole:.3f} % in float32, on {len(test)} test images")


if __name__ == "__main__":
    typer.run(ship)
