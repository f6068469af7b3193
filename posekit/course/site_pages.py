"""The pages of the site before Sphinx has them: lessons, results, commands, the package, documents."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbformat import NotebookNode

import posekit
from posekit.course.results import result_text
from posekit.files import ROOT

LANGUAGES = {"en": "English", "zh": "中文"}
_WIDGET = "application/vnd.jupyter.widget-view+json"
_NO_PAGE = ("cli", "weights")  # the commands have a page of their own


def write_pages(folder: Path, run: Path, manifest: dict[str, Any], language: str, commands: str) -> list[str]:
    """Write the pages of a course into `folder`; return their names, as they are in the site."""
    lessons = {entry["name"]: entry for entry in manifest["lessons"]}
    (folder / "lessons").mkdir(parents=True)
    for name in lessons:
        notebook = nbformat.read(run / f"{name}.ipynb", as_version=4)
        nbformat.write(lesson_page(notebook, name, list(lessons)), folder / "lessons" / f"{name}.ipynb")
    documents = _write_documents(folder / "docs")
    (folder / "commands.md").write_text(commands, encoding="utf-8")
    packages = _write_api(folder / "api")
    rows = [{**entry, "results": list(map(result_text, entry.get("results", [])))} for entry in lessons.values()]
    pages = Environment(loader=FileSystemLoader(Path(__file__).with_name("site_files")), undefined=StrictUndefined)
    for page in ("index", "results"):
        values = {"manifest": manifest, "lessons": rows, "documents": documents, "packages": packages}
        text = pages.get_template(f"{page}.{language}.md.j2").render(values)
        (folder / f"{page}.md").write_text(text, encoding="utf-8")
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.*") if path.suffix != ".jpg")


# Lessons


def lesson_page(notebook: NotebookNode, name: str, names: list[str]) -> NotebookNode:
    """An executed lesson for the site: `name` among `names`, those of all pages of lessons.

    A lesson that ran with several recipes says which in its title, and links lead to a lesson's first page. Widgets
    leave their picture, and say how to get them; solutions are closed.
    """
    notebook.metadata.pop("widgets", None)
    stems = {_stem(each) for each in names}
    several = sum(_stem(each) == _stem(name) for each in names) > 1
    pages = {stem: next(each for each in names if _stem(each) == stem) for stem in stems}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(
                r"\]\(([\w.-]+)\.ipynb", lambda link: f"]({pages.get(link[1], link[1])}.ipynb", cell.source
            )
        elif cell.cell_type == "code":
            cell.outputs = list(_outputs(cell, _stem(name)))
            if "solution" in cell.metadata.get("tags", []):
                cell.metadata.tags.append("hide-cell")
    if several:
        first = notebook.cells[0]
        first.source = re.sub(r"^(# .*)$", rf"\1 · {name.removeprefix(_stem(name) + '-')}", first.source, count=1, flags=re.M)
    return notebook


def _stem(name: str) -> str:
    """The lesson's own name: 04_train of 04_train-poseestnet-quick."""
    return name.split("-")[0]


def _outputs(cell: NotebookNode, lesson: str) -> Iterator[NotebookNode]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if _WIDGET not in data:
            yield output
        elif "%|" not in data.get("text/plain", ""):  # else a progress bar
            note = f"*With posekit installed, this picture has controls: `posekit lab`, lesson {lesson}, Run All Cells.*"
            yield nbformat.v4.new_output("display_data", {"text/markdown": note})


# Documents


def _write_documents(folder: Path) -> list[str]:
    """Copy docs/, with only those links that lead to pages or other hosts; return the pages' names."""
    shutil.copytree(ROOT / "docs", folder)
    paths = sorted(folder.glob("*.md"))
    for path in paths:
        text = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)]*)?\)", lambda link: _link(link, folder), path.read_text("utf-8"))
        path.write_text(text, encoding="utf-8")
    return [path.stem for path in paths]


def _link(link: re.Match, folder: Path) -> str:
    return link[0] if "://" in link[2] or (folder / link[2]).exists() else link[1]


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
            lines += [name, "-" * len(name), "", f".. automodule:: {name}", "   :members:", ""]
        (folder / f"{home}.rst").write_text("\n".join(lines), encoding="utf-8")
    return list(modules)


def as_rst(_app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Change a docstring's lines, in which `this` is code and nothing else is markup, into reStructuredText."""
    for row, line in enumerate(lines):
        parts = re.split(r"`+([^`]+)`+", line)
        lines[row] = "".join(f"``{part}``" if odd % 2 else re.sub(r"([*|\\_])", r"\\\1", part) for odd, part in enumerate(parts))
