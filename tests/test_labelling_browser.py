"""Labelling in JupyterLab with a mouse, a keyboard and fingers: the file has what was clicked.

The pictures have dots at known places. A screenshot shows where these are on the page, and there the tests click.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsing import chromium, needs_chromium, run_all, serve_lab
from lesson_files import write_lesson

pytestmark = [pytest.mark.machine, needs_chromium]

NAMES = ["left rim", "right rim", "handle"]
COLORS = {"left rim": (255, 0, 255), "right rim": (0, 255, 255), "handle": (255, 255, 0)}  # RGB; no label has these
SIZES = {"1 mouse.png": (320, 240), "2 keys.png": (320, 240), "3 large.png": (3000, 2000), "4 touch.png": (300, 400)}
SOURCE = """import numpy as np
from posekit.figures.widgets import label_keypoints
def propose(image, box):
    return box[:2] + np.array([[5, 5], [10, 10], [15, 15]]), np.array([1, 1, 0.1])
label_keypoints(FOLDER, NAMES, FILE, propose if PROPOSES else None)
print('all', 'cells', 'done')"""


def dots(name: str) -> np.ndarray:
    """Where the dots of a picture are, (3, 2): on whole pixels."""
    width, height = SIZES[name]
    return np.floor(np.array([[0.3, 0.3], [0.7, 0.35], [0.55, 0.75]]) * (width, height))


def draw(path: Path) -> None:
    width, height = SIZES[path.name]
    pixels, reach = np.full((height, width, 3), 120, np.uint8), width // 100
    for (x, y), color in zip(dots(path.name).astype(int), COLORS.values(), strict=True):
        pixels[y - reach : y + reach + 1, x - reach : x + reach + 1] = color[::-1]
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labelling")
    (root / "pictures").mkdir()
    for name in SIZES:
        draw(root / "pictures" / name)
    (root / "pictures" / "0 broken.png").write_bytes(b"no picture")
    for stem, proposes in (("01_label", False), ("02_propose", True)):
        source = SOURCE.replace("FOLDER", repr(str(root / "pictures"))).replace("NAMES", repr(NAMES))
        file = repr(str(root / f"{stem}.json"))
        write_lesson(root, stem, "", source.replace("FILE", file).replace("PROPOSES", str(proposes)))
    return root


@pytest.fixture(scope="module")
def lab(root: Path) -> Iterator[str]:
    with serve_lab(root) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def label(browser: object, lab: str, root: Path) -> "Label":
    return Label(run_all(browser, lab, "01_label.ipynb", "all cells done", has_touch=True), root / "01_label.json")


class Label:
    """The widget on the page, and the file that it writes."""

    def __init__(self, page: object, file: Path) -> None:
        self.page, self.file = page, file
        self.session = page.context.new_cdp_session(page)
        self.canvas = page.locator(".pk-label canvas")
        self.says("Draw a box")
        page.locator(".pk-label").evaluate("element => element.scrollIntoView()")

    def says(self, *texts: str) -> None:
        for text in texts:
            self.page.locator(".pk-label", has_text=text).wait_for()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def seen(self) -> np.ndarray:
        """Where the dots are on the page, (3, 2); NaN for those that aren't seen."""
        box = self.canvas.bounding_box()
        shot = cv2.imdecode(np.frombuffer(self.page.screenshot(clip=box), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        found = [np.argwhere(np.abs(shot.astype(int) - color).max(-1) < 70) for color in COLORS.values()]
        middles = [places.mean(0)[::-1] + 0.5 if len(places) else (np.nan, np.nan) for places in found]
        return np.array(middles) + (box["x"], box["y"])

    def saved(self, name: str) -> dict | None:
        """The picture's only annotation in the file, once all is saved."""
        self.says("· saved")
        content = json.loads(self.file.read_text())
        image = next(image for image in content["images"] if image["file_name"] == name)
        found = [each for each in content["annotations"] if each["image_id"] == image["id"]]
        assert len(found) <= 1
        return found[0] if found else None

    def points(self, name: str) -> np.ndarray:
        return np.reshape(self.saved(name)["keypoints"], (-1, 3))

    def settle(self) -> None:
        """Let the page save."""
        self.page.wait_for_timeout(600)

    def drag(self, start: np.ndarray, end: np.ndarray) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*((start + end) / 2))
        self.page.mouse.move(*end)
        self.page.mouse.up()

    def touch(self, kind: str, *places: np.ndarray) -> None:
        fingers = [{"x": float(x), "y": float(y), "id": number} for number, (x, y) in enumerate(places)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def screenshot(self, name: str, tmp_path: Path) -> None:
        self.page.screenshot(path=tmp_path / name)


def test_mouse(label: Label, tmp_path: Path):
    name = "1 mouse.png"
    label.says("0 of 5 done", "Skipped", "0 broken.png: not a readable image")
    seen, truth = label.seen(), dots(name)
    label.drag(seen[0] - 20, seen[2] + 20)
    label.says("1. left rim")
    label.page.mouse.click(*seen[0])
    label.page.keyboard.down("Shift")
    label.page.mouse.click(*seen[1])
    label.page.keyboard.up("Shift")
    label.says("3. handle")
    label.page.mouse.click(*(seen[2] - 40))
    label.says("3 of 3 keypoints")
    label.drag(seen[2] - 40, seen[2])
    label.settle()
    points, box = label.points(name), np.array(label.saved(name)["bbox"])
    np.testing.assert_allclose(points[:, :2], truth, atol=0.6)
    assert points[:, 2].tolist() == [2, 1, 2]
    zoom = (seen[1] - seen[0])[0] / (truth[1] - truth[0])[0]  # page pixels per picture pixel
    corners = np.array([truth[0] - 20 / zoom, truth[2] + 20 / zoom])
    np.testing.assert_allclose([box[:2], box[:2] + box[2:]], corners, atol=1)
    label.screenshot("mouse.png", tmp_path)
    label.keys("Delete")
    label.settle()
    assert label.points(name)[2].tolist() == [0, 0, 0] and label.saved(name)["num_keypoints"] == 2
    label.keys("u", "h")
    label.settle()
    assert label.points(name)[2].tolist() == [*points[2, :2], 1]
    label.keys("Enter")
    label.says("1 of 5 done", "Draw a box")


def test_keys(label: Label, tmp_path: Path):
    """The keyboard's place begins at the middle, (160, 120); with shift an arrow is 10 pixels here."""
    name = "2 keys.png"
    label.canvas.focus()
    label.keys(*["Shift+ArrowLeft"] * 5, *["Shift+ArrowUp"] * 4, "Space")  # (110, 80)
    label.says("opposite corner")
    label.keys(*["Shift+ArrowRight"] * 10, *["Shift+ArrowDown"] * 6)  # (210, 140)
    label.screenshot("keys_box.png", tmp_path)
    label.keys("Space", *["ArrowLeft"] * 3, "Space", "Delete", "ArrowUp", "h", "Space")  # skips the second
    label.says("2 of 3 keypoints")
    label.settle()
    assert label.saved(name)["bbox"] == [110, 80, 100, 60]
    assert label.points(name).tolist() == [[207, 140, 2], [0, 0, 0], [207, 139, 1]]
    label.keys("p", "ArrowRight")
    label.says("3. handle", "hidden at 208, 139")
    label.settle()
    assert label.points(name)[2].tolist() == [208, 139, 1]
    label.screenshot("keys.png", tmp_path)
    label.keys("Control+z", "PageUp")
    label.says("3 of 3 keypoints")
    label.keys("PageDown")
    label.says("2. right rim", "1 of 5 done")  # the picture was begun, but isn't done
    assert label.points(name)[2].tolist() == [207, 139, 1]
    label.keys("Enter")
    label.says("2 of 5 done", "Draw a box")
    assert label.page.locator(".jp-Cell").count() == 3  # no key was a command of JupyterLab's


def test_a_picture_larger_than_the_page_to_the_pixel(label: Label, tmp_path: Path):
    name = "3 large.png"
    seen = label.seen()
    label.drag(seen[0] - 30, seen[2] + 30)
    label.says("1. left rim")
    for number in range(3):
        label.page.mouse.move(*seen[number])
        label.page.mouse.wheel(0, -2000)
        near = label.seen()[number]
        label.page.mouse.click(*near)
        label.screenshot(f"large{number}.png", tmp_path)
        label.keys("0")
    label.settle()
    np.testing.assert_allclose(label.points(name)[:, :2], dots(name), atol=1)
    label.page.get_by_role("button", name="Done, next").click()
    label.says("3 of 5 done")


def test_fingers(label: Label, tmp_path: Path):
    name = "4 touch.png"
    label.says("Draw a box")
    seen = label.seen()
    label.page.touchscreen.tap(*(seen[0] - 30))
    label.page.touchscreen.tap(*(seen[2] + 30))
    label.says("1. left rim")
    for place in (seen[0], seen[1], seen[2] - 50):
        label.page.touchscreen.tap(*place)
    label.says("3 of 3 keypoints")
    label.touch("touchStart", seen[2] - 50)
    for part in (0.5, 1):
        label.touch("touchMove", seen[2] - 50 * (1 - part))
    label.touch("touchEnd")
    label.settle()
    np.testing.assert_allclose(label.points(name)[:, :2], dots(name), atol=1)
    before = label.page.locator(".pk-zoom span").inner_text()
    label.touch("touchStart", seen[0] + (60, 60), seen[0] + (120, 60))
    label.touch("touchMove", seen[0] + (20, 60), seen[0] + (160, 60))
    label.touch("touchEnd")
    assert int(label.page.locator(".pk-zoom span").inner_text()[:-2]) > 1.5 * int(before[:-2])
    label.screenshot("touch.png", tmp_path)
    label.settle()
    np.testing.assert_allclose(label.points(name)[:, :2], dots(name), atol=1)
    label.keys("Enter")
    label.says("4 of 5 done", "All pictures are done")


def test_a_proposal_is_corrected(browser: object, lab: str, root: Path, tmp_path: Path):
    name = "1 mouse.png"
    label = Label(run_all(browser, lab, "02_propose.ipynb", "all cells done"), root / "02_propose.json")
    seen = label.seen()
    label.drag(seen[0] - 20, seen[2] + 20)
    label.says("3. handle", "proposed")
    label.screenshot("proposal.png", tmp_path)
    label.page.mouse.click(*seen[2])
    label.says("3 of 3 keypoints")
    label.settle()
    points, box = label.points(name), np.array(label.saved(name)["bbox"])
    np.testing.assert_allclose(points[:2, :2], box[:2] + [[5, 5], [10, 10]], atol=0.01)
    np.testing.assert_allclose(points[2, :2], dots(name)[2], atol=0.6)
    label.page.get_by_role("button", name="1 left rim").click()
    label.keys("ArrowDown", "Enter")
    label.says("1 of 5 done")
    np.testing.assert_allclose(label.points(name)[0], [*points[0, :2] + (0, 1), 2], atol=0.01)


def test_a_file_that_another_program_changed_is_left_alone(label: Label):
    label.page.get_by_role("button", name="Previous").click()
    label.says("3 of 3 keypoints")
    changed = label.file.read_text().replace("handle", "grip")
    label.file.write_text(changed)
    label.page.get_by_role("button", name="Delete object").click()
    label.says("not saved", "01_label.json: another program has changed it; run the cell again")
    label.keys("PageUp")
    label.settle()
    label.says("Draw a box")  # still the same picture
    assert label.file.read_text() == changed


def test_a_page_that_is_loaded_again_goes_on(browser: object, lab: str, root: Path):
    page = run_all(browser, lab, "02_propose.ipynb", "all cells done")
    label = Label(page, root / "02_propose.json")
    label.canvas.focus()
    label.keys("Space", "Shift+ArrowRight", "Shift+ArrowDown", "Space")
    label.says("3. handle")
    label.settle()
    label.keys("Control+s")  # JupyterLab's own
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    page.reload()
    label.says("3. handle", "1 of 5 done")
