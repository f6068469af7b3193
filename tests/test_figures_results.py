"""Figures of trainings and predictions: what they draw is what they were given."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Circle

from posekit.datasets.dataset import PoseDataset
from posekit.figures import poses, results
from posekit.figures.style import new_figure
from posekit.predictions import Predictions
from posekit.recipes import RECIPES
from posekit.skeletons import PERSON, VEHICLE, Skeleton


def drawn(figure: Figure, tmp_path: Path) -> None:
    """The figure can be drawn, and is not an empty page."""
    path = tmp_path / "figure.png"
    figure.savefig(path, dpi=50)
    assert path.stat().st_size > 1500


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]


def dataset(skeleton: Skeleton, sizes: list[tuple[int, int]]) -> PoseDataset:
    """Samples of the given (width, height), every keypoint in the middle of its image, every second one visible."""
    n, k = len(sizes), skeleton.num_keypoints
    center = np.array(sizes, np.float32) / 2
    files = [cv2.imencode(".png", np.full((h, w, 3), 90, np.uint8))[1].tobytes() for w, h in sizes]
    visible = np.tile(np.arange(k) % 2 == 0, (n, 1))
    return PoseDataset(
        skeleton=skeleton,
        split="test",
        names=[f"{i}.png" for i in range(n)],
        keypoints=np.repeat(center[:, None], k, axis=1),
        visible=visible,
        hidden=~visible,
        center=center,
        box_size=np.array([max(size) for size in sizes], np.float32),
        unit=np.full(n, 100.0),
        read_bytes=lambda i: files[i],
        where=lambda i: f"{i}.png",
    )


def test_training_curves_show_each_validation(tmp_path: Path) -> None:
    log = pd.DataFrame(
        {"epoch": [1, 2, 3], "step": [10, 20, 30], "learning_rate": [1e-3] * 3, "loss": [3, 2, 1.0],
         "valid_pck": [5.0, np.nan, 81.25]}
    )  # fmt: skip
    figure = results.training_curves(log)
    assert [text.get_text() for text in figure.axes[1].texts] == ["5.0", "81.2"]
    drawn(figure, tmp_path)
    figure = results.training_curves(log.assign(images_per_second=40.0, wait_share=[0, 0.25, 0.5], memory_mb=600))
    curves = {axes.get_ylabel(): axes.lines[0].get_ydata().tolist() for axes in figure.axes}
    assert curves["waiting, % (dashed)"] == [0, 25, 50] and curves["memory (MB)"] == [600] * 3
    drawn(figure, tmp_path)


@pytest.mark.parametrize(("skeleton", "parts"), [(VEHICLE, 18), (PERSON, 10)])
def test_dots_join_the_two_sides_of_a_part(skeleton: Skeleton, parts: int, tmp_path: Path) -> None:
    counts = np.arange(skeleton.num_keypoints) + 1
    figure = results.keypoint_dots({"PCK": counts * 1.0, "error": 1.0 / counts}, counts, skeleton)
    for axes in figure.axes:
        dots = [c for c in axes.collections if isinstance(c, PathCollection)]
        assert len(dots) == parts and sum(len(c.get_offsets()) for c in dots) == skeleton.num_keypoints
    written = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert sum(int(text.rsplit("(", 1)[1][:-1]) for text in written) == counts.sum()
    drawn(figure, tmp_path)


def test_table_bars_leave_out_what_a_table_lacks(tmp_path: Path) -> None:
    figure = results.table_bars({"a": {"x": 10.0, "Mean": 20.0}, "b": {"Mean": 30.0, "y": 40.0}}, "percent")
    assert sorted(patch.get_height() for patch in figure.axes[0].patches) == [10, 20, 30, 40]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["x", "Mean", "y"]
    drawn(figure, tmp_path)


def test_histograms_are_shares_of_their_own(tmp_path: Path) -> None:
    figure = results.histograms({"a": np.full(10, 0.2), "b": np.linspace(0, 1, 1000)}, "score")
    for patch in figure.axes[0].patches:
        assert patch.get_data().values.sum() == pytest.approx(100)
    drawn(figure, tmp_path)


def test_bars_put_the_shortest_on_top(tmp_path: Path) -> None:
    figure = results.bars({"slow": 9.0, "fast": 1.0, "middle": 3.0}, "ms")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["slow", "middle", "fast"]
    drawn(figure, tmp_path)


def test_displayed_undoes_the_normalisation() -> None:
    from posekit.datasets.pipeline import normalise

    recipe = RECIPES["poseestnet-tiny"]
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    assert np.allclose(poses.displayed(normalise(images, recipe), recipe), images / 255, atol=1e-6)


def test_a_cell_lies_over_its_input_pixel(tmp_path: Path) -> None:
    figure = Figure()
    poses.overlay(figure.subplots(), np.random.default_rng(0).random((64, 64, 3)), np.eye(16))
    cells = [child for child in figure.axes[0].get_children() if isinstance(child, AxesImage)][1]
    left, right, bottom, top = cells.get_extent()
    width = (right - left) / 16
    assert width == 4
    assert left + 0.5 * width == 0 and top + 0.5 * width == 0  # cell 0 over pixel 0
    assert left + 5.5 * width == 20  # cell 5 over pixel 5 * stride
    drawn(figure, tmp_path)


def test_heatmaps_in_rows(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((36, 16, 16))
    figure = poses.heatmap_rows(np.zeros((64, 64, 3)), {"before": maps, "after": maps / 2}, VEHICLE.keypoints, [0, 20])
    assert len(figure.axes) == 6
    assert figure.axes[1].texts[0].get_text() == f"highest {maps[0].max():.2g}"
    drawn(figure, tmp_path)


def test_signed_maps_have_zero_in_the_middle(tmp_path: Path) -> None:
    maps = {"map": np.eye(4), "difference": np.eye(4) - 0.25, "small": np.eye(4)}
    figure = poses.map_panels(maps, differences=["small"])
    plain, signed, told = (axes.images[0] for axes in figure.axes if axes.images and axes.get_title())
    assert plain.get_clim() == (0, 1)
    assert signed.get_clim() == (-0.75, 0.75)
    assert told.get_clim() == (-1, 1)
    drawn(figure, tmp_path)


def test_circles_have_the_threshold_as_radius(tmp_path: Path) -> None:
    samples = dataset(PERSON, [(200, 100), (50, 120)])
    found = samples.keypoints.astype(float)
    found[0, 0] += (6, 8)  # 10 pixels away: on the circle of 0.1
    found[0, 2] += (0, 11)
    figure = poses.threshold_circles(samples, Predictions(samples.names, found, np.ones((2, 16))), [0, 1], [0.05, 0.1])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "0.05 × 100 px = 5.0 px: 6 of 8"
    assert titles[1] == "0.1 × 100 px = 10.0 px: 7 of 8"
    assert titles[2].endswith("8 of 8")
    circles = [patch for patch in figure.axes[1].patches if isinstance(patch, Circle)]
    assert {circle.radius for circle in circles} == {10.0}
    drawn(figure, tmp_path)


def test_truth_stands_above_prediction(tmp_path: Path) -> None:
    samples = dataset(VEHICLE, [(200, 100), (50, 120), (80, 80)])
    predictions = Predictions(samples.names, samples.keypoints + 20.0, np.ones((3, 36)))
    figure = poses.beside_truth(samples, predictions, [2, 0], ["good", "bad"])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["good", "bad"]
    truth, prediction = (figure.axes[panel].collections[-1].get_offsets() for panel in (0, 2))
    assert np.allclose(prediction - truth, 20)
    drawn(figure, tmp_path)


def test_decoded_points_are_drawn_in_cells(tmp_path: Path) -> None:
    heatmap = np.zeros((24, 24))
    heatmap[10, 6] = 1
    figure, axes = new_figure(6, 4)
    poses.decoded_points(axes, heatmap, {"none": np.array([24.0, 40.0])}, np.array([25.0, 41.0]), stride=4)
    assert axes.lines[0].get_xydata().tolist() == [[6, 10]]
    assert axes.get_xlim() == (1.5, 10.5) and axes.get_ylim() == (14.5, 5.5)
    drawn(figure, tmp_path)


def test_targets_and_pictures(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((10, 32, 32, 3))
    drawn(poses.target_pictures(images, np.random.default_rng(1).random((10, 4, 8, 8))), tmp_path)
    figure = poses.pose_pictures(list(images[:3]), ["a", "b", "c"])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    drawn(figure, tmp_path)


def test_parity_and_speed() -> None:
    figure = results.parity_and_speed(
        {"checkpoint": 0.0, "openvino": 3e-7, "simulated": 8e-4},
        {"checkpoint": 12.0, "openvino": 1.25, "simulated": 4.0},
        {"checkpoint": "fp32", "openvino": "fp32", "simulated": "fp16"},
        {"fp32": 1e-4, "fp16": 1e-2},
    )
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["checkpoint", "openvino", "simulated"]
    assert [text.get_text() for text in left.texts] == ["no difference at all", "3e-07", "8e-04"]
    assert [text.get_text() for text in right.texts] == ["12.0", "1.2", "4.0"] and [
        bar.get_width() for bar in right.patches
    ] == [12, 1.25, 4]
    limits = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 2]
    dots = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 1]
    assert limits == [1e-4, 1e-4, 1e-2] and dots == [1e-9, 3e-7, 8e-4]
