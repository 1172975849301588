"""AprocManager: nothing is kept of the aprocs that are done, however many they were."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from mt.aio.core import sleep, srun
from mt.aio.manager import AprocManager

LIMIT = 64
COUNT = 5000


class _Load:
    """Aprocs that know how many of them have not been released, now and at most."""

    def __init__(self):
        self.now = self.most = 0

    async def aproc(self, ticket, context_vars=None):
        await sleep(0, context_vars=context_vars or {"async": True})

    def ticket(self):
        return _Ticket(self)


class _Ticket:
    """Counts until its aproc is released; no cycle collector is needed for that."""

    def __init__(self, load):
        self.load = load
        load.now += 1
        load.most = max(load.most, load.now)

    def __del__(self):
        self.load.now -= 1


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Run on an event loop that is not in debug mode, which keeps things for its messages."""
    factory = None
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop", reason="uvloop is not installed").new_event_loop

    def run(asyn_func):
        with asyncio.Runner(debug=False, loop_factory=factory) as runner:
            runner.run(asyn_func(context_vars={"async": True}))

    return run


@pytest.fixture
def traced():
    """Trace memory."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def _traced_bytes():
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["coroutine", "task", "spawn"])
def test_memory_is_flat(run, traced, way):
    """Thousands of aprocs leave no more behind than a few; what is done is released at once."""

    async def body(context_vars):
        load = _Load()

        async def send(manager, count):
            for _ in range(count):
                if way == "spawn":
                    await manager.spawn(load.aproc, load.ticket(), context_vars=context_vars)
                elif way == "task":
                    await manager.send(asyncio.create_task(load.aproc(load.ticket())))
                else:
                    await manager.send(load.aproc(load.ticket()))
            await manager.cleanup()

        manager = AprocManager(LIMIT)
        await send(manager, 10 * LIMIT)
        before = _traced_bytes()
        await send(manager, COUNT)
        grown = _traced_bytes() - before
        assert load.now == 0
        assert load.most <= LIMIT + 2  # one that waits for a slot, one that is just being made
        assert grown < 5 * COUNT  # bytes: less than anything that could be kept of each

    run(body)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["silent", "warn"])
def test_memory_is_flat_with_errors(run, traced, policy):
    """Of those that fail nothing is kept either, unless their errors wait to be reported."""

    class Logger:
        def warning(self, *args):
            pass

    async def body(context_vars):
        async def fail(ticket):
            raise ValueError("x")

        load = _Load()
        manager = AprocManager(LIMIT, policy, Logger())
        await manager.send(fail(load.ticket()))
        await manager.cleanup()
        before = _traced_bytes()
        for _ in range(COUNT):
            await manager.send(fail(load.ticket()))
        await manager.cleanup()
        grown = _traced_bytes() - before
        assert manager.failed == COUNT + 1
        assert load.now == 0
        assert grown < 5 * COUNT

    run(body)


@pytest.mark.slow
def test_memory_is_flat_in_sync_mode(traced):
    """There is one aproc at a time, and nothing of it afterwards."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(LIMIT)
        await manager.spawn(load.aproc, load.ticket(), context_vars=context_vars)
        before = _traced_bytes()
        for _ in range(COUNT):
            await manager.spawn(load.aproc, load.ticket(), context_vars=context_vars)
        assert (load.now, load.most) == (0, 1)
        assert _traced_bytes() - before < 5 * COUNT

    srun(body)
