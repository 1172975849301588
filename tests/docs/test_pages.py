"""The pages that stand for files at the root, and the links among them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#[^)\s]*)?\)")
READMES = sorted(ROOT.glob("packages/*/README.md"))


def _hooks():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = _hooks()


@pytest.mark.parametrize(("page", "source"), HOOKS.SOURCES.items())
def test_links_of_a_root_file_lead_somewhere_in_both_places(page, source):
    """A relative link works where the file lies and on the site's page made of it."""
    for target in LINK.findall((ROOT / source).read_text(encoding="utf-8")):
        if target:
            assert (ROOT / target).is_file()
            assert (ROOT / "docs" / HOOKS.page_of(target)).is_file()
    assert (ROOT / "docs" / page).is_file()


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_readme_of_a_distribution_has_no_relative_link(path):
    """A package index shows the README alone: a relative link would lead nowhere."""
    assert LINK.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_readme_of_a_distribution_says_how_to_install_it(path):
    """Each README has its name as the title and its install line."""
    text = path.read_text(encoding="utf-8")
    name = path.parent.name
    assert text.startswith(f"# {name}\n")
    wanted = '"mt-aio[all]"' if name == "mt-aio" else name
    assert f"\npip install {wanted}\n" in text


def test_every_page_is_in_the_navigation():
    """No page is left out of mkdocs.yml."""
    listed = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert listed == pages


def _names(pattern):
    """Give the public names of the pieces whose `__init__.py` is found so."""
    for source in ROOT.glob(pattern):
        (names,) = re.findall(r"^__all__ = \[(.*?)\]", source.read_text(), re.MULTILINE | re.DOTALL)
        yield from re.findall(r'"(\w+)"', names)


@pytest.mark.parametrize("name", sorted(_names("packages/*/src/mt/aio/*/__init__.py")))
def test_the_front_page_has_every_name(name):
    """What there is can be found there, whichever piece it is in."""
    assert re.search(rf"`{name}\b", (ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_readme_of_a_distribution_has_all_its_names(path):
    """It says what the piece holds, without leaving anything out."""
    text = path.read_text(encoding="utf-8")
    for name in _names(f"packages/{path.parent.name}/src/mt/aio/*/__init__.py"):
        assert re.search(rf"\b{name}\b", text), name
