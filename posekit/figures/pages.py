"""Self-contained HTML pages: they open offline and run no scripts."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from posekit.files import write_text


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page from a template (a path in posekit). Values are escaped unless they are `Markup`."""
    loader = PackageLoader("posekit", "")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    write_text(path, pages.get_template(template).render(values))
