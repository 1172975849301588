"""The page of guarantees names tests that exist, and all of those that make faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explain" / "guarantees.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path, name):
    """A test in the table can be found, and run by itself."""
    assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_file_of_fault_tests_is_named():
    """No file of tests/faults is missing in the table."""
    files = {f"tests/faults/{path.name}" for path in (ROOT / "tests/faults").glob("test_*.py")}
    assert files <= {path for path, _ in NAMED}
