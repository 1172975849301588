"""Jobs that wait for other machines: they never keep those that work here from a thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mt.aio.core import _pool, srun
from mt.aio.core._job import current_job
from mt.aio.core.lowlevel import check_cancelled, offload, submit


@pytest.fixture
def gate():
    """What holds jobs up; it is open at the end, whatever happens."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_local_jobs_do_not_wait_for_the_network(async_mode, gate):
    """With more network jobs stuck than there are threads, local jobs are done."""

    async def body(context_vars):
        stuck = [submit(gate.wait, 40, network=True) for _ in range(_pool.MOST + 1)]
        for order in (None, "some/file"):
            async with asyncio.timeout(30):
                assert await offload(int, "7", context_vars=context_vars, order=order) == 7
        assert not any(future.done() for future in stuck)
        gate.set()
        assert all(await asyncio.gather(*stuck))

    async_mode.run(body)


def test_only_those_that_say_so_are_network_jobs(async_mode):
    """Each way of starting a job has the choice, and takes the threads that work here if not."""

    def which():
        job = current_job()
        return [pool for pool in (_pool._pool, _pool._network) if job in pool.running]

    async def body(context_vars):
        for options, pool in (({}, _pool._pool), ({"network": True}, _pool._network)):
            assert await offload(which, context_vars=context_vars, **options) == [pool]
            assert await submit(which, **options) == [pool]

    async_mode.run(body)


def test_one_order_for_both(async_mode, gate):
    """Jobs of one key run in the order of issue, whichever threads they are for."""
    done = []

    def job(number):
        gate.wait(30)
        done.append(number)

    async def body(context_vars):
        futures = [submit(job, n, order="key", network=n % 3 == 0) for n in range(12)]
        gate.set()
        await asyncio.gather(*futures)

    async_mode.run(body)
    assert done == list(range(12))


def test_synchronous_mode_waits_for_both(gate):
    """A job in synchronous mode runs after the network jobs of its key."""
    done = []

    async def main():
        future = submit(lambda: gate.wait(30) and done.append(1), order="key", network=True)
        threading.Timer(0.05, gate.set).start()
        srun(offload, done.append, 2, order="key")  # the event loop stands still meanwhile
        await future

    asyncio.run(main())
    assert done == [1, 2]


def test_cancelled_network_job(async_mode, halt):
    """A network job notices that it is given up, as others do."""
    seen = []

    def job():
        halt()
        try:
            check_cancelled()
        except asyncio.CancelledError:
            seen.append("given up")
            raise

    async def body(context_vars):
        task = asyncio.create_task(offload(job, context_vars=context_vars, network=True))
        await halt.cancel(task)

    async_mode.run(body)
    assert seen == ["given up"]
