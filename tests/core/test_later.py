"""Jobs of two parts, and jobs that wait for devices."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mt.aio.core.lowlevel import expect_wait, later, offload, submit


async def _offload(func, *args, context_vars, **options):
    return await offload(func, *args, context_vars=context_vars, **options)


def test_the_result_is_that_of_the_last_part(mode):
    """A job may go on as often as it likes; what the last part returns or raises counts."""

    def count(number):
        return later(lambda: count(number - 1)) if number else "done"

    assert mode.run(_offload, count, 5) == "done"
    with pytest.raises(ZeroDivisionError):
        mode.run(_offload, lambda: later(lambda: 1 // 0))


def test_the_rest_comes_after_those_that_wait(one_thread):
    """What is left of a job is done when the jobs that waited by then have begun."""
    done = []
    gate = threading.Event()

    def first():
        gate.wait(30)
        done.append("first")
        return later(lambda: done.append("rest"))

    async def main():
        jobs = [submit(first), *(submit(done.append, number) for number in range(5))]
        gate.set()
        await asyncio.gather(*jobs)

    asyncio.run(main())
    assert done == ["first", 0, 1, 2, 3, 4, "rest"]


def test_the_rest_keeps_its_lane(async_mode):
    """The next job of a key begins when the one before it has done all its parts."""
    done = []

    def job(number):
        done.append(number)
        return later(lambda: done.append(number))

    async def body(context_vars):
        jobs = (offload(job, n, context_vars=context_vars, order="key") for n in range(20))
        await asyncio.gather(*jobs)

    async_mode.run(body)
    assert done == [number for number in range(20) for _ in range(2)]


def test_a_cancelled_job_does_the_rest(async_mode, halt):
    """A coroutine that is cancelled between the parts ends when the last one is done."""
    ended = []

    def job():
        halt()
        return later(lambda: ended.append(True))

    async def body(context_vars):
        task = asyncio.ensure_future(offload(job, context_vars=context_vars))
        await halt.cancel(task)
        assert ended == [True]

    async_mode.run(body)


def test_who_expects_to_wait_makes_room(one_thread):
    """Jobs that say that they wait are not taken for quick ones: those behind them begin at once.

    All have come when the first is taken.
    """
    gate, barrier = threading.Event(), threading.Barrier(8)

    def job():
        expect_wait()
        return barrier.wait(30)

    async def main():
        submit(gate.wait, 30)
        jobs = asyncio.gather(*(offload(job, context_vars={"async": True}) for _ in range(8)))
        asyncio.get_running_loop().call_soon(gate.set)  # after the first step of each
        return sorted(await jobs)

    assert asyncio.run(main()) == list(range(8))


def test_expecting_to_wait_elsewhere_does_nothing(mode):
    """Outside jobs and in synchronous mode nobody waits behind."""
    expect_wait()
    mode.run(_offload, expect_wait)
