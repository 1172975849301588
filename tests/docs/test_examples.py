"""Each example of the documentation runs, and prints what the page says."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
READMES = [
    "README.md",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("packages/*/README.md")),
]
PAGES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INCLUSION = re.compile(r'^ *--8<-- "(.*)"$', re.MULTILINE)


# What the programs that the recipes replace are written with; not all is there for each Python.
PEERS = {"aiojobs", "asgiref", "atomicwrites", "janus", "nest_asyncio", "pebble"}


def _imported(source: str) -> set[str]:
    """Name the packages that a script imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _blocks(path: str) -> list[str]:
    return BLOCK.findall((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name, run_example):
    """A script of docs/examples runs, and prints what the file beside it holds, if there is one.

    What a recipe makes of a program prints the same as the program did before.
    """
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    if "nest_asyncio" in _imported(source) and sys.version_info >= (3, 14):
        pytest.skip("nest_asyncio, which is archived, does not know this Python")
    for peer in sorted(_imported(source) & PEERS):
        pytest.importorskip(peer, reason=f"{peer} is not installed")
    printed = run_example(source)
    expected = (EXAMPLES / name.replace("_before.", "_after.")).with_suffix(".txt")
    if expected.exists():
        assert printed == expected.read_text(encoding="utf-8")
    else:
        assert printed


@pytest.mark.slow
@pytest.mark.parametrize("path", READMES)
def test_readme(path, run_example):
    """A README has one example, which runs."""
    (block,) = _blocks(path)
    run_example(block)


def test_readme_shows_the_example_kept_in_the_docs():
    """The front page's example is docs/examples/readme.py, about twenty lines of it."""
    (block,) = _blocks("README.md")
    assert block == (EXAMPLES / "readme.py").read_text(encoding="utf-8")
    assert len([line for line in block.splitlines() if line]) <= 20


def test_readme_example_says_the_same_in_both_modes(run_example):
    """What the front page's example prints twice is one number, that of the words of a file."""
    first, second = run_example((EXAMPLES / "readme.py").read_text(encoding="utf-8")).split()
    assert first == second
    assert int(first) > 1000


def test_every_example_is_shown():
    """Each script of docs/examples is on a page, except the front page's own."""
    shown = {
        name
        for path in PAGES
        for name in INCLUSION.findall((ROOT / path).read_text(encoding="utf-8"))
    }
    assert set(SCRIPTS) - shown == {"readme.py"}


def test_every_output_belongs_to_a_script():
    """What is kept as a script's output is compared with what that script prints."""
    outputs = {path.with_suffix(".py").name for path in EXAMPLES.glob("*.txt")}
    assert outputs <= set(SCRIPTS)
