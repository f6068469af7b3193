"""A lesson in JupyterLab as a person uses it: run all cells, move a control with the keyboard, see another picture."""

import hashlib
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

pytestmark = [pytest.mark.machine, needs_chromium]


def copy_lesson(target: Path, data: Path) -> None:
    """Lesson 01 on small data, with the heatmap explorer and a last line to wait for."""
    notebook = json.loads((ROOT / "notebooks" / LESSON).read_text(encoding="utf-8"))
    parameters = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    changed = f'recipe = "poseestnet-tiny"\ndata = {str(data)!r}'
    parameters["source"] = "".join([*parameters["source"], "\n", changed])
    explore = "from posekit.geometry import transform_points\n" + EXPLORE
    for name, source in (("explorer", explore), ("last", "print('all', 'cells', 'done')")):
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


class Cell:
    """A cell of the page whose output is a widget's picture and its controls."""

    def __init__(self, page: object, call: str) -> None:
        self.page = page
        self.cell = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea-editor", has_text=call)).last
        self.cell.locator(".noUi-handle").first.wait_for(state="attached")
        self.cell.locator("img").scroll_into_view_if_needed()

    def picture(self) -> str:
        """The hash of the picture's bytes."""
        assert self.cell.locator("img").count() == 1  # never twice
        return hashlib.sha256(self.cell.locator("img").get_attribute("src").encode()).hexdigest()

    def changed(self, before: str) -> str:
        """Wait for a picture other than `before`; returns its hash."""
        for _ in range(200):
            if self.picture() != before:
                return self.picture()
            self.page.wait_for_timeout(50)
        raise AssertionError("the picture stays as it was")

    def press(self, control: str, key: str) -> None:
        """Press a key on the slider that has this label."""
        box = self.cell.locator(".widget-inline-hbox", has=self.page.locator(f"text='{control}'"))
        box.locator(".noUi-handle").first.focus()
        self.page.keyboard.press(key)

    def screenshot(self, name: str, tmp_path: Path) -> None:
        self.cell.locator("img").evaluate("img => { img.scrollIntoView(); return img.decode() }")
        self.page.screenshot(path=tmp_path / name)


def test_lesson_runs_without_an_error(page: object) -> None:
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr'], .jp-RenderedText .ansi-red-fg").count() == 0


def test_browser_of_the_data_set_follows_the_keyboard(page: object, tmp_path: Path) -> None:
    cell = Cell(page, "browse_dataset(train")
    first = cell.picture()
    cell.press("sample", "ArrowRight")
    second = cell.changed(first)
    cell.press("sample", "ArrowLeft")
    assert cell.changed(second) not in (first, second)  # a jpeg now
    before = cell.picture()
    cell.cell.get_by_role("button", name="draw again").press("Enter")
    cell.changed(before)
    cell.screenshot("browser.png", tmp_path)


def test_explorer_of_heatmaps_follows_the_keyboard(page: object, tmp_path: Path) -> None:
    cell = Cell(page, "explore_heatmaps(heatmaps_of")
    seen = [cell.picture()]
    for control in ("sample", "stage", "overlay"):
        cell.press(control, "ArrowLeft" if control == "stage" else "ArrowRight")
        seen.append(cell.changed(seen[-1]))
    cell.cell.locator("select").select_option(index=2)
    seen.append(cell.changed(seen[-1]))
    assert len(set(seen)) == len(seen)
    cell.screenshot("explorer.png", tmp_path)
