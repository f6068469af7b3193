"""A COCO keypoints file that labels are added to. What is in it already stays as it is, unless the labels change.

Coordinates are in pixels of the image turned as its orientation tag says, with the origin at the centre of the top left
pixel.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from posekit.errors import InputError, shortened, shown
from posekit.files import LONGEST_TEXT, read_json, sha256, write_json
from posekit.locks import one_writer_of
from posekit.skeletons import Skeleton

NEW = "new "  # how the id of an object begins that has no annotation yet
UNFINISHED = "unfinished"  # a field of an image whose labels were begun
_CURE = "fix the file, or choose another one"
_PARTS = {"images": ("id", "file_name"), "annotations": ("id", "image_id", "category_id"), "categories": ("id", "name")}


class LabelFile:
    """The file, read and locked until `close`; InputError if it can't be labelled into with this skeleton.

    An object is {"id": its annotation's id, or NEW and any text, "box": [x, y, width, height], "points": [[x, y,
    v], …]}, with v 0 for a keypoint that isn't labelled, 1 for a hidden one, 2 for a visible one.
    """

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        self.path, self.skeleton = path, skeleton
        self._new: dict[str, int] = {}  # ids of new objects -> those of their annotations
        self._removed: dict[int | str, dict] = {}  # annotations by id, to be put back by an undo
        with ExitStack() as held:
            held.enter_context(one_writer_of(path))
            self._digest = self._on_disk()
            self._content = read_json(path, _CURE, LONGEST_TEXT) if self._digest else {}
            self._check_parts()
            self._category = self._find_category()
            self._check_annotations()
            self._held = held.pop_all()

    def close(self) -> None:
        """Let others write to the file."""
        self._held.close()

    def state(self, name: str) -> str:
        """How far a picture is: "done", also without an object; "unfinished"; or "" if nothing was done in it."""
        image = self._image(name)
        return "" if image is None else UNFINISHED if image.get(UNFINISHED) else "done"

    def size(self, name: str) -> tuple[object, object] | None:
        """The width and height that the file states for a picture, if it states both."""
        image = self._image(name) or {}
        return (image["width"], image["height"]) if {"width", "height"} <= image.keys() else None

    def objects(self, name: str) -> list[dict]:
        """The labelled objects of a picture; crowds and other categories aren't among them."""
        return [self._object(annotation) for annotation in self._annotations(self._image(name))]

    def put(self, name: str, size: tuple[int, int], objects: Sequence[dict], finished: bool) -> None:
        """Let these be the objects of a picture of width and height `size`, and write the file.

        InputError if the file has changed since it was read or written here, or can't be written.
        """
        if self._on_disk() != self._digest:
            cure = "run the cell again to read it; what was labelled since then isn't saved"
            raise InputError(f"{self.path}: another program has changed it; {cure}")
        image = self._image(name) or self._add_image(name, size)
        if finished:
            image.pop(UNFINISHED, None)
        self._replace(image, {self._id(given): given for given in objects})
        write_json(self.path, self._content)
        self._digest = self._on_disk()

    def _on_disk(self) -> str:
        return sha256(self.path) if self.path.exists() else ""

    # What the file must have

    def _check_parts(self) -> None:
        for part, fields in _PARTS.items():
            records = self._content.setdefault(part, [])
            if not isinstance(records, list):
                raise InputError(
                    f"{self.path}: {part} is not a list; give a COCO keypoints file, or choose another one"
                )
            for number, record in enumerate(records):
                missing = [f for f in fields if f not in record] if isinstance(record, dict) else list(fields)
                if missing:
                    raise InputError(f"{self.path}: {part}[{number}] has no {', '.join(missing)}; {_CURE}")
            counts = Counter(shown(record["id"]) for record in records)
            if twice := [id for id, count in counts.items() if count > 1]:
                raise InputError(f"{self.path}: {part}: the id {twice[0]} is there twice; {_CURE}")

    def _find_category(self) -> dict:
        """The category with these keypoints, which is added to a file that has none with keypoints."""
        known = [category for category in self._content["categories"] if category.get("keypoints")]
        same = [category for category in known if category["keypoints"] == list(self.skeleton.keypoints)]
        if same:
            return next((category for category in same if category["name"] == self.skeleton.name), same[0])
        if known:
            raise InputError(
                f"{self.path}: {self._difference(known[0])}; give the file's names, or choose another file"
            )
        category = {
            "id": self._next_id("categories"),
            "name": self.skeleton.name,
            "keypoints": list(self.skeleton.keypoints),
            "skeleton": [[a + 1, b + 1] for a, b in self.skeleton.limbs],
        }
        self._content["categories"].append(category)
        return category

    def _difference(self, category: dict) -> str:
        theirs, ours = map(str, category["keypoints"]), self.skeleton.keypoints
        theirs = list(theirs)
        only_there, only_here = ([n for n in a if n not in b] for a, b in ((theirs, ours), (ours, theirs)))
        whose = f"the keypoints of {shown(category['name'])}"
        if not only_there and not only_here:
            return f"{whose} have the same names in another order: {shortened(', '.join(theirs), 300)}"
        parts = [
            f"only the {where} has {shortened(', '.join(names), 200)}"
            for where, names in (("file", only_there), ("list given", only_here))
            if names
        ]
        return f"{whose} are others: {', '.join(parts)}"

    def _check_annotations(self) -> None:
        for annotation in self._content["annotations"]:
            where = f"{self.path}: annotation {shown(annotation['id'])}"
            if not self._is_ours(annotation):
                continue
            for field, count in (("keypoints", 3 * self.skeleton.num_keypoints), ("bbox", 4)):
                values = annotation.get(field, [0] * count)
                numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
                if not numbers or len(values) != count:
                    raise InputError(f"{where}: {field} must be a list of {count} numbers; {_CURE}")

    # Images and annotations

    def _image(self, name: str) -> dict | None:
        """The image of this file name; else the only one that has it in some folder."""
        images = self._content["images"]
        exact = [image for image in images if image["file_name"] == name]
        alike = exact or [image for image in images if str(image["file_name"]).replace("\\", "/").endswith(f"/{name}")]
        return alike[0] if len(alike) == 1 or exact else None

    def _add_image(self, name: str, size: tuple[int, int]) -> dict:
        image = {"id": self._next_id("images"), "file_name": name, "width": size[0], "height": size[1]}
        self._content["images"].append(image | {UNFINISHED: True})
        return self._content["images"][-1]

    def _next_id(self, part: str) -> int:
        return 1 + max((r["id"] for r in self._content[part] if isinstance(r["id"], int)), default=0)

    def _is_ours(self, annotation: dict) -> bool:
        return annotation["category_id"] == self._category["id"] and not annotation.get("iscrowd")

    def _annotations(self, image: dict | None) -> list[dict]:
        everything = self._content["annotations"] if image else []
        return [a for a in everything if image and a["image_id"] == image["id"] and self._is_ours(a)]

    def _object(self, annotation: dict) -> dict:
        points = np.reshape(annotation.get("keypoints") or [0] * 3 * self.skeleton.num_keypoints, (-1, 3)).tolist()
        labelled = np.array([point[:2] for point in points if point[2] > 0] or [[0, 0]])
        corner = labelled.min(0)
        box = annotation.get("bbox") or [*corner, *(labelled.max(0) - corner)]
        return {"id": annotation["id"], "box": list(map(float, box)), "points": points}

    def _id(self, given: dict) -> int | str:
        known = given["id"]
        if not str(known).startswith(NEW):
            return known
        return self._new.setdefault(known, max([self._next_id("annotations") - 1, *self._new.values()]) + 1)

    def _replace(self, image: dict, objects: dict[int | str, dict]) -> None:
        before = {annotation["id"]: annotation for annotation in self._annotations(image)}
        self._removed |= {id: annotation for id, annotation in before.items() if id not in objects}
        kept = [a for a in self._content["annotations"] if not (a["id"] in before and a["id"] not in objects)]
        for id, given in objects.items():
            annotation = before.get(id) or self._removed.pop(id, None)
            if annotation is None:
                annotation = {"id": id, "image_id": image["id"], "category_id": self._category["id"], "iscrowd": 0}
                annotation |= self._fields(given)
            elif not _alike(self._object(annotation), given):
                annotation.update(self._fields(given, annotation))
            if id not in before:
                kept.append(annotation)
        self._content["annotations"] = kept

    def _fields(self, given: dict, before: dict | None = None) -> dict:
        """What an annotation says of an object; its area is another's, as of a segmentation, while the box stays."""
        box = [round(float(value), 2) for value in given["box"]]
        points = [[round(x, 2), round(y, 2), int(v)] if v else [0, 0, 0] for x, y, v in given["points"]]
        area = round(box[2] * box[3], 2)
        if before and "area" in before and _alike_box(self._object(before), given):
            box, area = before.get("bbox", box), before["area"]
        labelled = sum(v > 0 for _, _, v in points)
        return {"bbox": box, "area": area, "num_keypoints": labelled, "keypoints": sum(points, [])}


def _alike(a: dict, b: dict) -> bool:
    return _alike_box(a, b) and np.allclose(a["points"], b["points"], rtol=0, atol=1e-6)


def _alike_box(a: dict, b: dict) -> bool:
    return np.allclose(a["box"], b["box"], rtol=0, atol=1e-6)
