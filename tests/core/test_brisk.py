"""How a worker waits for the next job: awake for a moment if the last one came at once."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from mt.aio.core import _brisk
from mt.aio.core._brisk import MOMENT, Lookout


class Clock:
    """A clock that goes on by a step whenever it is read, and jobs that come at set times."""

    def __init__(self, jobs, step):
        self.jobs, self.step, self.now = jobs, step, 1.0
        self.due = None
        self.yields = 0

    def read(self):
        """Tell the time, a step later than the last time."""
        self.now += self.step
        return self.now

    def give_way(self):
        """Count, and let a job come that is due."""
        self.yields += 1
        if self.due is not None and self.now >= self.due:
            self.due = None
            self.jobs.put("due")


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that a lookout goes by."""
    clock = Clock(SimpleQueue(), MOMENT / 10)
    monkeypatch.setattr(_brisk, "perf_counter", clock.read)
    monkeypatch.setattr(_brisk, "_give_way", clock.give_way)
    return clock


@pytest.fixture
def lookout(clock):
    """Give a lookout whose last job came at once."""
    lookout = Lookout(clock.jobs)
    lookout.brisk = True
    return lookout


def test_it_stays_awake_for_the_next_job(lookout, clock):
    """A job that comes within the moment is found without sleeping, and the next is hoped for."""
    clock.due = clock.now + MOMENT / 2
    assert lookout.get() == "due"
    assert clock.yields
    assert lookout.brisk


def test_it_sleeps_when_the_moment_is_over(lookout, clock):
    """After the moment the thread sleeps, and when it is woken it does not stay awake again."""

    class Late:
        """A queue that is empty until somebody sleeps at it."""

        empty = staticmethod(lambda: True)
        get = staticmethod(lambda: "late")

    lookout.jobs = Late()
    assert lookout.get() == "late"
    assert 0 < clock.yields <= 10
    assert not lookout.brisk
    clock.yields = 0
    lookout.get()
    assert not clock.yields


def test_a_burst_is_taken_as_it_is(lookout, clock):
    """Jobs that wait already are taken in order, without a look at the clock."""
    for number in range(3):
        clock.jobs.put(number)
    assert [lookout.get() for _ in range(3)] == [0, 1, 2]
    assert clock.now == 1
    assert not lookout.brisk


def test_a_system_that_cannot_give_way_sleeps_at_once(lookout, clock, monkeypatch):
    """Where there is no `sched_yield`, as on Windows, no thread stays awake."""
    monkeypatch.setattr(_brisk, "_give_way", None)
    clock.jobs.put(1)
    assert lookout.get() == 1
    assert clock.now == 1
