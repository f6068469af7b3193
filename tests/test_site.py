"""The site of executed lessons: its pages, what it refuses, its links, and what a browser shows of it from a folder."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import pytest
import typer
from browsing import chromium, needs_chromium
from check_photographs import Photographs, photographs_in
from check_site import Page, problems
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from posekit.cli.main import app
from posekit.cli.reference import reference
from posekit.course.site_pages import LANGUAGES, as_rst, lesson_page, shown_result
from posekit.errors import InputError

WIDGET = "application/vnd.jupyter.widget-view+json"
RESULT = "application/vnd.posekit.result+json"
NAMES = ["00_start", "04_train-poseestnet-quick", "04_train-hourglass-quick"]


def picture() -> str:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 900, 3), np.uint8)).save(stream := BytesIO(), "png")
    return base64.b64encode(stream.getvalue()).decode()


def lesson(title: str, *text: str) -> nbformat.NotebookNode:
    """An executed lesson with a figure, a progress bar, a widget below its first picture, a result and a solution."""
    shown = [
        {WIDGET: {"model_id": "1"}, "text/plain": "checking:   0%|          | 0/9"},
        {"image/png": picture(), "text/plain": "a figure"},
        {"text/html": '<p class="pk-saved"><em>Run this cell again</em></p>', "text/plain": "Run this cell again"},
        {WIDGET: {"model_id": "2"}, "text/plain": "Run this cell in JupyterLab to change the picture"},
        {RESULT: {"name": "PCK", "value": 87.5, "unit": "%"}, "text/plain": "Result: PCK = 87.5 %"},
    ]
    outputs = [new_output("display_data", data) for data in shown]
    cells = [new_markdown_cell(f"# {title}"), *map(new_markdown_cell, text)]
    cells += [new_code_cell("show(heatmaps)", outputs=outputs)]
    cells += [new_code_cell("answer = 42", metadata={"tags": ["solution"]})]
    return new_notebook(cells=cells, metadata={"widgets": {"state": {}}, "language_info": {"name": "python"}})


def course(folder: Path, lang: str, **changes: object) -> Path:
    """A finished course of three runs of two lessons; `changes` are to its manifest."""
    folder.mkdir()
    about = {"en": "A heatmap is a picture.", "zh": "关键点的热力图是一张图片。"}[lang]
    table = "| | |\n| --- | --- |\n| **Time** | a minute |"
    link = "[on](04_train.ipynb) [data](../data/README.md) [gone](../scripts/x.sh)"
    for name in NAMES:
        nbformat.write(lesson(f"{name[:2]} · {LANGUAGES[lang]}", about, table, link), folder / f"{name}.ipynb")
    result = {"name": "PCK", "value": 87.5, "unit": "%"}
    manifest = {
        "scale": "quick", "started": "2026-01-02 03:04:05", "cpu_count": 2, "versions": {"mindspore": "2.10.0"},
        "seconds": 60.0, "photographs": False,
        "lessons": [{"name": n, "status": "done", "seconds": 20.0, "results": [result]} for n in NAMES],
    }  # fmt: skip
    manifest |= ({} if lang == "en" else {"language": lang}) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_a_lesson_for_the_site(tmp_path: Path) -> None:
    (tmp_path / "lessons").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/README.md").touch()
    links = (
        "[a](04_train.ipynb#x), [b](../data/README.md), [c](../scripts/x.sh), [d](https://e.org/f.ipynb) ![g](h.png)"
    )
    page = lesson_page(lesson("04 · Train", links), NAMES[2], NAMES, tmp_path)
    first, text, code, solution = page.cells
    assert first.source == "# 04 · Train · hourglass-quick"
    linked = "[a](04_train-poseestnet-quick.ipynb#x), [b](../data/README.md), c, [d](https://e.org/f.ipynb) ![g](h.png)"
    assert text.source == linked
    kinds = [sorted(output["data"]) for output in code.outputs]
    assert kinds == [["image/png", "text/plain"], ["text/markdown"], ["text/plain"]]
    assert "posekit lab" in code.outputs[1]["data"]["text/markdown"] and "04_train" in str(code.outputs[1])
    assert "hide-cell" in solution.metadata.tags and "widgets" not in page.metadata
    assert lesson_page(lesson("00 · Start"), NAMES[0], NAMES, tmp_path).cells[0].source == "# 00 · Start"


def test_docstrings_are_markdown() -> None:
    lines = ["The `x*` of a | b_ and <c>:", "- one", "- two"]
    as_rst(None, "", "", None, None, lines)
    assert lines[:2] == [".. raw:: html", ""]
    text = "".join(lines)
    assert "<code>x*</code> of a | b_ and &lt;c&gt;" in text and text.count("<li>") == 2


def test_the_first_page_shows_a_measurement_of_each_lesson() -> None:
    """Not the network's name or a count; where nothing was measured, what there is."""
    name, count = {"name": "network", "value": "people", "unit": ""}, {"name": "samples", "value": 9, "unit": ""}
    pck = {"name": "PCK", "value": 87.5, "unit": "%"}
    assert shown_result({"results": [name, count, pck]}) == "PCK = 87.5 %"
    assert shown_result({"results": [name, count]}) == "network = people"
    assert shown_result({}) == ""


