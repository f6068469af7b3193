"""Predicting on images, folders and videos with a network that finds the brightest spot."""

import os
import re
import subprocess
import sys
import wave
import weakref
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from posekit.errors import InputError
from posekit.inference import media
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
    assert "7 objects in 1 video; " in capsys.readouterr().out


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
        ([good], "other.png,1,2,3,4\n", "boxes.csv: row 1: other.png is not among the images"),
        ([good], "good.png,1,2,3,4\ngood.png,1,2,0,4\n", "boxes.csv: row 2: width and height must be above 0"),
        (
            [good],
            "good.png,1,2,0.5,0.9\n",
            "boxes.csv: row 1: a box of 0.5 × 0.9 pixels; its longer side must be from 1",
        ),
        (
            [good],
            "good.png,1,2,3,2e6\n",
            r"boxes.csv: row 1: a box of 3 × 2e\+06 pixels; its longer side must be .* to 1,048",
        ),
        (
            [good],
            "good.png,1,2,3,4\ngood.png,100,2,3,4\n",
            "boxes.csv: row 2: the box is outside the image of 100 × 80",
        ),
        (
            [good],
            "good.png,1,2,3,4\ngood.png,1,2,3,4\n",
            "boxes.csv: row 2: the same box as in a row before it; remove",
        ),
        ([good], "good.png,1,-4,3,4\n", "boxes.csv: row 1: the box is outside the image of 100 × 80 pixels"),
        ([clip], "clip.mp4:3,1,80,3,4\n", "boxes.csv: row 1: the box is outside the image of 100 × 80 pixels"),
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


def test_boxes_that_are_no_file(tmp_path: Path):
    image, boxes = save(tmp_path / "a.png", 20, 30), tmp_path / "boxes.csv"
    os.mkfifo(boxes)
    with pytest.raises(InputError, match="boxes.csv: is a device or a pipe; give a file"):
        predict_media(brightest(), [image], tmp_path / "out", boxes)


@pytest.mark.slow
def test_a_broken_video_is_one_line(tmp_path: Path):
    """FFmpeg adds none of its own; it must be told before its first use in a process."""
    clip = video(tmp_path / "clip.mp4", SPOTS)
    clip.write_bytes(clip.read_bytes()[:400])
    program = (
        "import sys, pathlib; from posekit.inference.videos import open_video; open_video(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(clip)], capture_output=True, text=True, cwd=ROOT)
    *trace, last = done.stderr.splitlines()
    assert "not a readable video" in last and not [line for line in trace if "moov" in line], done.stderr
    assert not done.stdout


def test_a_copy_never_replaces_what_it_is_of(tmp_path: Path):
    image = save(tmp_path / "a.png", 20, 30)
    before = image.read_bytes()
    with pytest.raises(InputError, match="a.png: the annotated copy would replace it; give another --out"):
        predict_media(brightest(), [image], tmp_path)
    link = tmp_path / "in" / "link.png"
    link.parent.mkdir()
    link.symlink_to(image)
    other = save(tmp_path / "in" / "a.jpg", 20, 30)
    with pytest.raises(InputError, match="link.png: the annotated copy would replace it; give another --out"):
        predict_media(brightest(), [link, other], tmp_path)
    assert image.read_bytes() == before


def test_links_that_lead_to_themselves(tmp_path: Path):
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    good = save(tmp_path / "good.png", 20, 30)
    for source, out in ((loop, tmp_path / "out"), (good, loop)):
        with pytest.raises(InputError, match="loop.png.*: .*(Too many levels of symbolic links|exists)"):
            predict_media(brightest(), [source], out)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "good.png").symlink_to("good.png")
    predict_media(brightest(), [good], tmp_path / "out")
    assert (tmp_path / "out" / "good.png").is_file()


