"""Labelling: the file that it writes, what others wrote in it, pictures as stored and as seen, proposals, bad input."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

from posekit.codecs import Codec
from posekit.errors import InputError
from posekit.figures.label_pictures import copy_for_page, read_picture
from posekit.figures.labelling import Labeller
from posekit.figures.widgets import label_keypoints
from posekit.inference.predictors import Predictor
from posekit.layouts import COCO
from posekit.recipes import get_recipe
from posekit.skeletons import PERSON, Skeleton

NAMES = ["left rim", "right rim", "handle"]
MUG = Skeleton("mug", tuple(NAMES), ((0, 1),), {}, ((0, 1), (1, 2)))
BOX, POINTS = [10.5, 12, 40, 30.25], [[11.25, 12, 2], [50, 13, 1], [0, 0, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of 80 × 60 pixels, a to c."""
    for name in "abc":
        save(tmp_path / "pictures" / f"{name}.png")
    return tmp_path / "pictures"


def save(path: Path, width: int = 80, height: int = 60) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


@pytest.fixture
def label(folder: Path) -> Callable[..., "Page"]:
    """`label(names, propose)` opens the widget on `folder`; all are closed at the end."""
    pages = []

    def start(names: object = MUG, propose: object = None, out: Path = folder.parent / "labels.json") -> "Page":
        pages.append(Page(Labeller(folder, names, out, propose)))
        return pages[-1]

    yield start
    for page in pages:
        page.labeller.close()


class Page:
    """The page's half, without a browser: it keeps the messages that it gets."""

    def __init__(self, labeller: Labeller) -> None:
        self.labeller, self.got = labeller, []
        labeller.send = lambda content, buffers=None: self.got.append(content)
        self.do("open")

    def do(self, what: str, **rest: object) -> dict:
        """Send a message; the last answer."""
        self.labeller._receive(None, {"do": what, **rest}, [])
        return self.got[-1]

    def save(self, *objects: dict, finished: bool = True, to: object = None, picture: int | None = None) -> dict:
        picture = self.picture["picture"] if picture is None else picture
        return self.do("save", picture=picture, objects=list(objects), finished=finished, to=to)

    @property
    def picture(self) -> dict:
        return [message for message in self.got if message["is"] == "picture"][-1]


def made(key: str = "new x", points: list = POINTS, box: list = BOX) -> dict:
    return {"id": key, "box": box, "points": points}


def read(folder: Path) -> dict:
    return json.loads((folder.parent / "labels.json").read_text())


def write(folder: Path, content: object) -> None:
    (folder.parent / "labels.json").write_text(json.dumps(content))


def test_the_file_is_coco_with_what_was_clicked(folder: Path, label: Callable):
    label().save(made())
    assert read(folder) == {
        "images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 60}],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": BOX, "area": 40 * 30.25,
                "num_keypoints": 2, "keypoints": [11.25, 12, 2, 50, 13, 1, 0, 0, 0],
            }
        ],
        "categories": [{"id": 1, "name": "mug", "keypoints": NAMES, "skeleton": [[1, 2], [2, 3]]}],
    }  # fmt: skip
    assert os.listdir(folder.parent).count(".labels.json.lock") == 1


def test_it_continues_where_it_was(folder: Path, label: Callable):
    page = label(NAMES)
    page.save(made(), to="todo")
    assert page.picture["picture"] == 1
    page.save(to="todo")  # looked at, no object
    page.save(made("new y"), finished=False)
    assert page.got[-1]["states"] == ["done", "done", "unfinished"]
    again = label(NAMES)
    assert again.picture["picture"] == 2 and again.picture["states"] == ["done", "done", "unfinished"]
    assert again.picture["objects"] == [{"id": 2, "box": BOX, "points": POINTS}]
    assert again.labeller.progress() == "2 of 3 pictures done"
    again.save(*again.picture["objects"], to="todo")
    assert again.got[-1] == {"is": "end", "way": "todo", "states": ["done"] * 3, "skipped": ""}
    assert [image["file_name"] for image in read(folder)["images"]] == ["a.png", "b.png", "c.png"]
    assert "unfinished" not in str(read(folder)) and read(folder)["categories"][0]["name"] == "object"


def test_changes_keep_an_objects_id_and_an_undone_deletion_its_fields(folder: Path, label: Callable):
    page = label()
    for points in (POINTS, [[1, 2, 2]] * 3):
        page.save(made(points=points), made("new y"))
    assert [a["id"] for a in read(folder)["annotations"]] == [1, 2]
    assert read(folder)["annotations"][0]["keypoints"] == [1, 2, 2] * 3
    page.save(made("new y"))
    assert [a["id"] for a in read(folder)["annotations"]] == [2]
    page.save(made(), made("new y"))
    assert sorted(a["id"] for a in read(folder)["annotations"]) == [1, 2]


