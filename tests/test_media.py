"""Predicting on images, folders and videos with a network that finds the brightest spot."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from posekit.errors import InputError
from posekit.inference.media import predict_media
from posekit.inference.predictors import Predictor
from posekit.predictions import Predictions, read_predictions
from posekit.recipes import get_recipe
from posekit.skeletons import PERSON

ROOT = Path(__file__).parents[1]
RECIPE = replace(get_recipe("hourglass-tiny"), flip_test=False, offset="none")
SPOTS = [(20, 30), (70, 25), (45, 60), (90, 70), (12, 12), (60, 40), (33, 51)]


def brightest(batch: int = 1) -> Predictor:
    """Every map is the picture's red, averaged over the 4×4 pixels around each cell's place."""

    def run(images: np.ndarray) -> np.ndarray:
        assert len(images) == batch
        cells = np.stack([cv2.blur(image[0], (5, 5))[::4, ::4] for image in images])
        return np.repeat(cells[:, None], 16, axis=1)

    return Predictor(RECIPE, PERSON, run, batch)


def picture(x: int, y: int, width: int = 100, height: int = 80) -> np.ndarray:
    """Black, with a white spot of 7×7 pixels around (x, y)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[y - 3 : y + 4, x - 3 : x + 4] = 255
    return image


def save(path: Path, x: int, y: int) -> Path:
    cv2.imwrite(str(path), picture(x, y))
    return path


def video(path: Path, spots: list[tuple[int, int]], rate: float = 10, code: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), rate, (100, 80))
    for x, y in spots:
        writer.write(picture(x, y))
    writer.release()
    return path


def near(found: Predictions, spots: list[tuple[int, int]], side: float) -> None:
    """Each object's keypoints are on its spot, within a cell of a box of that side."""
    cell = side * 1.25 / RECIPE.heatmap_size
    for points, spot in zip(found.keypoints, spots, strict=True):
        assert np.abs(points - spot).max() <= cell, (points[0], spot)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_folder_of_images(tmp_path: Path, batch):
    (tmp_path / "in").mkdir()
    for number, spot in enumerate(SPOTS):
        save(tmp_path / "in" / f"{number}.png", *spot)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    predict_media(brightest(batch), [tmp_path / "in"], tmp_path / "out")
    found = read_predictions(tmp_path / "out" / "predictions.csv", 16)
    assert found.names == [f"{number}.png" for number in range(7)]
    near(found, SPOTS, 100)
    drawn = cv2.imread(str(tmp_path / "out" / "3.png"))
    assert drawn.shape == (400, 500, 3) and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10  # enlarged, and coloured


def test_boxes_say_where_objects_are(tmp_path: Path):
    """Two in one image, one in another, none in the third."""
    images = [save(tmp_path / f"{name}.png", 20, 30) for name in "abc"]
    both = cv2.imread(str(images[0])) | picture(80, 60)
    cv2.imwrite(str(images[0]), both)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("b.png,10,20,24,20\na.png,10,20,24,20\na.png,68,50,24,24\n")
    predict_media(brightest(2), images, tmp_path / "out", boxes)
    found = read_predictions(tmp_path / "out" / "predictions.csv", 16)
    assert found.names == ["a.png:0", "a.png:1", "b.png"]
    near(found, [(20, 30), (80, 60), (20, 30)], 24)
    assert (tmp_path / "out" / "c.png").is_file()


@pytest.mark.parametrize("batch", [1, 3])
def test_a_video(tmp_path: Path, batch, capsys: pytest.CaptureFixture):
    clip = video(tmp_path / "clip.mp4", SPOTS)
    predict_media(brightest(batch), [clip], tmp_path / "out")
    found = read_predictions(tmp_path / "out" / "predictions.csv", 16)
    assert found.names == [f"clip.mp4:{number}" for number in range(7)]
    near(found, SPOTS, 100)
    made = cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4"))
    assert made.get(cv2.CAP_PROP_FRAME_COUNT) == 7 and made.get(cv2.CAP_PROP_FPS) == 10
    assert made.read()[1].shape == (400, 500, 3)
    assert "7 objects in 0 images and 1 videos" in capsys.readouterr().out


def test_boxes_of_frames(tmp_path: Path):
    clip = video(tmp_path / "clip.mp4", SPOTS)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("clip.mp4:1,58,13,24,24\nclip.mp4:5,48,28,24,24\nclip.mp4:5,48,28,24,23\n")
    predict_media(brightest(3), [clip], tmp_path / "out", boxes)
    found = read_predictions(tmp_path / "out" / "predictions.csv", 16)
    assert found.names == ["clip.mp4:1", "clip.mp4:5:0", "clip.mp4:5:1"]
    near(found, [SPOTS[1], SPOTS[5], SPOTS[5]], 24)


