"""The report of a course: one self-contained HTML page, pictures included, that opens offline."""

import json
import re
from pathlib import Path

import nbformat
from markupsafe import Markup

from posekit.course.results import result_text
from posekit.figures.pages import write_page
from posekit.processes import shared_map
from posekit.runtime import cores

_WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html from the manifest and executed notebooks in `folder`; return its path."""
    from pygments.formatters import HtmlFormatter

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    paths = [folder / f"{lesson['name']}.ipynb" for lesson in manifest["lessons"]]
    with shared_map(len(cores())) as spread:
        notebooks = list(map(Markup, spread(_notebook_html, paths)))
    write_page(
        folder / "report.html", "course/report.html.j2", manifest=manifest, result_text=result_text,
        notebooks=zip(manifest["lessons"], notebooks, strict=True), manifest_text=json.dumps(manifest, indent=2),
        code_style=Markup(HtmlFormatter(style="default").get_style_defs(".highlight")),
    )  # fmt: skip
    return folder / "report.html"


def _notebook_html(path: Path) -> str:
    """Return a notebook's cells and outputs as an HTML fragment without scripts; empty if the file is missing."""
    from nbconvert import HTMLExporter

    if not path.is_file():
        return ""
    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:  # cut off when the lesson was ended
        return '<p class="failed">This notebook is incomplete.</p>'
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        output.get("data", {}).pop(_WIDGET_MIME, None)  # needs a script; the output also holds a picture or text
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL | re.IGNORECASE)
