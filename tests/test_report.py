"""The report opens without a network: it loads nothing from outside and holds everything itself."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
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


def test_report_of_a_run_that_has_only_begun(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "00_start.ipynb").unlink()
    assert "01_next" in write_report(tmp_path).read_text(encoding="utf-8")


def test_report_of_a_notebook_that_was_cut_off(tmp_path: Path) -> None:
    make_run(tmp_path)
    notebook = tmp_path / "00_start.ipynb"
    notebook.write_text(notebook.read_text()[:300])
    assert "This notebook is incomplete." in write_report(tmp_path).read_text(encoding="utf-8")
