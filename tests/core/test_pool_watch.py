"""What the watcher of the worker threads concludes from a tick, with a clock of the test's."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace

import pytest

from mt.aio.core import _pool
from mt.aio.core._job import Job
from mt.aio.core._pool import LINGER, SLOW, STALL, TICK

BUSY = 0.9 * TICK  # of processor time


class OffDuty(BaseException):
    """The watcher would sleep now."""


class Duty:
    """What calls the watcher: at once, some times, and then never again."""

    def __init__(self, pool, times):
        self.pool, self.times = pool, times

    def get(self):
        """Put the watcher on duty."""
        if not self.times:
            raise OffDuty
        self.times -= 1
        self.pool.watched = True


@pytest.fixture
def watch():
    """Have ticks watched; each says what happens in it. Returns what `_adapt` is told."""

    def watch(*ticks, serving=1, duties=1):
        pool = _pool.Pool()
        pool.finished = 2
        now = SimpleNamespace(time=0.0, cpu=8.0, preemptions=4)
        left, seen, held = list(ticks), [], []

        def sleep(secs):
            assert secs == TICK
            tick = left.pop(0)
            now.time += tick.get("took", TICK)
            now.cpu += tick.get("cpu", 0.0)
            now.preemptions += tick.get("preempted", 0)
            pool.finished += tick.get("done", 0)
            while not pool.jobs.empty():
                pool.jobs.get()
            if left and not tick.get("idle"):
                pool.jobs.put(Job(int, (), None, kept=False))
            held.extend(tick.get("held", []))

        def adapt(*, slow, computing):
            seen.append((slow, computing))
            while held:  # by a worker, meanwhile
                pool.held.add(held.pop())

        clock = SimpleNamespace(
            sleep=sleep, monotonic=lambda: now.time, process_time=lambda: now.cpu
        )
        # Not patched in the module, where the true watcher may be in the middle of a tick.
        names = vars(_pool) | {"time": clock, "preemptions": lambda: now.preemptions}
        watching = FunctionType(_pool.Pool._watch.__code__, names)
        pool.serving, pool.duty = serving, Duty(pool, duties)
        pool._adapt = adapt
        with pytest.raises(OffDuty):
            watching(pool)
        assert not left
        assert not pool.watched
        return seen

    return watch


@pytest.mark.parametrize(
    ("tick", "computing"),
    [
        ({}, False),
        ({"cpu": BUSY}, True),
        ({"cpu": 0.1 * TICK}, False),
        ({"took": 3 * TICK}, True),  # it has woken up late
        ({"took": 1.5 * TICK}, False),
        ({"preempted": 1}, True),
    ],
)
def test_signs_of_computing(watch, tick, computing):
    """The process is busy, or others are."""
    assert watch(tick) == [(True, computing)]


def test_others_that_took_the_processor_are_remembered(watch):
    """For as long as a new thread would have to wait for work."""
    step = 1.5 * TICK
    seen = watch({"preempted": 1}, *[{"took": step, "done": 1}] * 30)
    told = [computing for _, computing in seen]
    assert told == sorted(told, reverse=True)  # at first, and then never again
    assert (told.count(True) - 2) * step < LINGER <= told.count(True) * step


def test_nothing_done_for_long_is_no_computing(watch):
    """However busy the processor is, more threads may help; until something gets done."""
    step = {"took": 1.5 * TICK, "cpu": BUSY}
    seen = watch(*[step] * 6, step | {"done": 1}, step, step | {"idle": True}, step, duties=2)
    told = [computing for _, computing in seen]
    patient = told.index(False)
    assert patient * step["took"] < STALL <= (patient + 1) * step["took"]
    assert told[patient:6] == [False] * (6 - patient)
    assert told[6:] == [True] * 4  # what was before the watcher slept does not count


@pytest.mark.parametrize(
    ("done", "serving", "slow"), [(0, 1, True), (1, 1, True), (4, 1, False), (4, 3, True)]
)
def test_what_is_slow(watch, done, serving, slow):
    """Jobs that keep the threads for longer than SLOW each, on average."""
    took = 2.5 * SLOW
    assert watch({"done": done, "took": took}, serving=serving) == [(slow, took > 2 * TICK)]


def test_what_is_held_keeps_the_watcher_on_duty(watch):
    """It is sent at the next tick, also if no job waits any more."""
    sent = []

    class Post:
        """What has completions to deliver."""

        def send(self):
            """Deliver them."""
            sent.append(self)

    post = Post()
    assert len(watch({"held": [post], "idle": True}, {"idle": True})) == 2
    assert sent == [post]
