"""What is looked up in modules that another thread may be importing at that moment."""

from __future__ import annotations

import queue
import sys
from types import ModuleType

import pytest

from mt.aio.proc import _link, _queue_kind, _serve


@pytest.fixture
def half_imported(monkeypatch):
    """Have a module look as at the beginning of its import."""
    return lambda name: monkeypatch.setitem(sys.modules, name, ModuleType(name))


def test_the_kind_of_a_queue(half_imported):
    """A queue that is there is not of a class that has not been made yet."""
    half_imported("multiprocessing.queues")
    half_imported("multiprocessing.managers")
    kind_of = _queue_kind.kind_of.__wrapped__  # it remembers
    assert kind_of(queue.Queue) is _queue_kind.Kind.PLAIN


def test_whether_a_loop_runs(half_imported):
    """None can run in a program that has not got to the end of asyncio."""
    half_imported("asyncio.events")
    assert not _link._loop_is_running()


def test_what_c_code_has_printed(half_imported):
    """A child answers, although a thread of its own is importing ctypes."""
    half_imported("ctypes")
    _serve._flush()
