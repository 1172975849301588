"""What became of the pages' sources on the built site."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
REFERENCE = [page for page in PAGES if page.startswith("reference/")]
TAG = re.compile(r"<[^>]+>")


@pytest.fixture
def rendered(fresh_site):
    """Give the HTML of a page."""

    def rendered(page):
        folder = page.removesuffix(".md").removesuffix("index")
        return (fresh_site / folder / "index.html").read_text(encoding="utf-8")

    return rendered


@pytest.mark.parametrize("page", PAGES)
def test_no_markup_is_left_in_the_text(rendered, page):
    """A table whose row is cut off, a fence or a tab that is none: they would be shown as text."""
    for paragraph in re.findall(r"<p>(.*?)</p>", rendered(page), re.DOTALL):
        text = unescape(TAG.sub("", re.sub(r"<code>.*?</code>", "", paragraph, flags=re.DOTALL)))
        assert not re.match(r"\s*(\||=== |```|--8<--|<!-- )", text), text[:80]


@pytest.mark.parametrize("page", REFERENCE)
def test_a_result_is_one_item(rendered, page):
    """A description of several lines is one paragraph, and not a result for each line."""
    sections = re.findall(
        r"section-title\">(?:Returns|Yields):</span>.*?<ul>(.*?)</ul>", rendered(page), re.DOTALL
    )
    assert sections or page not in {"reference/core.md", "reference/manager.md"}
    assert [section.count("<li") for section in sections] == [1] * len(sections)


@pytest.mark.parametrize("page", REFERENCE)
def test_a_default_is_a_value(rendered, page):
    """No number hides behind the name of a private constant."""
    signatures = re.findall(
        r'<div class="doc-signature[^>]*>(.*?)</div>', rendered(page), re.DOTALL
    )
    text = unescape(TAG.sub("", " ".join(signatures)))
    assert set(re.findall(r"= (_?[A-Z][A-Z_]+)\b", text)) <= {"_MISSING"}  # which is no number
