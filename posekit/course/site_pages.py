"""The pages of the site before Sphinx has them: lessons, results, commands, the package, documents."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from nbformat import NotebookNode

import posekit
from posekit.course.cells import has_tag
from posekit.course.results import RESULT_MIME, result_text
from posekit.errors import InputError, in_words
from posekit.figures.page_widgets import NOTE_CLASS
from posekit.files import ROOT

LANGUAGES = {"en": "English", "zh": "中文"}
_WIDGET = "application/vnd.jupyter.widget-view+json"
_LIVE = {
    "en": "*With posekit installed, this picture has controls: `posekit lab`, lesson {lesson}, Run All Cells.*",
    "zh": "*安装 posekit 后，这幅图带有可操作的控件：运行 `posekit lab`，打开课程 {lesson}，选择 Run All Cells。*",
}
_NO_PAGE = ("cli", "weights")  # the commands have a page of their own


def write_pages(folder: Path, run: Path, manifest: dict[str, Any], language: str, commands: str) -> list[str]:
    """Write the pages of a course into `folder`; return their names, as they are in the site."""
    lessons = {entry["name"]: entry for entry in manifest["lessons"]}
    documents = _write_documents(folder, language)
    (folder / "lessons").mkdir()
    for name in lessons:
        notebook = _executed_lesson(run / f"{name}.ipynb")
        notebook = lesson_page(notebook, name, list(lessons), folder, language)
        nbformat.write(notebook, folder / "lessons" / f"{name}.ipynb")
    (folder / "commands.md").write_text(commands, encoding="utf-8")
    packages = _write_api(folder / "api")
    rows = [
        {**entry, "results": list(map(result_text, entry.get("results", []))), "shown": shown_result(entry)}
        for entry in lessons.values()
    ]
    loader = FileSystemLoader(Path(__file__).with_name("site_files"))
    pages = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True)  # an empty line would end a table
    for page in ("index", "results"):
        values = {"manifest": manifest, "lessons": rows, "documents": documents, "packages": packages}
        text = pages.get_template(f"{page}.{language}.md.j2").render(values)
        (folder / f"{page}.md").write_text(text, encoding="utf-8")
    return _names(folder)


def _names(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*.*") if path.suffix in (".md", ".rst", ".ipynb"))
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in paths)


# Lessons


def _executed_lesson(path: Path) -> NotebookNode:
    """Read an executed lesson; InputError if it is damaged, or has no title."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, TypeError, AttributeError, KeyError, nbformat.ValidationError) as error:
        raise InputError(f"{path}: not a notebook, or damaged ({in_words(error)}); run the course again") from error
    if not any(cell.cell_type == "markdown" and re.search("^# ", cell.source, re.M) for cell in notebook.cells):
        raise InputError(f"{path}: no cell has a title, a line that begins with #; write one, and run the course again")
    return notebook


def shown_result(lesson: Mapping[str, Any]) -> str:
    """A lesson's result for the first page: its first measurement, which has a unit, rather than what it counted."""
    results = lesson.get("results", [])
    return next((result_text(result) for result in [*filter(lambda r: r.get("unit"), results), *results]), "")


def lesson_page(
    notebook: NotebookNode, name: str, names: list[str], folder: Path, language: str = "en"
) -> NotebookNode:
    """An executed lesson for the site in `folder`: `name` among `names`, those of all pages of lessons.

    A lesson that ran with several recipes says which in its title, and links lead to a lesson's first page. Widgets
    leave their picture, and say how to get them; solutions are closed.
    """
    notebook.metadata.pop("widgets", None)
    pages = {f"{_stem(each)}.ipynb": f"{each}.ipynb" for each in reversed(names)}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _live_links(cell.source, folder / "lessons", pages)
        elif cell.cell_type == "code":
            cell.outputs = list(_outputs(cell, _LIVE[language].format(lesson=_stem(name))))
            if has_tag(cell, "solution"):
                cell.metadata.tags.append("hide-cell")
    if sum(_stem(each) == _stem(name) for each in names) > 1:
        recipe, first = name.removeprefix(f"{_stem(name)}-"), notebook.cells[0]
        first.source = re.sub("^(# .*)$", rf"\1 · {recipe}", first.source, count=1, flags=re.M)
    return notebook


def _live_links(text: str, folder: Path, pages: Mapping[str, str]) -> str:
    """The Markdown of a page in `folder`, its links to `pages` by their new names, others only if they lead there."""

    def live(link: re.Match) -> str:
        target = pages.get(link[2], link[2])
        there = "://" in target or target in pages.values() or (folder / target).exists()
        return f"[{link[1]}]({target}{link[3] or ''})" if there else link[1]

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)", live, text)


def _stem(name: str) -> str:
    """The lesson's own name: 04_train of 04_train-poseestnet-quick."""
    return name.split("-")[0]


def _outputs(cell: NotebookNode, note: str) -> Iterator[NotebookNode]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        data.pop(RESULT_MIME, None)
        if NOTE_CLASS in data.get("text/html", ""):  # the site has a note of its own
            continue
        if _WIDGET not in data:
            yield output
        elif "%|" not in data.get("text/plain", ""):  # else a progress bar
            yield nbformat.v4.new_output("display_data", {"text/markdown": note})


# Documents


def _write_documents(folder: Path, language: str) -> list[str]:
    """Copy docs/, in the language as far as it is there, and data/README.md; return the pages' names.

    Only those links stay that lead somewhere. The site has its own switch of languages.
    """
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns(*LANGUAGES))
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data/README.md", folder / "data")
    for path in (ROOT / "docs" / language).glob("*.md"):
        text = path.read_text(encoding="utf-8").replace("](../", "](")  # a folder higher than in the repository
        (folder / "docs" / path.name).write_text(text, encoding="utf-8")
    names = _names(folder)
    for path in (folder / f"{name}.md" for name in names):
        switch = rf"^\[[^\]]+\]\((\w\w/)?{re.escape(path.name)}\)\n"
        text = re.sub(switch, "", path.read_text(encoding="utf-8"), flags=re.M)
        path.write_text(_live_links(text, path.parent, {}), encoding="utf-8")
    return names


# The package


def _write_api(folder: Path) -> list[str]:
    """Write a page for each package of posekit, and one for the modules that all build on; return their names."""
    folder.mkdir()
    modules: dict[str, list[str]] = {"posekit": []}
    for module in walk_packages(posekit.__path__, "posekit."):
        name = module.name.split(".")[1]
        if name not in _NO_PAGE and not module.name.split(".")[-1].startswith("_"):
            home = ".".join(module.name.split(".")[:2]) if (Path(posekit.__path__[0]) / name).is_dir() else "posekit"
            modules.setdefault(home, []).append(module.name)
    for home, names in modules.items():
        lines = [home, "=" * len(home), ""]
        for name in names:
            lines += [] if name == home else [name, "-" * len(name), ""]
            lines += [f".. automodule:: {name}", "   :members:", ""]
        (folder / f"{home}.rst").write_text("\n".join(lines), encoding="utf-8")
    return list(modules)


def as_rst(_app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Replace a docstring's lines, which are Markdown, by what reStructuredText takes."""
    if not any(lines):  # an empty directive is an error
        return
    html = MarkdownIt("commonmark", {"html": False}).render("\n".join(lines))
    lines[:] = [".. raw:: html", "", *(f"   {line}" for line in html.splitlines()), ""]
