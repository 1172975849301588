"""The variable `ipython`."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest

import mt.aio.core


def _pretend(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def test_outside(monkeypatch):
    """Reference, Variables: 'outside' where there is no IPython."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert mt.aio.core.ipython == "outside"


def test_outside_although_ipython_is_imported(monkeypatch):
    """A program may import IPython without running in it."""
    _pretend(monkeypatch, None)
    assert mt.aio.core.ipython == "outside"


def test_inside(monkeypatch):
    """Inside IPython, asyncio is left as it is."""
    _pretend(monkeypatch, object())
    assert mt.aio.core.ipython == "inside_without_asyncio_nested"


def test_inside_with_a_patched_asyncio(monkeypatch):
    """What somebody else patched is reported, also if it happened after the import."""
    _pretend(monkeypatch, object())
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
    assert mt.aio.core.ipython == "inside_with_asyncio_nested"


def test_unknown_name():
    """The module's lazy attribute does not swallow typing errors."""
    with pytest.raises(AttributeError, match="no attribute 'ipyhton'"):
        _ = mt.aio.core.ipyhton
