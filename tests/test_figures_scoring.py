"""Figures of scores: what they draw is what they were given."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_figures_results import drawn, legend_texts

from posekit.evaluation.compare import Estimate
from posekit.evaluation.diagnosis import Reliability
from posekit.evaluation.published import Step
from posekit.figures import scoring
from posekit.figures.style import new_figure

STEPS = [Step(name, "", {}) for name in ("as published", "second", "third")]


def estimate(value: float, spread: float = 2.0) -> Estimate:
    return Estimate(value, value + spread * np.linspace(-1, 1, 1001))


def widths(figure: Figure, panel: int = 0) -> list[float]:
    return [patch.get_width() for patch in figure.axes[panel].patches]


def test_a_walk_begins_and_ends_with_the_whole(tmp_path: Path) -> None:
    walk = [(step, {"a": a, "b": b}) for step, a, b in zip(STEPS, (80, 100, 95), (10, 5, 50), strict=True)]
    figure = scoring.waterfall(walk)
    assert widths(figure, 0) == [80, 95, 20, -5] and widths(figure, 1) == [10, 50, -5, 45]
    assert [text.get_text() for text in figure.axes[0].texts] == ["80.00", "+20.00", "-5.00", "95.00"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [*(s.name for s in STEPS), "plain"]
    drawn(figure, tmp_path)


def test_intervals_are_drawn_around_their_values(tmp_path: Path) -> None:
    figure = scoring.intervals(
        {"a": {"x": estimate(50), "y": estimate(60)}, "b": {"x": estimate(1), "y": estimate(2)}}, "%"
    )
    axes = figure.axes[0]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[50, 60], [1, 2]]
    ends = axes.collections[0].get_segments()[0][:, 0]
    assert ends == pytest.approx([50 - 1.9, 50 + 1.9], abs=0.01)
    assert legend_texts(figure) == ["a", "b"]
    drawn(figure, tmp_path)


def test_error_bars_leave_out_what_is_right_or_does_not_count(tmp_path: Path) -> None:
    kinds = np.array([[0, 1, -1], [0, 4, 2], [0, 4, -1], [3, 0, -1]])
    figure = scoring.error_bars(kinds, {"first two": (0, 1), "last": (2,)})
    named = {bars.get_label(): [bar.get_width() for bar in bars] for bars in figure.axes[0].containers}
    assert named["near miss"] == pytest.approx([100 / 8, 0, 100 / 9])
    assert named["left/right swapped"] == pytest.approx([0, 100, 100 / 9])
    assert named["missed"] == pytest.approx([25, 0, 200 / 9])
    drawn(figure, tmp_path)


def test_reliability_says_how_far_it_is_off(tmp_path: Path) -> None:
    curve = Reliability(np.array([0.2, 0.8]), [estimate(30), estimate(70)], np.array([50, 50]))
    figure = scoring.reliability_diagram({"as predicted": curve})
    assert legend_texts(figure)[1] == "as predicted: 10.0 points off"
    assert scoring.reliability_diagram({"as predicted": curve}, "visible").axes[0].get_ylabel() == "visible (%)"
    drawn(figure, tmp_path)


def test_a_curve_has_its_intervals_as_a_band(tmp_path: Path) -> None:
    figure, axes = new_figure(6, 4)
    scoring.draw_curve(axes, {0: estimate(90), 0.1: estimate(60), 0.5: estimate(20)}, "s--", label="blur")
    (line,), (band,) = axes.lines, axes.collections
    assert line.get_xydata().tolist() == [[0, 90], [0.1, 60], [0.5, 20]] and line.get_label() == "blur"
    assert band.get_paths()[0].get_extents().extents == pytest.approx([0, 20 - 1.9, 0.5, 90 + 1.9], abs=0.01)
    drawn(figure, tmp_path)
