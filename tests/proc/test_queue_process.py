"""Queues of processes: items that are not complete, what cannot be pickled, full pipes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import queue
import struct
import threading

import pytest

from mt.aio.core import srun
from mt.aio.proc import qget_aio, qput_aio

CONTEXT = multiprocessing.get_context("spawn")
ITEM = b"x" * 100_000
PICKLED = pickle.dumps(ITEM)
WIRE = struct.pack("!i", len(PICKLED)) + PICKLED


@pytest.fixture(params=["Queue", "JoinableQueue", "SimpleQueue"])
def q(request, ending):
    """Give a queue of processes."""
    return ending(getattr(CONTEXT, request.param)())


def _begin_item(q, size):
    """Write the beginning of an item, as a writer that is stopped then would have done."""
    if hasattr(q, "_sem"):
        q._sem.acquire()
    os.write(q._writer.fileno(), WIRE[:size])


def _end_item(q, size):
    """Write the rest of it, in a thread: it does not fit into the pipe."""

    def write():
        rest = WIRE[size:]
        while rest:
            rest = rest[os.write(q._writer.fileno(), rest) :]

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("size", [1, 4, 1000, 60_000])
def test_a_half_written_item_does_not_block_the_loop(async_mode, q, size, runs_out_of_time):
    """The timeout holds by the clock while a writer is stopped; later the item is there, once."""

    async def body(context_vars):
        _begin_item(q, size)
        await runs_out_of_time(lambda timeout: qget_aio(q, timeout=timeout), queue.Empty)
        with pytest.raises(queue.Empty):
            await qget_aio(q, block=False)
        writer = _end_item(q, size)
        assert await qget_aio(q, timeout=20) == ITEM
        writer.join()
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0)
        await qput_aio(q, "next")
        return await qget_aio(q, timeout=20)

    assert async_mode.run(body) == "next"


def test_an_item_left_behind_is_there_for_a_plain_get(q, until):
    """A cancelled get has begun to read an item: the queue's own `get` gives it, in order."""

    async def body():
        _begin_item(q, 1000)
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.02)
        getting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getting

    asyncio.run(body())
    _end_item(q, 1000).join()
    until(lambda: "get" in vars(q))
    q.put("next")
    assert q.get() == ITEM
    assert "get" not in vars(q), "the queue is as it was"
    assert q.get() == "next"


def test_waiters_on_two_loops_see_the_item_completed(q):
    """The thread that completes an item wakes every loop; one of the two gets it."""
    _begin_item(q, 1000)
    got, waiting = [], threading.Barrier(3)

    async def wait():
        getting = asyncio.ensure_future(qget_aio(q, timeout=20))
        await asyncio.sleep(0.02)
        waiting.wait()
        got.append(await getting)

    threads = [threading.Thread(target=lambda: asyncio.run(wait())) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting.wait()
    _end_item(q, 1000).join()
    q.put("next")
    for thread in threads:
        thread.join()
    assert sorted(map(len, got)) == [4, len(ITEM)]


def test_what_cannot_be_pickled_is_refused(mode, q):
    """The error reaches who puts it; nothing has been put, and the queue goes on."""

    async def body(context_vars):
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            await qput_aio(q, [lambda: 1], context_vars=context_vars)
        await qput_aio(q, [1], context_vars=context_vars)
        return await qget_aio(q, timeout=20, context_vars=context_vars)

    assert mode.run(body) == [1]


class Loaded:
    """What cannot be unpickled."""

    def __reduce__(self):
        return int, ("not a number",)


def test_what_cannot_be_unpickled(async_mode, q):
    """The error reaches who gets it, as with the queue's own `get`; the next item is not lost."""

    async def body(context_vars):
        for item in (Loaded(), [Loaded(), ITEM], 5):
            q.put(item)
        for _ in range(2):
            with pytest.raises(ValueError, match="not a number"):
                await qget_aio(q, timeout=20)
        return await qget_aio(q, timeout=20)

    if not hasattr(q, "join_thread"):
        pytest.skip("its put blocks until the long item is read")
    assert async_mode.run(body) == 5


def test_an_item_is_pickled_when_it_is_put(async_mode, ending):
    """What happens to an object after the put does not travel along."""
    q = ending(CONTEXT.Queue())

    async def body(context_vars):
        item = [1]
        await qput_aio(q, item)
        item.append(2)
        return await qget_aio(q, timeout=20)

    assert async_mode.run(body) == [1]


def test_a_closed_queue(async_mode):
    """It refuses as its own methods do."""
    q = CONTEXT.Queue()
    q.put(1)
    assert q.get() == 1
    q.close()
    q.join_thread()

    async def body(context_vars):
        with pytest.raises(ValueError, match="closed"):
            await qget_aio(q)
        with pytest.raises(ValueError, match="closed"):
            await qput_aio(q, 1)

    async_mode.run(body)


async def _fill(q, item):
    """Put as often as it goes without waiting; tell how often that is."""
    count = 0
    while True:
        try:
            await qput_aio(q, item, block=False)
        except queue.Full:
            return count
        count += 1


def test_a_full_pipe(async_mode, ending):
    """A put into a simple queue whose pipe is full waits, may be cancelled, and goes on."""
    q = ending(CONTEXT.SimpleQueue())
    short = b"x" * 3000

    async def body(context_vars):
        count = await _fill(q, short)
        with pytest.raises(queue.Full):
            await qput_aio(q, short, timeout=0.02)
        putting = asyncio.ensure_future(qput_aio(q, ITEM))
        await asyncio.sleep(0.01)
        assert not putting.done()
        for _ in range(count):
            assert await qget_aio(q, timeout=20) == short
        async with asyncio.timeout(20):
            await putting
        return await qget_aio(q, timeout=20)

    assert async_mode.run(body) == ITEM
    assert srun(qput_aio, q, 5, timeout=20) is None, "the long item has just been written"
    assert q.get() == 5
