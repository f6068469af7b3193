"""The report of a course: one HTML page with everything in it, pictures too, that opens without a network."""

import html
import json
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import nbformat

from posekit.course.results import result_text
from posekit.files import write_text
from posekit.runtime import cores

_WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2330; background: #f4f6f9; margin: 0; }
main { max-width: 1100px; margin: 0 auto; padding: 24px; }
h1 { margin: 0 0 4px; } h2 { margin: 32px 0 8px; } .quiet { color: #5b6675; }
table { border-collapse: collapse; background: #fff; } th, td { padding: 4px 12px; border-bottom: 1px solid #dde3ea; }
th { text-align: left; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
.done { color: #1a7f4b; } .failed, .interrupted { color: #b3261e; font-weight: 600; } .waiting { color: #5b6675; }
.headline { display: flex; flex-wrap: wrap; gap: 12px; }
.headline div { background: #fff; border: 1px solid #dde3ea; border-radius: 8px; padding: 8px 16px; }
.headline b { display: block; font-size: 22px; }
details { background: #fff; border: 1px solid #dde3ea; border-radius: 8px; margin: 12px 0; padding: 8px 20px; }
summary { cursor: pointer; font-weight: 600; } details img, details svg { max-width: 100%; height: auto; }
pre { overflow-x: auto; margin: 0; font-size: 13px; line-height: 1.4; } .anchor-link, .prompt { display: none; }
.input_area { background: #f4f6f9; border-radius: 6px; padding: 8px 12px; margin: 8px 0; }
.output_area { margin: 8px 0; overflow-x: auto; } .output_stderr { background: #fdf3e1; padding: 4px 12px; }
"""


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html from the manifest and the executed notebooks there; returns its path."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    with ProcessPoolExecutor(len(cores()), get_context("spawn")) as pool:
        lessons = list(pool.map(partial(_lesson, folder), manifest["lessons"]))
    parts = [_summary(manifest), _headline(manifest), *lessons]
    title = html.escape(f"posekit course, {manifest['scale']}, {manifest['started']}")
    page = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_STYLE}{_code_style()}</style></head>
<body><main><h1>{title}</h1>
{"".join(parts)}
<h2>Manifest</h2>
<details><summary>manifest.json</summary><pre>{html.escape(json.dumps(manifest, indent=2))}</pre></details>
</main></body></html>
"""
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _summary(manifest: dict) -> str:
    """The machine in a line, and a row for each lesson."""
    versions = manifest["versions"]
    facts = [f"posekit {versions['posekit']}", f"MindSpore {versions.get('mindspore', 'not installed')}"]
    facts += [manifest["platform"], f"{manifest['cpu_count']} processors", f"device {manifest['device']}"]
    facts += (
        [f"commit {manifest['git_commit'][:10]}{' with changes' if manifest['git_dirty'] else ''}"]
        if manifest["git_commit"]
        else []
    )
    rows = [
        f'<tr><td><a href="#{entry["name"]}">{html.escape(entry["name"])}</a></td>'
        f'<td class="{entry["status"]}">{entry["status"]}</td><td class="number">{entry["seconds"]:.0f}</td></tr>'
        for entry in manifest["lessons"]
    ]
    together = f"{manifest.get('seconds', 0.0):.0f}"
    return (
        f'<p class="quiet">{html.escape(" · ".join(facts))}</p>'
        f"<table><tr><th>lesson</th><th>status</th><th>seconds</th></tr>{''.join(rows)}"
        f'<tr><td></td><td>from first to last</td><td class="number">{together}</td></tr></table>'
    )


def _headline(manifest: dict) -> str:
    """Every recorded result as a tile; the lesson that gave it underneath."""
    tiles = [
        f"<div>{html.escape(result['name'])}<b>{html.escape(result_text({**result, 'name': ''}).lstrip(' ='))}</b>"
        f'<span class="quiet">{html.escape(entry["name"])}</span></div>'
        for entry in manifest["lessons"]
        for result in entry.get("results", [])
    ]
    return f'<h2>Results</h2><div class="headline">{"".join(tiles)}</div>' if tiles else ""


def _lesson(folder: Path, entry: dict) -> str:
    """The executed lesson, folded; its error first where it has one."""
    path = folder / f"{entry['name']}.ipynb"
    if not path.is_file():
        return ""
    name = html.escape(entry["name"])
    error = f'<p class="failed">{html.escape(entry["error"]["message"])}</p>' if entry.get("error") else ""
    return f'<details id="{name}"><summary>{name}</summary>{error}{_notebook_html(path)}</details>'


def _notebook_html(path: Path) -> str:
    """The notebook's cells and outputs as an HTML fragment without scripts."""
    from nbconvert import HTMLExporter

    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:  # cut off by what ended the lesson
        return '<p class="failed">This notebook was not written to its end.</p>'
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        output.get("data", {}).pop(_WIDGET_MIME, None)  # needs a script; its picture or text stands beside it
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL | re.IGNORECASE)


def _code_style() -> str:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(style="default").get_style_defs(".highlight")
