"""A job by itself: claimed once, and nothing kept of what it was given. No thread here."""

from __future__ import annotations

import weakref
from queue import SimpleQueue

import pytest

from mt.aio.core import _pool
from mt.aio.core._job import Job, current


class Thing:
    """An argument, which may be large."""

    def __call__(self, other):
        """Be the function, too."""
        return other is not self


@pytest.mark.parametrize("end", ["run", "withdraw"])
def test_a_job_lets_go_of_what_it_was_given(end):
    """Of the function, its arguments and the context, when it has no use for them any more."""
    func, argument = Thing(), Thing()
    things = [weakref.ref(func), weakref.ref(argument)]
    job = Job(func, (argument,), None, kept=False)
    del func, argument
    if end == "run":
        assert not job.run([None])
        assert job.result is True
    else:
        assert job.withdraw()
    assert [thing() for thing in things] == [None, None]
    assert job.context is None


def test_a_job_is_claimed_once():
    """By who runs it or by who withdraws it."""
    called = []
    withdrawn, run = (Job(called.append, (n,), None, kept=False) for n in (1, 2))
    assert withdrawn.withdraw()
    assert not withdrawn.withdraw()
    assert not withdrawn.run([None])
    assert not run.run([None])
    assert not run.withdraw()
    assert called == [2]
    assert (withdrawn.result, withdrawn.error) == (None, None)


def test_a_promised_job_that_was_given_up_is_not_begun():
    """Its future, which was cancelled, cannot withdraw it by itself."""
    job = Job(pytest.fail, ("it has begun",), None, kept=True)
    job.cancelled = True
    assert not job.run([None])
    assert job.error is None


def test_what_a_job_is_called():
    """By its key; a log line has no more to say of one without."""
    assert Job(int, (), "/a/file", kept=True).describe() == "/a/file"
    assert Job(int, (), 0, kept=True).describe() == "0"
    assert Job(int, (), None, kept=True).describe() == "a job"


def test_a_thread_keeps_no_job_while_it_waits():
    """Or the last result would live until the next job comes."""
    results = []

    class End(BaseException):
        pass

    class Waiting(SimpleQueue):
        def get(self, *args, **kwargs):
            if self.empty():
                seen.extend(result() for result in results)
                raise End
            return super().get(*args, **kwargs)

    def work():
        thing = Thing()
        results.append(weakref.ref(thing))
        return thing

    pool, seen = _pool.Pool(), []
    pool.jobs = Waiting()
    pool.serving = 1
    for _ in range(2):
        pool.jobs.put(Job(work, (), None, kept=False))
    pool.watched = True
    try:
        with pytest.raises(End):
            pool._work()
    finally:
        current.__dict__.clear()
    assert seen == [None, None]
