"""Pictures of Stacked Hourglass: what is drawn, counted against the recipe and against what was put in."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from posekit.figures.hourglass import down_and_up, recursion, stacks
from posekit.recipes import get_recipe
from posekit.settings import override
from posekit.skeletons import PERSON


def texts(figure: Figure) -> list[str]:
    """All that is written in the figure; it is drawn first, so that drawing it is tested too."""
    figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


# An hourglass has 3 blocks a halving and one more; each stack a block, two slats and its heatmaps besides, and but for
# the last a slat for its features and one for its heatmaps on their way to the next.
@pytest.mark.parametrize(("recipe", "count", "depth"), [("hourglass", 2, 4), ("hourglass-smoke", 3, 2)])
def test_diagram_follows_the_recipe(recipe: str, count: int, depth: int) -> None:
    figure = stacks(override(get_recipe(recipe), [f"stacks={count}"]), PERSON)
    stem = 5  # the image, a convolution, three blocks
    each = (3 * depth + 1) + 1 + 2 + 1
    assert len(boxes(figure)) == stem + count * each + 2 * (count - 1)
    written = texts(figure)
    assert written.count("+") == count * depth + count - 1
    assert written.count("loss") == count


def test_diagram_names_sizes() -> None:
    written = texts(stacks(get_recipe("hourglass"), PERSON))
    for label in (
        "image\n3 × 256²",
        "128 × 128²",
        "256 × 64²",
        "1/8: 256 × 32²",
        "1/64: 256 × 4²",
        "heatmaps\n16 × 64²",
    ):
        assert label in written


@pytest.mark.parametrize(("recipe", "depth"), [("hourglass-smoke", 2), ("hourglass", 4)])
def test_recursion_frames_every_hourglass(recipe: str, depth: int) -> None:
    figure = recursion(get_recipe(recipe))
    frames = [box for box in boxes(figure) if box.get_zorder() == 0]
    assert len(frames) == depth and len(boxes(figure)) == depth + 3 * depth + 1
    edges = [(f.get_x(), f.get_x() + f.get_width(), f.get_y() + f.get_height()) for f in frames]
    for outer, inner in zip(edges, edges[1:], strict=False):
        assert outer[0] < inner[0] and inner[1] < outer[1] and inner[2] < outer[2]
    written = texts(figure)
    for name in ("up1", "pool1", "low1", "low3", "up2"):
        assert written.count(name) == depth
    assert written.count("low2") == 1
    assert f"Hourglass, depth {depth}" in written and "low2 = Hourglass, depth 1" in written


def test_maps_are_drawn() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (32, 32, 3), np.uint8)
    down, up = ([rng.normal(size=(6, n, n)) for n in (8, 4, 2)] for _ in range(2))
    written = texts(down_and_up(image, down, up, rng.random((5, 8, 8))))
    for label in ("image\n32 × 32", "down, 1/4\n6 × 8 × 8", "up, 1/8\n6 × 4 × 4", "bottom, in, 1/16\n6 × 2 × 2"):
        assert label in written
    assert "maximum of the heatmaps\n5 × 8 × 8" in written
