"""How many worker threads there are, step by step, without any."""

from __future__ import annotations

import math
import time

import pytest

from mt.aio.core import _pool
from mt.aio.core._job import Job


class Post:
    """What has completions to deliver."""

    def __init__(self):
        self.sent = 0

    def send(self):
        """Deliver them."""
        self.sent += 1


@pytest.fixture
def started(monkeypatch):
    """The names of the threads that would have been started."""
    names = []
    monkeypatch.setattr(_pool, "_start", lambda _, name: names.append(name) or name)
    return names


@pytest.fixture
def pool(started):
    """A pool whose first thread serves, on paper."""
    pool = _pool.Pool()
    pool._begin()
    assert started == ["mt-aio-worker"]
    started.clear()
    return pool


def wait(pool, count):
    """Let jobs wait."""
    for _ in range(count):
        pool.jobs.put(Job(int, (), None, kept=False))


def run(pool, count):
    """Let jobs be run."""
    for _ in range(count):
        pool.running.add(Job(int, (), None, kept=False))


def test_slow_jobs_double_the_threads(pool, started):
    """But there are no more than jobs that wait are of use for, nor than MOST."""
    wait(pool, 3)
    sizes = []
    for _ in range(3):
        pool._adapt(slow=True, computing=False)
        sizes.append((pool.serving, pool.wanted))
    assert sizes == [(2, 2), (4, 4), (7, 7)]
    assert started == ["mt-aio-worker"] * 6
    assert not pool._is_calm()
    wait(pool, 2 * _pool.MOST)
    for _ in range(5):
        pool._adapt(slow=True, computing=False)
    assert pool.serving == pool.wanted == _pool.MOST


@pytest.mark.parametrize(
    ("waiting", "slow", "computing"), [(0, True, False), (3, True, True), (3, False, False)]
)
def test_when_no_threads_are_added(pool, started, waiting, slow, computing):
    """Not without jobs that wait, nor while the processor is busy, nor when jobs get done."""
    wait(pool, waiting)
    pool._adapt(slow=slow, computing=computing)
    assert pool.serving == 1
    assert not started
    assert (pool.calm_at > 0) == (slow and waiting > 0)


def test_quick_jobs_halve_what_is_wanted(pool):
    """Until one thread will do; those in service find that out by themselves."""
    wait(pool, 9)
    for _ in range(3):
        pool._adapt(slow=True, computing=False)
    wanted = [pool.wanted]
    for _ in range(4):
        pool._adapt(slow=False, computing=False)
        wanted.append(pool.wanted)
    assert wanted == [8, 4, 2, 1, 1]
    assert pool.serving == 8
    assert pool._is_calm()


def test_a_wait_that_was_announced_keeps_the_threads_for_a_tick(pool):
    """Jobs that say when they wait are quick, but their threads are not superfluous for that."""
    wait(pool, 3)
    pool.wanted, pool.expecting = 4, True
    pool._adapt(slow=False, computing=False)
    assert (pool.wanted, pool.expecting, pool.serving) == (4, False, 1)
    pool._adapt(slow=False, computing=False)
    assert pool.wanted == 2


def test_calm_is_a_matter_of_time_or_number(pool):
    """A thread steps back when there are more than wanted, or none were called for of late."""
    pool.serving = pool.wanted = 2
    pool.calm_at = math.inf
    assert not pool._is_calm()
    pool.serving = 3
    assert pool._is_calm()
    pool.serving, pool.calm_at = 2, time.monotonic() - 1
    assert pool._is_calm()


def test_threads_in_reserve_come_first(pool, started):
    """New ones are started only beyond those that wait to be called again."""
    pool.parked = 2
    pool._add(1)
    assert (pool.serving, pool.parked, pool.reserve.qsize(), started) == (2, 1, 1, [])
    pool._add(3)
    assert (pool.serving, pool.parked, pool.reserve.qsize()) == (5, 0, 2)
    assert len(started) == 2
    pool._add(_pool.MOST)
    assert pool.serving == _pool.MOST


def test_threads_that_step_back(pool):
    """BASE threads stay, one of them in service; what is held is sent before that."""
    post = Post()
    pool.held.add(post)
    pool.serving = _pool.BASE + 1
    for _ in range(_pool.BASE):
        pool.reserve.put(None)  # or they would wait here
    stays = [pool._step_back() for _ in range(_pool.BASE)]
    assert stays == [True] * (_pool.BASE - 1) + [False]
    assert (pool.serving, pool.parked, pool.reserve.qsize()) == (1, _pool.BASE - 1, 1)
    assert post.sent == 1


def test_one_that_runs_no_job_stays(pool):
    """The threads that run jobs may be stuck: there is always one to take the next job."""
    pool.serving = 3
    run(pool, 2)
    assert pool._step_back()
    assert (pool.serving, pool.parked) == (3, 0)
    pool.running.pop()
    pool.reserve.put(None)
    assert pool._step_back()
    assert (pool.serving, pool.parked) == (2, 1)


