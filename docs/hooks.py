"""mkdocs: what the site makes of the project's files when it is built.

The project's own files at the root are pages as well; their relative links, which lead from the
root, are turned. A line `<!-- made: module.function -->` becomes what that function of docs/made/
returns: tables and drawings taken from the sources, so that they cannot grow stale.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
from made import benchmarks, changes, diagrams, faults, notebook

del sys.path[0]

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
SOURCES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
PAGES = {source: page for page, source in SOURCES.items()}

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
MADE = re.compile(r"^<!-- made: (\w+)\.(\w+) -->$", re.MULTILINE)
IMAGE = re.compile(r"^!\[[^\]]*\]\(([\w./-]+\.svg)\)$", re.MULTILINE)
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)

RELEASES = "<!-- releases -->"  # in CHANGELOG.md: where the next release is written

MAKERS = {
    "benchmarks": benchmarks,
    "changes": changes,
    "diagrams": diagrams,
    "faults": faults,
    "notebook": notebook,
}


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Replace the page's text by that of the file it stands for, and make what is to be made."""
    source = SOURCES.get(page.file.src_uri)
    if source is not None:
        text = (Path(config.config_file_path).parent / source).read_text(encoding="utf-8")
        markdown = LINK.sub(lambda link: page_of(link[1]), text)
        markdown = markdown.replace(RELEASES, changes.waiting())
    markdown = MADE.sub(make, markdown)
    folder = (DOCS / page.file.src_uri).parent
    return IMAGE.sub(lambda image: inline(image, folder), markdown)


def page_of(path: str) -> str:
    """Turn a path seen from the root into one seen from docs/.

    One that leads nowhere on the site is left alone: the strict build complains about it.
    """
    return PAGES.get(path) or path.removeprefix("docs/")


def make(match: re.Match[str]) -> str:
    """Call the function of docs/made/ that a line names."""
    text: str = getattr(MAKERS[match[1]], match[2])()
    return text


def inline(image: re.Match[str], folder: Path) -> str:
    """Put a chart of ours into the page itself, where it takes the colours of the scheme."""
    path = folder / image[1]
    svg = path.read_text(encoding="utf-8") if path.is_file() else ""
    if 'class="mt-chart"' not in svg:
        return image[0]
    return f'<figure class="mt-figure">{STYLE.sub("", svg).strip()}</figure>'
