"""Queues of a cluster, by way of `qput_aio` and `qget_aio`."""

from __future__ import annotations

import asyncio
import queue as queues
import time

import pytest

from mt.aio.dask import queue
from mt.aio.proc import qget_aio, qput_aio

# In sync mode, too, dask's client has an event loop in a thread of its own.
pytestmark = [pytest.mark.slow, pytest.mark.mt_aio_loop_elsewhere]


@pytest.fixture
def made(client, request):
    """Make queues that no other test knows."""
    return lambda **options: queue(f"{request.node.name}-{time.monotonic()}", client, **options)


def test_items_come_back_as_they_were(made, mode):
    """Nested lists stay lists, and anything that can be pickled passes, in order."""
    q = made()
    items = [[1, [2, (3,)]], {"a": {4}}, b"5", None]

    async def body(context_vars):
        for item in items:
            await qput_aio(q, item, context_vars=context_vars)
        size = await q.qsize(context_vars=context_vars)
        return size, [await qget_aio(q, context_vars=context_vars) for _ in items]

    assert mode.run(body) == (4, items)


def test_empty_and_full(made, mode):
    """The errors are those of the standard library, without waiting and in time."""
    q = made(maxsize=1)

    async def body(context_vars):
        for how in ({"block": False}, {"timeout": 0.05}):
            with pytest.raises(queues.Empty):
                await qget_aio(q, **how, context_vars=context_vars)
        await qput_aio(q, 1, context_vars=context_vars)
        for how in ({"block": False}, {"timeout": 0.05}):
            with pytest.raises(queues.Full):
                await qput_aio(q, 2, **how, context_vars=context_vars)
        assert await qget_aio(q, False, context_vars=context_vars) == 1

    mode.run(body)


def test_the_name_is_all_that_is_shared(made, client):
    """Whoever uses the name shares the queue; a queue can be sent to a task on a worker."""
    q = made()

    async def body():
        await qput_aio(q, "x")
        return await qget_aio(queue(q.name, client), timeout=5)

    assert asyncio.run(body()) == "x"


def test_waiting_does_not_block_the_loop(made):
    """A getter waits for what is put later, and the loop goes on meanwhile."""
    q = made()

    async def body():
        getter = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.05)
        assert not getter.done()
        await qput_aio(q, "late")
        return await getter

    assert asyncio.run(body()) == "late"


@pytest.mark.parametrize("own_loop", [False, True], ids=["another loop", "the client's loop"])
def test_a_cancelled_get_loses_nothing(made, cluster, own_loop):
    """Whenever getters are cancelled, all items that were put are still to be had."""

    async def body(q):
        got = []

        async def get():
            got.append(await qget_aio(q))

        for number in range(6):
            getter = asyncio.ensure_future(get())
            await asyncio.sleep(0.01 * number)
            putter = asyncio.ensure_future(qput_aio(q, number))
            await asyncio.sleep(0.001 * number)
            getter.cancel()
            await asyncio.wait([getter, putter])
        while len(got) < 6:
            got.append(await qget_aio(q, timeout=5))
        return sorted(got)

    async def with_client():
        async with cluster.client(asynchronous=True) as client:
            return await body(queue("own loop", client))

    assert asyncio.run(with_client() if own_loop else body(made())) == list(range(6))


def test_a_cancelled_put_has_put_nothing(made):
    """A put that is cancelled while it waits for room puts nothing."""
    q = made(maxsize=1)

    async def body():
        await qput_aio(q, 1)
        putter = asyncio.ensure_future(qput_aio(q, 2))
        await asyncio.sleep(0.05)
        putter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putter
        assert await qget_aio(q) == 1
        with pytest.raises(queues.Empty):
            await qget_aio(q, timeout=0.1)  # one that was waiting would have come at once

    asyncio.run(body())


def test_the_client_s_loop_is_never_blocked(cluster):
    """Synchronous mode in the client's own loop would wait for itself: it is refused."""

    async def body():
        async with cluster.client(asynchronous=True) as client:
            with pytest.raises(RuntimeError, match="cannot be blocked"):
                await qget_aio(queue("x", client), context_vars={"async": False})

    asyncio.run(body())


def test_plain_code_uses_it_too(made):
    """The functions have both ways."""
    q = made()
    qput_aio.sync(q, [1])
    assert q.qsize.sync() == 1
    assert qget_aio.sync(q, timeout=5) == [1]
