"""Queues of a manager: their methods wait for another process, so a thread calls them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import queue
import signal
import time

import pytest

from mt.aio.proc import _queue_remote, qget_aio, qput_aio

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("manager")]  # which takes its time


@pytest.fixture
def stopped(manager):
    """Stop the manager's process, and let it go on after the test."""
    pid = manager._process.pid
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


def test_a_manager_that_does_not_answer_does_not_block(
    async_mode, manager, request, runs_out_of_time
):
    """The loop goes on, timeouts and cancellations end the waiting."""
    q = manager.Queue(1)
    request.getfixturevalue("stopped")

    async def body(context_vars):
        await runs_out_of_time(lambda timeout: qget_aio(q, timeout=timeout), queue.Empty)
        putting = asyncio.ensure_future(qput_aio(q, 1))
        await asyncio.sleep(0.02)
        putting.cancel()
        begin = time.monotonic()
        await asyncio.wait([putting])
        assert putting.cancelled()
        assert time.monotonic() - begin < 10

    async_mode.run(body)


def test_what_was_fetched_for_nobody_is_put_back(async_mode, manager, until):
    """An item that comes when the last waiter has just gone is in the queue again, counted once."""
    q = manager.JoinableQueue()

    async def body(context_vars):
        for _ in range(5):
            getting = asyncio.ensure_future(qget_aio(q))
            await asyncio.sleep(0.02)  # the call is under way
            getting.cancel()
            await asyncio.wait([getting])
            await asyncio.to_thread(q.put, 5)
            assert await asyncio.to_thread(q.get, timeout=20) == 5
            await asyncio.to_thread(q.task_done)

    async_mode.run(body)
    q.join()


def test_what_was_fetched_is_kept_for_the_next(async_mode, manager, monkeypatch):
    """The next qget_aio gets it, if it comes in time: the order is kept."""
    monkeypatch.setattr(_queue_remote, "LINGER", 2)
    q = manager.Queue()

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.02)
        getting.cancel()
        await asyncio.wait([getting])
        await asyncio.to_thread(q.put, 1)
        await asyncio.to_thread(q.put, 2)
        return [await qget_aio(q, timeout=20), await qget_aio(q, timeout=20)]

    assert async_mode.run(body) == [1, 2]


def test_what_cannot_be_pickled_is_refused(async_mode, manager):
    """The error reaches who puts it."""
    q = manager.Queue()

    async def body(context_vars):
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            await qput_aio(q, lambda: 1)
        await qput_aio(q, 1)
        return await qget_aio(q)

    assert async_mode.run(body) == 1


def test_a_cancellation_that_comes_too_late(async_mode, manager, monkeypatch):
    """Each put that was cancelled has put nothing; each that returned has put its item, once."""
    monkeypatch.setattr(_queue_remote, "PATIENCE", 20)
    q = manager.Queue()
    put = []

    async def produce(number):
        await qput_aio(q, number)
        put.append(number)
        await asyncio.sleep(0)

    async def body(context_vars):
        for number in range(100):
            task = asyncio.ensure_future(produce(number))
            await asyncio.sleep(number * 1e-5)
            task.cancel()
            await asyncio.wait([task])
        got = []
        while True:
            try:
                got.append(await qget_aio(q, block=False))
            except queue.Empty:
                return got

    assert async_mode.run(body) == put


def test_a_timeout_around_a_put_that_succeeds(async_mode, manager, monkeypatch):
    """`asyncio.timeout` meets a put that cannot be stopped: nothing of it is left in the task."""
    monkeypatch.setattr(_queue_remote, "PATIENCE", 20)
    q = manager.Queue()

    async def body(context_vars):
        count = 0
        for number in range(50):
            try:
                async with asyncio.timeout(number * 2e-5):
                    await qput_aio(q, number)
                    count += 1
            except TimeoutError:
                pass
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert asyncio.current_task().cancelling() == 0
        return count, await asyncio.to_thread(q.qsize)

    count, size = async_mode.run(body)
    assert count == size


def test_a_manager_that_has_gone(async_mode):
    """Who waits gets the error that the proxy raises."""
    with multiprocessing.Manager() as manager:
        q = manager.Queue()

        async def body(context_vars):
            getting = [asyncio.ensure_future(qget_aio(q)) for _ in range(3)]
            await asyncio.sleep(0.05)
            os.kill(manager._process.pid, signal.SIGKILL)
            async with asyncio.timeout(20):
                return await asyncio.gather(*getting, return_exceptions=True)

        errors = async_mode.run(body)
    assert all(isinstance(error, (OSError, EOFError)) for error in errors), errors
