"""How a waiting coroutine is woken, and how long a pipe is watched for it."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import sys
import threading

import pytest

from mt.aio.proc import _queue, _queue_pipe, qget_aio, qput_aio
from mt.aio.proc._queue import TURNS
from mt.aio.proc._queue_line import Waiter

CONTEXT = multiprocessing.get_context("spawn")


@pytest.fixture
def q(ending):
    """Give a queue of processes."""
    return ending(CONTEXT.Queue())


def test_a_wake_before_the_suspension(async_mode):
    """Who has been notified does not suspend, once; the next time he does."""

    async def body(context_vars):
        waiter = Waiter(asyncio.get_running_loop())
        waiter.notify()
        parking = waiter.park(None)
        with pytest.raises(StopIteration):
            parking.send(None)
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, waiter.notify)
        begin = loop.time()
        await waiter.park(None)
        return loop.time() - begin

    assert async_mode.run(body) >= 0.009


def test_a_wake_in_the_moment_of_the_suspension(async_mode):
    """Between the look and the callback of the task: it goes on all the same."""

    async def body(context_vars):
        class Late(Waiter):
            def add_done_callback(self, callback, *, context=None):
                thread = threading.Thread(target=self.notify)
                thread.start()
                thread.join()
                super().add_done_callback(callback, context=context)

        async with asyncio.timeout(20):
            await Late(asyncio.get_running_loop()).park(None)

    async_mode.run(body)


def test_notified_twice(async_mode):
    """By a thread and by the clock: the task goes on once."""

    async def body(context_vars):
        loop = asyncio.get_running_loop()
        waiter = Waiter(loop)

        def notify():
            waiter.notify()
            waiter.notify()

        loop.call_soon(notify)
        await waiter.park(None)
        await asyncio.sleep(0.01)
        return True

    assert async_mode.run(body)


def test_cancelled_by_a_timeout_and_again(async_mode):
    """`asyncio.timeout` around it, a task that is cancelled twice, one that goes on after that."""
    q = queue.Queue()

    async def stubborn():
        with pytest.raises(asyncio.CancelledError):
            await qget_aio(q)
        asyncio.current_task().uncancel()
        return await qget_aio(q)

    async def body(context_vars):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await qget_aio(q)
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0.01)
        task.cancel("first")
        await asyncio.sleep(0.01)
        q.put(5)
        assert await task == 5
        other = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.01)
        other.cancel("why")
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        assert other.cancelled()

    async_mode.run(body)
    assert q.empty()


def _python_task(loop, coro, **options):
    return asyncio.tasks._PyTask(coro, loop=loop, **options)


@pytest.mark.parametrize("factory", ["python", "eager"])
def test_tasks_of_other_makes(async_mode, factory):
    """Made in Python, or begun before the loop gets to them (Python 3.12)."""
    if factory == "eager" and sys.version_info < (3, 12):
        pytest.skip("tasks are not eager yet")
    if factory == "eager" and async_mode.name == "uvloop":
        pytest.skip("uvloop passes an argument on that the factory of Python 3.13 does not take")
    q = queue.Queue()

    async def body(context_vars):
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        loop.set_task_factory(_python_task if factory == "python" else asyncio.eager_task_factory)
        try:
            getting = [asyncio.ensure_future(qget_aio(q, timeout=20)) for _ in range(3)]
            await asyncio.sleep(0.01)
            getting.pop(0).cancel()
            thread = threading.Thread(target=lambda: [q.put(n) for n in range(2)])
            thread.start()
            got = await asyncio.gather(*getting)
            thread.join()
        finally:
            loop.set_task_factory(before)
        return got

    assert async_mode.run(body) == [0, 1]


@pytest.fixture
def watched(monkeypatch):
    """Count how often a pipe begins and ceases to be watched."""
    counts = [0, 0]
    watch = _queue_pipe.watch

    def counted(*args):
        counts[0] += 1
        stop = watch(*args)

        def stopped():
            counts[1] += 1
            stop()

        return stopped

    monkeypatch.setattr(_queue_pipe, "watch", counted)
    return counts


def test_a_pipe_is_watched_on_for_who_comes_back(async_mode, q, watched):
    """One consumer, a hundred items, each put once it waits; afterwards nobody watches."""

    async def consume():
        return [await qget_aio(q, timeout=20) for _ in range(100)]

    async def body(context_vars):
        consuming = asyncio.ensure_future(consume())
        for number in range(100):
            while not any(line.idle for line in _lines(q)):
                await asyncio.sleep(0)
            q.put(number)
            while any(line.idle for line in _lines(q)):
                await asyncio.sleep(0)
        items = await consuming
        while _lines(q):
            await asyncio.sleep(0)
        return items

    assert async_mode.run(body) == list(range(100))
    assert watched == [1, 1]


def _lines(q):
    """The lines of those who wait to get."""
    getter = getattr(q, "_mt_aio_getter", None)
    return [] if getter is None else list(getter.lines.values())


@pytest.mark.parametrize("end", ["timeout", "cancel", "item"])
def test_a_pipe_is_not_watched_for_nobody(async_mode, q, watched, end):
    """However the waiting ends, and although the loop ends right then."""

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q, timeout=0.01 if end == "timeout" else 20))
        await asyncio.sleep(0.001)
        if end == "cancel":
            getting.cancel()
        elif end == "item":
            q.put(1)
        await asyncio.wait([getting])
        return getting.cancelled() or getting.exception() or getting.result()

    result = async_mode.run(body)
    assert {"timeout": queue.Empty, "cancel": bool, "item": int}[end] is type(result)
    assert watched[0] == watched[1] == 1
    assert not q._mt_aio_getter.lines


def test_items_that_nobody_is_there_for(async_mode, q, watched):
    """A pipe that stays ready keeps no loop busy once its consumer does other things."""

    async def body(context_vars):
        q.put(0)
        await qget_aio(q, timeout=20)
        waiting = asyncio.ensure_future(qget_aio(q, timeout=20))
        await asyncio.sleep(0.01)
        for number in range(3):
            q.put(number)
        await waiting
        await asyncio.sleep(0.01)
        assert watched[0] == watched[1]
        return [await qget_aio(q, timeout=20) for _ in range(2)]

    assert async_mode.run(body) == [1, 2]


@pytest.mark.parametrize("calls", [0, TURNS - 3])
def test_first_come_first_served(async_mode, any_queue, monkeypatch, calls):
    """Also the one who would give way to the event loop, if he had not to wait anyway."""
    monkeypatch.setattr(_queue, "_calls", calls)

    async def body(context_vars):
        getting = [asyncio.ensure_future(qget_aio(any_queue)) for _ in range(5)]
        for _ in range(3):
            await asyncio.sleep(0)  # all are in line
        async with asyncio.timeout(20):
            for number, task in enumerate(getting):
                await qput_aio(any_queue, number)
                assert await task == number

    async_mode.run(body)
