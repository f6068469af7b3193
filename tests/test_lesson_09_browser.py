"""Lesson 09 in JupyterLab, with pictures that have no labels: labelled with a mouse, trained, exported, predicted.

The pictures are drawn mugs, so it is known where each keypoint is. A screenshot shows where the picture is on the page.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from browsing import chromium, needs_chromium, run_all, serve_lab

from posekit.synthetic.mug import HEIGHT, NAMES, WIDTH, Mug, draw_mug

ROOT = Path(__file__).parents[1]
LESSON = "09_your_own_keypoints.ipynb"
PICTURES = 12
EMPTY = (0xE8, 0xEC, 0xF1)  # the widget's colour where there is no picture
VISIBLE, HIDDEN = 2, 1

pytestmark = [pytest.mark.machine, needs_chromium]


@pytest.fixture(scope="module")
def mugs() -> dict[str, Mug]:
    """By file name; no keypoint is outside its picture, some are covered."""
    drawn = {f"mug {number:02d}.png": draw_mug(77, 5, number) for number in range(PICTURES)}
    assert {v for mug in drawn.values() for v in mug.keypoints[:, 2]} == {VISIBLE, HIDDEN}
    return drawn


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, mugs: dict[str, Mug]) -> Path:
    """The lesson, with the smallest network, and a folder of pictures."""
    root = tmp_path_factory.mktemp("lesson")
    for folder in ("notebooks", "pictures", "runs"):
        (root / folder).mkdir()
    for name, mug in mugs.items():
        (root / "pictures" / name).write_bytes(cv2.imencode(".png", mug.image[..., ::-1])[1].tobytes())
    notebook = json.loads((ROOT / "notebooks" / LESSON).read_text(encoding="utf-8"))
    parameters = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    chosen = {"recipe": "hourglass-tiny", "changes": "epochs=2 batch=6 validate_every=2", "device": "cpu"}
    chosen |= {"pictures": str(root / "pictures"), "run": str(root / "run"), "runs": str(root / "runs")}
    own = "".join(f"\n{name} = {value!r}" for name, value in chosen.items())
    parameters["source"] = "".join(parameters["source"]) + own
    (root / "notebooks" / LESSON).write_text(json.dumps(notebook), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def page(root: Path) -> Iterator[object]:
    """The lesson after Run → Run All Cells, which stops where labels are needed."""
    with serve_lab(root) as address, chromium() as browser:
        yield run_all(browser, address, LESSON, "Draw a box around the object")


class Widget:
    """The labelling widget; that of the second cell replaces the first one's, since both write the same file."""

    def __init__(self, page: object) -> None:
        self.page, self.widget = page, page.locator(".pk-label")

    def says(self, *texts: str) -> None:
        for text in texts:
            self.widget.get_by_text(text).first.wait_for()

    def picture(self) -> str:
        """The name of the picture that is shown."""
        return self.widget.locator("select").evaluate("list => list.selectedOptions[0].textContent").lstrip("✓… ")

    def next_picture(self, labelled: list[str]) -> str:
        """The name of the picture that is shown, as soon as it is none of the labelled ones."""
        for _ in range(200):
            if (name := self.picture()) not in labelled:
                return name
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{name} is still shown")

    def show(self) -> None:
        """Scroll to the widget, until it stays there: JupyterLab scrolls, too, after an error and to new outputs."""
        still = 0
        for _ in range(200):
            self.widget.evaluate("element => element.scrollIntoView()")
            before = self.widget.bounding_box()
            self.page.wait_for_timeout(50)
            still = still + 1 if self.widget.bounding_box() == before else 0
            if still == 10:
                return
        raise AssertionError("the page doesn't come to rest")

    def place(self) -> tuple[float, np.ndarray]:
        """Page pixels per picture pixel, and where the picture's corner is on the page, (2,): by a screenshot."""
        box = self.widget.locator("canvas").bounding_box()
        shot = cv2.imdecode(np.frombuffer(self.page.screenshot(clip=box), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        height = len(shot)
        differs = np.abs(shot[height // 4 : height // 2].astype(int) - EMPTY).max(-1) > 8
        columns = np.flatnonzero(differs.mean(0) > 0.6)
        zoom = (columns[-1] + 1 - columns[0]) / WIDTH
        return zoom, np.array([box["x"] + columns[0], box["y"] + (height - zoom * HEIGHT) / 2])

    def label(self, mug: Mug) -> None:
        """Drag the box and click the keypoints, as a person does, then the button that ends the picture."""
        self.says("Draw a box")
        zoom, corner = self.place()
        left_top, size = mug.box[:2], mug.box[2:]
        edges = [(at + 0.5) * zoom + corner for at in (left_top, np.minimum(left_top + size, (WIDTH - 1, HEIGHT - 1)))]
        self.page.mouse.move(*edges[0])
        self.page.mouse.down()
        self.page.mouse.move(*edges[1], steps=3)
        self.page.mouse.up()
        for number, (name, (x, y, v)) in enumerate(zip(NAMES, mug.keypoints, strict=True), 1):
            self.says(f"{number}. {name}")
            if v == HIDDEN:
                self.page.keyboard.press("h")
            self.page.mouse.click(*((np.array([x, y]) + 0.5) * zoom + corner))
        self.says("6 of 6 keypoints")
        self.widget.get_by_role("button", name="Done, next").click()


def run_below(page: object, source: str) -> None:
    """Run the cell that has this source, and all below it."""
    page.locator(".jp-CodeCell", has_text=source).first.locator(".jp-InputPrompt").click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run Selected Cell and All Below", exact=True).click()


def test_labelling(page: object, root: Path, mugs: dict[str, Mug], tmp_path: Path) -> None:
    page.get_by_text("labels.json: nothing is labelled yet; label pictures in the cell above").first.wait_for()
    widget = Widget(page)
    widget.show()
    labelled: list[str] = []
    for done in range(PICTURES):
        widget.says(f"{done} of {PICTURES} done")
        labelled.append(widget.next_picture(labelled))
        widget.label(mugs[labelled[-1]])
    widget.says("All pictures are done", f"{PICTURES} of {PICTURES} done · saved")
    page.screenshot(path=tmp_path / "labelled.png")
    content = json.loads((root / "run" / "labels.json").read_text())
    assert sorted(image["file_name"] for image in content["images"]) == sorted(mugs)
    assert content["categories"][0]["keypoints"] == list(NAMES)
    for image in content["images"]:
        mug = mugs[image["file_name"]]
        (found,) = [it for it in content["annotations"] if it["image_id"] == image["id"]]
        points = np.reshape(found["keypoints"], (-1, 3))
        np.testing.assert_allclose(points[:, :2], mug.keypoints[:, :2], atol=1)
        assert points[:, 2].tolist() == mug.keypoints[:, 2].tolist()
        np.testing.assert_allclose(found["bbox"], mug.box, atol=2)


def test_training_to_predictions(page: object, root: Path, tmp_path: Path) -> None:
    run_below(page, "labelled = COCO.read")
    final = page.locator(".jp-CodeCell", has_text='rubric("09.5")').last
    final.locator(".jp-OutputArea-output").first.wait_for(state="attached")
    (model,) = root.glob("run/own.onnx")
    onnx.checker.check_model(onnx.load(model))
    last = page.locator(".jp-CodeCell", has_text="export_model(second").first
    picture = last.locator(".jp-OutputArea img")
    assert picture.count() == 1 and picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 400
    picture.evaluate("img => img.scrollIntoView()")
    page.screenshot(path=tmp_path / "predictions.png")
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    Widget(page).says(f"{PICTURES} of {PICTURES} done", "Propose")