OTHERS = {
    "info": {"by": "somebody"},
    "images": [{"id": 7, "file_name": "x/b.png", "width": 80, "height": 60, "license": 4}, {"id": 9, "file_name": "z"}],
    "annotations": [
        {"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 2.123456, 30, 40], "area": 700.5, "iscrowd": 0,
         "segmentation": [[1, 2, 3]], "keypoints": [1.23456789, 3, 2, 4, 5, 1, 0, 0, 0], "num_keypoints": 2},
        {"id": 6, "image_id": 7, "category_id": 3, "iscrowd": 1, "bbox": [0, 0, 9, 9], "segmentation": {"counts": "x"}},
        {"id": 8, "image_id": 7, "category_id": 4, "bbox": [0, 0, 9, 9], "score": 0.5},
        {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 9, 9], "keypoints": [0] * 9},
    ],
    "categories": [{"id": 4, "name": "table"}, {"id": 3, "name": "cup", "keypoints": NAMES, "supercategory": "ware"}],
}  # fmt: skip


def test_what_others_wrote_stays(folder: Path, label: Callable):
    write(folder, OTHERS)
    page = label(NAMES)
    page.do("save", picture=0, objects=None, finished=False, to=1)
    assert [found["id"] for found in page.picture["objects"]] == [5]
    page.save(*page.picture["objects"])
    assert read(folder) == OTHERS
    moved = {**page.picture["objects"][0], "points": [[20, 21.5, 2], [4, 5, 1], [9, 9, 2]]}
    page.save(moved, made())
    now = read(folder)
    first = OTHERS["annotations"][0] | {"keypoints": [20, 21.5, 2, 4, 5, 1, 9, 9, 2], "num_keypoints": 3}
    assert now["annotations"][:4] == [first, *OTHERS["annotations"][1:]]
    assert now["annotations"][4]["id"] == 9 and now["annotations"][4]["category_id"] == 3
    assert {k: v for k, v in now.items() if k != "annotations"} == {k: OTHERS[k] for k in now if k != "annotations"}
    page.save(made())
    page.save(first | {"box": first["bbox"], "points": moved["points"]}, made())
    assert first in read(folder)["annotations"], "its segmentation came back with it"


def test_a_file_that_changed_on_disk_is_not_overwritten(folder: Path, label: Callable):
    page = label()
    page.save(made())
    write(folder, OTHERS)
    answer = page.save(made(), made("new y"), to="next")
    assert (
        answer["is"] == "error" and "labels.json: another program has changed it; run the cell again" in answer["text"]
    )
    assert read(folder) == OTHERS and page.picture["picture"] == 0


@pytest.mark.slow
def test_two_cannot_label_into_one_file(folder: Path, label: Callable):
    label()
    code = "import sys; from pathlib import Path; from posekit.figures.labelling import Labeller\n"
    code += "Labeller(Path(sys.argv[1]), ['left rim'], Path(sys.argv[1]).parent / 'labels.json')"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert f"labels.json: process {os.getpid()} on " in done.stderr and "choose another file" in done.stderr


def test_pictures_that_cannot_be_read_are_skipped_and_named(folder: Path, label: Callable):
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:500])
    (folder / "b.png").write_bytes(b"")
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (folder / "notes.txt").write_text("mugs")
    page = label()
    assert page.picture["picture"] == 2 and page.picture["states"] == ["unreadable", "unreadable", ""]
    skipped = page.picture["skipped"]
    assert "a.png: the PNG is truncated" in skipped and "b.png" in skipped and "photo.heic (a HEIC image" in skipped
    assert "notes" not in skipped
    save(folder / "a.png")
    page.do("save", picture=2, objects=None, finished=False, to=0)
    assert page.picture["picture"] == 0 and page.picture["states"][0] == ""


