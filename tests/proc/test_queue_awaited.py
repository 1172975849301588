"""Queues whose methods are asyn functions, as those of a cluster are."""

from __future__ import annotations

import asyncio
import queue

import pytest

from mt.aio.proc import qget_aio, qput_aio


class Awaited:
    """A queue of one item, which notes how it is asked."""

    def __init__(self):
        self.items = []
        self.asked = []

    async def put(self, obj, block=True, timeout=None, *, context_vars={}):
        """Put an object."""
        self.asked.append((block, timeout, context_vars.get("async", True)))
        if self.items:
            raise queue.Full
        self.items.append(obj)

    async def get(self, block=True, timeout=None, *, context_vars={}):
        """Get it."""
        self.asked.append((block, timeout, context_vars.get("async", True)))
        if not self.items:
            raise queue.Empty
        return self.items.pop()


def test_its_own_methods_are_awaited(mode):
    """What is put comes back, and its errors are passed on."""
    q = Awaited()

    async def body(context_vars):
        await qput_aio(q, "x", context_vars=context_vars)
        with pytest.raises(queue.Full):
            await qput_aio(q, "y", context_vars=context_vars)
        assert await qget_aio(q, context_vars=context_vars) == "x"
        with pytest.raises(queue.Empty):
            await qget_aio(q, context_vars=context_vars)

    mode.run(body)
    assert q.asked == [(True, None, mode.is_async)] * 4


@pytest.mark.parametrize(
    ("how", "asked"),
    [({"block": False}, (False, 0)), ({"timeout": 3}, (True, 3)), ({"timeout": 0}, (False, 0))],
)
def test_how_long_it_may_wait_is_its_affair(how, asked):
    """`block` and `timeout` are handed on."""
    q = Awaited()
    asyncio.run(qput_aio(q, 1, **how))
    assert q.asked == [(*asked, True)]
