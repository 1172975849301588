"""The program that does faults to mt.aio and to others: it works, and it can tell them apart."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has the tools"),
]


@pytest.fixture
def faults(monkeypatch):
    """Give benchmarks/faults.py."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delenv("MT_AIO_BENCH_MTBASE", raising=False)
    return importlib.import_module("faults")


def test_files(faults):
    """With few descriptors mt.aio writes a thousand files at once, aiofiles does not."""
    assert faults.done("file-descriptors", "mt.aio") == {"good": True, "text": "all succeed"}
    assert not faults.done("file-descriptors", "aiofiles")["good"]


def test_what_is_seen_in_a_file(faults):
    """Only whole content with its error told is good."""
    judged = importlib.import_module("_fault_place").judged
    assert judged(Counter(old=3, new=1)) == {"good": True, "text": "whole, 4 of 4"}
    assert judged(Counter(new=3, torn=1)) == {"good": False, "text": "torn in 1 of 4"}
    assert judged(Counter(old=1, silent=1))["text"] == "old content, no error in 1 of 2"


def test_processes(faults):
    """A killed child is told of, and a fresh one can be had; a pool of multiprocessing's hangs."""
    found = faults.done("process-killed", "mt.aio")
    assert found == {"good": True, "text": "ChildDiedError; restart() helps"}
    assert faults.done("process-killed", "multiprocessing.Pool")["text"].startswith("hangs")


def test_who_is_not_there_is_left_out(faults):
    """Without an environment that has mtbase there is no outcome for it."""
    assert faults.done("file-link", "mtbase") is None
    assert faults.done("process-late", "mtbase") is None
