"""The two pools of a process, and when a thread steps back; on paper, without any thread."""

from __future__ import annotations

import math
import threading
from queue import Empty, SimpleQueue

import pytest

from mt.aio.core import _pool
from mt.aio.core._job import Job, current


@pytest.fixture
def pair(monkeypatch):
    """The pools of a process in which nothing has happened yet; they are never started."""
    pool = _pool.Pool()
    pair = pool, _pool.Pool(beside=pool)
    for name, each in zip(("_pool", "_network"), pair, strict=True):
        each.serving = 1
        monkeypatch.setattr(_pool, name, each)
    return pair


def test_a_forked_child_starts_from_nothing(pair):
    """Both pools are new, and have their lanes in common."""
    pair[0].lanes["key"] = None
    _pool._renew()
    new = _pool._pool, _pool._network
    assert not set(new) & set(pair)
    assert new[0].lanes is new[1].lanes == {}
    assert new[0].lock is new[1].lock


def test_the_end_waits_for_both(pair):
    """A promise is a promise, whichever threads are to keep it."""
    waited = []
    for pool in pair:
        pool.drain = lambda pool=pool: waited.append(pool)
    _pool.drain()
    assert waited == list(pair)


def test_where_a_job_is_put(pair):
    """Where those are that work here, unless it says otherwise."""
    jobs = [Job(int, (), None, kept=False) for _ in range(2)]
    _pool.put(jobs[0])
    _pool.put(jobs[1], network=True)
    assert [pool.jobs.get_nowait() for pool in pair] == jobs


class End(BaseException):
    """The thread would wait now."""


class Queue(SimpleQueue):
    """What ends the test when it is empty."""

    def get(self, block=True, timeout=None):
        """Give a job; else say so to a thread that does not wait for ever, or end."""
        try:
            return super().get_nowait()
        except Empty:
            if timeout is not None:
                raise
            raise End from None


@pytest.mark.parametrize(("calm_at", "steps"), [(math.inf, 0), (0.0, 1)])
def test_a_thread_steps_back_when_it_is_calm(pair, calm_at, steps):
    """After a job; while it is not, only when there has been none for long."""
    pool, stepped = pair[0], []
    pool.jobs, pool.serving, pool.wanted, pool.calm_at, pool.watched = Queue(), 2, 2, calm_at, True
    pool.jobs.put(Job(int, (), None, kept=False))
    pool._step_back = lambda: stepped.append(pool.jobs.empty()) or True
    try:
        with pytest.raises(End):
            pool._work()
    finally:
        current.__dict__.clear()
    assert len(stepped) == steps + 1


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_when_a_completion_is_held(pair, watched, more):
    """Only while more jobs wait, and only if the watcher is there to send it."""
    told = []

    class Told(Job):
        def settle(self, held, hold):
            told.append(hold)

    pool = pair[0]
    pool.jobs, pool.watched, pool._call_watcher = Queue(), watched, lambda: None
    for _ in range(1 + more):
        pool.jobs.put(Told(int, (), None, kept=False))
    try:
        with pytest.raises(End):
            pool._work()
    finally:
        current.__dict__.clear()
    assert told == [watched, False][1 - more :]


def test_a_thread_without_a_job_for_long_ends(pair):
    """Unless it is the only one, which waits."""
    pool = pair[0]
    pool.jobs, pool._step_back = Queue(), lambda: False
    pool.serving = 2
    assert pool._next() is None
    pool.serving = 1
    with pytest.raises(End):
        pool._next()


def test_who_starts_a_thread_gets_it():
    """The watcher is known by it, or another would be started whenever one is called."""
    ran = []
    thread = _pool._start(lambda: ran.append(threading.current_thread()), "mt-aio-test")
    thread.join(30)
    assert ran == [thread]
    assert (thread.name, thread.daemon) == ("mt-aio-test", True)
