"""The repository itself: notebooks as git stores them, versions stated once, small files, links that lead somewhere."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from papermill import inspect_notebook

from posekit.course.lessons import read_lesson

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tracked_files() -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git clone")
    return done.stdout.splitlines()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_clean(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code), "strip it: nbstripout --keep-id FILE"
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in code) == 1
    shown = [cell for cell in code if not cell["metadata"].get("jupyter", {}).get("source_hidden")]
    assert [cell["id"] for cell in shown if len("".join(cell["source"]).splitlines()) > 25] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_papermill_can_tell_what_a_lesson_takes(path: Path) -> None:
    """`papermill --help-notebook`: each parameter with its type and default, in lines that fit JupyterLab's cells."""
    kinds = {name: entry["inferred_type_name"] for name, entry in inspect_notebook(str(path)).items()}
    defaults = read_lesson(path).parameters
    assert kinds == {name: type(value).__name__ for name, value in defaults.items()}
    (parameters,) = (cell for cell in cells_of(path) if "parameters" in cell["metadata"].get("tags", []))
    assert max(len(line) for line in "".join(parameters["source"]).splitlines()) <= 100


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports_are_folded(path: Path) -> None:
    """JupyterLab shows the long first imports as a line that opens on a click."""
    first = next(cell for cell in cells_of(path) if "".join(cell["source"]).startswith("%matplotlib inline"))
    assert first["metadata"]["jupyter"] == {"source_hidden": True}


def cells_of(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_every_lesson_has_its_own_number() -> None:
    numbers = [path.stem.split("_")[0] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)


def test_no_large_files() -> None:
    """But for the networks that ship."""
    files = [name for name in tracked_files() if (ROOT / name).is_file()]
    most = {name: 3 * 2**20 if name.startswith("posekit/weights/") else 1_000_000 for name in files}
    assert [name for name in files if (ROOT / name).stat().st_size > most[name]] == []


def test_environment_states_no_version_but_python() -> None:
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    entries = [line.split("#")[0].strip(" -") for line in lines if line.strip().startswith("-")]
    assert [entry for entry in entries if re.search(r"\d", entry)] == ["python=3.11"]
    assert "e ." in entries  # pip reads pyproject.toml


def test_every_dependency_is_pinned() -> None:
    requirements = [*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])]
    assert [text for text in requirements if not re.fullmatch(r"[\w-]+(\[\w+\])?==[\w.]+(; .+)?", text)] == []


def pins(requirements: list[str]) -> dict[str, str]:
    """Name → version; of a name with an extra, such as a[b]==1, the name alone."""
    return dict(re.sub(r"\[.*\]", "", text.split(";")[0]).split("==") for text in requirements)


def locked(name: str) -> dict[str, str]:
    """Name → version of scripts/locks/NAME.lock, whose every line must be comment or a version with hashes."""
    text = (ROOT / f"scripts/locks/{name}.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w-]+==[\w.+]+( +--hash=sha256:[0-9a-f]{64})+", line)] == []
    return pins([line.split(" ")[0] for line in lines])


def test_lock_files_agree_with_pyproject() -> None:
    """`bash scripts/lock.sh` makes them again. That they hold all that is needed, pip checks at every set-up."""
    extras = {name: pins(requirements) for name, requirements in PROJECT["optional-dependencies"].items()}
    torch = extras["test"].pop("torch")  # has lock files of its own
    course = pins(PROJECT["dependencies"]) | pins(PYPROJECT["build-system"]["requires"])
    assert locked("course") | course == locked("course")
    assert locked("test") | locked("course") | extras["test"] | extras["site"] == locked(
        "test"
    ) and "torch" not in locked("test")
    assert locked("torch-cpu") == locked("torch-cpu") | {"torch": f"{torch}+cpu"}
    assert {**locked("test"), "torch": f"{torch}+cpu"} == locked("test") | locked("torch-cpu")
    shared = locked("torch-cuda").keys() & locked("test").keys()
    assert {name: locked("torch-cuda")[name] for name in shared} == {name: locked("test")[name] for name in shared}
    assert locked("torch-cuda")["torch"] == torch
    assert locked("opencv-headless") == {"opencv-python-headless": course["opencv-python"]}
    assert locked("lite") == extras["lite"]


def test_citation_and_changelog_have_this_version() -> None:
    from posekit import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def tree() -> str:
    """The list of files in CONTRIBUTING.md."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Files", 1)[1].split("\n## ")[0]


def test_tree_names_every_top_level_entry() -> None:
    entries = {name.split("/")[0] for name in tracked_files()} - {".gitignore", ".gitattributes", ".dockerignore"}
    assert [name for name in sorted(entries) if name not in tree()] == []


def test_tree_lists_the_packages() -> None:
    """Each once, those that build on others below them: in the order of import-linter's contract, from the bottom."""
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"][::-1]
    listed = re.findall(r"^  (\w+)/ ", tree(), re.M)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "posekit").glob("*/__init__.py"))
    assert [name for name in layers if name in listed] == listed


def test_links_of_all_pages_lead_somewhere() -> None:
    """To a file, and a heading of it where one is named. Lessons' translations are cells, and no pages."""
    pages = [ROOT / name for name in tracked_files() if name.endswith(".md") and not name.startswith("notebooks/")]
    assert ROOT / "README.md" in pages
    assert [f"{page.relative_to(ROOT)}: {link}" for page in pages for link in broken_links(page)] == []


def test_broken_links_are_noticed(tmp_path: Path) -> None:
    links = ["b.md", "#a-b-1", "b.md#c", "https://host/x", "b.md#d", "c.md", "#a"]
    text = "# A: `b` 1\n" + "".join(f"[x]({link})\n" for link in links)
    page = tmp_path / "a.md"
    page.write_text(text + '<img src="d.jpg">\n```\n# a\n[x](y)\n```\n', encoding="utf-8")
    (tmp_path / "b.md").write_text("## C\n", encoding="utf-8")
    assert list(broken_links(page)) == ["b.md#d", "c.md", "#a", "d.jpg"]


def broken_links(page: Path) -> Iterator[str]:
    """The links in a page, of files or headings, that lead nowhere. GitHub's own pages of the repository are exempt."""
    for link in re.findall(r"(?<=\]\()[^)\s]+(?=\))|(?<=src=\")[^\"]+", prose(page)):
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        if "://" in link or file.startswith("../../") and not target.resolve().is_relative_to(ROOT):
            continue
        if not target.exists() or heading and heading not in headings(target):
            yield link


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def headings(page: Path) -> list[str]:
    """As GitHub names them in addresses."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found]
