"""The picture of run times shows what it was given."""

from matplotlib.figure import Figure

from posekit.figures.run_times import parity_and_speed


def texts(figure: Figure, panel: int) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def test_parity_and_speed():
    figure = parity_and_speed(
        {"checkpoint": 0.0, "openvino": 3e-7, "simulated": 8e-4},
        {"checkpoint": 12.0, "openvino": 1.25, "simulated": 4.0},
        {"checkpoint": "fp32", "openvino": "fp32", "simulated": "fp16"},
        {"fp32": 1e-4, "fp16": 1e-2},
    )
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["checkpoint", "openvino", "simulated"]
    assert texts(figure, 0) == ["no difference at all", "3e-07", "8e-04"]
    assert texts(figure, 1) == ["12.0", "1.2", "4.0"] and [bar.get_width() for bar in right.patches] == [12, 1.25, 4]
    limits = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 2]
    dots = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 1]
    assert limits == [1e-4, 1e-4, 1e-2] and dots == [1e-9, 3e-7, 8e-4]
