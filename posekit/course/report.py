"""The report of a course: one self-contained HTML page, pictures included, that opens offline and runs no script."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import cv2
import nbformat
import numpy as np
from markupsafe import Markup, escape

from posekit import palette
from posekit.course.lessons import HEADLINES, PICTURED
from posekit.course.results import result_text
from posekit.figures.pages import write_page
from posekit.processes import shared_map
from posekit.runtime import cores

_WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_HEADLINES, _PICTURES = 4, 3  # how many the page begins with
_QUALITY = 82  # of WebP: a figure's text stays crisp, and a course takes 6 MB instead of 39
_SMALL = 10_000  # bytes of a picture that isn't worth it


@dataclass(frozen=True)
class Page:
    """An executed lesson: its title, its cells and outputs as HTML, and the address of its first picture, or ""."""

    title: str
    html: Markup
    picture: str


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html from the manifest and executed notebooks in `folder`; return its path."""
    from pygments.formatters import HtmlFormatter

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    entries = manifest["lessons"]
    with shared_map(len(cores())) as spread:
        pages = list(spread(_read_page, [folder / f"{entry['name']}.ipynb" for entry in entries]))
    lessons = [(entry, page and _linked(page, entries)) for entry, page in zip(entries, pages, strict=True)]
    of = {number: [pair for pair in lessons if _number(pair[0]) == number] for number in PICTURED}
    pictured = [pair for pairs in of.values() for pair in pairs if pair[1] and pair[1].picture]
    write_page(
        folder / "report.html", "course/report.html.j2", manifest=manifest, lessons=lessons, palette=palette,
        headlines=list(_headlines(entries))[:_HEADLINES], pictured=pictured[:_PICTURES],
        value_of=lambda result: result_text({**result, "name": ""}).removeprefix(" = "),
        manifest_text=json.dumps(manifest, indent=2),
        code_style=Markup(HtmlFormatter(style="default").get_style_defs(".highlight")),
    )  # fmt: skip
    return folder / "report.html"


def _number(lesson: Mapping) -> str:
    return lesson["name"].split("_")[0]


def _headlines(lessons: list[dict]) -> Iterator[tuple[dict, dict]]:
    """The results to begin with, each with its lesson."""
    for number, beginning in HEADLINES:
        for lesson in (lesson for lesson in lessons if _number(lesson) == number):
            found = [result for result in lesson.get("results", []) if result["name"].startswith(beginning)]
            yield from ((lesson, result) for result in found[:1])


def _read_page(path: Path) -> Page | None:
    """An executed notebook without scripts; None if the file is missing."""
    from nbconvert import HTMLExporter

    if not path.is_file():
        return None
    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:  # cut off when the lesson was ended
        return Page(path.stem, Markup('<p class="failed">This notebook is incomplete.</p>'), "")
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        output.get("data", {}).pop(_WIDGET_MIME, None)  # needs a script; the output also holds a picture or text
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    body = re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL | re.IGNORECASE)
    body = re.sub(r'(<h[1-6]) id="[^"]*"', r"\1", body)  # lessons have headings of the same name
    body = re.sub(r"data:image/(?:png|jpeg);base64,([\w+/=\s]+)", _smaller, body)
    picture = re.search(r'src="(data:image/[^"]+)"', body)
    heading = re.search(r"<h1>(.*?)<", body)
    return Page(unescape(heading[1]) if heading else path.stem, Markup(body), picture[1] if picture else "")


def _smaller(address: re.Match) -> str:
    """A picture's address, as WebP where that is smaller."""
    data = b64decode(address[1])
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if len(data) > _SMALL else None
    if pixels is None:
        return address[0]
    webp = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1].tobytes()
    return f"data:image/webp;base64,{b64encode(webp).decode()}" if len(webp) < len(data) else address[0]


def _linked(page: Page, lessons: list[dict]) -> Page:
    """The page with links to other lessons' files leading to their places in the report."""

    def place(link: re.Match) -> str:
        found = [lesson["name"] for lesson in lessons if lesson["name"].startswith(link[1])]
        return f'href="#{escape(found[0])}"' if found else link[0]

    return Page(page.title, Markup(re.sub(r'href="(\d\d\w+)\.ipynb"', place, page.html)), page.picture)