def commands(group: typer.Typer, before: str = "posekit") -> Iterator[str]:
    for info in group.registered_commands:
        name = info.name or (info.callback.__name__ if info.callback else "")
        yield f"{before} {name.replace('_', '-')}"
    for info in group.registered_groups:
        yield from commands(info.typer_instance, f"{before} {info.name}")


def test_the_page_of_commands_has_them_all() -> None:
    text = reference(typer.main.get_command(app))
    assert [name for name in commands(app) if f"# {name}\n" not in text] == []
    assert "| `--boxes` |" in text and "| `MODEL` |" in text


def test_what_cannot_be_a_site_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb")
    from posekit.course.site import write_site

    stopped = [{"name": NAMES[0], "status": "done"}, {"name": NAMES[1], "status": "failed"}]
    wrong = {
        "finish it with posekit course run --resume": course(tmp_path / "1", "en", lessons=stopped),
        "run the course without it": course(tmp_path / "2", "en", photographs=True),
        "give the folder of a course": tmp_path,
        "3 is in fr; give one course for each language, of en, zh": course(tmp_path / "3", "en", language="fr"),
    }
    for remedy, run in wrong.items():
        with pytest.raises(InputError, match=remedy):
            write_site([run], tmp_path / "site", "# Commands")
    with pytest.raises(InputError, match="1/1 is in en, .*1/1 is in en; give one course for each language"):
        write_site([course(tmp_path / "1" / "1", "en")] * 2, tmp_path / "site", "# Commands")
    with pytest.raises(InputError, match="name another folder"):
        write_site([tmp_path / "1"], tmp_path, "# Commands")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "damaged"), ("[]", "damaged"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}', "damaged"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}', "damaged"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "no cell has a title"),
        ("\xff", "damaged"),
    ],
)  # fmt: skip
def test_a_damaged_lesson_is_named(text: str, wrong: str, tmp_path: Path) -> None:
    pytest.importorskip("myst_nb")
    from posekit.course.site import write_site

    run = course(tmp_path / "run", "en")
    (run / f"{NAMES[1]}.ipynb").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=rf"{NAMES[1]}\.ipynb: .*{wrong}.*; .*run the course again"):
        write_site([run], tmp_path / "site", "# Commands")
    (run / "manifest.json").write_text(
        json.dumps({**json.loads((run / "manifest.json").read_text()), "lessons": [{"status": "done"}]})
    )
    with pytest.raises(InputError, match="run: not the manifest of a course; give the folder of a course"):
        write_site([run], tmp_path / "site", "# Commands")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in two languages."""
    pytest.importorskip("myst_nb")
    from posekit.course.site import write_site

    folder = tmp_path_factory.mktemp("我的 site")
    runs = [course(folder / language, language) for language in LANGUAGES]
    first = write_site(runs, folder / "made", reference(typer.main.get_command(app)))
    assert first == folder / "made/index.html"
    return first.parent


@pytest.mark.slow
def test_all_links_lead_somewhere_and_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    assert problems(site) == []


@pytest.mark.slow
def test_the_menu_leads_to_every_page(site: Path) -> None:
    menu = Page((site / "index.html").read_text(encoding="utf-8"))
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html") if "zh" not in path.parts}
    assert pages - {*menu.links, "index.html", "search.html"} == set()
    titles = re.findall(r'class="reference internal" href="[^#"]+">\s*([^<]+?)\s*</a>', menu.text.split("<article")[0])
    assert len(titles) > 20 and len(set(titles)) == len(titles)


@pytest.mark.slow
def test_a_broken_link_is_found(site: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(site, tmp_path / "broken")
    (broken / "results.html").unlink()
    page = broken / "commands.html"
    page.write_text(page.read_text("utf-8") + '<a href="#nowhere">x</a><img src="https://e.org/x.png">', "utf-8")
    found = "\n".join(problems(broken))
    assert "results.html: no such file" in found and "#nowhere: no such place" in found
    assert "https://e.org/x.png: loaded from another host" in found


@pytest.mark.slow
def test_a_photograph_in_a_page_is_found(photos: Path, site: Path, tmp_path: Path) -> None:
    """A figure with two photographs and drawn lines, in a page's own text; the drawn site has none."""
    known = Photographs(photos / "coco_people")
    assert photographs_in(site, known)[1] == []
    figure = Figure(figsize=(9, 3))
    for axes, path in zip(figure.subplots(1, 2), known.paths[:2], strict=True):
        axes.imshow(Image.open(path))
        axes.plot([50, 200, 300], [100, 40, 200], "o-")
    figure.savefig(stream := BytesIO(), format="webp")
    page = f'<img src="data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}">'
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    count, (line,) = photographs_in(tmp_path, known)
    assert count == 1 and line.startswith(f"{tmp_path / 'page.html'}: shows the photograph")


