"""A lesson in JupyterLab as a person uses it: run all cells, drive each widget by mouse and keyboard, and again after
the page was loaded again. Controls are found as assistive technology finds them, by role and name.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import chromium, needs_chromium, run_all, serve_lab

ROOT = Path(__file__).parents[1]
LESSON = "01_explore_datasets.ipynb"
# What lesson 06c does after a training, here with targets moved by a few pixels in place of a network's heatmaps.
EXPLORE = """import numpy as np
from posekit.figures.explorer import heatmaps_of
from posekit.figures.widgets import explore_heatmaps
moved = train.keypoints[:12] + np.random.default_rng(0).normal(0, 8, (12, skeleton.num_keypoints, 2))
cuts = [crop(train[i], recipe) for i in range(12)]
points = np.stack([transform_points(cut.matrix, found) for cut, found in zip(cuts, moved)])
drawn, _ = recipe.codec.encode(points, train.visible[:12])
explore_heatmaps(heatmaps_of(train, range(12), recipe, {"coarse": drawn * 0.5, "fine": drawn}))"""
THRESHOLD = """from posekit.figures.widgets import explore_threshold
from posekit.predictions import Predictions
found = Predictions(train.names[:12], moved, np.ones(moved.shape[:2]))
explore_threshold(train.take(range(12)), found, 0.1)"""

pytestmark = [pytest.mark.machine, needs_chromium]


def copy_lesson(target: Path, data: Path) -> None:
    """Lesson 01 on small data, with the two explorers of lesson 06 and a last line to wait for."""
    notebook = json.loads((ROOT / "notebooks" / LESSON).read_text(encoding="utf-8"))
    parameters = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    changed = f'recipe = "poseestnet-tiny"\ndata = {str(data)!r}'
    parameters["source"] = "".join([*parameters["source"], "\n", changed])
    explore = "from posekit.geometry import transform_points\n" + EXPLORE
    for name, source in (("explorer", explore), ("threshold", THRESHOLD), ("last", "print('all', 'cells', 'done')")):
        cell = {"cell_type": "code", "execution_count": None, "id": name, "metadata": {}, "outputs": []}
        notebook["cells"].append({**cell, "source": source})
    target.parent.mkdir()
    target.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tiny_vehicles: Path) -> Iterator[str]:
    """The address of JupyterLab on a copy of lesson 01."""
    root = tmp_path_factory.mktemp("lab")
    copy_lesson(root / "notebooks" / LESSON, tiny_vehicles)
    with serve_lab(root) as address:
        yield address


@pytest.fixture(scope="module")
def page(lab: str) -> Iterator[object]:
    """The lesson in Chromium after Run → Run All Cells."""
    with chromium() as browser:
        yield run_all(browser, lab, LESSON, "all cells done")


def test_jupyterlab_asks_nothing(page: object) -> None:
    """Its question about news comes up a second after the start."""
    assert page.locator(".Toastify__toast").count() == 0


class Cell:
    """A cell of the page whose output is a panel: a picture, a line of text and controls."""

    def __init__(self, page: object, call: str) -> None:
        self.page = page
        self.cell = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=call)).last
        self.panel, self.image = self.cell.locator(".pk-panel"), self.cell.locator("img:visible")
        self.panel.wait_for()
        self.image.scroll_into_view_if_needed()

    def picture(self) -> str:
        """What the picture is, in words; there is one, never a saved one beside it."""
        assert self.image.count() == 1
        return self.image.get_attribute("alt")

    def changed(self, before: str) -> str:
        """Wait for a picture other than `before`; returns its words."""
        for _ in range(200):
            if self.picture() != before:
                return self.picture()
            self.page.wait_for_timeout(50)
        raise AssertionError("the picture stays as it was")

    def control(self, role: str, name: str) -> object:
        """The control that assistive technology finds under this role and name."""
        return self.panel.get_by_role(role, name=name, exact=True)

    def says(self, text: str) -> None:
        self.panel.get_by_text(text).first.wait_for()

    def screenshot(self, name: str, tmp_path: Path) -> None:
        self.image.evaluate("img => { img.scrollIntoView(); return img.decode() }")
        self.page.wait_for_timeout(200)
        self.page.screenshot(path=tmp_path / name)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag over the picture, between two places of its page pixels."""
        box = self.image.bounding_box()
        places = [(box["x"] + x, box["y"] + y) for x, y in (start, end)]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=5)
        self.page.mouse.up()


def test_lesson_runs_without_an_error(page: object) -> None:
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr'], .jp-RenderedText .ansi-red-fg").count() == 0


def browse(page: object) -> None:
    """The data set browser by keyboard and mouse."""
    cell = Cell(page, "browse_dataset(train")
    start = cell.picture()
    cell.control("slider", "sample").press("ArrowRight")
    second = cell.changed(start)
    cell.control("button", "previous sample").click()
    assert cell.changed(second) == start
    cell.control("spinbutton", "sample, a number").fill("3")
    cell.page.keyboard.press("Enter")
    assert cell.changed(start).startswith("#2 ")
    before = cell.picture()
    cell.control("button", "draw again").press("Enter")
    before = cell.changed(before)
    assert "turned by" in before
    cell.control("combobox", "view").select_option("crop")
    before = cell.changed(before)
    cell.control("textbox", "name has").fill("no such name")
    none = cell.changed(before)
    assert "none of" in none
    cell.says("0 of ")
    assert cell.control("slider", "sample").is_disabled()
    cell.control("textbox", "name has").fill("")
    assert "none of" not in cell.changed(none)
    cell.control("spinbutton", "sample, a number").fill("1")
    cell.page.keyboard.press("Enter")
    cell.says("pass the filters")


