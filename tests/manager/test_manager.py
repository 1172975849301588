"""AprocManager: taking aprocs over, holding them back, waiting for them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import weakref

import pytest

from mt.aio.manager import AprocManager


def test_signature():
    """Reference, AprocManager: names, order and defaults of the arguments."""
    parameters = list(inspect.signature(AprocManager).parameters.values())
    assert [(p.name, p.default) for p in parameters[:3]] == [
        ("max_concurrency", 1024),
        ("handle_exception", "raise"),
        ("logger", None),
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[3:])
    assert list(inspect.signature(AprocManager.send).parameters) == ["self", "aproc"]


@pytest.mark.parametrize("value", [0, -1])
def test_max_concurrency_below_one(value):
    """A limit at which nothing could ever run is refused."""
    with pytest.raises(ValueError, match="max_concurrency must be at least 1"):
        AprocManager(value)


@pytest.mark.parametrize("value", [1.5, "3", None, True])
def test_max_concurrency_no_integer(value):
    """A limit that is no integer is refused."""
    with pytest.raises(TypeError, match="max_concurrency must be an integer"):
        AprocManager(value)


def test_send_and_forget(async_mode):
    """Reference, AprocManager: the user can just send an aproc to it and forget."""

    async def body(context_vars):
        done = []

        async def aproc(number):
            await asyncio.sleep(0)
            done.append(number)

        manager = AprocManager()
        for number in range(20):
            await manager.send(asyncio.ensure_future(aproc(number)))
        await manager.cleanup()
        assert sorted(done) == list(range(20))
        assert (manager.pending, manager.running, manager.done, manager.failed) == (0, 0, 20, 0)

    async_mode.run(body)


def test_send_keeps_the_aproc_alive(async_mode, turns):
    """Nobody but the manager needs to keep a task or the future it waits for."""

    async def body(context_vars):
        async def aproc():
            await asyncio.get_running_loop().create_future()

        manager = AprocManager()
        task = asyncio.create_task(aproc())
        alive = weakref.ref(task)
        await manager.send(task)
        del task
        await turns()
        gc.collect()
        assert alive() is not None
        alive().cancel()
        with pytest.raises(asyncio.CancelledError):
            await manager.cleanup()

    async_mode.run(body)


def test_a_finished_aproc_is_released_at_once(async_mode, turns, returning):
    """A task that is done is not kept until the next call."""

    async def body(context_vars):
        manager = AprocManager()
        task = asyncio.create_task(returning())
        alive = weakref.ref(task)
        await manager.send(task)
        del task
        await turns()
        gc.collect()
        assert alive() is None
        assert manager.done == 1

    async_mode.run(body)


def test_send_returns_immediately(async_mode):
    """Reference, send: the function usually returns immediately."""

    async def body(context_vars):
        manager = AprocManager()
        sending = manager.send(asyncio.sleep(0))
        with pytest.raises(StopIteration):
            sending.send(None)
        await manager.cleanup()

    async_mode.run(body)


@pytest.mark.parametrize("as_task", [True, False])
def test_send_awaits_at_the_limit(async_mode, as_task, turns, make_load):
    """Reference, send: beyond the maximum number of concurrent aprocs it awaits."""

    async def body(context_vars):
        load = make_load()
        manager = AprocManager(2)
        wrap = asyncio.ensure_future if as_task else lambda coro: coro
        await manager.send(wrap(load.aproc()))
        end = asyncio.Event()
        await manager.send(wrap(end.wait()))
        third = asyncio.create_task(manager.send(wrap(load.aproc())))
        await turns()
        assert not third.done()
        end.set()
        await third
        assert manager.running == 2
        load.gate.set()
        await manager.cleanup()
        assert load.ended == 2

    async_mode.run(body)


def test_coroutines_are_held_back(async_mode, turns, make_load):
    """Coroutines do not start before they have a slot, however many tasks send them."""

    async def body(context_vars):
        load = make_load()
        manager = AprocManager(3)

        async def sender():
            for _ in range(5):
                await manager.send(load.aproc())

        senders = [asyncio.create_task(sender()) for _ in range(8)]
        await turns()
        assert (load.started, manager.running, manager.pending) == (3, 3, 8)
        load.gate.set()
        await asyncio.gather(*senders)
        await manager.cleanup()
        assert (load.ended, load.most) == (40, 3)

    async_mode.run(body)


def test_coroutines_start_in_the_order_in_which_they_were_sent(async_mode):
    """The queue for a slot is fair."""

    async def body(context_vars):
        order = []

        async def aproc(number):
            order.append(number)
            await asyncio.sleep(0)

        manager = AprocManager(1)
        await asyncio.gather(*(manager.send(aproc(number)) for number in range(10)))
        await manager.cleanup()
        assert order == list(range(10))

    async_mode.run(body)


def test_a_running_task_takes_a_slot(async_mode, turns, make_load):
    """Tasks cannot be held back, but coroutines are, while tasks take all slots."""

    async def body(context_vars):
        load = make_load()
        manager = AprocManager(1)
        await manager.send(asyncio.create_task(load.aproc()))
        held = asyncio.create_task(manager.send(load.aproc()))
        await turns()
        assert (load.started, manager.running, manager.pending) == (1, 1, 1)
        load.gate.set()
        await held
        await manager.cleanup()
        assert load.most == 1

    async_mode.run(body)


def test_a_held_coroutine_keeps_its_sender_s_context(async_mode):
    """A coroutine started later sees the contextvars of the moment when it was sent."""

    async def body(context_vars):
        variable = contextvars.ContextVar("variable")
        seen = []

        async def aproc():
            seen.append(variable.get())
            await asyncio.sleep(0)

        manager = AprocManager(1)
        waiting = []
        for number in range(3):
            variable.set(number)
            waiting.append(asyncio.ensure_future(manager.send(aproc())))
        await asyncio.gather(*waiting)
        await manager.cleanup()
        assert seen == [0, 1, 2]

    async_mode.run(body)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_cancelling_send_does_not_lose_the_aproc(async_mode, after, turns, make_load):
    """A coroutine waiting for its slot is run later, even if its sender gave up at once."""

    async def body(context_vars):
        load = make_load()
        manager = AprocManager(1)
        await manager.send(load.aproc())
        sending = asyncio.ensure_future(manager.send(load.aproc()))
        await turns(after)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (manager.running, manager.pending) == (1, 1)
        load.gate.set()
        await manager.cleanup()
        assert load.ended == 2

    async_mode.run(body)


def test_cancelling_cleanup_loses_no_aproc(async_mode, turns, make_load):
    """A cancelled cleanup cancels nothing; the next one waits for all."""

    async def body(context_vars):
        load = make_load()
        manager = AprocManager(1)
        await manager.send(load.aproc())
        held = asyncio.ensure_future(manager.send(load.aproc()))
        cleaning = asyncio.create_task(manager.cleanup())
        await turns()
        cleaning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cleaning
        assert not manager._cleaners  # nothing is kept of those who gave up
        load.gate.set()
        await manager.cleanup()
        await held
        assert load.ended == 2

    async_mode.run(body)


def test_cleanup_awaits_until_all_aprocs_are_done(async_mode, turns, make_load):
    """Reference, cleanup: awaits until all aprocs are done, also those sent meanwhile."""

    async def body(context_vars):
        load = make_load()
        manager = AprocManager()
        await manager.send(load.aproc())
        first = asyncio.create_task(manager.cleanup())
        second = asyncio.create_task(manager.cleanup())
        await turns()
        await manager.send(load.aproc())
        load.gate.set()
        await asyncio.gather(first, second)
        assert load.ended == 2

    async_mode.run(body)


def test_cleanup_with_nothing_to_do(mode):
    """Cleaning up an idle manager is fine in every mode, and any number of times."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.cleanup()
        await manager.cleanup(timeout=0)
        await manager.aclose()

    mode.run(body)
