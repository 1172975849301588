"""The built site as files: every link and picture in it leads to something that is there."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"


class Page(HTMLParser):
    """What a page refers to, and what in it can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note the links and names of a tag."""
        del tag
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.append(value)
            elif name in {"id", "name"} and value:
                self.names.add(value)


@pytest.fixture(scope="module")
def pages(fresh_site):
    """Read all pages of the site."""
    return {path: Page(path) for path in fresh_site.rglob("*.html") if path.name != "404.html"}


def _broken(path, link, pages):
    """Say whether a link of a page of ours leads nowhere."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme not in {"https", "http", "data"}
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or SITE not in target.parents:
        return True
    known = pages[target].names if target in pages else {parts.fragment}
    return bool(parts.fragment) and unquote(parts.fragment) not in known


def test_every_link_leads_somewhere(pages):
    """Links within the site lead to a page, and to a place that it has."""
    assert len(pages) > 20
    broken = [
        f"{path.relative_to(SITE)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if _broken(path, link, pages)
    ]
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(fresh_site):
    """No page has a script, a style or a picture of another host."""
    for path in fresh_site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert 'src="http' not in text
        assert 'rel="stylesheet" href="http' not in text
