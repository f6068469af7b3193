"""The one shape that every data set has after reading, whatever its published layout."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from posekit.datasets.images import BadImage, Picture, decode_reduced
from posekit.errors import InputError, shortened
from posekit.skeletons import Skeleton

BOX_MARGIN = 1.25  # the box of an object that fills its image is this much larger than the longer side (PAMTRI)


@dataclass(frozen=True)
class Sample:
    """One object in one image. Coordinates are (x, y) in pixels of the image, (0, 0) the centre of its first pixel."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    keypoints: np.ndarray  # (K, 2) float32
    visible: np.ndarray  # (K,) bool
    center: np.ndarray  # (2,) float32, of the square box
    box_size: float  # side of the square box, pixels, before any augmentation
    skeleton: Skeleton
    box: np.ndarray | None = None  # (2,) float32 width and height, which a rectangular input takes instead
    enlarging: np.ndarray | None = None  # (2, 3), where `image` isn't the whole image: from its pixels to the image's
    size: tuple[int, int] | None = None  # width and height of the whole image, where `image` isn't that


@dataclass(frozen=True)
class PoseDataset:
    """A split's labels as arrays; pixels are read when asked for.

    A keypoint is `visible` when it is trained and counted, and `hidden` when something covers it but its coordinates
    are known; one that is neither has no coordinates ((0, 0)). VeRi trains only what can be seen, so there the two
    exclude each other; MPII trains every joint that has coordinates, so there hidden joints are visible, too.
    `read_bytes(i)` returns the encoded image file of row i; `where(i)` says which file that is, for messages.
    """

    skeleton: Skeleton
    split: str
    names: list[str]  # unique sample name: the predictions table's key
    keypoints: np.ndarray  # (N, K, 2) float64, as in the labels: scores are exact
    visible: np.ndarray  # (N, K) bool
    hidden: np.ndarray  # (N, K) bool
    center: np.ndarray  # (N, 2) float32
    box_size: np.ndarray  # (N,) float32
    unit: np.ndarray  # (N,) pixels by which PCK divides distances
    read_bytes: Callable[[int], bytes]
    where: Callable[[int], str]
    head_size: np.ndarray | None = None  # (N,) pixels by which PCKh divides, where the labels have head boxes
    truth: dict[str, Any] | None = None  # COCO's lists as pycocotools takes them, where the labels are COCO's
    sizes: np.ndarray | None = None  # (N, 2) width and height that the labels state, 0 where they don't
    drawn: bool = False  # by posekit: not photographs
    upright: bool = False  # labels are in pixels of the image turned as its orientation tag says, as COCO's are
    notes: tuple[str, ...] = ()  # what people should know about how it was read
    box: np.ndarray | None = None  # (N, 2) float32: width and height of boxes with margin, where labels have rectangles
    stamp: Callable[[int], str] = str  # of row i's image: another one when the image has changed
    cached: Callable[[int, int], Picture] | None = None  # what `sample` takes instead of `picture` (`datasets.cache`)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Raises InputError for a box that is outside its image, of which a crop would be all black."""
        return self.sample(index)

    def sample(self, index: int, times: int = 1) -> Sample:
        """A sample, whose image may be means of `times` × `times` pixels (1, 2, 4 or 8) if that is decoded faster."""
        picture = (self.cached or self.picture)(index, times)
        width, height = picture.size
        if not self.overlaps(index, (height, width)):
            raise InputError(
                f"{self.where(index)}: {shortened(self.names[index])}: its box is outside the image of {width} × "
                f"{height} pixels; fix its label, or remove it (`posekit data check` lists all such)"
            )
        return Sample(
            picture.pixels, self.keypoints[index].astype(np.float32), self.visible[index],
            self.center[index], float(self.box_size[index]), self.skeleton,
            None if self.box is None else self.box[index],
            picture.enlarging, picture.size,
        )  # fmt: skip

    def take(self, rows: Sequence[int] | np.ndarray) -> "PoseDataset":
        """The data set of some rows only, in the order given."""
        rows = np.asarray(rows, int)
        cached = self.cached
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self,
            **{name: column[rows] for name, column in columns.items() if isinstance(column, np.ndarray)},
            names=[self.names[row] for row in rows],
            read_bytes=lambda i: self.read_bytes(int(rows[i])),
            where=lambda i: self.where(int(rows[i])),
            stamp=lambda i: self.stamp(int(rows[i])),
            cached=cached and (lambda i, times: cached(int(rows[i]), times)),
        )

    def first(self, count: int | None) -> "PoseDataset":
        """The data set of its first `count` rows, or of all where there are no more or `count` is None."""
        return self if count is None else self.take(range(min(count, len(self))))

    def window(self, index: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom (excluded) of a sample's box inside its image of that shape (H, W, …)."""
        half = self.box_size[index] / 2
        left, top = np.maximum(np.floor(self.center[index] - half), 0).astype(int)
        right, bottom = np.ceil(self.center[index] + half).astype(int)
        return int(left), int(top), int(min(right, shape[1])), int(min(bottom, shape[0]))

    def overlaps(self, index: int, shape: tuple[int, ...]) -> bool:
        """False for a sample whose box is outside its image of that shape (H, W, …)."""
        left, top, right, bottom = self.window(index, shape)
        return left < right and top < bottom

    def digest(self) -> str:
        """SHA-256 of the labels: names, keypoints, visibility, centers and sizes of the square boxes."""
        arrays = (self.keypoints.astype(np.float32), self.visible, self.center, self.box_size)
        content = "\n".join(self.names).encode() + b"".join(array.tobytes() for array in arrays)
        return hashlib.sha256(content).hexdigest()

    def image(self, index: int) -> np.ndarray:
        """Decode image `index` to (H, W, 3) uint8 RGB.

        Raises BadImage naming a missing, damaged or unreadable file, or one of another size than the labels state.
        """
        return self.picture(index).pixels

    def picture(self, index: int, times: int = 1) -> Picture:
        """Decode image `index`, perhaps to means of `times` × `times` pixels; raises BadImage as `image` does."""
        picture = decode_reduced(self.read_bytes(index), self.where(index), self.upright, times)
        stated = picture.size if self.sizes is None else tuple(self.sizes[index].tolist())
        if all(stated) and stated != picture.size:
            real, says = ("{} × {}".format(*size) for size in (picture.size, stated))
            what = f"{self.where(index)}: has {real} pixels, but the labels say {says}"
            raise BadImage("wrongly sized", f"{what}; give the images that were labelled, or scale the labels")
        return picture
