"""The built site in a real browser: each page on a phone and on a desk, in light and in dark."""

from __future__ import annotations

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
    """Serve the site to this machine alone; give its address."""
    handler = functools.partial(Quiet, directory=str(fresh_site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        """Say nothing."""


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


@pytest.fixture(scope="module")
def readers(browser, address):
    """Give a browsing context for each width and scheme; what goes wrong in one is noted."""
    contexts = {}
    for width, pixels in WIDTHS.items():
        for scheme in SCHEMES:
            size = {"width": pixels, "height": 800}
            contexts[width, scheme] = browser.new_context(
                base_url=address, viewport=size, color_scheme=scheme
            )
    yield contexts
    for context in contexts.values():
        context.close()


def visit(context, page):
    """Open a page in a new tab; give the tab and the list of what went wrong in it."""
    tab, wrong = context.new_page(), []
    tab.on("console", lambda m: m.type in {"error", "warning"} and wrong.append(m.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("response", lambda r: r.status >= 400 and wrong.append(f"{r.status} {r.url}"))
    tab.on(
        "request",
        lambda r: urlsplit(r.url).hostname in {"127.0.0.1", None} or wrong.append(r.url),
    )
    path = page.removesuffix(".md").removesuffix("index")
    tab.goto(f"/{path}/" if path else "/", wait_until="load")
    return tab, wrong


# What is wider than the window and no element around it scrolls; the whole page would.
TOO_WIDE = """() => {
  const limit = document.documentElement.clientWidth;
  const scrolls = e => e && (/(auto|scroll|hidden|clip)/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  const found = [...document.querySelectorAll('.md-content *')].filter(
    e => e.getBoundingClientRect().right > limit + 1 && !scrolls(e));
  return found.slice(0, 3).map(e => e.outerHTML.slice(0, 200));
}"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_page(readers, page, width, scheme):
    """No error, nothing fetched from elsewhere, nothing wider than the window; the right scheme."""
    tab, wrong = visit(readers[width, scheme], page)
    try:
        assert wrong == []
        assert tab.locator("h1").count() == 1
        assert tab.evaluate(TOO_WIDE) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
        assert tab.evaluate("document.body.dataset.mdColorScheme") == SCHEMES[scheme]
    finally:
        tab.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_search(readers, width):
    """Searching for a name of the reference finds the page that documents it."""
    tab, wrong = visit(readers[width, "light"], "index.md")
    try:
        if width == "phone":
            tab.locator("label.md-header__button[for=__search]").click()
        tab.locator("[data-md-component=search-query]").fill("CreateFileH5")
        found = tab.locator(".md-search-result__link[href*='reference/h5']")
        found.first.wait_for(state="attached")
        assert wrong == []
    finally:
        tab.close()


def test_the_scheme_can_be_chosen(readers):
    """The button of the scheme changes the colours of the page and of the drawings in it."""
    tab, _ = visit(readers["desk", "light"], "explain/design.md")
    ink = "getComputedStyle(document.querySelector('.mt-chart')).fill"
    try:
        before = tab.evaluate(ink)
        tab.locator("label[for=__palette_1]").first.click()
        assert tab.evaluate("document.body.dataset.mdColorScheme") == "slate"
        assert tab.evaluate(ink) != before
    finally:
        tab.evaluate("localStorage.clear()")
        tab.close()
