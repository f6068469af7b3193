"""A picture of one's own in JupyterLab: a file is chosen, a box dragged, clicked, touched or typed; keypoints appear.

The network finds the corners of a bright square, so it is known where the keypoints are. A screenshot shows where the
picture is on the page.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsing import chromium, needs_chromium, run_all, serve_lab
from lesson_files import write_lesson
from own_squares import square

from posekit import palette
from posekit.drawing import LEFT, RIGHT

pytestmark = [pytest.mark.machine, needs_chromium]

SOURCE = f"""import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from own_squares import PREDICTOR, first_sample
from posekit.figures.widgets import predict_own_picture
predict_own_picture(PREDICTOR, first_sample())
print('all', 'cells', 'done')"""
SIZE, CORNER, SIDE = (600, 450), np.array([200, 150]), 160  # of the picture; the square in it
EMPTY = (0xE8, 0xEC, 0xF1)  # the widget's colour where there is no picture


def noisy() -> bytes:
    """A picture of several megabytes, so that it is sent in parts."""
    image = square(*(4 * CORNER), 4 * SIDE, (4 * SIZE[0], 4 * SIZE[1]))
    image[image < 255] = np.random.default_rng(0).integers(0, 120, (image < 255).sum(), np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    write_lesson(root, "01_own", "", SOURCE)
    (root / "mine.png").write_bytes(cv2.imencode(".png", square(*CORNER, SIDE, SIZE))[1].tobytes())
    (root / "large.png").write_bytes(noisy())
    (root / "broken.jpg").write_bytes(b"no picture")
    (root / "empty.jpg").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def own(root: Path) -> Iterator["Own"]:
    with serve_lab(root) as address, chromium() as browser:
        yield Own(run_all(browser, address, "01_own.ipynb", "all cells done", has_touch=True), root)


class Own:
    """The widget on the page."""

    def __init__(self, page: object, root: Path) -> None:
        self.page, self.root, self.widget = page, root, page.locator(".pk-label")
        self.says("3 of 4 keypoints in full colour")
        self.widget.evaluate("element => element.scrollIntoView()")

    def says(self, *texts: str) -> None:
        for text in texts:
            self.widget.get_by_text(text).first.wait_for()

    def choose(self, name: str) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.widget.get_by_role("button", name="Choose a picture").click()
        chooser.value.set_files(self.root / name)

    def start(self, name: str = "mine.png") -> None:
        """Choose a picture; it is shown without a box."""
        self.choose(name)
        self.says("Drag a box around the object", name)
        self.page.wait_for_timeout(100)

    def screenshot(self) -> np.ndarray:
        """The canvas, RGB, in page pixels."""
        shot = self.page.screenshot(clip=self.widget.locator("canvas").bounding_box())
        return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)

    def place(self, x: float, y: float) -> np.ndarray:
        """Where a pixel of the picture, of SIZE, is on the canvas; the picture is in its middle."""
        shot = self.screenshot()
        differs = np.abs(shot - EMPTY).max(-1) > 8
        columns, rows = (np.flatnonzero(differs.mean(axis) > 0.6) for axis in (0, 1))
        zoom = (columns[-1] + 1 - columns[0]) / SIZE[0]
        return (np.array([x, y]) + 0.5) * zoom + (columns[0], rows[0])

    def on_page(self, x: float, y: float) -> np.ndarray:
        box = self.widget.locator("canvas").bounding_box()
        return self.place(x, y) + (box["x"], box["y"])

    def corners(self) -> list[np.ndarray]:
        """On the page: of a box with a fifth of the square's side around it."""
        return [self.on_page(*CORNER - SIDE / 5), self.on_page(*CORNER + SIDE * 1.2)]

    def check(self) -> None:
        """The keypoints are drawn on the square's corners, the fourth faded, and the box around them."""
        self.says("3 of 4 keypoints in full colour, 1 faded")
        self.page.wait_for_timeout(100)
        shot = self.screenshot()
        far = SIDE - 1
        for (x, y), color in (((0, 0), LEFT), ((far, 0), RIGHT), ((0, far), LEFT)):
            assert self.near(shot, CORNER + (x, y), color, 40) > 8, (x, y)
        assert self.near(shot, CORNER + far, RIGHT, 40) == 0
        faded = np.array([255, 255, 255]) * 0.65 + 0.35 * np.array(RIGHT)
        assert self.near(shot, CORNER + far, faded, 25) > 4
        assert self.near(shot, CORNER + (SIDE / 2, -SIDE / 5), palette.rgb(palette.LIMIT), 40) > 8

    def near(self, shot: np.ndarray, at: np.ndarray, color: object, off: int) -> int:
        """How many pixels around a place of the picture have this colour."""
        x, y = np.round(self.place(*at)).astype(int)
        return int((np.abs(shot[y - 14 : y + 15, x - 14 : x + 15] - color).max(-1) < off).sum())


