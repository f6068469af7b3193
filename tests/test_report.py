"""The report opens without a network: it loads nothing from outside and holds everything itself."""

import json
import re
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from browsing import chromium, needs_chromium
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from posekit.course.report import write_report

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
LOADING = {"src", "srcset", "poster", "data", "background"}  # attributes that a browser fetches by itself


class Page(HTMLParser):
    """Collects what a browser would fetch, the ids, the tags, and the rules of what the page may load."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.policy: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in LOADING or (tag == "link" and name == "href"):
                self.fetched.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = {rule.strip() for rule in dict(attrs)["content"].split(";")}


def make_run(folder: Path) -> None:
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "a slider"}
    outputs = [
        new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}),
        new_output("display_data", data=widget),
        new_output("stream", name="stderr", text="a <warning>"),
    ]
    cells = [
        new_markdown_cell("# Title\n\n$e^x$ and [a link](https://example.com)"),
        new_code_cell("1 < 2", outputs=outputs),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "00_start.ipynb")
    result = {"name": "PCK <0.1>", "value": 0.87654, "unit": ""}
    failed = {"name": "01_next", "status": "failed", "seconds": 2.0, "error": {"message": "ValueError: <b>"}}
    manifest = {
        "scale": "smoke", "started": "2026-01-01 10:00:00", "versions": {"posekit": "1", "mindspore": "2.10.0"},
        "platform": "Linux", "cpu_count": 2, "device": "auto", "git_commit": "0123456789abcdef", "git_dirty": True,
        "lessons": [{"name": "00_start", "status": "done", "seconds": 61.4, "results": [result]}, failed],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_report(tmp_path: Path) -> None:
    make_run(tmp_path)
    path = write_report(tmp_path)
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.fetched and all(address.startswith("data:") for address in page.fetched)
    assert "script" not in page.tags and "iframe" not in page.tags
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", text)
    assert f"data:image/png;base64,{PIXEL}" in text.replace("\n", "")
    assert "00_start" in page.ids and 'href="#00_start"' in text
    for shown in ("PCK &lt;0.1&gt;", "<b>0.8765</b>", "61", "a slider", "a &lt;warning&gt;", "0123456789 with changes"):
        assert shown in text
    assert "<b></b>" not in text and "ValueError: <b>" not in text


def test_no_value_becomes_markup_and_nothing_may_run(tmp_path: Path) -> None:
    make_run(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    evil = "<i>'\"><script>alert(1)</script>"
    manifest |= {"scale": evil, "started": evil, "platform": evil, "device": evil, "git_commit": evil}
    manifest["versions"] = {"posekit": evil, "mindspore": evil}
    result = {"name": evil, "value": evil, "unit": evil}
    manifest["lessons"] += [
        {"name": evil, "status": evil, "seconds": 1.0, "error": {"message": evil}, "results": [result]}
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    text = write_report(tmp_path).read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert "i" not in page.tags and "script" not in page.tags and evil not in text
    assert page.policy == {
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    }


def test_headlines_and_pictures_come_first(tmp_path: Path) -> None:
    make_run(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    values = {
        "06_pck-a": "PCK@0.1",
        "06_pck-b": "PCK@0.5",
        "06b_more": "PCK@9",
        "07_export": "fastest, x",
        "08_x": "PCK",
    }
    values |= {"04_train": "best PCK@0.1 in training"}
    manifest["lessons"] += [
        {"name": name, "status": "done", "seconds": 1.0, "results": [{"name": result, "value": number, "unit": "%"}]}
        for number, (name, result) in enumerate(values.items(), 100)
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    first, lessons = write_report(tmp_path).read_text(encoding="utf-8").split("<h2>Lessons</h2>")
    assert re.findall(r"<b>(\d+)<small> %", first) == ["100", "101", "103", "105"]
    assert first.count("<img") == 1 and first.index("<b>105") < first.index("<img"), "the picture of lesson 00"
    results = lessons.split("<h2>Results</h2>")[1]
    assert re.findall("<h3>(.*?)</h3>", results) == ["00_start", *values]


def test_pictures_shrink_and_look_the_same(tmp_path: Path) -> None:
    make_run(tmp_path)
    y, x = np.indices((600, 900))
    noise = np.random.default_rng(0).integers(0, 12, (600, 900, 3))
    pixels = (np.stack([x / 4, y / 3, (x + y) / 8], axis=-1) + noise).astype(np.uint8)
    png = b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    notebook = tmp_path / "00_start.ipynb"
    notebook.write_text(notebook.read_text().replace(PIXEL, png))
    text = write_report(tmp_path).read_text(encoding="utf-8")
    (shown,) = set(re.findall(r"data:image/webp;base64,([\w+/=]+)", text))
    assert len(shown) < 0.2 * len(png)
    decoded = cv2.imdecode(np.frombuffer(b64decode(shown), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == pixels.shape and np.abs(decoded.astype(int) - pixels).mean() < 5


def test_links_between_lessons_stay_in_the_page(tmp_path: Path) -> None:
    make_run(tmp_path)
    notebook = tmp_path / "00_start.ipynb"
    notebook.write_text(notebook.read_text().replace("https://example.com", "01_next.ipynb"))
    (tmp_path / "01_next.ipynb").write_text(notebook.read_text().replace("01_next.ipynb", "99_none.ipynb"))
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert '<a href="#01_next">a link</a>' in text and '<a href="99_none.ipynb">a link</a>' in text


@pytest.mark.machine
@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_opens_a_lesson_and_nothing_is_wider_than_the_page(tmp_path: Path, width: int) -> None:
    make_run(tmp_path)
    table = "| a | b |\n| --- | --- |\n| " + "wide_" * 60 + " | x |"
    cells = [new_markdown_cell(f"# Title\n\n{table}"), new_code_cell("print(" + "'long' " * 90 + ")")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "01_next.ipynb")
    write_report(tmp_path)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto((tmp_path / "report.html").as_uri())
        assert page.locator("section.lesson:visible").count() == 0
        page.locator("table").get_by_role("link", name="01_next").click()
        assert page.locator("section.lesson:visible").get_attribute("id") == "01_next"
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator(".close a:visible").click()
        assert page.locator("section.lesson:visible").count() == 0
        page.get_by_label("Show every lesson").check()
        assert page.locator("section.lesson:visible").count() == 2


def test_report_of_a_run_that_has_only_begun(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "00_start.ipynb").unlink()
    assert "01_next" in write_report(tmp_path).read_text(encoding="utf-8")


def test_report_of_a_notebook_that_was_cut_off(tmp_path: Path) -> None:
    make_run(tmp_path)
    notebook = tmp_path / "00_start.ipynb"
    notebook.write_text(notebook.read_text()[:300])
    assert "This notebook is incomplete." in write_report(tmp_path).read_text(encoding="utf-8")
