"""What the widgets with a page's half in JavaScript share."""

from base64 import b64encode
from pathlib import Path

from anywidget import AnyWidget
from IPython.display import DisplayHandle, display


def page_half(*names: str) -> str:
    """A widget's script or style: the text of these files beside this one, one after the other."""
    return "\n".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)


def show_below_picture(widget: AnyWidget, picture: bytes, text: str) -> DisplayHandle | None:
    """Display a JPEG and the widget below it, so that a run without a browser leaves the picture.

    text: for where neither can be shown. Returns the picture's handle: once the widget is live, it takes the picture
    away.
    """
    data = {"image/jpeg": b64encode(picture).decode(), "text/plain": text}
    handle = display(data, raw=True, display_id=True)
    view, _ = widget._repr_mimebundle_() or ({}, {})
    display({**view, "text/plain": text}, raw=True)
    return handle