def test_a_file_is_chosen_and_a_box_dragged(own: Own, tmp_path: Path) -> None:
    assert own.page.locator(".jp-OutputArea-output img:visible").count() == 0  # the first picture is in the widget
    own.says("This model has seen drawn pictures only", "Faded keypoints have a score below 0.50")
    own.start()
    start, end = own.corners()
    own.page.mouse.move(*start)
    own.page.mouse.down()
    own.page.mouse.move(*end, steps=4)
    own.page.screenshot(path=tmp_path / "dragging.png")
    own.page.mouse.up()
    own.check()
    own.page.screenshot(path=tmp_path / "dragged.png")


def test_two_clicks(own: Own) -> None:
    own.start()
    for corner in own.corners():
        own.page.mouse.click(*corner)
    own.check()


def test_fingers(own: Own) -> None:
    own.start()
    for corner in reversed(own.corners()):
        own.page.touchscreen.tap(*corner)
    own.check()


def test_keys(own: Own) -> None:
    """The keyboard's place begins at the middle, (300, 225); an arrow is 15 pixels here, with shift 1."""
    own.start()
    own.widget.locator("canvas").focus()
    keys = ["ArrowLeft"] * 8 + ["Shift+ArrowLeft"] * 12 + ["ArrowUp"] * 7 + ["Shift+ArrowUp"] * 2
    keys += ["Space"] + ["ArrowRight"] * 15 + ["ArrowDown"] * 15
    for key in keys:
        own.page.keyboard.press(key)
    own.page.keyboard.press("Enter")
    own.check()
    assert own.page.locator(".jp-Cell").count() == 3  # no key was a command of JupyterLab's


def test_a_large_file_and_the_search(own: Own, tmp_path: Path) -> None:
    assert (own.root / "large.png").stat().st_size > 3 * 2**20
    own.start("large.png")
    own.widget.get_by_role("button", name="Find it for me").click()
    own.says("the network found this box")
    own.page.screenshot(path=tmp_path / "found.png")
    for color, discs in ((LEFT, 2), (RIGHT, 1)):
        assert (np.abs(own.screenshot() - color).max(-1) < 40).sum() > 30 * discs


@pytest.mark.parametrize("name", ["broken.jpg", "empty.jpg"])
def test_a_bad_file_is_a_line_on_the_page(own: Own, name: str, tmp_path: Path) -> None:
    own.start()
    own.choose(name)
    own.says(f"{name}: not a readable image")
    own.says("mine.png")
    own.page.screenshot(path=tmp_path / f"{name}.png")
    assert own.page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    own.start()
    assert own.widget.get_by_role("alert").count() == 0


def test_a_page_that_is_loaded_again_works(own: Own, tmp_path: Path) -> None:
    own.start()
    own.page.keyboard.press("Control+s")
    own.page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    own.page.reload()
    own.says("Drag a box around the object", "mine.png")
    assert own.page.locator(".jp-OutputArea-output img:visible").count() == 0
    own.widget.evaluate("element => element.scrollIntoView()")
    own.page.wait_for_timeout(500)  # JupyterLab scrolls, too
    own.widget.evaluate("element => element.scrollIntoView()")
    start, end = own.corners()
    own.page.mouse.move(*start)
    own.page.mouse.down()
    own.page.mouse.move(*end, steps=4)
    own.page.mouse.up()
    own.check()
    own.page.screenshot(path=tmp_path / "again.png")