def test_a_phones_folder(tmp_path: Path, capsys: pytest.CaptureFixture):
    """What can be read is read; the rest is on one line of standard error."""
    folder, out = tmp_path / "DCIM", tmp_path / "out"
    folder.mkdir()
    save(folder / "IMG_1.JPG", 20, 30)
    video(folder / "IMG_1.MOV", SPOTS[:2])
    save(folder / "walk, left.png", 70, 25)
    (folder / "._IMG_1.JPG").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (folder / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (folder / "cut.jpg").write_bytes((folder / "IMG_1.JPG").read_bytes()[:-40])
    (folder / "cut.mp4").write_bytes((folder / "IMG_1.MOV").read_bytes()[:400])
    predict_media(brightest(), [folder], out)
    found = read_predictions(out / "predictions.csv", 16)
    assert found.names == ["IMG_1.JPG", "walk, left.png", "IMG_1.MOV:0", "IMG_1.MOV:1"]
    near(found, [(20, 30), (70, 25), *SPOTS[:2]], 100)
    assert sorted(path.name for path in out.iterdir()) == [
        "IMG_1.mp4", "IMG_1.png", "predictions.csv", "walk, left.png"
    ]  # fmt: skip
    printed = capsys.readouterr()
    assert "4 objects in 2 images and 1 video; " in printed.out
    (line,) = [line for line in printed.err.splitlines() if line.startswith("posekit: ")]
    assert f"{folder}: 4 of 7 skipped: " in line
    for said in ("._IMG_1.JPG (", "IMG_2.HEIC (a HEIC", "cut.jpg (the JPEG is truncated", "cut.mp4 (not a readable"):
        assert said in line


def test_two_cameras_at_once(tmp_path: Path):
    """Their images of one name are told apart in the table, in the boxes and among the copies."""
    for camera, spot in (("cam1", (20, 30)), ("cam2", (80, 60))):
        (tmp_path / camera).mkdir()
        save(tmp_path / camera / "0001.png", *spot)
    boxes, out = tmp_path / "boxes.csv", tmp_path / "out"
    cameras = [tmp_path / "cam1", tmp_path / "cam2"]
    boxes.write_text("0001.png,1,2,3,4\n")
    with pytest.raises(InputError, match="0001.png is not among the images; name it cam1/0001.png or cam2/0001.png"):
        predict_media(brightest(), cameras, out, boxes)
    boxes.write_text("cam2/0001.png,68,48,24,24\ncam1/0001.png,8,18,24,24\n")
    predict_media(brightest(), cameras, out, boxes)
    found = read_predictions(out / "predictions.csv", 16)
    assert found.names == ["cam1/0001.png", "cam2/0001.png"]
    near(found, [(20, 30), (80, 60)], 24)
    assert sorted(path.name for path in out.iterdir()) == [
        "cam1-0001.png.png", "cam2-0001.png.png", "predictions.csv"
    ]  # fmt: skip


def test_links_that_lead_nowhere(tmp_path: Path):
    loop, film, good = tmp_path / "loop.jpg", tmp_path / "loop.mp4", save(tmp_path / "good.png", 20, 30)
    loop.symlink_to(loop)
    film.symlink_to(film)
    with pytest.raises(InputError, match="loop.jpg: cannot read the image .Too many levels of symbolic links"):
        predict_media(brightest(), [good, loop], tmp_path / "out")
    with pytest.raises(InputError, match="loop.mp4: no such video"):
        predict_media(brightest(), [good, film], tmp_path / "out")
    predict_media(brightest(), [tmp_path], tmp_path / "out")
    assert read_predictions(tmp_path / "out" / "predictions.csv", 16).names == ["good.png"]


def test_a_folder_in_which_nothing_can_be_read(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "b.png", "c.mp4"):
        (folder / name).write_text("no image")
    with pytest.raises(
        InputError, match=r"in: 3 of 3 skipped: c.mp4 \(not a readable video.*a.jpg, b.png \(not a read"
    ):
        predict_media(brightest(), [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_boxes_of_what_is_skipped_do_not_stop_the_rest(tmp_path: Path):
    folder, boxes = tmp_path / "in", tmp_path / "boxes.csv"
    folder.mkdir()
    save(folder / "a.png", 20, 30)
    (folder / "b.png").write_text("no image")
    boxes.write_text("a.png,8,18,24,24\nb.png,1,2,3,4\n")
    predict_media(brightest(), [folder], tmp_path / "out", boxes)
    assert read_predictions(tmp_path / "out" / "predictions.csv", 16).names == ["a.png"]


def test_thousands_of_boxes_are_cut_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image, boxes = save(tmp_path / "a.png", 20, 30), tmp_path / "boxes.csv"
    boxes.write_text("".join(f"a.png,{8 + i / 1000},18,24,24\n" for i in range(100)))
    alive = set()
    cut = media.crop_box

    def crop_box(*given):
        made = cut(*given)
        alive.add(id(made))
        weakref.finalize(made, alive.discard, id(made))
        assert len(alive) <= 40
        return made

    monkeypatch.setattr(media, "crop_box", crop_box)
    predict_media(brightest(), [image], tmp_path / "out", boxes)
    found = read_predictions(tmp_path / "out" / "predictions.csv", 16)
    assert found.names == [f"a.png:{i}" for i in range(100)]
    near(found, [(20, 30)] * 100, 24)


def test_a_wide_picture(tmp_path: Path):
    """Wider than OpenCV's warp takes: in the whole of it the spot is found to a cell, in its box exactly."""
    wide = np.zeros((400, 33_000, 3), np.uint8)
    wide[150:250, 23_000:23_900] = 255
    path, boxes = tmp_path / "wide.jpg", tmp_path / "boxes.csv"
    cv2.imwrite(str(path), wide)
    boxes.write_text("wide.jpg,22000,0,2900,400\n")
    for given, side in ((None, 33_000), (boxes, 2_900)):
        predict_media(brightest(), [path], tmp_path / "out", given)
        near(read_predictions(tmp_path / "out" / "predictions.csv", 16), [(23_450, 200)], side)
    drawn = cv2.imread(str(tmp_path / "out" / "wide.png"))
    assert drawn.shape == wide.shape and np.ptp(drawn[200, 22_000:25_000].astype(int), axis=1).max() > 50  # coloured


def test_a_picture_wider_than_a_png_can_be(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.bmp"), np.zeros((20, 1_000_001, 3), np.uint8))
    with pytest.raises(InputError, match="a.bmp: a side of 1,000,001 pixels, where copies have up to 1,000,000; scale"):
        predict_media(brightest(), [tmp_path / "a.bmp"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_animations_are_said(tmp_path: Path, capsys: pytest.CaptureFixture):
    frames = [Image.fromarray(picture(*spot)) for spot in SPOTS[:3]]
    for name in ("a.png", "b.webp", "c.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    predict_media(brightest(), [tmp_path], tmp_path / "out")
    near(read_predictions(tmp_path / "out" / "predictions.csv", 16), SPOTS[:1] * 3, 100)
    assert "3 images hold several pictures, a.png the first: only the first of each is pre" in capsys.readouterr().out


def read_and_printed(tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture) -> tuple[list[str], str]:
    predict_media(brightest(), [clip], tmp_path / "out")
    return read_predictions(tmp_path / "out" / "predictions.csv", 16).names, capsys.readouterr().out


def test_a_video_cut_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture):
    clip = video(tmp_path / "clip.avi", SPOTS * 5, code="MJPG")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    names, printed = read_and_printed(tmp_path, clip, capsys)
    assert 10 < len(names) < 25 and names == [f"clip.avi:{i}" for i in range(len(names))]
    assert f"clip.avi: says it has 35 frames, {len(names)} could be read; they are numbered as they" in printed


def test_a_video_that_says_a_wrong_number_of_frames(tmp_path: Path, capsys: pytest.CaptureFixture):
    clip = video(tmp_path / "clip.avi", SPOTS, code="MJPG")
    data = bytearray(clip.read_bytes())
    for at in (data.index(b"avih") + 24, data.index(b"strh") + 40):
        assert data[at : at + 4] == bytes([7, 0, 0, 0])
        data[at : at + 4] = bytes([70, 0, 0, 0])
    clip.write_bytes(data)
    names, printed = read_and_printed(tmp_path, clip, capsys)
    assert len(names) == 7 and "says it has 70 frames, 7 could be read" in printed


def test_a_damaged_frame_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture):
    """The frames after it are read, too."""
    clip = video(tmp_path / "clip.avi", SPOTS, code="MJPG")
    data = clip.read_bytes()
    starts = [found.end() for found in re.finditer(b"00dc....(?=\xff\xd8)", data, re.DOTALL)]
    size = int.from_bytes(data[starts[3] - 4 : starts[3]], "little")
    clip.write_bytes(data[: starts[3]] + bytes(size) + data[starts[3] + size :])
    names, printed = read_and_printed(tmp_path, clip, capsys)
    assert names == [f"clip.avi:{i}" for i in range(6)]
    assert "says it has 7 frames, 6 could be read" in printed
    near(read_predictions(tmp_path / "out" / "predictions.csv", 16), SPOTS[:3] + SPOTS[4:], 100)


@pytest.mark.parametrize("name, code", [("clip.mp4", "mp4v"), ("clip.avi", "mp4v")])
def test_damage_that_ffmpeg_conceals_is_said(name: str, code: str, tmp_path: Path, capfd: pytest.CaptureFixture):
    """No frame is missing, but one is partly guessed."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*code), 10, (100, 80))
    for _ in range(5):
        writer.write(cv2.blur(rng.integers(0, 255, (80, 100, 3), np.uint8), (5, 5)))
    writer.release()
    predict_media(brightest(), [tmp_path / name], tmp_path / "whole")
    assert "FFmpeg" not in capfd.readouterr().out
    data = bytearray((tmp_path / name).read_bytes())
    start = len(data) // 2
    data[start : start + 20] = bytes(20)
    (tmp_path / name).write_bytes(data)
    predict_media(brightest(), [tmp_path / name], tmp_path / "out")
    out = capfd.readouterr().out
    assert f"{name}: FFmpeg finds damage in " in out and "OPENCV" not in out


def test_an_end_that_is_no_frame_is_said(tmp_path: Path, capfd: pytest.CaptureFixture):
    """Six bytes of the last frame are gone: FFmpeg reads every frame, and calls what follows them a fatal error."""
    pixels = cv2.blur(np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8), (5, 5))
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (100, 80))
    for shift in range(5):
        writer.write(np.roll(pixels, 5 * shift, 1))
    writer.release()
    predict_media(brightest(), [tmp_path / "clip.avi"], tmp_path / "whole")
    assert "FFmpeg" not in capfd.readouterr().out
    data = (tmp_path / "clip.avi").read_bytes()
    start = data.rindex(b"\xff\xd8\xff")
    (tmp_path / "clip.avi").write_bytes(data[: start + 300] + data[start + 306 :])
    predict_media(brightest(), [tmp_path / "clip.avi"], tmp_path / "out")
    out = capfd.readouterr().out
    assert "clip.avi: FFmpeg finds damage in 1 frame, the first: No JPEG data found in image; what is" in out
    assert "5 objects" in out


def test_uneven_frames_are_said(tmp_path: Path, capsys: pytest.CaptureFixture):
    """As phones film: the last frame is shown later than it should be."""
    clip = video(tmp_path / "clip.mkv", SPOTS)
    even = read_and_printed(tmp_path, clip, capsys)[1]
    data = clip.read_bytes()
    assert data.count(b"\x81\x02\x58\0") == 1
    clip.write_bytes(data.replace(b"\x81\x02\x58\0", b"\x81\x04\xb0\0"))
    names, printed = read_and_printed(tmp_path, clip, capsys)
    assert len(names) == 7 and "uneven intervals" not in even
    assert "clip.mkv: its frames are at uneven intervals, those of the copy at even ones" in printed


def test_videos_without_a_frame(tmp_path: Path):
    sound, empty, bad = tmp_path / "sound.mov", tmp_path / "empty.mp4", tmp_path / "late.mp4"
    with wave.open(str(sound), "wb") as stream:
        stream.setparams((1, 2, 8000, 8000, "NONE", ""))
        stream.writeframes(bytes(16_000))
    writer = cv2.VideoWriter(str(empty), cv2.VideoWriter_fourcc(*"mp4v"), 10, (100, 80))
    writer.release()
    bad.write_bytes(b"<html>404</html>")
    for path, said in (
        (sound, "sound.mov: not a readable video"),
        (empty, "empty.mp4: not a (readable video|single frame can be read)"),
        (bad, "late.mp4: not a readable video but an HTML page"),
    ):
        with pytest.raises(InputError, match=said):
            predict_media(brightest(), [path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_ffmpeg_would_take_for_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("12:30.mp4", "http:x.mp4", "a%02d.mp4", "walk, left.mp4"):
        clip = video(tmp_path / "clip.mp4", SPOTS[:2]).rename(name)
        predict_media(brightest(), [Path(clip)], Path("out"))
        assert read_predictions("out/predictions.csv", 16).names == [f"{name}:0", f"{name}:1"]


def test_frames_larger_than_any_cameras_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip = video(tmp_path / "clip.mp4", SPOTS)
    monkeypatch.setattr("posekit.inference.videos.MOST_FRAME_PIXELS", 7_999)
    with pytest.raises(InputError, match="clip.mp4: frames of 100 × 80 pixels; scale the video down"):
        predict_media(brightest(), [clip], tmp_path / "out")
