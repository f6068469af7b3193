"""Pictures of networks: what is drawn, counted against the recipe and against closed forms."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from posekit.figures.diagrams import hrnet_branches
from posekit.figures.networks import influence_maps, map_row, stage_costs
from posekit.recipes import get_recipe
from posekit.skeletons import VEHICLE


def texts(figure: Figure) -> str:
    """All that is written in the figure; it is drawn first, so that drawing it is tested too."""
    figure.savefig(io.BytesIO(), format="png")
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


# Blocks: layer1's, then for each module its branches × blocks. Sums: one a branch, but the last module keeps one.
@pytest.mark.parametrize(
    ("recipe", "blocks", "sums"),
    [
        ("poseestnet", 4 + 4 * (1 * 2 + 4 * 3 + 3 * 4), 1 * 2 + 4 * 3 + 2 * 4 + 1),
        ("poseestnet-smoke", 2 + 2 * (2 + 3), 2 + 1),
        ("poseestnet-tiny", 1 + 2, 1),
    ],
)
def test_diagram_follows_the_recipe(recipe: str, blocks: int, sums: int) -> None:
    figure = hrnet_branches(get_recipe(recipe), VEHICLE)
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    others = 5  # the image, two convolutions of the stem, the head and the heatmaps
    assert len(boxes) == blocks + others
    assert texts(figure).split("\n").count("+") == sums


def test_diagram_names_resolutions() -> None:
    written = texts(hrnet_branches(get_recipe("poseestnet"), VEHICLE))
    for label in ("3 × 256²", "64 × 128²", "256 × 64²", "1/4: 32 × 64²", "1/8: 64 × 32²", "1/32: 256 × 8²", "36 × 64²"):
        assert label in written


def test_stage_costs_draws_the_sums() -> None:
    table = pd.DataFrame(
        [
            ("stem", "stem, head", 1000, 5e6),
            ("stage 2", "branch 1/4", 2000, 3e6),
            ("stage 2", "branch 1/8", 7000, 3e6),
            ("stage 2", "branch 1/8", 1000, 1e6),
        ],
        columns=["stage", "part", "parameters", "macs"],
    )
    figure = stage_costs(table, "a network")
    ends = [max(bar.get_x() + bar.get_width() for bar in axes.patches) for axes in figure.axes]
    assert ends == [10000, 7e6]
    written = texts(figure)
    assert "parameters: 11 k" in written and "10 k, 91%" in written and "5 M, 42%" in written


def test_influence_circle_holds_its_share() -> None:
    size, radius, place = 201, 60, (80.0, 120.0)
    y, x = np.indices((size, size))
    disc = (np.hypot(x - 80, y - 120) <= radius).astype(float)  # 90 % of a disc lie within sqrt(0.9) of its radius
    black = np.zeros((size, size, 3), np.uint8)
    figure = influence_maps(black, {"disc": disc, "nothing": np.zeros((size, size))}, place)
    circle = figure.axes[0].lines[1].get_xdata() - 80
    assert circle.max() == pytest.approx(np.sqrt(0.9) * radius, abs=0.5)
    assert "nothing\nno response here" in texts(figure)


def test_a_row_of_maps_names_their_sizes() -> None:
    rng = np.random.default_rng(0)
    written = texts(map_row({"a": rng.normal(size=(3, 3)), "b": rng.normal(size=(6, 6))}, "+"))
    assert "a\n3 × 3" in written and "b\n6 × 6" in written and "+" in written
