"""offload, submit and check_cancelled: jobs of which nobody wants to know any more."""

from __future__ import annotations

import asyncio
import threading
import weakref

import pytest

from mt.aio.core import srun
from mt.aio.core.lowlevel import check_cancelled, offload, submit


def test_cancelling_withdraws_a_job_that_has_not_started(async_mode):
    """What no thread has taken yet never runs, and the coroutine ends at once."""
    ran = []
    gate = threading.Event()

    async def body(context_vars):
        first = asyncio.ensure_future(offload(gate.wait, 30, context_vars=context_vars, order="k"))
        second = asyncio.ensure_future(offload(ran.append, 1, context_vars=context_vars, order="k"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await first

    async_mode.run(body)
    assert ran == []


def test_cancelling_waits_for_a_running_job(async_mode, halt):
    """The coroutine ends only when the function has, also if cancelled again meanwhile."""
    ended = []

    def job():
        halt()
        ended.append(True)

    async def body(context_vars):
        task = asyncio.ensure_future(offload(job, context_vars=context_vars))
        await halt.cancel(task, times=3)
        assert ended == [True]

    async_mode.run(body)


def test_cancelling_abandons_a_job_that_allows_it(async_mode, halt):
    """With abandon_on_cancel the coroutine ends at once; the result is dropped."""

    async def body(context_vars):
        task = asyncio.ensure_future(
            offload(halt, context_vars=context_vars, abandon_on_cancel=True)
        )
        await halt.reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        halt.go_on()

    async_mode.run(body)


def test_check_cancelled_lets_a_running_job_give_up(async_mode, halt):
    """A cancelled job learns of it where it asks, and can clean up."""
    steps = []

    def job():
        check_cancelled()
        halt()
        try:
            check_cancelled()
            steps.append("never")
        finally:
            steps.append("cleaned up")

    async def body(context_vars):
        task = asyncio.ensure_future(offload(job, context_vars=context_vars))
        await halt.cancel(task)

    async_mode.run(body)
    assert steps == ["cleaned up"]


def test_check_cancelled_elsewhere_does_nothing():
    """In sync mode, and in code that no job runs, there is nobody to cancel."""
    check_cancelled()
    srun(offload, check_cancelled)


def test_cancelling_a_submitted_future_gives_the_job_up(async_mode):
    """The job is withdrawn or told; the future is cancelled at once."""
    ran = []
    gate = threading.Event()

    async def body(context_vars):
        first = submit(gate.wait, 30, order="k")
        second = submit(ran.append, 1, order="k")
        second.cancel()
        gate.set()
        await first
        await offload(int, context_vars=context_vars, order="k")

    async_mode.run(body)
    assert ran == []


@pytest.mark.usefixtures("no_collection")
def test_what_a_cancelled_job_had_in_hand_is_not_kept_alive(async_mode, halt):
    """What a function that gave up worked on is let go with it, without a garbage collection."""
    references = []

    class Large:
        pass

    def func():
        large = Large()
        references.append(weakref.ref(large))
        halt()
        check_cancelled()

    async def body(context_vars):
        task = asyncio.create_task(offload(func, context_vars=context_vars))
        await halt.reached()
        task.cancel()
        await asyncio.sleep(0)
        halt.go_on()
        await asyncio.wait([task])
        return references[0]()

    assert async_mode.run(body) is None
