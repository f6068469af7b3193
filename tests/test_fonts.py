"""Chinese letters in figures and widgets, where the system has a font for them."""

import warnings
from io import BytesIO

import numpy as np
import pytest

from posekit.figures import fonts
from posekit.figures.canvas import _written
from posekit.figures.style import new_figure

needs_font = pytest.mark.skipif(fonts.chinese_font() is None, reason="needs Debian's fonts-wqy-microhei")


def drawn(text: str) -> np.ndarray:
    return _written(text, 40, (0, 0, 0), False)[0]


@needs_font
def test_two_letters_are_two_shapes_in_a_widget() -> None:
    """A font without them would draw the same empty box for both."""
    assert not np.array_equal(drawn("左"), drawn("右"))


@needs_font
def test_a_figure_has_the_letters() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib warns of a letter that no font has
        figure, axes = new_figure(3, 2)
        axes.set_title("左前轮, left wheel, σ² = −1")
        figure.savefig(BytesIO())


def test_latin_text_looks_the_same_with_and_without_such_a_font(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = drawn("left wheel σ²")
    monkeypatch.setattr(fonts, "chinese_font", lambda: None)
    _written.cache_clear()
    assert np.array_equal(with_it, drawn("left wheel σ²"))
    assert drawn("左").any()  # an empty box, no error
    _written.cache_clear()