def explore(page: object) -> None:
    """The heatmap explorer."""
    cell = Cell(page, "explore_heatmaps(heatmaps_of")
    start = cell.picture()
    cell.control("button", "next sample").click()
    second = cell.changed(start)
    assert "sample 2 of 12" in second
    cell.control("combobox", "keypoint").select_option(index=2)
    third = cell.changed(second)
    cell.control("combobox", "stage").press("ArrowUp")
    cell.page.wait_for_timeout(300)
    shown = cell.image.get_attribute("src")
    cell.control("slider", "overlay").press("ArrowLeft")
    for _ in range(100):
        if cell.image.get_attribute("src") != shown:
            break
        cell.page.wait_for_timeout(50)
    assert cell.image.get_attribute("src") != shown
    cell.control("combobox", "keypoint").select_option("all")
    cell.control("button", "previous sample").press("Space")
    cell.changed(third)


def play(page: object) -> None:
    """The playground: a keypoint is dragged to a place, and the codec changed."""
    cell = Cell(page, "play_with_codec(train")
    x, y = (float(cell.control("spinbutton", f"{name}, a number").input_value()) for name in "xy")
    before = cell.picture()
    cell.drag((100, 128), (205, 233))  # of a panel 410 pixels wide, 28 below the picture's top: its middle
    after = cell.changed(before)
    cell.page.wait_for_timeout(500)
    middle = [float(cell.control("spinbutton", f"{name}, a number").input_value()) for name in "xy"]
    side = float(cell.control("slider", "x").get_attribute("max")) + 1
    assert all(abs(value - (side - 1) / 2) < 0.5 for value in middle), (middle, side, x, y, after)
    words = cell.picture()
    cell.control("slider", "cells").press("ArrowLeft")
    words = cell.changed(words)
    cell.control("spinbutton", "x, a number").fill("17.3")
    cell.page.keyboard.press("Enter")
    words = cell.changed(words)
    for offset in ("none", "udp"):
        cell.control("combobox", "offset").select_option(offset)
        words = cell.changed(words)
    cell.control("slider", "σ, in cells").press("ArrowRight")
    cell.control("checkbox", "mirror").check()
    cell.control("button", "next turn").click()
    cell.changed(words)
    cell.control("button", "put back").click()
    cell.control("checkbox", "mirror").uncheck()
    cell.control("button", "previous turn").click()


def limit(page: object) -> None:
    """The threshold explorer."""
    cell = Cell(page, "explore_threshold(train.take")
    start = cell.picture()
    cell.control("slider", "threshold").press("ArrowRight")
    second = cell.changed(start)
    rates = [float(text.split(": ")[2].split(" %")[0]) for text in (start, second)]
    assert rates[1] > rates[0], (start, second)
    cell.control("slider", "threshold").press("ArrowLeft")
    assert cell.changed(second) == start
    cell.control("combobox", "keypoints").select_option(index=1)
    third = cell.changed(start)
    cell.control("combobox", "keypoints").select_option(index=0)
    cell.changed(third)


WIDGETS = {  # by the call in their cell
    "browse_dataset(train": browse,
    "explore_heatmaps(heatmaps_of": explore,
    "play_with_codec(train": play,
    "explore_threshold(train.take": limit,
}
CALLS = list(WIDGETS)


@pytest.mark.parametrize("call", WIDGETS)
def test_a_widget_follows_mouse_and_keyboard(page: object, call: str, tmp_path: Path) -> None:
    cells = page.locator(".jp-Cell").count()
    WIDGETS[call](page)
    Cell(page, call).screenshot(f"{call.partition('(')[0]}.png", tmp_path)
    assert page.locator(".jp-Cell").count() == cells, "a key was a command of JupyterLab's"


def test_after_a_refresh_they_work(page: object, tmp_path: Path) -> None:
    cell = Cell(page, CALLS[1])
    before = cell.picture()
    cell.control("button", "next sample").click()
    kept = cell.changed(before)
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    page.reload()
    cell = Cell(page, CALLS[1])
    assert cell.picture() == kept, "the page shows what it showed"
    cell.screenshot("again.png", tmp_path)
    cell.control("button", "previous sample").click()
    cell.changed(kept)
    for drive in WIDGETS.values():
        drive(page)


def test_without_python_they_say_so(page: object, tmp_path: Path) -> None:
    """A restarted Python doesn't answer; a page loaded after that has the saved picture, and says what it is."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Restart Kernel…", exact=True).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    cell = Cell(page, CALLS[3])
    cell.control("slider", "threshold").press("ArrowRight")
    cell.says("Python doesn't answer")
    cell.says("run this cell again")
    cell.screenshot("dead.png", tmp_path)
    page.keyboard.press("Control+s")
    page.reload()
    for call in CALLS:
        output = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=call)).last
        output.scroll_into_view_if_needed()
        output.get_by_text("This picture was saved with the lesson. Run this cell again").wait_for()
        assert output.locator("img:visible").count() == 1
    page.screenshot(path=tmp_path / "saved.png")
