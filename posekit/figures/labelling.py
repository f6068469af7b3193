"""Label keypoints in the notebook: pictures of a folder to a COCO keypoints file, with proposals by a network.

The page's half is labelling.js. It holds the labels of the picture that is shown, in pixels of the upright original,
and sends them after each change. This half reads pictures, writes the file and answers with messages.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from posekit.datasets.images import BadImage, one_line
from posekit.drawing import draw_poses, side_colors
from posekit.errors import InputError, in_words, shortened, shown
from posekit.figures.label_file import UNFINISHED, LabelFile
from posekit.figures.label_pictures import copy_for_page, find_pictures, read_picture
from posekit.figures.page_widgets import page_half, show_below_picture
from posekit.files import expanded
from posekit.inference.boxes import predict_box
from posekit.inference.predictors import Predictor
from posekit.palette import POINTS
from posekit.skeletons import Skeleton, make_skeleton

Propose = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_open: dict[str, "Labeller"] = {}  # by file: to run the cell again is to go on with it


def label_keypoints(
    folder: str | Path,
    names: Sequence[str] | Skeleton,
    out: str | Path,
    propose: Propose | Predictor | None = None,
) -> None:
    """Show a widget to label the pictures of a folder by mouse, touch or keyboard; labels go to the COCO file `out`.

    names: of the keypoints, or a skeleton, whose limbs become the file's edges. An existing file is continued.
    propose: suggests keypoints in a box that was drawn: a predictor, or a function that takes an image (H, W, 3) uint8
        RGB and a box (4,), left, top, width and height, and returns keypoints (K, 2) in image pixels and scores (K,).
    """
    labeller = Labeller(expanded(folder), names, expanded(out), propose)
    show_below_picture(labeller, labeller.preview(), f"Labelling: {labeller.progress()}", "to label")


class Labeller(anywidget.AnyWidget):
    """The widget; it shows the first picture that isn't done. Its constructor raises what `label_keypoints` raises."""

    _esm = page_half("labelling_canvas.js", "live.js", "labelling_state.js", "labelling.js")
    _css = page_half("labelling.css")
    setup = traitlets.Dict().tag(sync=True)

    def __init__(
        self, folder: Path, names: Sequence[str] | Skeleton, out: Path, propose: Propose | Predictor | None = None
    ) -> None:
        skeleton = names if isinstance(names, Skeleton) else _skeleton_of(names)
        self._propose = _proposer(propose, skeleton)
        self._pictures, self._note = find_pictures(folder)
        self._names, self._bad = list(self._pictures), dict[str, str]()
        if previous := _open.pop(os.path.realpath(out), None):
            previous.close()
        self._file = LabelFile(out, skeleton)
        try:
            self._now, self._shown = self._first_readable(dict.fromkeys([*self._todo(-1), *range(len(self._names))]))
        except InputError:
            self._file.close()
            raise
        _open[os.path.realpath(out)] = self
        points = [{"name": n, "color": c} for n, c in zip(skeleton.keypoints, _colors(skeleton), strict=True)]
        setup = {"points": points, "limbs": skeleton.limbs, "proposes": propose is not None}
        super().__init__(setup={**setup, "pictures": self._names, "file": str(out)})
        self.on_msg(self._receive)

    def close(self) -> None:
        """Remove the widget from the page and let others write to the file."""
        if hasattr(self, "_file"):  # ipywidgets also closes one that was never made
            self._file.close()
        super().close()

    def progress(self) -> str:
        """How many pictures are done, in words."""
        return f"{self._states().count('done')} of {len(self._names)} pictures done"

    def preview(self) -> bytes:
        """The present picture with its labels, as JPEG."""
        points = [found["points"] for found in self._file.objects(self._names[self._now])]
        image = self._shown
        if points:
            labels = np.array(points)  # (M, K, 3)
            image = draw_poses(image, labels[..., :2], labels[..., 2], self._file.skeleton, 0.5)
        return copy_for_page(np.asarray(image))

    # Messages from the page

    def _receive(self, _: object, message: dict, __: object) -> None:
        answers = {"open": self._opened, "save": self._save, "propose": self._suggest}
        try:
            answers[message["do"]](message)
        except InputError as error:
            self.send({"is": "error", "text": str(error)})

    def _opened(self, _: dict) -> None:
        self._send_picture()

    def _save(self, message: dict) -> None:
        """Write the objects, if there are any news of them; then go to another picture, if asked to."""
        if message["picture"] != self._now:  # another view of the widget has gone on
            self._send_picture()
            return
        if message["objects"] is not None:
            found = message["objects"]
            name = self._names[message["picture"]]
            height, width = self._shown.shape[:2]
            self._file.put(name, (width, height), found, message["finished"])
            self.send({"is": "saved", **self._status()})
        if message["to"] is not None:
            self._go(message["picture"], message["to"])

    def _go(self, now: int, to: int | str) -> None:
        """Show a picture, "next" or "previous", or the next "todo"; over pictures that can't be read."""
        last = len(self._names)
        ways = {"next": range(now + 1, last), "previous": range(now - 1, -1, -1), "todo": self._todo(now)}
        way = ways[to] if isinstance(to, str) else [to]
        if not way:
            self.send({"is": "end", "way": to, **self._status()})
            return
        self._now, self._shown = self._first_readable(way)
        self._send_picture()

    def _suggest(self, message: dict) -> None:
        if self._propose is None:
            return
        width, height = self._shown.shape[1::-1]
        try:
            keypoints, scores = self._propose(self._shown, np.array(message["box"], np.float32))
        except InputError:
            raise
        except Exception as error:  # the user's own function
            raise InputError(f"propose: {type(error).__name__}: {in_words(error)}; fix the function") from error
        keypoints, scores = self._checked(keypoints, scores)
        sure = scores > 0.75 * np.quantile(scores, 0.8) if np.isfinite(scores).all() else np.isfinite(scores)
        sure &= ((keypoints >= -0.5) & (keypoints <= (width - 0.5, height - 0.5))).all(1)
        places = np.round(np.clip(np.nan_to_num(keypoints), 0, (width - 1, height - 1)), 2).tolist()
        points = [[x, y, 2 if good else 0] for (x, y), good in zip(places, sure, strict=True)]
        self.send({"is": "proposal", "picture": message["picture"], "id": message["id"], "points": points})

    def _checked(self, keypoints: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
        found, count = (np.asarray(keypoints), np.asarray(scores)), self._file.skeleton.num_keypoints
        if [array.shape for array in found] != [(count, 2), (count,)]:
            shapes = " and ".join(str(array.shape) for array in found)
            raise InputError(f"propose: returned shapes {shapes}; return keypoints ({count}, 2) and scores ({count},)")
        return found[0].astype(float), found[1].astype(float)

    # Pictures

    def _states(self) -> list[str]:
        return ["unreadable" if name in self._bad else self._file.state(name) for name in self._names]

    def _todo(self, now: int) -> list[int]:
        """The pictures that aren't done, from the one after `now`, wrapping; begun ones first when nothing is shown."""
        states = self._states()
        order = [*range(now + 1, len(states)), *range(now + 1)]
        order = sorted(order, key=lambda i: states[i] != UNFINISHED) if now < 0 else order
        return [i for i in order if states[i] in ("", UNFINISHED)]

    def _first_readable(self, way: Iterable[int]) -> tuple[int, np.ndarray]:
        """The first of these pictures that can be read; the others' errors are kept. InputError if none can."""
        errors = []
        for number in way:
            name = self._names[number]
            try:
                picture = read_picture(self._pictures[name])
                stated = self._file.size(name)
                if stated not in (None, picture.shape[1::-1]):
                    raise BadImage("unreadable", self._other_size(name, stated, picture.shape[1::-1]))
            except BadImage as error:
                self._bad[name] = str(error)
                errors.append(str(error))
                continue
            self._bad.pop(name, None)
            return number, picture
        more = f"; so are {len(errors) - 1} more" if len(errors) > 1 else ""
        raise InputError(f"{errors[0]}{more}")

    def _other_size(self, name: str, stated: tuple, real: tuple[int, ...]) -> str:
        has, says = (" × ".join(map(str, size)) for size in (real, stated))
        cure = "restore the picture, or fix its entry"
        return f"{one_line(self._pictures[name])}: has {has} pixels, but {says} in {self._file.path}; {cure}"

    def _status(self) -> dict:
        bad = "; ".join([*self._bad.values(), *filter(None, [self._note])])
        return {"states": self._states(), "skipped": shortened(bad, 500)}

    def _send_picture(self) -> None:
        name, (height, width) = self._names[self._now], self._shown.shape[:2]
        objects = self._file.objects(name)
        place = {"picture": self._now, "width": width, "height": height, "objects": objects}
        self.send({"is": "picture", **place, **self._status()}, [copy_for_page(self._shown)])


def _skeleton_of(names: Sequence[str]) -> Skeleton:
    """A skeleton with these keypoints, their pairs found in the names."""
    if isinstance(names, str) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f'names: {shown(names)}; give a list of the keypoints\' names, such as ["left eye", "nose"]')
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"names: {', '.join(map(shown, twice))} is there twice; give each keypoint its own name")
    return make_skeleton("object", names)


def _proposer(propose: Propose | Predictor | None, skeleton: Skeleton) -> Propose | None:
    if not isinstance(propose, Predictor):
        return propose
    theirs, ours = propose.skeleton.keypoints, skeleton.keypoints
    if theirs != ours:
        other = next((pair for pair in zip(theirs, ours, strict=False) if pair[0] != pair[1]), None)
        what = f"{shown(other[0])} where {shown(other[1])} is to be labelled" if other else "of which some are missing"
        raise InputError(
            f"propose: the model has {len(theirs)} keypoints, {what}, of {len(ours)}; take a model of these keypoints"
        )

    return partial(predict_box, propose)


def _colors(skeleton: Skeleton) -> list[str]:
    """A colour per keypoint for the page: by side, or one after the other where names have no sides."""
    sides = side_colors(skeleton)
    if len(set(sides)) > 1:
        return ["#{:02x}{:02x}{:02x}".format(*color) for color in sides]
    return [POINTS[k % len(POINTS)] for k in range(len(sides))]
