"""The reference pages show the public names, each once."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"
DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)
PIECES = ["core", "fs", "h5", "manager", "proc", "remote"]
MODULES = [f"mt.aio.{piece}" for piece in PIECES] + sorted(
    f"mt.aio.{path.parent.name}.lowlevel"
    for path in ROOT.glob("packages/*/src/mt/aio/*/lowlevel.py")
)
MODULES.append("mt.aio.core.pytest_plugin")


def _shown(pages: str = "*.md") -> list[str]:
    return [
        name
        for page in sorted(PAGES.glob(pages))
        for name in DIRECTIVE.findall(page.read_text(encoding="utf-8"))
    ]


def test_no_name_is_shown_twice():
    """A public name has one place in the reference."""
    assert [name for name, count in Counter(_shown()).items() if count > 1] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_shown(module):
    """The reference shows what a module lists in its `__all__`, and nothing else of it."""
    public = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert {name for name in _shown() if name.rpartition(".")[0] == module} == public


@pytest.mark.parametrize("piece", PIECES)
def test_page_begins_with_how_to_install(piece):
    """A piece's page has its name and the command that installs it on top."""
    lines = (PAGES / f"{piece}.md").read_text(encoding="utf-8").splitlines()
    wanted = "mt-aio-core" if piece == "core" else f'"mt-aio[{piece}]"'
    assert lines[0] == f"# mt.aio.{piece}"
    assert lines[3] == f"pip install {wanted}"


@pytest.mark.parametrize("piece", PIECES)
def test_page_shows_its_piece_alone(piece):
    """What is on the pages of a piece is the piece's."""
    for name in _shown(f"{piece}*.md"):
        assert name.startswith(f"mt.aio.{piece}.")


def test_every_shown_module_is_public():
    """The reference shows no private module."""
    assert {name.rpartition(".")[0] for name in _shown()} == set(MODULES)
