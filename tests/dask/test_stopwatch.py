"""What the bounds of the tests of faults are measured with."""

from __future__ import annotations

import os
import time

import pytest


@pytest.fixture
def proc(tmp_path, stopwatch, monkeypatch):
    """Have a machine that counts what one says: seconds of stall, and stolen ones."""
    spent = {"cpu": 100.0, "io": 0.0, "memory": 7.0}
    (tmp_path / "pressure").mkdir()

    def say(stolen=0, **more):
        for what, before in spent.items():
            now = before + more.get(what, 0)
            full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=9999999999"
            some = f"some avg10=1.00 avg60=0.50 avg300=0.11 total={now * 1e6:.0f}"
            (tmp_path / "pressure" / what).write_text(f"{some}\n{full}\n")
        (tmp_path / "stat").write_text(f"cpu  1 2 3 4 5 6 7 {stolen * 100} 9 9\ncpu0 1 2 3\n")

    say()
    monkeypatch.setitem(stopwatch.check.__globals__, "PROC", tmp_path)
    monkeypatch.setattr(os, "sysconf", {"SC_CLK_TCK": 100}.__getitem__)
    return say


@pytest.mark.parametrize(
    ("more", "too_late"),
    [
        ({}, True),
        ({"cpu": 2}, False),
        ({"io": 1, "memory": 1}, False),
        ({"stolen": 2}, False),
        ({"cpu": 9}, False),
        ({"cpu": 0.5}, True),
    ],
)
def test_too_late(proc, stopwatch, monkeypatch, more, too_late):
    """More than what was stated, and a second, is a failure, unless the machine was short."""
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = stopwatch()
    now[0] += 5
    watch.check(4)
    proc(**more)
    if not too_late:
        watch.check(2)
        return
    with pytest.raises(AssertionError, match=r"^[45].\d\d s, where 2 s were stated"):
        watch.check(2)


def test_where_nobody_counts(proc, stopwatch, tmp_path):
    """Where the system does not tell, nothing counts."""
    (tmp_path / "pressure" / "io").unlink()
    watch = stopwatch()
    assert watch.counted() == 0
    watch.check(0)
