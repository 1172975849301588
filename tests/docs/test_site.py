"""The built site in a real browser: each page on a phone and on a desk, in light and in dark."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
WIDTHS = {"phone": 390, "desk": 1280}
SCHEMES = {"light": "default", "dark": "slate"}
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(fresh_site):
    """Serve the site to this machine alone, in a process of its own; give its address."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    server = subprocess.Popen(
        command, cwd=fresh_site, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with server:
        yield re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    """Start the machine's own Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium on the path (looked for {', '.join(NAMES)})")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield chromium
        chromium.close()


class Reader:
    """A tab with one scheme, which notes what goes wrong in it."""

    def __init__(self, browser, address, scheme):
        self.context = browser.new_context(base_url=address, color_scheme=scheme)
        self.tab = self.context.new_page()
        self.wrong = []
        self.tab.on("console", self.on_console)
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on(
            "response", lambda r: r.status >= 400 and self.wrong.append(f"{r.status} {r.url}")
        )
        self.tab.on("request", self.on_request)

    def on_console(self, message):
        """Note what the console complains of."""
        if message.type in {"error", "warning"}:
            self.wrong.append(message.text)

    def on_request(self, request):
        """Note what is fetched from elsewhere."""
        if urlsplit(request.url).hostname not in {"127.0.0.1", None}:
            self.wrong.append(request.url)

    def visit(self, page, width="desk"):
        """Open a page in a window of some width."""
        self.wrong.clear()
        self.resize(width)
        path = page.removesuffix(".md").removesuffix("index")
        self.tab.goto(f"/{path}/" if path else "/", wait_until="load")
        self.tab.add_style_tag(content="* { transition: none !important }")  # nothing on its way
        return self.tab

    def resize(self, width):
        """Give the window another width."""
        self.tab.set_viewport_size({"width": WIDTHS[width], "height": 800})


@pytest.fixture(scope="module")
def readers(browser, address):
    """Give a reader for each scheme."""
    found = {scheme: Reader(browser, address, scheme) for scheme in SCHEMES}
    yield found
    for reader in found.values():
        reader.context.close()


# What is wider than the window and no element around it scrolls; the whole page would.
TOO_WIDE = """() => {
  const limit = document.documentElement.clientWidth;
  const scrolls = e => e && (/(auto|scroll|hidden|clip)/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  const found = [...document.querySelectorAll('.md-content *')].filter(
    e => e.getBoundingClientRect().right > limit + 1 && !scrolls(e));
  return found.slice(0, 3).map(e => e.outerHTML.slice(0, 200));
}"""


# Words of a drawing that its edge cuts off.
CUT_OFF = """() => [...document.querySelectorAll('svg.mt-chart text')].filter(e => {
  const [word, edge] = [e.getBoundingClientRect(), e.ownerSVGElement.getBoundingClientRect()];
  return word.left < edge.left - 1 || word.right > edge.right + 1;
}).map(e => e.textContent)"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("page", PAGES)
def test_page(readers, page, scheme):
    """No error, nothing fetched from elsewhere, nothing too wide or cut off; the right scheme."""
    reader = readers[scheme]
    tab = reader.visit(page, "phone")
    assert tab.locator("h1").count() == 1
    assert tab.evaluate("document.body.dataset.mdColorScheme") == SCHEMES[scheme]
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    for width, pixels in WIDTHS.items():
        reader.resize(width)
        assert tab.evaluate(TOO_WIDE) == []
        assert tab.evaluate(CUT_OFF) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= pixels
    assert reader.wrong == []


@pytest.mark.parametrize("width", WIDTHS)
def test_search(readers, width):
    """Searching for a name of the reference finds the page that documents it."""
    reader = readers["light"]
    tab = reader.visit("index.md", width)
    if width == "phone":
        tab.locator("label.md-header__button[for=__search]").click()
    tab.locator("[data-md-component=search-query]").press_sequentially("CreateFileH5")
    found = tab.locator(".md-search-result__link[href*='reference/h5']")
    found.first.wait_for(state="attached")
    assert reader.wrong == []


def test_the_scheme_can_be_chosen(readers):
    """The button of the scheme changes the colours of the page and of the drawings in it."""
    tab = readers["light"].visit("explain/design.md")
    ink = "getComputedStyle(document.querySelector('.mt-chart')).fill"
    before = tab.evaluate(ink)
    try:
        tab.locator("label[for=__palette_1]").first.click()
        assert tab.evaluate("document.body.dataset.mdColorScheme") == "slate"
        assert tab.evaluate(ink) != before
    finally:
        tab.evaluate("localStorage.clear()")
