"""A site of the executed lessons. Its pages open from a folder as from a server, and load nothing from other hosts.

Sphinx builds it, with MyST-NB for the notebooks and a theme for books, from the pages that `site_pages` writes.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from posekit.course.results import read_course
from posekit.course.site_pages import LANGUAGES, as_rst, write_pages
from posekit.errors import InputError
from posekit.files import expanded, new_folder

FILES = Path(__file__).with_name("site_files")
LOSSLESS = 100_000  # bytes of a figure
SOLUTION = {"en": "Solution", "zh": "答案"}
_SPHINX = {"en": "en", "zh": "zh_CN"}  # Sphinx's names of the languages


@dataclass(frozen=True)
class Edition:
    """A finished course, in a language; `place` is its pages' folder below the site's."""

    run: Path
    manifest: dict[str, Any]
    place: str = ""

    @property
    def language(self) -> str:
        """The language of its lessons: en, or what the manifest says."""
        return self.manifest.get("language", "en")


def write_site(runs: Sequence[Path], out: Path, commands: str) -> Path:
    """Write the site of finished courses, one for each language, to the new folder `out`; return its first page.

    The first course's pages are in `out` itself, others' in a folder named by their language. `commands` is the
    Markdown of the page of commands. InputError for a course that is unfinished or has photographs in it.
    """
    if find_spec("myst_nb") is None:
        raise InputError("a site needs Sphinx, which is not installed here; pip install 'posekit[site]'")
    out = expanded(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: is there already; remove it, or name another folder")
    editions = _editions([expanded(run) for run in runs])
    with TemporaryDirectory() as sources, new_folder(out) as building:
        folders = {edition.place: Path(sources, edition.language) for edition in editions}
        pages = {e.place: write_pages(folders[e.place], e.run, e.manifest, e.language, commands) for e in editions}
        for edition in editions:
            made = Path(sources, "made", edition.language, "html")  # beside it MyST-NB keeps copies of the notebooks
            _build(folders[edition.place], made, edition, _switch(editions, pages))
            _shrink(made)
            shutil.copytree(made, building / edition.place, dirs_exist_ok=True)
    return out / "index.html"


def _editions(runs: Sequence[Path]) -> list[Edition]:
    first, *others = (Edition(run, _manifest(run)) for run in runs)
    editions = [first, *(Edition(other.run, other.manifest, other.language) for other in others)]
    languages = [edition.language for edition in editions]
    if len(set(languages)) < len(languages) or set(languages) - set(LANGUAGES):
        said = ", ".join(f"{edition.run} is in {edition.language}" for edition in editions)
        raise InputError(f"{said}; give one course for each language, of {', '.join(LANGUAGES)}")
    return editions


def _manifest(run: Path) -> dict[str, Any]:
    manifest = read_course(run, "started", "cpu_count", "versions", "seconds")
    if unfinished := [entry["name"] for entry in manifest["lessons"] if entry["status"] != "done"]:
        raise InputError(f"{run}: lesson {unfinished[0]} is not done; finish it with posekit course run --resume {run}")
    if manifest.get("photographs"):
        raise InputError(f"{run}: ran with POSEKIT_PHOTOS set, so has photographs in it; run the course without it")
    return manifest


def _switch(editions: Sequence[Edition], pages: dict[str, list[str]]) -> list[dict[str, Any]]:
    """For the switch of languages: each one's name, folder and pages."""
    names = {edition.place: edition.language for edition in editions}
    return [
        {"code": names[place], "name": LANGUAGES[names[place]], "place": place, "pages": {*listed, "search"}}
        for place, listed in pages.items()
    ]


def _build(source: Path, out: Path, edition: Edition, switch: list[dict[str, Any]]) -> None:
    """Let Sphinx make the pages; InputError with its words if it can't, and for every broken link."""
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace

    from posekit.course.site_search import SearchChinese

    warnings = StringIO()
    with TemporaryDirectory() as trees, docutils_namespace():
        try:
            application = Sphinx(
                source, None, out, Path(trees), "html", _configuration(edition, switch), None, warnings, freshenv=True
            )
            application.add_search_language(SearchChinese)
            application.connect("autodoc-process-docstring", as_rst)
            application.build()
        except SphinxError as error:
            raise InputError(f"{edition.run}: Sphinx can't build the site: {error}") from error
    if text := re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue()).strip():
        raise InputError(f"{edition.run}: pages are wrong: {text}")


def _shrink(site: Path) -> None:
    """Store figures as WebP, large ones with slight losses; leave out what only the theme's authors need."""
    from PIL import Image

    for path in (site / "_images").glob("*.png"):
        picture = Image.open(path).convert("RGBA")
        picture.save(path.with_suffix(".webp"), lossless=True)
        if path.with_suffix(".webp").stat().st_size > LOSSLESS:
            picture.save(path.with_suffix(".webp"), quality=90)
        path.unlink()
    for path in site.rglob("*.html"):
        text = re.sub(r"(_images/[0-9a-f]{64})\.png", r"\1.webp", path.read_text(encoding="utf-8"))
        path.write_text(re.sub(r'alt="[./]*_images/[^"]*"', 'alt="figure"', text), encoding="utf-8")
    for path in [
        *(site / "_static").rglob("*.map"),
        *(site / "_static").glob("*macros.html"),
        site / ".buildinfo",
        site / "objects.inv",
    ]:
        path.unlink(missing_ok=True)


def _configuration(edition: Edition, switch: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "project": "posekit",
        "language": _SPHINX[edition.language],
        "extensions": ["myst_nb", "sphinx.ext.autodoc"],
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_code_prompt_show": SOLUTION[edition.language],
        "nb_code_prompt_hide": SOLUTION[edition.language],
        "smartquotes": False,  # --data is an option
        "myst_heading_anchors": 4,
        "suppress_warnings": ["myst.header"],
        "autodoc_member_order": "bysource",
        "autodoc_typehints_format": "short",
        "templates_path": [str(FILES)],
        "html_static_path": [str(FILES / "static")],
        "html_css_files": ["posekit.css"],
        "html_js_files": [("posekit.js", {"priority": 600})],
        "html_theme": "sphinx_book_theme",
        "html_title": "posekit",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_sphinx": False,
        "html_use_index": False,  # no menu leads to an index; the search finds what it lists
        "html_domain_indices": False,
        "html_show_copyright": False,
        "html_sidebars": {
            "**": ["navbar-logo.html", "languages.html", "search-button-field.html", "sbt-sidebar-nav.html"]
        },
        "html_theme_options": {
            "use_download_button": False,
            "use_fullscreen_button": False,
            "show_toc_level": 2,
            **dict.fromkeys(
                ("navbar_start", "navbar_center", "navbar_end", "navbar_persistent", "footer_content_items"), []
            ),
        },
        "html_context": {
            "languages": switch if len(switch) > 1 else [],
            "place": edition.place,
            "default_mode": "auto",
        },
    }
