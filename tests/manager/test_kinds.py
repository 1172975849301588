"""AprocManager: what kinds of aprocs it takes, those that use their own manager included."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine

import pytest

from mt.aio.manager import AprocManager


class _Foreign:
    """An awaitable of some other library, such as a dask future."""

    def __init__(self):
        self.used = False

    def __await__(self):
        self.used = True
        yield from asyncio.sleep(0).__await__()


def test_other_awaitables(async_mode, turns, make_load):
    """Any awaitable will do, and it is held back as a coroutine is."""

    async def body(context_vars):
        load = make_load()
        foreign = _Foreign()
        manager = AprocManager(1)
        await manager.send(load.aproc())
        sending = asyncio.ensure_future(manager.send(foreign))
        await turns()
        assert not foreign.used
        load.gate.set()
        await sending
        await manager.cleanup()
        assert foreign.used

    async_mode.run(body)


class _Own(Coroutine):
    """A coroutine of another kind, such as Cython's, which ends at once."""

    task = None

    def send(self, value):
        self.task = asyncio.current_task()
        raise StopIteration

    def throw(self, error):
        raise error

    def __await__(self):
        yield


def test_what_others_are_called(async_mode):
    """A coroutine of another kind has its own name and task, an awaitable that of its class."""

    async def body(context_vars):
        names = []
        own = _Own()
        async with AprocManager(1, on_done=lambda name, error: names.append(name)) as manager:
            for aproc in (_Foreign(), own):
                await manager.send(aproc)
        assert own.task.get_coro() is own
        assert names == ["_Foreign", "_Own"]

    async_mode.run(body)


def test_a_plain_future(async_mode):
    """Reference, send: the aproc may be a future."""

    async def body(context_vars):
        future = asyncio.get_running_loop().create_future()
        manager = AprocManager()
        await manager.send(future)
        assert manager.running == 1
        future.set_result(3)
        await manager.cleanup()
        assert (manager.running, manager.done) == (0, 1)

    async_mode.run(body)


def test_one_future_sent_twice_is_one_aproc(async_mode, caplog):
    """A future that the manager already has is not counted again."""

    async def body(context_vars):
        manager = AprocManager()
        task = asyncio.create_task(asyncio.sleep(0))
        await manager.send(task)
        await manager.send(task)
        await manager.cleanup()
        assert manager.done == 1

    async_mode.run(body)
    assert not caplog.records  # asyncio logs what a callback raises


@pytest.mark.parametrize("thing", [3, None, asyncio.sleep, object()])
def test_what_is_not_awaitable(async_mode, thing):
    """Anything else is a TypeError at the door."""

    async def body(context_vars):
        with pytest.raises(TypeError, match="an aproc is a future"):
            await AprocManager().send(thing)

    async_mode.run(body)


def test_an_aproc_may_send_to_its_own_manager(async_mode, returning):
    """At the limit it does not wait for itself, and what it sent runs afterwards."""

    async def body(context_vars):
        manager = AprocManager(1)

        async def aproc(depth):
            if depth:
                await manager.send(aproc(depth - 1))
                await manager.send(asyncio.ensure_future(returning()))

        await manager.send(aproc(5))
        await manager.cleanup()
        assert (manager.done, manager.failed) == (11, 0)

    async_mode.run(body)


def test_an_aproc_does_not_wait_for_what_only_it_can_end(async_mode):
    """A future that it sends to its own manager, above the limit, least of all."""

    async def body(context_vars):
        manager = AprocManager(1)

        async def aproc():
            future = asyncio.get_running_loop().create_future()
            await manager.send(future)
            future.set_result(None)

        await manager.send(aproc())
        async with asyncio.timeout(30):  # or it waits for ever
            await manager.cleanup()
        assert (manager.done, manager.failed) == (2, 0)

    async_mode.run(body)


def test_an_aproc_cannot_clean_up_its_own_manager(async_mode):
    """It would wait for itself."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(manager.cleanup())
        with pytest.raises(RuntimeError, match="cannot clean up its own manager"):
            await manager.cleanup()

    async_mode.run(body)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_respect_the_limit(make_load):
    """An aproc that sends while an eager task factory starts it is counted already."""
    load = make_load()

    async def nested(manager):
        assert manager.running == 1
        load.now += 1
        await manager.send(load.aproc())
        load.most = max(load.most, load.now)
        await asyncio.sleep(0)
        load.now -= 1

    async def body():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        load.gate.set()
        async with AprocManager(1) as manager:
            await manager.send(nested(manager))
        assert (load.ended, load.most) == (1, 1)

    asyncio.run(body())
