"""A picture of one's own in the notebook: what `posekit predict --boxes` gives, and one line for what can't be read."""

import base64
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from own_squares import PREDICTOR, RECIPE, first_sample, square
from PIL import Image

from posekit.datasets.pipeline import crop
from posekit.figures.own_picture import OwnPicture
from posekit.inference.boxes import box_of, crop_box
from posekit.inference.media import predict_media
from posekit.inference.predictors import Predictor
from posekit.predictions import read_predictions

PART = 1000  # bytes


@pytest.fixture
def own() -> OwnPicture:
    return OwnPicture(PREDICTOR, first_sample())


def choose(own: OwnPicture, name: str, data: bytes) -> dict:
    """Send a file in parts, as the page does; what the page shows then."""
    for start in range(0, max(1, len(data)), PART):
        part = memoryview(data[start : start + PART])
        message = {"do": "file", "name": name, "first": start == 0, "last": start + PART >= len(data)}
        own._receive(None, message, [part])
    return own.shown


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def patterns(images: np.ndarray) -> np.ndarray:
    """Heatmaps (N, 4, 16, 16) that every pixel counts in."""
    cells = np.stack([cv2.blur(one[0], (5, 5))[::4, ::4] for one in images])
    return np.stack([cells, -cells, cells.mean() - cells, cells**2], axis=1)


@pytest.mark.parametrize(
    ("sure", "message"),
    [
        (0.0, {"do": "box", "box": [120.25, 80.5, 200, 310.75]}),
        (0.5, {"do": "box", "box": [120.25, 80.5, 200, 310.75]}),
        (0.5, {"do": "find"}),
    ],
)
def test_it_gives_what_predict_gives(tmp_path: Path, sure: float, message: dict) -> None:
    """The same keypoints, scores and drawing, but for what JPEG loses and the frame around what was searched for."""
    coarse = np.random.default_rng(3).integers(0, 255, (10, 14, 3), np.uint8)
    image = cv2.resize(coarse, (700, 500), interpolation=cv2.INTER_LINEAR)
    (tmp_path / "mine.png").write_bytes(png(image))
    (tmp_path / "boxes.csv").write_text("mine.png,120.25,80.5,200,310.75\n")
    predictor, boxes = Predictor(replace(RECIPE, sure=sure), PREDICTOR.skeleton, patterns, 1), message["do"] == "box"
    own = OwnPicture(predictor, first_sample())
    assert choose(own, "mine.png", (tmp_path / "mine.png").read_bytes())["box"] is None and own.keypoints is None
    own._receive(None, message, [])
    out = tmp_path / "out"
    predict_media(predictor, [tmp_path / "mine.png"], out, tmp_path / "boxes.csv" if boxes else None, search=not boxes)
    wanted = read_predictions(out / "predictions.csv", 4)
    np.testing.assert_allclose(own.keypoints, wanted.keypoints[0], atol=1e-3)
    np.testing.assert_allclose(own.scores, wanted.scores[0], atol=1e-4)
    off = np.abs(decoded(own.picture if boxes else own.preview()).astype(int) - cv2.imread(str(out / "mine.png")))
    plain = np.abs(image[..., ::-1].astype(int) - cv2.imread(str(out / "mine.png")))
    assert (off.max(-1) > 60).sum() < 0.05 * (plain.max(-1) > 60).sum()


def test_the_page_is_told(own: OwnPicture) -> None:
    assert (own.shown["width"], own.shown["height"], own.shown["box"]) == (320, 240, [90, 70, 80, 80])
    assert own.shown["said"] == "3 of 4 keypoints in full colour, 1 faded"
    assert [note[:14] for note in own.setup["notes"]] == ["This model has", "Faded keypoint"]
    np.testing.assert_allclose(own.keypoints, [[100, 80], [159, 80], [100, 139], [159, 139]], atol=5)
    shown = choose(own, "mine.png", png(square(200, 30, 40)))
    assert (shown["name"], shown["box"], shown["error"]) == ("mine.png", None, "")
    assert shown["said"].startswith("Drag a box") and (decoded(own.picture) < 80).any()
    own._receive(None, {"do": "find"}, [])
    assert "the network found this box; it finds one even where there is no object" in own.shown["said"]


def test_a_photograph_is_turned_as_its_tag_says(own: OwnPicture) -> None:
    file, tags = BytesIO(), Image.Exif()
    tags[274] = 6  # a quarter to the right
    Image.fromarray(square(10, 20, 30)).save(file, "jpeg", exif=tags)
    shown = choose(own, "phone.jpg", file.getvalue())
    assert (shown["width"], shown["height"]) == (240, 320)
    own._receive(None, {"do": "box", "box": [180, 0, 50, 50]}, [])
    np.testing.assert_allclose(own.keypoints[0], [240 - 50, 10], atol=4)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("notes.png", b"no picture", "notes.png: not a readable image; copy or download it again as JPEG or PNG"),
        ("empty.jpg", b"", "empty.jpg: not a readable image but an empty file; copy or download it again"),
        ("phone.heic", b"\0\0\0\x18ftypheic" + bytes(12), "phone.heic: not a readable image but"),
        ("half.png", png(square(9, 9, 9))[:-40], "half.png: the PNG is truncated"),
        ("a\nb.png", b"GIF89a" + bytes(40), r"a\nb.png: not a readable image but"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_the_picture_stays(
    own: OwnPicture, name: str, data: bytes, message: str
) -> None:
    before = own.shown
    after = choose(own, name, data)
    assert message in after["error"] and "\n" not in after["error"]
    assert {**after, "error": "", "number": 0} == {**before, "number": 0}
    assert choose(own, name, data)["number"] > after["number"]  # or the page would not notice that it was answered
    assert choose(own, "good.png", png(square(9, 9, 9)))["error"] == ""


@pytest.mark.parametrize(
    ("size", "rectangle"), [((64, 64), None), ((48, 64), None), ((48, 64), (50, 90)), ((64, 64), (90, 50))]
)
def test_the_first_box_cuts_the_samples_own_crop(size: tuple[int, int], rectangle: tuple[int, int] | None) -> None:
    first = first_sample()
    sample = replace(first, box_size=90.0, box=None if rectangle is None else np.array(rectangle, np.float32))
    recipe = replace(RECIPE, input_size=size, heatmap_size=(size[0] // 4, size[1] // 4))
    again = crop_box(sample.image, box_of(sample), recipe, sample.skeleton)
    np.testing.assert_allclose(again.matrix, crop(sample, recipe).matrix, atol=1e-4)


@pytest.mark.slow
def test_a_run_without_a_browser_leaves_the_first_picture() -> None:
    source = f"""import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from own_squares import PREDICTOR, first_sample
from posekit.figures.widgets import predict_own_picture
predict_own_picture(PREDICTOR, first_sample())"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    first, note, second = (output["data"] for output in notebook.cells[0].outputs)
    assert sorted(first) == ["image/jpeg", "text/plain"] and "This picture was saved" in note["text/html"]
    assert sorted(second) == ["application/vnd.jupyter.widget-view+json", "text/plain"]
    picture = decoded(base64.b64decode(first["image/jpeg"]))[..., ::-1]
    factor = picture.shape[1] / 320
    for x, y in ((90, 110), (130, 70), (169, 110)):  # on the sides of the box
        red, _, blue = picture[round(y * factor), round(x * factor)]
        assert blue < 130 < red
