"""`posekit predict` on images, folders and videos: annotated copies and a table."""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from posekit.bars import progress_bar
from posekit.datasets.images import decode_image, read_file
from posekit.drawing import draw_poses
from posekit.errors import InputError
from posekit.files import atomic_path
from posekit.inference.boxes import crop_box, predict_crops, whole
from posekit.inference.predictors import Predictor
from posekit.predictions import Predictions, write_predictions
from posekit.signals import ctrl_c
from posekit.tables import line_of, read_named_numbers

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv")
Boxes = dict[str, list[np.ndarray]]  # by image name, each (4,): x, y of its corner, width, height in pixels


@dataclass(frozen=True)
class Found:
    """The objects of one image."""

    name: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    keypoints: np.ndarray  # (M, K, 2) in pixels of the image
    scores: np.ndarray  # (M, K)


def predict_media(predictor: Predictor, sources: list[Path], out: Path, boxes: Path | None = None) -> None:
    """Write each image and video with its keypoints drawn, and predictions.csv, into the folder `out`.

    An object is named as its image, a frame as `video.mp4:0`; with several in an image `:0`, `:1`, … is added.
    """
    pictures, videos = _sort(sources)
    for path, made in [(p, out / f"{p.stem}.png") for p in pictures] + [(p, out / f"{p.stem}.mp4") for p in videos]:
        if made.resolve() == path.resolve():
            raise InputError(f"{path}: the annotated copy would replace it; give another --out")
    for video in videos:  # before the first is predicted
        _check_video(video)
    known = None if boxes is None else _read_boxes(boxes, [p.name for p in pictures], [p.name for p in videos])
    with ctrl_c():
        rows = _predict_pictures(predictor, pictures, out, known) if pictures else []
        for video in videos:
            rows += _predict_video(predictor, video, out, known)
    if not rows:
        raise InputError(f"{boxes}: none of its boxes is in the images given; name the images as their files")
    if known:
        print(f"{boxes}: {len(known)} frames do not exist, {next(iter(known))} the first: their boxes were not used")
    names, keypoints, scores = zip(*rows, strict=True)
    write_predictions(out / "predictions.csv", Predictions(list(names), np.stack(keypoints), np.stack(scores)))
    print(f"{out}: {len(rows)} objects in {len(pictures)} images and {len(videos)} videos; predictions.csv")


def _sort(sources: list[Path]) -> tuple[list[Path], list[Path]]:
    """Images and videos; of a folder, those directly in it, by name."""
    files = []
    for source in sources:
        inside = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGES + VIDEOS) if source.is_dir() else []
        if source.is_dir() and not inside:
            raise InputError(f"{source}: holds no images and no videos ({', '.join(IMAGES + VIDEOS)}); check the path")
        files += inside or [source]
    if len({path.stem for path in files}) < len(files):
        raise InputError("two pictures have the same file name; predict them into separate folders")
    videos = [path for path in files if path.suffix.lower() in VIDEOS]
    return [path for path in files if path not in videos], videos


def _read_boxes(path: Path, pictures: list[str], videos: list[str]) -> Boxes:
    """The csv's boxes by image; InputError for a box without area, or of what is neither an image nor a frame."""
    names, values = read_named_numbers(path, 5, "one row an object: name,x,y,width,height")
    boxes: Boxes = {}
    for name, box in zip(names, values, strict=True):
        video, _, number = name.rpartition(":")
        problem = ""
        if name not in pictures and not (video in videos and number.isdecimal()):
            problem = f"{name} is not among the images; name an image as its file, a frame as video.mp4:0"
        elif box[2:].min() <= 0:
            problem = "width and height must be above 0; mend the row"
        if problem:
            raise InputError(f"{path}: row {line_of(path, name, len(boxes.get(name, ())))}: {problem}")
        boxes.setdefault(name, []).append(box.astype(np.float32))
    return boxes


def _find(predictor: Predictor, images: Iterable[tuple[str, np.ndarray]], boxes: Boxes | None) -> Iterator[Found]:
    """Predict named images in order, as many at a time as the network takes; their boxes are taken out of `boxes`."""
    images = iter(images)
    skeleton = predictor.skeleton
    while chunk := list(islice(images, predictor.batch)):
        places = [[whole(image)] if boxes is None else boxes.pop(name, []) for name, image in chunk]
        crops = [
            crop_box(image, box, predictor.recipe, skeleton)
            for (_, image), inside in zip(chunk, places, strict=True)
            for box in inside
        ]
        keypoints, scores = np.zeros((0, skeleton.num_keypoints, 2)), np.zeros((0, skeleton.num_keypoints))
        if crops:
            keypoints, scores = predict_crops(predictor, crops)
        ends = np.cumsum([len(some) for some in places])
        parts = zip(np.split(keypoints, ends[:-1]), np.split(scores, ends[:-1]), strict=True)
        for (name, image), (points, values) in zip(chunk, parts, strict=True):
            yield Found(name, image, points, values)


