"""Predict a picture of the learner's own in the notebook: choose a file, drag a box, see the keypoints.

The page's half is own_picture.js. It sends the file's bytes, and boxes in pixels of the upright picture; this half sets
what the page shows. Predictions and drawings are those of `posekit predict`.
"""

import anywidget
import numpy as np
import traitlets

from posekit.bounds import LARGEST_IMAGE
from posekit.datasets.dataset import Sample
from posekit.datasets.images import one_line
from posekit.errors import InputError
from posekit.figures.label_pictures import copy_for_page
from posekit.figures.page_widgets import page_half, show_below_picture
from posekit.inference.boxes import box_of, predict_box
from posekit.inference.media import caveats, decode_picture, draw_found
from posekit.inference.predictors import Predictor
from posekit.inference.search import Search

_ASK = "Drag a box around the object, or let the network look for it"


def predict_own_picture(predictor: Predictor, first: Sample) -> None:
    """Show a widget that predicts one object in a picture of the learner's choice; it begins with `first`."""
    widget = OwnPicture(predictor, first)
    text = f"One object: {widget.shown['said']}"
    show_below_picture(widget, widget.preview(), text, "to choose a picture of your own")


class OwnPicture(anywidget.AnyWidget):
    """The widget. keypoints (K, 2), in pixels of the image, scores (K,) and box (4,) are None until there is a box."""

    _esm = page_half("labelling_canvas.js", "live.js", "own_picture.js")
    _css = page_half("labelling.css")
    setup = traitlets.Dict().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)  # JPEG, the keypoints drawn
    shown = traitlets.Dict().tag(sync=True)  # what the page says of it; its number changes each time

    def __init__(self, predictor: Predictor, first: Sample) -> None:
        self._predictor, self._search = predictor, Search(predictor)
        self._parts: list[bytes] = []  # of a file that is on its way
        self._open("the first picture", first.image)
        self._predict(box_of(first))
        notes = [line[0].upper() + line[1:] for line in caveats(predictor.recipe, boxes=True)]
        super().__init__(setup={"notes": notes, "largest": LARGEST_IMAGE}, picture=self._drawn(), shown=self._state())
        self.on_msg(self._receive)

    def preview(self) -> bytes:
        """The picture with its box and keypoints, as JPEG."""
        frames = None if self.box is None else self.box[None]
        return self._drawn(frames)

    def _receive(self, _: object, message: dict, buffers: list) -> None:
        """Do what the page asks for; an InputError becomes a line on the page, and all else stays as it was."""
        error = ""
        try:
            if message["do"] == "file" and not self._whole(message, bytes(buffers[0])):
                return
            if message["do"] == "box":
                self._predict(np.array(message["box"], np.float32))
            if message["do"] == "find":
                self._predict(self._search.find(self.image), found=True)
        except InputError as wrong:
            error = str(wrong)
        with self.hold_sync():
            self.picture, self.shown = self._drawn(), self._state(error)

    def _whole(self, message: dict, part: bytes) -> bool:
        """Add a part to the file on its way; after the last, which returns True, open it."""
        self._parts = [part] if message["first"] else [*self._parts, part]
        if message["last"]:
            data, self._parts = b"".join(self._parts), []
            self._open(message["name"], decode_picture(data, one_line(message["name"])))
        return message["last"]

    def _open(self, name: str, image: np.ndarray) -> None:
        self.name, self.image = name, image
        self.box = self.keypoints = self.scores = None
        self._said = _ASK

    def _predict(self, box: np.ndarray, found: bool = False) -> None:
        self.keypoints, self.scores = predict_box(self._predictor, self.image, box)
        self.box, count, sure = box, len(self.scores), self._predictor.recipe.sure
        many = int((self.scores > sure).sum())
        told = f"{many} of {count} keypoints in full colour, {count - many} faded" if sure else f"{count} keypoints"
        self._said = told + (" · the network found this box; it finds one even where there is no object" * found)

    def _drawn(self, frames: np.ndarray | None = None) -> bytes:
        if self.keypoints is None or self.scores is None:
            return copy_for_page(self.image)
        return copy_for_page(draw_found(self._predictor, self.image, (self.keypoints[None], self.scores[None], frames)))

    def _state(self, error: str = "") -> dict:
        height, width = self.image.shape[:2]
        box = None if self.box is None else self.box.tolist()
        number = self.shown.get("number", 0) + 1
        return {"name": self.name, "width": width, "height": height, "box": box, "said": self._said, "error": error,
                "number": number}  # fmt: skip
