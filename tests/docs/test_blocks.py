"""Each building block for both modes is shown at work, and explained."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = ["amap", "enter", "gather", "iterate", "lock", "semaphore", "timeout"]


def _called(path):
    """The names that a program calls, or hands on to `partial`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    used = [node.func for node in calls] + [arg for node in calls for arg in node.args]
    return {node.id for node in used if isinstance(node, ast.Name)}


@pytest.mark.parametrize("name", BLOCKS)
def test_it_is_used(name):
    """The demo or a program of a guide, which are run by other tests, has a use for it."""
    programs = [*ROOT.glob("examples/*.py"), *ROOT.glob("docs/examples/*.py")]
    assert any(name in _called(path) for path in programs)


@pytest.mark.parametrize("name", BLOCKS)
def test_it_is_in_the_guide(name):
    """The guide says what it means in either mode."""
    guide = (ROOT / "docs" / "guides" / "write-an-asyn-function.md").read_text()
    assert f"[mt.aio.core.{name}]" in guide
