"""Follows every link of the built site: each leads to a file that is there, and to a place in it; nothing is fetched."""

from __future__ import annotations

import posixpath
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page has of addresses, and of places that others may link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []  # to be followed by a reader
        self.loads: list[str] = []  # by the browser
        self.places: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for each tag."""
        of = dict(attrs)
        self.places |= {value for name in ("id", "name") if (value := of.get(name))}
        if tag in ("a", "area") and of.get("href"):
            self.links.append(of["href"] or "")
        elif of.get("src"):
            self.loads.append(of["src"] or "")
        elif tag == "link" and of.get("href") and of.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(of["href"] or "")

    handle_startendtag = handle_starttag


class Site:
    """A folder of pages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def pages(self) -> dict[str, Page]:
        """All pages, by their paths in the folder."""
        files = sorted(self.folder.rglob("*.html"))
        return {
            file.relative_to(self.folder).as_posix(): Page(file.read_text(encoding="utf-8")) for file in files
        }  # fmt: skip

    def dead(self) -> list[str]:
        """A sentence for each link that leads nowhere, and for each file that would be fetched from elsewhere."""
        found = []
        for name, page in self.pages.items():
            for address in dict.fromkeys(page.links):
                found += [f"{name}: {address}: {wrong}" for wrong in self.wrong(name, address)]
            for address in dict.fromkeys(page.loads):
                parts = urlsplit(address)
                if parts.netloc:
                    found.append(f"{name}: {address}: would be fetched from another server")
                else:
                    found += [f"{name}: {address}: {wrong}" for wrong in self.wrong(name, address)]
        return found

    def wrong(self, name: str, address: str) -> list[str]:
        """What is wrong with an address on a page: nothing, or one thing."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            return []  # of another server, or data
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
        if path.startswith("..") or not (self.folder / path).exists():
            return ["no such file"]
        place = unquote(parts.fragment)
        page = self.pages.get(path)
        if place and page is not None and place not in page.places:
            return ["no such place on that page"]
        return []
