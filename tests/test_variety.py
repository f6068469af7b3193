"""Drawings that are to help with photographs: how far they vary, and that their labels stay right."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from posekit.cli.main import app
from posekit.errors import InputError
from posekit.layouts import COCO, MPII, VERI, embedded_data, open_split
from posekit.recipes import RECIPES, get_recipe
from posekit.skeletons import PERSON
from posekit.synthetic import person, vehicle
from posekit.synthetic.variety import crease, develop, obstruct, repaint

LEFT, RIGHT = (PERSON.keypoints.index(f"{side} shoulder") for side in ("left", "right"))


def shares(varied: bool) -> tuple[float, float]:
    """The share of people who face the camera, and how much the places' mean colours differ."""
    pictures = [person.draw_image(0, "train", k, varied) for k in range(60)]
    parts = np.array([row.part for picture in pictures for row in picture.rows])
    facing = parts[:, LEFT, 0] > parts[:, RIGHT, 0]
    corners = np.array([picture.image[:20, :20].mean((0, 1)) for picture in pictures])
    return facing.mean(), corners.std()


def test_people_face_any_way_and_places_differ_more() -> None:
    plain, varied = shares(False), shares(True)
    assert plain[0] > 0.75 and 0.4 < varied[0] < 0.8
    assert varied[1] > 0.9 * plain[1]


@pytest.mark.parametrize("layout", [MPII, VERI])
def test_varied_data_are_sound_and_say_so(layout, tmp_path: Path) -> None:
    kind = {"mpii": "people", "veri": "vehicles"}[layout.name]
    call = ["data", "synth", kind, "--out", str(tmp_path / "a"), "--train", "6", "--test", "2", "--varied"]
    assert CliRunner().invoke(app, call).exit_code == 0
    layout.draw(tmp_path / "b", 6, 2, 0, varied=True)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.*")} for name in "ab"]
    files = [{k: v for k, v in one.items() if not k.endswith(".h5")} for one in files]  # HDF5 keeps the time
    assert files[0] == files[1] and not layout.check(tmp_path / "a").errors
    assert json.loads((tmp_path / "a/drawn.json").read_text())["drawing"] == "varied"
    assert layout.read(tmp_path / "a", "train").visible.any(1).all()


def test_a_recipe_draws_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEKIT_HOME", str(tmp_path))
    recipe = replace(get_recipe("hourglass-tiny"), synthetic_train=2, synthetic_test=1)
    plain, varied = embedded_data(recipe), embedded_data(replace(recipe, drawing="varied"))
    assert varied.name == f"{plain.name}-varied" and varied.parent == plain.parent
    assert open_split(replace(recipe, drawing="varied"), None, "train").drawn
    assert {recipe.drawing for recipe in RECIPES.values() if not recipe.name.endswith("-photos")} == {"plain"}


def test_mugs_are_drawn_in_one_way(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mugs are drawn in one way only; set drawing to plain"):
        COCO.draw(tmp_path / "mugs", 2, 1, 0, varied=True)


def test_what_is_in_front_is_in_the_mask() -> None:
    """A pixel changes where the mask says so, and only a rim of smoothing more."""
    changed = 0
    for seed in range(30):
        canvas, mask = np.full((120, 160, 3), 90, np.uint8), np.zeros((120, 160), np.uint8)
        obstruct(canvas, mask, np.random.default_rng(seed))
        moved = (canvas != 90).any(2)
        assert not moved[mask == 0].any()
        changed += moved.any()
    assert 8 < changed < 25


def test_folds_stay_within_the_figure() -> None:
    canvas, mask = np.full((120, 160, 3), 90, np.uint8), np.zeros((120, 160), np.uint8)
    mask[40:80, 60:100] = 255
    crease(canvas, mask, np.random.default_rng(0))
    assert canvas[45:75, 65:95].std() > 2 and (canvas[:36] == 90).all() and (canvas[:, :56] == 90).all()


def test_places_and_cameras_vary() -> None:
    """Backgrounds differ from picture to picture; a camera's cast, contrast and blur keep the size and the type."""
    canvases = []
    for seed in range(12):
        canvas = np.full((90, 120, 3), 128, np.uint8)
        repaint(canvas, np.random.default_rng(seed))
        canvases.append(canvas)
    assert np.mean([canvas.std() > 5 for canvas in canvases]) > 0.5
    seen = [develop(canvases[0], np.random.default_rng(seed)) for seed in range(20)]
    assert all(image.shape == (90, 120, 3) and image.dtype == np.uint8 for image in seen)
    assert np.std([image.mean() for image in seen]) > 10


def test_vehicles_turn_any_way() -> None:
    headings = [
        vehicle.draw_camera(np.random.default_rng(k), vehicle.draw_vehicle(0, 0, 0).body, True) for k in range(80)
    ]
    angles = np.array([pose.heading for _, pose in headings])
    heights = np.array([camera.position[2] for camera, _ in headings])
    assert (np.abs(np.cos(angles)) < 0.5).mean() > 0.2  # seen from the side
    assert 0.3 < (heights < 2.5).mean() < 0.7