@pytest.mark.parametrize(
    ("waiting", "serving", "more"),
    [
        (0, 1, 0),  # nobody to serve
        (1, 1, 1),
        (2, 2, 1),
        (1, 2, 0),  # another thread is free for it
        (9, _pool.WAITING - 1, 1),
        (9, _pool.WAITING, 0),  # more only when it is seen that this is of use
    ],
)
def test_a_job_that_is_about_to_wait(pool, started, waiting, serving, more):
    """Another thread serves those that wait, if there is none that could."""
    pool.serving = serving
    wait(pool, waiting)
    run(pool, 1)
    before = time.monotonic()
    pool.expect_wait()
    assert len(started) == more
    assert pool.serving == serving + more
    assert pool.expecting == (waiting > 0)
    assert (pool.calm_at >= before + _pool.LINGER) == (waiting > 0)


def test_the_watcher_is_called_when_a_job_has_to_wait(pool, started):
    """Once; a job that a free thread is going to take is none of its business."""
    put = [Job(int, (), None, kept=False) for _ in range(3)]
    pool.put(put[0])
    assert (pool.watched, pool.duty.qsize(), pool.jobs.qsize()) == (False, 0, 1)
    pool.put(put[1])
    assert (pool.watched, pool.duty.qsize(), pool.jobs.qsize()) == (True, 1, 2)
    pool.put(put[2])
    pool._call_watcher()
    assert pool.duty.qsize() == 1
    pool.watched = False  # as it does when there is nothing to watch
    pool._call_watcher()
    assert (pool.duty.qsize(), started) == (2, ["mt-aio-watch"])


def test_a_job_that_runs_counts(pool):
    """Behind the one that the only thread runs, a job has to wait."""
    run(pool, 1)
    wait(pool, 0)
    pool.put(Job(int, (), None, kept=False))
    assert pool.watched
    assert (pool.jobs.qsize(), len(pool.running)) == (1, 1)


def test_lanes_and_promises_leave_nothing(pool):
    """When the jobs of a key are done, nothing is known of it any more."""
    jobs = [Job(int, (), "key", kept=True) for _ in range(3)]
    for job in jobs:
        pool.put(job)
    assert pool.jobs.qsize() == 1
    for count, job in zip((1, 1, 0), jobs, strict=True):
        assert pool.jobs.get_nowait() is job
        pool._leave_lane(job)
        assert pool.jobs.qsize() == count
        pool._keep_no_more(job)
    assert not pool.lanes
    assert not pool.kept


def test_a_pool_beside_another(pool):
    """They have their lanes in common, and so the lock; each has its own jobs and promises."""
    other = _pool.Pool(beside=pool)
    assert other.lock is pool.lock
    assert other.lanes is pool.lanes
    assert other.kept is not pool.kept
    assert other.jobs is not pool.jobs
    assert _pool._network.lock is _pool._pool.lock


def test_who_runs_no_job_announces_no_wait(pool, monkeypatch):
    """`expect_wait` is for jobs: elsewhere it does nothing."""
    monkeypatch.setattr(_pool, "_pool", pool)
    wait(pool, 1)
    _pool.expect_wait()
    assert not pool.expecting


def test_a_thread_sends_what_is_held_before_it_waits(pool):
    """Nobody else might, while it does; with jobs in the queue it may be held on."""
    job = Job(int, (), None, kept=False)
    post = Post()
    pool.held.add(post)
    pool.jobs.put(job)
    assert pool._next() is job
    assert post.sent == 0
    post.send = lambda: pool.jobs.put(job)
    assert pool._next() is job
    assert not pool.held


def test_a_child_forked_by_a_job_runs_none(pool, monkeypatch):
    """The thread that forks is the child's only one, and nobody there waits for its job."""
    monkeypatch.setattr(_pool, "_pool", pool)
    monkeypatch.setattr(_pool, "_network", _pool.Pool(beside=pool))
    _pool.current.cell = [Job(int, (), None, kept=False)]
    try:
        _pool._renew()
        assert _pool.current_job() is None
    finally:
        _pool.current.__dict__.clear()
    assert _pool._pool is not pool


def test_an_ordered_job_is_no_promise(pool):
    """The interpreter's end waits for those jobs only that somebody was promised."""
    pool.put(Job(int, (), "key", kept=False))
    assert not pool.kept
    pool.drain()


def test_there_is_no_wait_for_a_key_without_jobs(pool):
    """As in synchronous mode, most of the time."""
    pool.wait_for("key")
    assert not pool.lanes


def test_only_the_first_thread_begins(pool, started):
    """Who comes second, having waited for the lock, starts no other."""
    pool._begin()
    assert started == []


def test_what_a_thread_does_with_a_job(pool):
    """It sees to it that those behind get a watcher, and counts what is done."""

    class Broken(Job):
        def settle(self, held, hold):
            raise MemoryError

    seen = []
    pool.jobs.put(Job(lambda: seen.append((pool.watched, pool.finished)), (), None, kept=False))
    pool.jobs.put(Broken(lambda: seen.append(pool.finished), (), None, kept=False))
    try:
        with pytest.raises(MemoryError):
            pool._work()
    finally:
        _pool.current.__dict__.clear()
    assert seen == [(True, 0), 1]
    assert pool.finished == 2
    assert not pool.running
