"""`posekit predict` on images, folders and videos: annotated copies and a table."""

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posekit.bars import progress_bar
from posekit.bounds import LARGEST_COPY, MOST_TOGETHER
from posekit.datasets.images import BadImage, decode_image, holds_several, one_line, read_file
from posekit.drawing import draw_poses
from posekit.errors import InputError, counted, shortened
from posekit.files import atomic_path
from posekit.inference.boxes import Boxes, Places, Whole, crop_box, predict_crops
from posekit.inference.inputs import Input, Skipped, find_inputs
from posekit.inference.overlap import ahead, behind
from posekit.inference.predictors import Predictor
from posekit.inference.search import Search
from posekit.inference.videos import (
    BadVideo,
    VideoWriter,
    check_video,
    frames,
    open_video,
    promised_frames,
    rate_of,
    remarks,
)
from posekit.predictions import Predictions, write_predictions
from posekit.recipes import CAVEATS, Recipe
from posekit.signals import ctrl_c

WRITERS = 2  # copies of pictures at a time: each takes the memory of a few
Drawable = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # keypoints, scores and frames of `Found`
Rows = list[tuple[str, np.ndarray, np.ndarray]]  # name, keypoints (K, 2) and scores (K,) of each object


@dataclass(frozen=True)
class Found:
    """The objects of one image."""

    name: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    keypoints: np.ndarray  # (M, K, 2) in pixels of the image
    scores: np.ndarray  # (M, K)
    frames: np.ndarray | None  # (M, 4) the boxes, where nobody gave them

    @property
    def drawable(self) -> Drawable:
        """What is drawn into the image."""
        return self.keypoints, self.scores, self.frames

    def rows(self) -> Rows:
        """Named as the image; with several in it, `:0`, `:1`, … is added."""
        several = len(self.keypoints) > 1
        objects = enumerate(zip(self.keypoints, self.scores, strict=True))
        return [(f"{self.name}:{i}" if several else self.name, *values) for i, values in objects]


def predict_media(
    predictor: Predictor, sources: list[Path], out: Path, boxes: Path | None = None, search: bool = False
) -> None:
    """Write each image and video with its keypoints drawn, and predictions.csv, into the folder `out`.

    Without boxes each image is taken as a whole for one object, or with `search` one is looked for; that is said, and
    its box is drawn. In films it is looked for near where it was. Keypoints whose score is below
    the one from which most were right in validation are faded.

    An object is named as its image, a frame as `video.mp4:0`; with several in an image `:0`, `:1`, … is added. Names
    and copies are distinct, see `find_inputs`.

    An image or video that the user named and that can't be read is an error, before anything is written. In a folder
    it is skipped: a line per folder on standard error says how many are, which, and why. Nothing left is an error.
    """
    inputs, skipped = find_inputs(sources)
    _check_copies(inputs, out)
    pictures = [given for given in inputs if not given.video]
    videos = [given for given in inputs if given.video]
    known = Boxes(boxes, [p.name for p in pictures], [v.name for v in videos]) if boxes else None
    videos = [video for video in videos if _readable(video, skipped)]
    places = known or (Search(predictor) if search else Whole())
    watched = 0
    for line in caveats(predictor.recipe, known is not None, search):
        print(line)
    with ctrl_c():
        rows, read = _predict_pictures(predictor, pictures, out, places, skipped)
        for video in videos:
            try:
                rows += _predict_video(predictor, video, out, places)
                watched += 1
            except BadVideo as error:
                skipped.handle(video, error)
    if not read and not watched:
        raise InputError("; ".join(f"{one_line(folder)}: {skipped.line(folder)}" for folder in skipped.names))
    for folder in skipped.names:
        print(f"posekit: {one_line(folder)}: {skipped.line(folder)}", file=sys.stderr)
    if not rows:
        raise InputError(f"{boxes}: none of its boxes is in the images given; name the images as their files")
    if known and known.left:
        first = f"{shortened(next(iter(known.left)))} the first"
        print(f"{boxes}: {len(known.left)} frames do not exist, {first}: their boxes were not used")
    names, keypoints, scores = zip(*rows, strict=True)
    write_predictions(out / "predictions.csv", Predictions(list(names), np.stack(keypoints), np.stack(scores)))
    seen = " and ".join(counted(n, noun) for n, noun in ((read, "image"), (watched, "video")) if n)
    print(f"{out}: {counted(len(rows), 'object')} in {seen}; predictions.csv")


def caveats(recipe: Recipe, boxes: bool, search: bool = False) -> list[str]:
    """What people should know before they believe in predictions, a line each."""
    lines = []
    if search:
        lines.append(
            "--search: one object is looked for in each image, and found even where there is none: see its box"
        )
    elif not boxes:
        lines.append("no --boxes: each image is taken as a whole for one object, as its frame shows")
    if recipe.trained_on in CAVEATS:
        lines.append(CAVEATS[recipe.trained_on])
    if recipe.sure > 0:
        lines.append(f"faded keypoints have a score below {recipe.sure:.2f}: fewer than half of such were right")
    return lines


def draw_found(predictor: Predictor, image: np.ndarray, found: Drawable) -> np.ndarray:
    """The image (H, W, 3) with what was found in it; keypoints that are probably wrong are faded."""
    keypoints, scores, frames = found
    sure = predictor.recipe.sure or None
    return draw_poses(image, keypoints, scores, predictor.skeleton, sure, sure is not None, frames)