def test_boxes_of_frames_that_do_not_exist_are_told(tmp_path: Path, capsys: pytest.CaptureFixture):
    clip = video(tmp_path / "clip.mp4", SPOTS)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("clip.mp4:1,58,13,24,24\nclip.mp4:7,1,1,24,24\nclip.mp4:07,1,1,24,24\n")
    predict_media(brightest(), [clip], tmp_path / "out", boxes)
    assert read_predictions(tmp_path / "out" / "predictions.csv", 16).names == ["clip.mp4:1"]
    assert "2 frames do not exist, clip.mp4:7 the first: their boxes were not used" in capsys.readouterr().out


@pytest.mark.parametrize("rate", [29.97, 89.903, 239.76])
def test_rates_of_phones_and_screens(tmp_path: Path, rate: float):
    clip = video(tmp_path / "clip.avi", SPOTS, rate, "MJPG")
    predict_media(brightest(), [clip], tmp_path / "out")
    made = cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4"))
    assert made.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, abs=0.06)


def test_a_bad_video_stops_before_the_first_is_predicted(tmp_path: Path):
    clip, bad = video(tmp_path / "clip.mp4", SPOTS), tmp_path / "late.mp4"
    bad.write_bytes(clip.read_bytes()[:400])
    with pytest.raises(InputError, match="late.mp4: not a readable video"):
        predict_media(brightest(), [clip, bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_phones_portrait_stands_upright(tmp_path: Path):
    """Its pixels lie on their side, and a tag says so: 6, to be turned clockwise."""
    lying = cv2.rotate(picture(30, 60, 80, 100), cv2.ROTATE_90_COUNTERCLOCKWISE)
    jpeg = cv2.imencode(".jpg", lying)[1].tobytes()
    tag = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (tmp_path / "phone.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + jpeg[2:])
    predict_media(brightest(), [tmp_path / "phone.jpg"], tmp_path / "out")
    near(read_predictions(tmp_path / "out" / "predictions.csv", 16), [(30, 60)], 100)
    assert (
        cv2.imread(str(tmp_path / "out" / "phone.png")).shape[0]
        > cv2.imread(str(tmp_path / "out" / "phone.png")).shape[1]
    )


def test_what_cannot_be_predicted(tmp_path: Path):
    """One line each, and nothing left behind."""
    good, clip, out = save(tmp_path / "good.png", 20, 30), video(tmp_path / "clip.mp4", SPOTS), tmp_path / "out"
    cut, text, empty = tmp_path / "cut.mp4", tmp_path / "text.avi", tmp_path / "empty"
    cut.write_bytes(clip.read_bytes()[:400])
    text.write_text("no video")
    empty.mkdir()
    boxes = tmp_path / "boxes.csv"
    for sources, rows, message in (
        ([cut], None, "cut.mp4: not a readable video; copy it again, or convert it to mp4"),
        ([text], None, "text.avi: not a readable video"),
        ([tmp_path / "none.mp4"], None, "none.mp4: no such video; check the path"),
        ([empty], None, "empty: holds no images and no videos"),
        ([good, empty.parent / "good.mp4"], None, "two pictures have the same file name"),
        ([good], "other.png,1,2,3,4\n", "boxes.csv: row 1: other.png is not among the images"),
        ([good], "good.png,1,2,3,4\ngood.png,1,2,0,4\n", "boxes.csv: row 2: width and height must be above 0"),
        ([good], "good.png,1,2,3\n", "boxes.csv: row 1: 4 columns where 5 are expected"),
        ([good], "good.png:0,1,2,3,4\n", "boxes.csv: row 1: good.png:0 is not among the images; name an image as its"),
        ([clip], "clip.mp4,1,2,3,4\n", "boxes.csv: row 1: clip.mp4 is not among the images; .* a frame as video.mp4:0"),
        ([clip], "clip.mp4:99,1,2,3,4\n", "boxes.csv: none of its boxes is in the images given"),
    ):
        if rows:
            boxes.write_text(rows)
        with pytest.raises(InputError, match=message):
            predict_media(brightest(), sources, out, boxes if rows else None)
        assert not out.exists() or [path.name for path in out.iterdir()] in ([], ["clip.mp4"])


@pytest.mark.slow
def test_a_broken_video_is_one_line(tmp_path: Path):
    """FFmpeg adds none of its own; it must be told before its first use in a process."""
    clip = video(tmp_path / "clip.mp4", SPOTS)
    clip.write_bytes(clip.read_bytes()[:400])
    program = (
        "import sys, pathlib; from posekit.inference.media import _open_video; _open_video(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(clip)], capture_output=True, text=True, cwd=ROOT)
    *trace, last = done.stderr.splitlines()
    assert "not a readable video" in last and not [line for line in trace if "moov" in line], done.stderr


def test_a_copy_never_replaces_what_it_is_of(tmp_path: Path):
    image = save(tmp_path / "a.png", 20, 30)
    before = image.read_bytes()
    with pytest.raises(InputError, match="a.png: the annotated copy would replace it; give another --out"):
        predict_media(brightest(), [image], tmp_path)
    assert image.read_bytes() == before
