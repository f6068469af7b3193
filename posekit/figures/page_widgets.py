"""What the widgets with a page's half in JavaScript share.

A widget leaves a picture above itself, for pages without Python: saved ones, and JupyterLab after Python has ended.
A note says that it is one. Where the widget is live, its style hides both.
"""

from base64 import b64encode
from html import escape
from pathlib import Path

from anywidget import AnyWidget
from IPython.display import display

NOTE = "This picture was saved with the lesson."
NOTE_CLASS = "pk-saved"


def page_half(*names: str) -> str:
    """A widget's script or style: the text of these files beside this one, one after the other."""
    return "\n".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)


def show_below_picture(widget: AnyWidget, picture: bytes, caption: str, purpose: str, width: int | None = None) -> None:
    """Display a picture, PNG or JPEG, a note that it is one, and the widget.

    caption: in words what the picture shows; purpose: what the widget is for, as in "to label"; width: of the picture,
    in page pixels.
    """
    kind = "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"
    size = {kind: {"width": width}} if width else {}
    display({kind: b64encode(picture).decode(), "text/plain": caption}, metadata=size, raw=True)
    note = f"{NOTE} Run this cell again in JupyterLab {purpose}."
    display({"text/html": f'<p class="{NOTE_CLASS}"><em>{escape(note)}</em></p>', "text/plain": note}, raw=True)
    view, _ = widget._repr_mimebundle_() or ({}, {})
    display({**view, "text/plain": "(controls)"}, raw=True)
