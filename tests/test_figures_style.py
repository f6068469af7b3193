"""The style of all figures, and what they have in common."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes

from posekit.figures.style import new_figure, picture_rows


def grid_lines(axes: Axes) -> dict[str, bool]:
    """Along which axes grid lines can be seen; all of them are pale."""
    axes.figure.savefig(io.BytesIO(), format="png")
    lines = {"x": axes.get_xgridlines(), "y": axes.get_ygridlines()}
    assert all(line.get_alpha() == 0.3 for some in lines.values() for line in some)
    return {name: all(line.get_visible() for line in some) for name, some in lines.items()}


@pytest.mark.parametrize(("grid", "x", "y"), [("both", True, True), ("x", True, False), ("", False, False)])
def test_a_figure_has_the_style_and_leaves_the_settings(grid: str, x: bool, y: bool) -> None:
    before = matplotlib.rcParams.copy()
    figure, axes = new_figure(6, 3, grid=grid)
    axes.plot([1, 2, 4])
    assert matplotlib.rcParams == before
    assert figure.dpi == 110 and figure.get_layout_engine().__class__.__name__ == "ConstrainedLayoutEngine"
    assert grid_lines(axes) == {"x": x, "y": y} and axes.get_axisbelow()


def test_axes_have_the_shape_asked_for() -> None:
    assert isinstance(new_figure(6, 3)[1], Axes)
    assert new_figure(6, 3, 1)[1].shape == (1,) and new_figure(6, 3, 4)[1].shape == (4,)
    assert new_figure(6, 3, 2, 3)[1].shape == (2, 3)


def test_pictures_stand_in_rows() -> None:
    maps = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)
    figure = picture_rows([maps, maps[::-1]], list("abcde"), ["one", "two"], cmap="gray", vmin=0, vmax=255)
    pictures = np.stack([axes.images[0].get_array() for axes in figure.axes])
    np.testing.assert_array_equal(pictures, np.concatenate([maps, maps[::-1]]))
    assert [axes.get_title() for axes in figure.axes] == [*"abcde", *[""] * 5]
    assert [figure.axes[0].get_ylabel(), figure.axes[5].get_ylabel()] == ["one", "two"]
    assert all(axes.get_ylim() == (63.5, -0.5) and not len(axes.get_xticks()) for axes in figure.axes)


def test_rows_of_pictures_are_as_high_as_they_need() -> None:
    wide, high = np.zeros((30, 90, 3)), np.zeros((90, 60, 3))
    figure = picture_rows([[wide, wide], [high]], ["a", "b", "c"])
    figure.draw_without_rendering()
    first, second, third, empty = figure.axes
    assert not empty.axison and third.get_title() == "c"
    assert third.get_position().height > 3 * first.get_position().height
