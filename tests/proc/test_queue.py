"""qput_aio and qget_aio: the sentences of their reference, on every kind of queue."""

from __future__ import annotations

import asyncio
import queue
import sys
import time

import pytest

from mt.aio.proc import qget_aio, qput_aio

LIMIT = 20
THREAD_QUEUES = [queue.Queue, queue.LifoQueue, queue.PriorityQueue]


@pytest.fixture
def full(bounded):
    """Give a queue with room for one item, which is in it."""
    q = bounded(1)
    q.put(1)
    return q


def _run(async_mode, coro):
    async def body(context_vars):
        return await coro

    return async_mode.run(body)


async def _turns():
    """Let the heart beat a few times, however slow the machine is."""
    for _ in range(10):
        await asyncio.sleep(0.002)


def test_put_and_get(async_mode, any_queue):
    """Reference: qput_aio puts obj into the queue, qget_aio removes and returns an item."""

    async def body(context_vars):
        assert await qput_aio(any_queue, 5) is None
        item = await qget_aio(any_queue)
        with pytest.raises(queue.Empty):
            await qget_aio(any_queue, timeout=0)
        return item

    assert async_mode.run(body) == 5


def test_get_waits_for_an_item(async_mode, any_queue):
    """Reference, qget_aio: by default it blocks asynchronously until an item is available."""

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(any_queue))
        await _turns()
        assert not getting.done(), "the loop goes on meanwhile"
        any_queue.put(5)
        return await getting

    assert async_mode.run(body) == 5


def test_put_waits_for_room(async_mode, full):
    """Reference, qput_aio: by default it blocks asynchronously until a slot is free."""

    async def body(context_vars):
        putting = asyncio.ensure_future(qput_aio(full, 2))
        await _turns()
        assert not putting.done(), "the loop goes on meanwhile"
        first = await qget_aio(full)
        await putting
        return first, await qget_aio(full)

    assert async_mode.run(body) == (1, 2)


def test_get_with_a_timeout(async_mode, any_queue, runs_out_of_time):
    """Reference, qget_aio: at most timeout seconds, by the clock, then queue.Empty."""
    _run(async_mode, runs_out_of_time(lambda s: qget_aio(any_queue, True, s), queue.Empty))


def test_put_with_a_timeout(async_mode, full, runs_out_of_time):
    """Reference, qput_aio: at most timeout seconds, by the clock, then queue.Full."""
    _run(async_mode, runs_out_of_time(lambda s: qput_aio(full, 2, True, s), queue.Full))


@pytest.mark.parametrize("interval", [0, 0.001, 1e-6, 50])
def test_a_timeout_counts_seconds_not_rounds(async_mode, interval):
    """Whatever the interval is, and however busy the loop."""

    async def body(context_vars):
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, time.sleep, 0.1)
        begin = time.monotonic()
        with pytest.raises(queue.Empty):
            await qget_aio(queue.Queue(), timeout=0.05, aio_interval=interval)
        return time.monotonic() - begin

    assert 0.045 <= async_mode.run(body) < 5


def test_in_time(async_mode, any_queue):
    """An item that comes within the timeout is returned."""

    async def body(context_vars):
        asyncio.get_running_loop().call_later(0.02, any_queue.put, 5)
        return await qget_aio(any_queue, timeout=LIMIT)

    assert async_mode.run(body) == 5


@pytest.mark.parametrize("timeout", [None, 0, 5, -1])
def test_get_without_block(async_mode, any_queue, timeout):
    """Reference, qget_aio: without block an item or queue.Empty at once; timeout is ignored."""

    async def body(context_vars):
        with pytest.raises(queue.Empty):
            await asyncio.wait_for(qget_aio(any_queue, False, timeout), 2)
        any_queue.put(5)
        while any_queue.empty():
            await asyncio.sleep(0.001)
        return await qget_aio(any_queue, block=False, timeout=timeout)

    assert async_mode.run(body) == 5


@pytest.mark.parametrize("timeout", [None, 0, 5, -1])
def test_put_without_block(async_mode, bounded, timeout):
    """Reference, qput_aio: without block it puts, or queue.Full at once; timeout is ignored."""
    q = bounded(1)

    async def body(context_vars):
        await qput_aio(q, 1, False, timeout)
        with pytest.raises(queue.Full):
            await asyncio.wait_for(qput_aio(q, 2, block=False, timeout=timeout), 2)
        return await qget_aio(q)

    assert async_mode.run(body) == 1


@pytest.mark.parametrize("func", [qget_aio, lambda q, **kw: qput_aio(q, 1, **kw)])
def test_a_negative_timeout(async_mode, any_queue, func):
    """As with the queue's own methods: a ValueError, even if there was nothing to wait for."""
    any_queue.put(1)
    with pytest.raises(ValueError, match="-1"):
        _run(async_mode, func(any_queue, timeout=-1))


def test_a_negative_interval(async_mode):
    """It is refused: it would make no sense."""
    with pytest.raises(ValueError, match="aio_interval"):
        _run(async_mode, qget_aio(queue.Queue(), aio_interval=-1))


def test_cancelled_while_waiting(async_mode, any_queue):
    """Nothing has been taken: the next one gets the item."""

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(any_queue))
        await asyncio.sleep(0.01)
        getting.cancel()
        any_queue.put(5)
        with pytest.raises(asyncio.CancelledError):
            await getting
        return await qget_aio(any_queue, timeout=LIMIT)

    assert async_mode.run(body) == 5


def test_a_cancelled_put(async_mode, full):
    """Nothing has been put."""

    async def body(context_vars):
        putting = asyncio.ensure_future(qput_aio(full, 2))
        await asyncio.sleep(0.01)
        putting.cancel()
        assert await qget_aio(full) == 1
        with pytest.raises(asyncio.CancelledError):
            await putting
        with pytest.raises(queue.Empty):
            await qget_aio(full, timeout=0.02)

    async_mode.run(body)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues have no shutdown yet")
@pytest.mark.parametrize("cls", THREAD_QUEUES)
def test_shutdown_ends_the_waiting(async_mode, cls):
    """Who waits, to get or to put, gets the queue's own ShutDown."""

    async def body(context_vars):
        empty, full = cls(1), cls(1)
        full.put(1)
        waiting = [
            asyncio.ensure_future(qget_aio(empty)),
            asyncio.ensure_future(qput_aio(full, 2)),
        ]
        await asyncio.sleep(0.01)
        empty.shutdown()
        full.shutdown()
        async with asyncio.timeout(LIMIT):
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(error) for error in async_mode.run(body)] == [queue.ShutDown] * 2