@pytest.mark.slow
def test_pages_have_figures_neighbours_and_the_other_language(site: Path) -> None:
    page = (site / "lessons/04_train-poseestnet-quick.html").read_text(encoding="utf-8")
    assert ".webp" in page and not re.search(r"_images/\w+\.png", page)
    assert "this picture has controls" in page and "Result: PCK = 87.5 %" in page
    assert 'title="previous page"' in page and 'title="next page"' in page
    assert 'href="../zh/lessons/04_train-poseestnet-quick.html"' in page
    assert 'href="../../lessons/00_start.html"' in (site / "zh/lessons/00_start.html").read_text(encoding="utf-8")
    first = (site / "index.html").read_text(encoding="utf-8")
    assert "PCK = 87.5 %" in first and "04 · English · hourglass-quick" in first.split("<table")[1]
    assert "从检查点到开发板" in (site / "zh/docs/board.html").read_text(encoding="utf-8")
    assert "中文" not in (site / "docs/board.html").read_text(encoding="utf-8").split("<article")[1]
    assert not (site / "docs/zh").exists()
    assert "Build the recipe" in (site / "api/posekit.models.html").read_text(encoding="utf-8")
    pictures = [path for path in site.rglob("_images/*") if path.suffix != ".jpg"]
    assert pictures and all(Image.open(path).width == 900 for path in pictures)
    assert sum(path.stat().st_size for path in site.rglob("*")) < 20 * 2**20  # of which figures are next to nothing


@pytest.mark.machine
@needs_chromium
def test_a_browser_shows_it_from_the_folder(site: Path) -> None:
    """Search in both languages, no request to a host, light and dark, a phone's width."""
    errors: list[str] = []
    with chromium() as browser:
        for language, folder, word in (("en", site, "heatmap"), ("zh", site / "zh", "热力图")):
            page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
            page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or errors.append(asked.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{(folder / 'search.html').as_uri()}?q={word}")
            page.locator("#search-results a", has_text=f"00 · {LANGUAGES[language]}").first.click()
            page.wait_for_url("**/lessons/00_start.html*")
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            assert page.evaluate("document.documentElement.dataset.theme") == "dark"
            assert not page.locator("thead").first.is_visible()  # a table whose heads are empty
            assert (
                page.locator(".cell_output img").first.evaluate("image => image.complete && image.naturalWidth") == 900
            )
            for wide in folder.rglob("*.html"):  # long names and addresses, too
                page.goto(wide.as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") == 390, wide
            page.close()
    assert errors == []
