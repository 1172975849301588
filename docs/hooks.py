"""mkdocs: the project's own files at the root are pages of the site as well.

Their relative links lead from the root; on the site the same files are elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

SOURCES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
PAGES = {source: page for page, source in SOURCES.items()}

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Replace the page's text by that of the file it stands for."""
    source = SOURCES.get(page.file.src_uri)
    if source is None:
        return markdown
    text = (Path(config.config_file_path).parent / source).read_text(encoding="utf-8")
    return LINK.sub(lambda link: page_of(link[1]), text)


def page_of(path: str) -> str:
    """Turn a path seen from the root into one seen from docs/.

    One that leads nowhere on the site is left alone: the strict build complains about it.
    """
    return PAGES.get(path) or path.removeprefix("docs/")