def test_a_picture_of_another_size_than_the_file_says_is_skipped(folder: Path, label: Callable):
    write(folder, OTHERS | {"images": [{"id": 7, "file_name": "a.png", "width": 640, "height": 480}]})
    page = label(NAMES)
    assert page.picture["picture"] == 1
    page.do("save", picture=1, objects=None, finished=False, to="previous")
    assert "a.png: has 80 × 60 pixels, but 640 × 480 in" in page.got[-1]["text"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_are_in_pixels_of_the_picture_as_it_is_seen(orientation: int, tmp_path: Path):
    """A bright block of 8 × 8 pixels: where it is shown, the data set of the labels finds it again."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:24, 48:56] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    shown = read_picture(tmp_path / "a.jpg")
    assert shown.shape == ((64, 96, 3) if orientation < 5 else (96, 64, 3))
    x, y = np.argwhere(shown[..., 0] > 128).mean(0)[::-1]
    values = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": shown.shape[1], "height": shown.shape[0]}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [x - 4, y - 4, 8, 8], "keypoints": [x, y, 2]}
        ],
        "categories": [{"id": 1, "name": "block", "keypoints": ["middle"]}],
    }
    (tmp_path / "l.json").write_text(json.dumps(values))
    sample = COCO.read(tmp_path / "l.json", "all")[0]
    (at_x, at_y) = sample.keypoints[0].round().astype(int)
    assert sample.image[at_y, at_x].min() > 200


def test_the_copy_for_the_page_is_small_and_whole(tmp_path: Path):
    save(tmp_path / "large.png", 3000, 2000)
    data = copy_for_page(read_picture(tmp_path / "large.png"))
    assert len(data) < 1_000_000
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1::-1] in ((1024, 683), (724, 483))


def test_proposals_are_in_the_box_and_the_unsure_are_left_out(label: Callable):
    def propose(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert image.shape == (60, 80, 3)
        return box[:2] + [[0, 0], [1.234, 2], [500, 0]], np.array([0.9, 0.3, 0.9])

    answer = label(MUG, propose).do("propose", picture=0, id="new x", box=BOX)
    assert answer["points"][0] == [10.5, 12, 2] and [v for _, _, v in answer["points"]] == [2, 0, 0]


def test_a_predictor_proposes_what_it_finds_in_the_crop(label: Callable, folder: Path):
    """Heatmaps whose only bright cell is the middle of the crop: all keypoints are in the middle of the box."""
    recipe = get_recipe("hourglass-tiny")
    assert isinstance(recipe.codec, Codec)
    size = recipe.codec.heatmap_size

    def run(images: np.ndarray) -> np.ndarray:
        maps = np.zeros((len(images), 16, size, size), np.float32)
        maps[:, :, size // 2, size // 2] = 1
        return maps

    page = label(PERSON, Predictor(recipe, PERSON, run, 1))
    answer = page.do("propose", picture=0, id="new x", box=[20, 10, 40, 40])
    places = np.array(answer["points"])
    np.testing.assert_allclose(places[:, :2], [[40, 30]] * 16, atol=1.5)
    assert (places[:, 2] == 2).all()
    with pytest.raises(InputError, match="propose: the model has 16 keypoints, 'right ankle' where 'left rim'.*of 3"):
        label(MUG, Predictor(recipe, PERSON, run, 1))


@pytest.mark.parametrize(
    ("propose", "message"),
    [
        (lambda image, box: (np.zeros((2, 2)), np.zeros(2)), r"propose: returned shapes \(2, 2\) and \(2,\); return"),
        (lambda image, box: 1 / 0, "propose: ZeroDivisionError: division by zero; fix the function"),
    ],
)
def test_a_proposal_that_fails_is_said(propose: Callable, message: str, label: Callable):
    answer = label(MUG, propose).do("propose", picture=0, id="new x", box=BOX)
    assert answer["is"] == "error"
    assert re.match(message, answer["text"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"names: \[\]; give a list"),
        ("nose", "names: 'nose'; give a list"),
        (["a", " "], "names: .*; give a list"),
        (["a", "b", "a"], "names: 'a' is there twice; give each keypoint its own name"),
    ],
)
def test_names_that_cannot_be_labelled(names: object, message: str, label: Callable):
    with pytest.raises(InputError, match=message):
        label(names)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"categories": [{"id": 1, "name": "cup", "keypoints": ["left rim", "handle", "base"]}]},
         "the keypoints of 'cup' are others: only the file has base, only the list given has right rim; give"),
        ({"categories": [{"id": 1, "name": "cup", "keypoints": NAMES[::-1]}]}, "same names in another order: handle"),
        ({"images": 3}, "images is not a list"),
        ({"images": [{"id": 1}]}, r"images\[0\] has no file_name; fix the file"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1}] * 2}, "annotations: the id 1 is there twice"),
        (OTHERS | {"annotations": [{"id": 4, "image_id": 7, "category_id": 3, "keypoints": [0] * 8}]},
         "annotation 4: keypoints must be a list of 9 numbers"),
        ([], "not a JSON object"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_continued(content: object, message: str, folder: Path, label: Callable):
    write(folder, content)
    with pytest.raises(InputError, match=f"labels.json: .*{message}"):
        label(NAMES)
    assert not (folder.parent / ".labels.json.lock").exists()
    (folder.parent / "labels.json").unlink()
    label(NAMES)


def test_folders_without_pictures(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "a.mp4").write_bytes(b"")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"")
    for name, message in (
        ("empty", "it is empty"), ("film", "holds videos but no pictures; save"), ("missing", "no such folder; give"),
        ("bad", "a.png: not a readable image but an empty file"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"{name}.*{message}"):
            label_keypoints(tmp_path / name, NAMES, tmp_path / "labels.json")
        assert not (tmp_path / "labels.json").exists()


@pytest.mark.slow
def test_a_run_without_a_browser_leaves_the_first_picture(folder: Path):
    source = (
        f"from posekit.figures.widgets import label_keypoints\nlabel_keypoints({str(folder)!r}, {NAMES!r}, 'out.json')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    resources = {"metadata": {"path": str(folder.parent)}}
    NotebookClient(notebook, kernel_name="python3", store_widget_state=True, resources=resources).execute()
    first, note, second = (output["data"] for output in notebook.cells[0].outputs)
    assert sorted(first) == ["image/jpeg", "text/plain"]
    assert "This picture was saved" in note["text/html"] and "Run this cell again" in note["text/html"]
    assert sorted(second) == ["application/vnd.jupyter.widget-view+json", "text/plain"]
    assert first["text/plain"] == "Labelling: 0 of 3 pictures done"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(first["image/jpeg"]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (60, 80, 3) and not (folder.parent / "out.json").exists()
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert first["image/jpeg"].strip() in page.replace("\n", "")
