"""Figures of re-identification data: what they draw is what they were given."""

import io

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import rgb_to_hsv
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from posekit.figures import reid
from posekit.skeletons import VEHICLE

IMAGE = np.full((60, 80, 3), 120, np.uint8)
POINTS = np.random.default_rng(0).uniform(5, 55, (36, 2))


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_colours_of_segments_tell_the_sides_and_each_other() -> None:
    colors = reid.segment_palette(VEHICLE)
    assert len(np.unique(colors.round(3), axis=0)) == 13
    hue = 360 * rgb_to_hsv(colors)[:, 0]
    assert (hue[:3] < 40).all() and ((hue[3:6] > 190) & (hue[3:6] < 230)).all()  # orange, blue


def test_only_what_is_shown_is_filled() -> None:
    shown = np.zeros((2, 13), bool)
    shown[0, [2, 9]] = shown[1, 5] = True
    figure = draw(reid.segment_pictures([IMAGE, IMAGE[:30]], [POINTS, POINTS], shown, ["a", "b"], VEHICLE))
    first, second = figure.axes
    assert [text.get_text() for text in first.texts] == ["2", "9"] and [t.get_text() for t in second.texts] == ["5"]
    corners = [p.get_xy()[:-1] for p in first.patches if isinstance(p, Polygon)]
    np.testing.assert_allclose(corners, [POINTS[list(VEHICLE.segments[n])] for n in (2, 9)])


def test_corners_are_walked_in_their_order() -> None:
    (axes,) = draw(reid.corner_pictures(IMAGE, POINTS, [7], ["7"], VEHICLE)).axes
    arrows = [(tuple(t.xyann), tuple(t.xy)) for t in axes.texts if not t.get_text()]
    around = [tuple(POINTS[k]) for k in (*VEHICLE.segments[7], VEHICLE.segments[7][0])]
    assert arrows == list(zip(around, around[1:], strict=False))
    assert [t.get_text() for t in axes.texts if t.get_text()] == [str(k) for k in VEHICLE.segments[7]]


def test_maps_stand_in_rows() -> None:
    maps = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)
    figure = draw(reid.map_rows({"one": maps, "two": maps[::-1]}, list("abcde")))
    pictures = np.stack([axes.images[0].get_array() for axes in figure.axes])
    np.testing.assert_array_equal(pictures, np.concatenate([maps, maps[::-1]]))
    assert [axes.get_title() for axes in figure.axes[:5]] == list("abcde")


def test_channels_lie_over_the_image() -> None:
    heatmaps, segments = np.zeros((4, 60, 80), np.uint8), np.zeros((13, 60, 80), np.uint8)
    heatmaps[3, 10, 20], segments[4, 30:40, 30:50] = 255, 255
    layers = {"all": segments, "kept": 0 * segments}
    figure = draw(reid.channel_pictures(IMAGE, {"maps": heatmaps}, layers, POINTS[:4], VEHICLE))
    plain, maps, every, kept = figure.axes
    assert len(plain.images) == 1
    assert maps.images[1].get_array()[10, 20] == 1 and maps.images[1].get_array().sum() == 1
    (dots,) = [c for c in maps.collections if isinstance(c, PathCollection)]
    np.testing.assert_allclose(dots.get_offsets(), POINTS[:4])
    painted = [np.asarray(layer.get_alpha()) for layer in every.images[1:]]
    assert [bool(alpha.any()) for alpha in painted] == [n == 4 for n in range(13)]
    assert not any(np.asarray(layer.get_alpha()).any() for layer in kept.images[1:])


def test_scores_are_compared_with_visibility() -> None:
    scores = np.repeat([0.225, 0.625, 0.925], [20, 40, 5])
    visible = np.zeros(65, bool)
    visible[[*range(5), *range(20, 50)]] = True  # 5 of 20, 30 of 40, none of 5
    left, right = draw(reid.score_and_visibility(scores, visible, 0.5)).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["visible (35)", "hidden (30)"]
    x, y = right.lines[1].get_data()
    assert y.tolist() == [25, 75] and np.abs(x - (0.225, 0.625)).max() < 1e-9, "five keypoints are too few for a dot"


def test_gates_are_marked() -> None:
    kept, visible = np.array([90.0, 50, 10]), np.array([60.0, 80, np.nan])
    (axes,) = draw(reid.gate_curves({"score": (kept, visible), "both": (kept, visible)}, {"score": 1})).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["score", "both"]
    dots = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert dots == [[[50, 80]]]
