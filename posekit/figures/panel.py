"""A picture in the notebook with controls below it, drawn by Python for the controls' present values.

The page's half is panel.js. It sends all values after a change; this half draws, and may correct values and limits.
All state is here, so that a page that is loaded again shows what it showed before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anywidget
import numpy as np
import traitlets

from posekit.errors import InputError
from posekit.figures.explorer import Picture, message_picture
from posekit.figures.page_widgets import page_half, show_below_picture

Values = dict[str, Any]


@dataclass(frozen=True)
class Drag:
    """Two controls, x and y, that follow the pointer on the picture.

    zoom, left, top: page pixel = value * zoom + (left, top); low, high: the smallest and the largest (x, y).
    """

    x: str
    y: str
    zoom: float
    left: float
    top: float
    low: tuple[float, float]
    high: tuple[float, float]


@dataclass(frozen=True)
class Shown:
    """What a panel shows: a picture, a line of text below it, and what the controls must be changed to.

    limits: the highest value of a slider, by name; corrected: values that differ from those asked for.
    """

    picture: Picture
    said: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    corrected: Mapping[str, Any] = field(default_factory=dict)
    drag: Drag | None = None


# Controls: dictionaries for the page.


def slider(name: str, value: float, low: float, high: float, step: float = 1, of: bool = False) -> Values:
    """A slider with arrows and a number field; of: also write the highest value behind them."""
    return {"kind": "slider", "name": name, "value": value, "min": low, "max": high, "step": step, "of": of}


def number(name: str, value: int, low: int, high: int) -> Values:
    """A whole number to type."""
    return {"kind": "number", "name": name, "value": value, "min": low, "max": high}


def choice(name: str, options: Sequence[str], value: str) -> Values:
    """One of some words."""
    return {"kind": "choice", "name": name, "options": list(options), "value": value}


def text(name: str, hint: str) -> Values:
    """A line of text, empty at first."""
    return {"kind": "text", "name": name, "hint": hint, "value": ""}


def tick(name: str, value: bool) -> Values:
    """A box to tick."""
    return {"kind": "tick", "name": name, "value": value}


def press(name: str) -> Values:
    """A button; its value is how often it was pressed."""
    return {"kind": "press", "name": name, "value": 0}


class Explorer(anywidget.AnyWidget):
    """The widget. `draw` makes what is shown from the controls' values; its InputError is shown as text."""

    _esm = page_half("labelling_canvas.js", "live.js", "panel.js")
    _css = page_half("labelling.css", "panel.css")
    rows = traitlets.List().tag(sync=True)  # of controls
    picture = traitlets.Bytes().tag(sync=True)  # PNG at first, then JPEG, which is faster
    shown = traitlets.Dict().tag(sync=True)  # what the page shows of it; its number changes each time

    def __init__(self, rows: Sequence[Sequence[Values]], draw: Callable[[Values], Shown]) -> None:
        self._draw, self._controls = draw, {control["name"]: control for row in rows for control in row}
        self.values = {name: control["value"] for name, control in self._controls.items()}
        picture, shown = self._drawn("png")
        super().__init__(rows=[list(row) for row in rows], picture=picture, shown=shown)
        self.on_msg(lambda _, message, __: self.put(message["values"]))

    def put(self, values: Values) -> None:
        """Set some controls and draw."""
        self.values |= {name: self._checked(name, value) for name, value in values.items() if name in self._controls}
        picture, shown = self._drawn("jpeg")
        with self.hold_sync():
            self.picture, self.shown = picture, shown

    def show(self) -> None:
        """Display the panel, for pages without Python with its picture."""
        names = ", ".join(self._controls)
        purpose = f"to change {names}"
        show_below_picture(self, self.picture, self.shown["caption"], purpose, self.shown["width"])

    def _checked(self, name: str, value: Any) -> Any:
        """A value that the control can have: the page's may be of an older page."""
        control = self._controls[name]
        if control["kind"] == "choice":
            return value if value in control["options"] else control["value"]
        if "min" not in control:
            return value
        if not isinstance(value, (int, float)) or not np.isfinite(value):
            return control["value"]
        value = float(np.clip(value, control["min"], control["max"]))
        return int(value) if isinstance(control.get("step", 1), int) else value

    def _drawn(self, kind: str) -> tuple[bytes, dict]:
        try:
            shown = self._draw(dict(self.values))
        except InputError as error:
            shown = Shown(message_picture(str(error)))
        self.values |= shown.corrected
        canvas, drag = shown.picture.canvas, shown.drag
        sent = drag and {"x": drag.x, "y": drag.y, "zoom": drag.zoom, "left": drag.left, "top": drag.top,
                         "min": drag.low, "max": drag.high, "page": canvas.width}  # fmt: skip
        state = {"values": dict(self.values), "limits": dict(shown.limits), "said": shown.said, "drag": sent}
        about = {"caption": shown.picture.caption, "width": canvas.width, "number": self.shown.get("number", 0) + 1}
        return canvas.encoded(kind), {**state, **about}
