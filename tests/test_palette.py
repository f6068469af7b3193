"""The colours of all pictures, as people see them who lack one kind of cone."""

import ast
import json
import re
from itertools import combinations
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib import style
from matplotlib.collections import LineCollection

from posekit import palette
from posekit.drawing import LEFT, MIDDLE, RIGHT, draw_pose, limb_colors
from posekit.figures.data import show_pose
from posekit.figures.poses import mark_right
from posekit.figures.style import new_figure
from posekit.skeletons import PERSON, VEHICLE, make_skeleton

ROOT = Path(__file__).parents[1]
# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG
# 15(6), 2009: severity 1.0, for linear RGB.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array([
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)
    ]),
    "deuteranopia": np.array([
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)
    ]),
}  # fmt: skip


def linear(color: str) -> np.ndarray:
    """Linear RGB, 0 to 1, of #rrggbb."""
    value = np.array(palette.rgb(color)) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def difference(one: str, other: str, cones: str) -> float:
    """The distance of two colours in CIE L*a*b*, as these cones see them; 2 is just noticeable side by side."""
    seen = np.clip([SEEN[cones] @ linear(color) for color in (one, other)], 0, 1).astype(np.float32)
    a, b = cv2.cvtColor(seen[None], cv2.COLOR_LRGB2Lab)[0]
    return float(np.linalg.norm(a - b))


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio."""
    light = sorted(linear(color) @ (0.2126, 0.7152, 0.0722) + 0.05 for color in (one, other))
    return light[1] / light[0]


def test_the_simulation_tells_what_the_palette_replaced() -> None:
    """Green and red of right and wrong, which looked alike."""
    assert difference("#2e9e5b", "#d1495b", "all cones") > 100
    assert difference("#2e9e5b", "#d1495b", "deuteranopia") < 3
    assert difference("#808080", "#808080", "protanopia") == 0
    grey = SEEN["deuteranopia"] @ linear("#808080")
    np.testing.assert_allclose(grey, linear("#808080"), rtol=1e-4, err_msg="grey stays grey")


@pytest.mark.parametrize("cones", SEEN)
@pytest.mark.parametrize(
    ("colors", "least"),
    [
        ((palette.LEFT, palette.RIGHT, palette.MIDDLE, palette.ACROSS), 20),
        ((palette.GOOD, palette.BAD), 60),
        (palette.SERIES, 17),
        (palette.POINTS, 16),
    ],
    ids=["sides", "right and wrong", "series", "points"],
)
def test_colours_differ_for_all_eyes(colors: tuple[str, ...], least: float, cones: str) -> None:
    apart = {pair: difference(*pair, cones) for pair in combinations(colors, 2)}
    assert min(apart.values()) > least, min(apart, key=apart.__getitem__)


def test_text_can_be_read_on_white() -> None:
    for color in (palette.INK, palette.ALARM, palette.LINK):
        assert contrast(color, "#ffffff") >= 4.5


def test_the_style_sheet_draws_one_curve_after_the_other_in_the_palette() -> None:
    with style.context("posekit.figures.style"):
        cycle = [f"#{color.lstrip('#')}" for color in matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert tuple(cycle) == palette.SERIES
    assert palette.series(len(cycle)) == palette.SERIES[0]


@pytest.mark.parametrize("skeleton", [VEHICLE, PERSON, make_skeleton("two", ["a", "b"], [(0, 1)])])
def test_limbs_that_join_left_and_right_are_grey(skeleton) -> None:
    across = palette.rgb(palette.ACROSS)
    for (a, b), color in zip(skeleton.limbs, limb_colors(skeleton), strict=True):
        sides = {skeleton.sides[a], skeleton.sides[b]}
        want = (
            across if {"left", "right"} <= sides else LEFT if "left" in sides else RIGHT if "right" in sides else MIDDLE
        )
        assert color == want, (skeleton.keypoints[a], skeleton.keypoints[b])


def test_files_and_figures_draw_a_limb_alike() -> None:
    keypoints = np.random.default_rng(0).uniform(50, 430, (36, 2))
    keypoints[[10, 28]] = (20, 20), (460, 20)  # back bottom, left and right
    canvas = draw_pose(np.zeros((480, 480, 3), np.uint8), keypoints, np.ones(36), VEHICLE, threshold=0.5)
    np.testing.assert_allclose(canvas[20, 300], palette.rgb(palette.ACROSS), atol=20)  # the line's edges are smooth
    _, axes = new_figure(4, 4)
    show_pose(axes, canvas, keypoints, np.arange(36) < 29, VEHICLE)
    (lines,) = (drawn for drawn in axes.collections if isinstance(drawn, LineCollection))
    shown = [k for k, (a, b) in enumerate(VEHICLE.limbs) if max(a, b) < 29]
    np.testing.assert_allclose(lines.get_colors()[:, :3] * 255, np.array(limb_colors(VEHICLE))[shown])


def test_right_and_wrong_have_their_own_shapes() -> None:
    _, axes = new_figure(4, 4)
    mark_right(axes, np.array([(0, 0), (1, 1), (2, 2)]), np.array([True, False, True]))
    right, wrong = axes.collections
    assert right.get_offsets().tolist() == [[0, 0], [2, 2]] and wrong.get_offsets().tolist() == [[1, 1]]
    assert right.get_paths()[0].vertices.shape != wrong.get_paths()[0].vertices.shape


OWN_COLOUR = re.compile(r"#[0-9a-f]{6}|(tab|xkcd):.*|C\d|red|green|blue|orange|purple|crimson|deepskyblue|yellow", re.I)


def colours_in(source: str) -> list[str]:
    """The texts in a piece of Python that name a colour which isn't black, white or grey."""
    texts = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and OWN_COLOUR.fullmatch(text)]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_lessons_take_their_colours_from_the_palette(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(line for line in cell["source"] if not line.startswith("%")) for cell in cells]
    assert [colour for source in sources for colour in colours_in(source)] == []


def test_figures_take_their_colours_from_the_palette() -> None:
    files = [*(ROOT / "posekit" / "figures").glob("*.py"), ROOT / "posekit" / "drawing.py"]
    found = {file.name: colours_in(file.read_text(encoding="utf-8")) for file in files}
    assert {name: colours for name, colours in found.items() if colours} == {}