def _check_copies(inputs: list[Input], out: Path) -> None:
    originals = {os.path.realpath(given.path): given.path for given in inputs}
    for given in inputs:
        if original := originals.get(os.path.realpath(out / given.copy)):
            raise InputError(f"{one_line(original)}: the annotated copy would replace it; give another --out")


def _readable(video: Input, skipped: Skipped) -> bool:
    """Before the first is predicted."""
    try:
        check_video(video.path)
    except BadVideo as error:
        skipped.handle(video, error)
        return False
    return True


def _find(predictor: Predictor, images: Iterable[tuple[str, np.ndarray]], places: Places) -> Iterator[Found]:
    """Predict named images in order, as many at a time as the network takes."""
    for chunk in _chunks(images, predictor.batch):
        boxes = [places.take(name, image) for name, image in chunk]
        crops = (
            crop_box(image, box, predictor.recipe, predictor.skeleton)
            for (_, image), inside in zip(chunk, boxes, strict=True)
            for box in inside
        )
        keypoints, scores = predict_crops(predictor, crops)
        ends = np.cumsum([len(some) for some in boxes])
        parts = zip(np.split(keypoints, ends[:-1]), np.split(scores, ends[:-1]), strict=True)
        for (name, image), (points, values), inside in zip(chunk, parts, boxes, strict=True):
            yield Found(name, image, points, values, None if places.given else np.stack(inside))


def _chunks(images: Iterable[tuple[str, np.ndarray]], most: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Up to `most` images at a time, fewer where they are large."""
    chunk, pixels = [], 0
    for name, image in images:
        chunk.append((name, image))
        pixels += image.shape[0] * image.shape[1]
        if len(chunk) == most or pixels > MOST_TOGETHER:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def _predict_pictures(
    predictor: Predictor, pictures: list[Input], out: Path, places: Places, skipped: Skipped
) -> tuple[Rows, int]:
    """The rows, and how many images could be read. All are predicted before the first is written: a bad one that the
    user named leaves nothing behind."""
    several: list[str] = []  # names of files with more than one picture
    with progress_bar(pictures, desc="predict", unit="image", disable=len(pictures) < 2) as bar:
        images = ahead(_read(bar, places, skipped, several))
        found = {it.name: (it.rows(), it.drawable) for it in _find(predictor, images, places)}
    empty = sum(not rows for rows, _ in found.values())
    if empty:
        print(f"{empty} of {len(found)} images have no box: nothing is predicted in them")
    if several:
        first = f"{shortened(several[0])} the first"
        print(f"{len(several)} images hold several pictures, {first}: only the first of each is predicted")
    with ThreadPoolExecutor(WRITERS) as pool:
        shown = [(given, found[given.name][1]) for given in pictures if given.name in found]
        for _ in pool.map(lambda it: _write_copy(predictor, it[0].path, it[1], out / it[0].copy), shown):
            pass
    return [row for rows, _ in found.values() for row in rows], len(found)


def _read(
    pictures: Iterable[Input], places: Places, skipped: Skipped, several: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """The images that can be read, with their names; others are skipped, and their boxes with them."""
    for given in pictures:
        try:
            data = read_file(given.path)
            image = decode_picture(data, one_line(given.path))
        except BadImage as error:
            skipped.handle(given, error)
            if isinstance(places, Boxes):
                places.left.pop(given.name, None)
            continue
        if holds_several(data):
            several.append(given.name)
        yield given.name, image


def decode_picture(data: bytes, where: str) -> np.ndarray:
    """Decode an image file's bytes as a person sees it, (H, W, 3) uint8 RGB; BadImage if it can't be drawn into."""
    image = decode_image(data, where, upright=True)
    if max(image.shape) > LARGEST_COPY:
        what = f"a side of {max(image.shape):,} pixels, where copies have up to {LARGEST_COPY:,}; scale it down"
        raise BadImage("too large", f"{where}: {what}")
    return image


def _write_copy(predictor: Predictor, path: Path, found: Drawable, copy: Path) -> None:
    image = decode_image(read_file(path), one_line(path), upright=True)
    drawn = cv2.cvtColor(draw_found(predictor, image, found), cv2.COLOR_RGB2BGR)
    del image
    encoded = cv2.imencode(".png", drawn)[1]
    with atomic_path(copy) as temporary:
        temporary.write_bytes(encoded.data)  # cv2.imwrite would be silent about a full disk


def _predict_video(predictor: Predictor, given: Input, out: Path, places: Places) -> Rows:
    """Frame by frame, in constant memory but for the table."""
    rows: Rows = []
    times: list[float] = []
    complaints: list[str] = []
    capture = open_video(given.path)
    promised = promised_frames(capture)

    def named() -> Iterator[tuple[str, np.ndarray]]:
        bar = progress_bar(
            frames(capture, complaints), total=promised or None, desc=shortened(given.name), unit="frame"
        )
        for time, frame in bar:
            yield f"{given.name}:{len(times)}", frame
            times.append(time)

    with atomic_path(out / given.copy) as temporary:
        writer = VideoWriter(temporary, rate_of(capture), given.path)
        try:
            with closing(ahead(named())) as images, behind() as later:
                for found in _find(predictor, images, places):
                    later(lambda it: writer.write(draw_found(predictor, it.image, it.drawable)), found)
                    rows += found.rows()
        finally:
            capture.release()
            writer.release()
        writer.check()
    for remark in remarks(promised, times, complaints):
        print(f"{one_line(given.path)}: {remark}")
    return rows
