"""Queues that can only be asked: one timer asks for all who wait."""

from __future__ import annotations

import asyncio
import queue
import time

import pytest

from mt.aio.core import srun
from mt.aio.proc import qget_aio, qput_aio
from mt.aio.proc._queue_poll import pause


class Own:
    """A queue of another make: a list with put and get."""

    def __init__(self, size):
        self.items, self.size = [], size

    def put(self, item, block=True):
        """Put an item if there is room."""
        if len(self.items) >= self.size:
            raise queue.Full
        self.items.append(item)

    def get(self, block=True):
        """Get the oldest item if there is one."""
        if not self.items:
            raise queue.Empty
        return self.items.pop(0)


def test_a_queue_of_another_make(async_mode):
    """Anything with put and get that raise Full and Empty: it is asked again and again."""
    q = Own(2)

    async def body(context_vars):
        getting = [asyncio.ensure_future(qget_aio(q)) for _ in range(3)]
        putting = [asyncio.ensure_future(qput_aio(q, n)) for n in range(6)]
        async with asyncio.timeout(20):
            got = await asyncio.gather(*getting)
            got += [await qget_aio(q) for _ in range(3)]
            await asyncio.gather(*putting)
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0.01, aio_interval=0)
        return got

    assert sorted(async_mode.run(body)) == list(range(6))
    srun(qput_aio, q, 1)
    assert srun(qget_aio, q) == 1


class Looked(Own):
    """It counts how often somebody looks whether there is anything."""

    looks = 0

    def empty(self):
        """Whether there is nothing."""
        self.looks += 1
        return not self.items


@pytest.mark.slow
def test_one_timer_for_all_who_wait():
    """A thousand coroutines wait for a queue that can only be asked: it is asked as by one."""
    q = Looked(1)

    async def body():
        waiting = [asyncio.ensure_future(qget_aio(q, aio_interval=0.01)) for _ in range(1000)]
        await asyncio.sleep(0.3)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    begin = time.monotonic()
    asyncio.run(body())
    assert 1 <= q.looks <= (time.monotonic() - begin) / 0.01 + 1


@pytest.mark.parametrize(
    ("interval", "waited", "expected"),
    [
        (0.001, 0, 0.001),
        (0.001, 0.025, 0.001),
        (0.001, 0.2, 0.008),
        (0.001, 60, 0.03),
        (0.0001, 60, 0.003),
        (0, 60, 0),
        (0.03, 60, 0.03),
        (0.5, 60, 0.5),
    ],
)
def test_the_longer_nothing_comes_the_longer_are_the_pauses(interval, waited, expected):
    """To a part of the time waited; not beyond 30 intervals, or 30 ms."""
    assert pause(interval, waited) == pytest.approx(expected)


@pytest.mark.slow
def test_looks_get_rarer(async_mode):
    """Whoever waits for half a second has not had all of the 500 looks taken; an item resets it."""
    q = Looked(1)

    async def body(context_vars):
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0.5)
        assert q.looks <= 25 + 25 * 3 + 10  # 25 ms, then 4 % more each time
        other = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0)
        q.put("item")
        assert await other == "item"

    async_mode.run(body)
