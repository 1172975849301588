"""timeout, lock and semaphore: the same meaning in both modes."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mt.aio.core import lock, semaphore, sleep, timeout
from mt.aio.core.lowlevel import MissingModeError

SYNC = {"async": False}


def test_timeout_in_time(mode):
    """A body that is quick enough is left alone; None is no limit."""

    async def body(context_vars):
        for secs in (30, None):
            async with timeout(secs, context_vars=context_vars) as nothing:
                await sleep(0, context_vars=context_vars)
                assert nothing is None

    mode.run(body)


def test_timeout_too_late(mode):
    """A body that takes too long gets a TimeoutError: while it runs, or at its end."""

    async def body(context_vars):
        with pytest.raises(TimeoutError):
            async with timeout(0.001, context_vars=context_vars):
                await sleep(0.02, context_vars=context_vars)

    mode.run(body)


def test_the_body_s_error_comes_first(mode):
    """It is raised although the time is over."""

    async def body(context_vars):
        with pytest.raises(KeyError):
            async with timeout(0, context_vars=context_vars):
                raise KeyError

    mode.run(body)


def test_a_lock_among_tasks(async_mode):
    """One task at a time is inside; it can be entered again afterwards."""

    async def body(context_vars):
        door = lock(context_vars=context_vars)
        inside, most = [], []

        async def enter():
            async with door as nothing:
                assert nothing is None
                inside.append(1)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.pop()

        await asyncio.gather(*(enter() for _ in range(5)))
        assert most == [1] * 5

    async_mode.run(body)


def test_a_semaphore_among_tasks(async_mode):
    """As many as it says are inside."""

    async def body(context_vars):
        door = semaphore(2, context_vars=context_vars)
        inside, most = [], []

        async def enter():
            async with door:
                inside.append(1)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.pop()

        await asyncio.gather(*(enter() for _ in range(6)))
        assert max(most) == 2

    async_mode.run(body)


def test_a_semaphore_among_threads():
    """In sync mode it is threads that wait for each other."""
    door = semaphore(2, context_vars=SYNC)
    both = threading.Barrier(2, timeout=30)
    inside, most = [], []

    async def body():
        async with door:
            inside.append(1)
            most.append(len(inside))
            both.wait()  # two get in at once, or nobody passes here
            inside.pop()
            both.wait()

    def run():
        with pytest.raises(StopIteration):
            body().send(None)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 6
    assert max(most) == 2


def test_a_lock_among_threads():
    """The second thread enters when the first has left."""
    door = lock(context_vars=SYNC)
    order = []
    waiting = threading.Event()

    async def first():
        async with door:
            thread.start()
            waiting.wait()
            order.append("first")

    async def second():
        waiting.set()
        async with door:
            order.append("second")

    def run(body):
        with pytest.raises(StopIteration):
            body().send(None)

    thread = threading.Thread(target=run, args=[second])
    run(first)
    thread.join()
    assert order == ["first", "second"]


def test_an_error_inside_leaves_the_door_open(mode):
    """A lock is let go when its body raises."""

    async def body(context_vars):
        door = lock(context_vars=context_vars)
        for _ in range(2):
            with pytest.raises(KeyError):
                async with door:
                    raise KeyError

    mode.run(body)


def test_a_semaphore_that_nobody_could_enter():
    """A value below 1 is refused."""
    with pytest.raises(ValueError, match="at least 1, not 0"):
        semaphore(0, context_vars=SYNC)


@pytest.mark.parametrize("make", [lock, lambda **k: timeout(1, **k), lambda **k: semaphore(1, **k)])
def test_they_want_the_mode(make):
    """Without "async" the error says so."""
    with pytest.raises(MissingModeError):
        make(context_vars={})


def test_how_late_it_was():
    """In sync mode the error tells how long the body took."""

    async def body():
        async with timeout(0.001, context_vars=SYNC):
            time.sleep(0.01)

    with pytest.raises(TimeoutError, match=r"took 0\.0\d+ s, where 0\.001 s were allowed"):
        body().send(None)


@pytest.mark.parametrize("mode_vars", [SYNC, {"async": True}])
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda **k: timeout("3", **k), TypeError),
        (lambda **k: timeout(float("nan"), **k), ValueError),
        (lambda **k: semaphore(1.5, **k), TypeError),
        (lambda **k: semaphore("1", **k), TypeError),
    ],
)
def test_what_is_no_number_is_refused_at_once(make, error, mode_vars):
    """Both modes say so before the body has begun, and in the same words."""
    with pytest.raises(error, match=r"must be an integer, not|must be a number or None, not"):
        make(context_vars=mode_vars)


def test_a_timeout_is_entered_once(mode):
    """Neither mode lets it be used again."""

    async def body(context_vars):
        limit = timeout(60, context_vars=context_vars)
        async with limit:
            pass
        with pytest.raises(RuntimeError, match=r"has .*been entered"):
            await limit.__aenter__()

    mode.run(body)
