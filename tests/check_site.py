"""Check the links of a site's folder: python tests/check_site.py FOLDER. Nothing may be loaded from other hosts."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """A page's ids, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.ids: set[str] = {""}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag refers to."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.loads += [values[name] for name in ("src", "srcset", "data", "poster") if name in values]
        if "href" in values:
            (self.links if tag == "a" else self.loads).append(values["href"])
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", values.get("style", ""))


def problems(site: Path) -> list[str]:
    """What is wrong with the links of all pages and style sheets below `site`, a line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        found += [f"{path}: {address}: loaded from another host" for address in page.loads if _elsewhere(address)]
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            there = (
                pages.get(site / target.relative_to(site.resolve())) if target.is_relative_to(site.resolve()) else None
            )
            if not target.is_file():
                found.append(f"{path}: {address}: no such file")
            elif there and unquote(parts.fragment) not in there.ids and parts.path + parts.fragment != "#":
                found.append(f"{path}: {address}: no such place in the page")
    for path in site.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import )['\"]?([^'\") ;]+)", path.read_text(encoding="utf-8")):
            if _elsewhere(address):
                found.append(f"{path}: {address}: loaded from another host")
    return found


def _elsewhere(address: str) -> bool:
    return urlsplit(address).scheme not in ("", "data") or address.startswith("//")


if __name__ == "__main__":
    lines = problems(Path(sys.argv[1]))
    print("\n".join(lines) or f"{sys.argv[1]}: all links lead somewhere, and nothing is loaded from other hosts")
    sys.exit(bool(lines))
