"""Queues of processes that are not as expected, and loops that are not: what is done instead."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue

import pytest

from mt.aio.proc import _queue_process, qget_aio, qput_aio

CONTEXT = multiprocessing.get_context("spawn")


class Counting(multiprocessing.queues.Queue):
    """A queue with methods of its own, as recipes have them."""

    def __init__(self, maxsize=0):
        super().__init__(maxsize, ctx=CONTEXT)
        self.calls = []

    def put(self, obj, block=True, timeout=None):
        """Put, and write it down."""
        super().put(obj, block, timeout)
        self.calls.append(("put", obj))

    def get(self, block=True, timeout=None):
        """Get, and write it down."""
        item = super().get(block, timeout)
        self.calls.append(("get", item))
        return item


def test_methods_of_a_subclass_are_used(async_mode, ending):
    """Its own get and put are called, the get in a thread as it might block."""
    q = ending(Counting())

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.01)
        await qput_aio(q, [1])
        assert await getting == [1]

    async_mode.run(body)
    assert q.calls == [("put", [1]), ("get", [1])]


@pytest.mark.parametrize("hidden", ["the reader", "the way of writing", "the semaphore"])
def test_private_attributes_that_are_not_there(async_mode, monkeypatch, hidden, ending):
    """Where `multiprocessing` is not as expected, its public methods do, in a thread."""
    q = ending(CONTEXT.Queue(1))
    if hidden == "the reader":
        monkeypatch.setattr(_queue_process, "_EXPECTED", ("_another_reader",))
    elif hidden == "the way of writing":
        monkeypatch.setattr(_queue_process, "_written_as_expected", lambda: False)
    else:
        monkeypatch.setattr("mt.aio.proc._queue_wait.slot_line_of", lambda _: None)

    async def body(context_vars):
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0.02)
        await qput_aio(q, 1)
        putting = asyncio.ensure_future(qput_aio(q, 2))
        async with asyncio.timeout(20):
            assert [await qget_aio(q), await qget_aio(q)] == [1, 2]
            await putting
        with pytest.raises(queue.Empty):
            await qget_aio(q, block=False)

    async_mode.run(body)


class NoWatching(asyncio.SelectorEventLoop):
    """An event loop that cannot watch descriptors, as Windows has one."""

    def add_reader(self, fd, callback, *args):
        """Refuse."""
        raise NotImplementedError

    add_writer = add_reader


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_a_loop_that_cannot_watch(kind, ending):
    """A thread watches instead."""
    q = ending(getattr(CONTEXT, kind)())

    async def body():
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.02)
        q.put(5)
        async with asyncio.timeout(20):
            return await getting, await _next(q)

    async def _next(q):
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0.01)
        await qput_aio(q, 6)
        return await qget_aio(q)

    with asyncio.Runner(loop_factory=NoWatching) as runner:
        assert runner.run(body()) == (5, 6)