def _rows(found: Found) -> list[tuple[str, np.ndarray, np.ndarray]]:
    several = len(found.keypoints) > 1
    objects = enumerate(zip(found.keypoints, found.scores, strict=True))
    return [(f"{found.name}:{i}" if several else found.name, *values) for i, values in objects]


def _predict_pictures(predictor: Predictor, paths: list[Path], out: Path, boxes: Boxes | None) -> list:
    """All are predicted before the first is written: a bad one leaves nothing behind."""
    with progress_bar(paths, desc="predict", unit="image", disable=len(paths) < 2) as bar:
        images = ((path.name, decode_image(read_file(path), str(path), upright=True)) for path in bar)
        found = [(_rows(it), it.keypoints, it.scores) for it in _find(predictor, images, boxes)]
    empty = sum(not rows for rows, _, _ in found)
    if empty:
        print(f"{empty} of {len(paths)} images have no box: nothing is predicted in them")
    for path, (_, keypoints, scores) in zip(paths, found, strict=True):
        image = decode_image(read_file(path), str(path), upright=True)
        drawn = draw_poses(image, keypoints, scores, predictor.skeleton)
        encoded = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1]
        with atomic_path(out / f"{path.stem}.png") as temporary:
            temporary.write_bytes(encoded.tobytes())  # cv2.imwrite would be silent about a full disk
    return [row for rows, _, _ in found for row in rows]


def _predict_video(predictor: Predictor, path: Path, out: Path, boxes: Boxes | None) -> list:
    """Frame by frame into `<stem>.mp4`, in constant memory but for the table."""
    rows, count, writer = [], 0, None
    skeleton = predictor.skeleton
    capture, promised, rate = _open_video(path)
    with atomic_path(out / f"{path.stem}.mp4") as temporary:
        try:
            with progress_bar(_frames(capture, path), total=promised or None, desc=path.name, unit="frame") as bar:
                for found in _find(predictor, bar, boxes):
                    drawn = draw_poses(found.image, found.keypoints, found.scores, skeleton)
                    if writer is None:
                        code = cv2.VideoWriter.fourcc(*"mp4v")
                        writer = cv2.VideoWriter(str(temporary), code, rate, drawn.shape[1::-1])
                        if not writer.isOpened():
                            raise InputError(f"{path}: OpenCV cannot write its {rate:g} frames a second; convert it")
                    writer.write(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
                    rows += _rows(found)
                    count += 1
        finally:
            capture.release()
            if writer is not None:
                writer.release()
        _check_written(temporary, count)
    if count < promised:
        print(f"{path}: says it has {promised} frames, {count} could be read")
    return rows


def _open_video(path: Path) -> tuple[cv2.VideoCapture, int, float]:
    """The opened video, how many frames it says it has (0: it does not say), and frames a second."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: what matters is said below
    if not path.is_file():
        raise InputError(f"{path}: no such video; check the path")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(f"{path}: not a readable video; copy it again, or convert it to mp4")
    rate = capture.get(cv2.CAP_PROP_FPS)
    rate = round(rate, 1 if rate > 60 else 3)  # MPEG-4 wants a fraction with a denominator below 65536
    return capture, max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), rate if 0 < rate < 1000 else 25.0


def _check_video(path: Path) -> None:
    capture, _, _ = _open_video(path)
    read = capture.grab()
    capture.release()
    if not read:
        raise InputError(f"{path}: not a single frame can be read; copy the video again")


def _frames(capture: cv2.VideoCapture, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    number = 0
    while True:
        read, frame = capture.read()
        if not read:
            return
        yield f"{path.name}:{number}", cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        number += 1


def _check_written(path: Path, frames: int) -> None:
    """OpenCV does not say when the disk is full."""
    written = cv2.VideoCapture(str(path))
    if int(written.get(cv2.CAP_PROP_FRAME_COUNT)) != frames:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    written.release()
