"""AprocManager: taking aprocs over, holding them back, waiting for them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import subprocess
import sys
import weakref

import pytest

from mt.aio.core import sleep
from mt.aio.manager import AprocManager


async def _return(value=None):
    return value


class _Load:
    """Aprocs that end when told, and that count how many of them run."""

    def __init__(self):
        self.now = self.most = self.started = self.ended = 0
        self.gate = asyncio.Event()

    async def aproc(self):
        self.started += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.now -= 1
        self.ended += 1


async def _turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


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


def test_send_keeps_the_aproc_alive(async_mode):
    """Nobody but the manager needs to keep a task or the future it waits for."""

    async def body(context_vars):
        async def aproc():
            await asyncio.get_running_loop().create_future()

        manager = AprocManager()
        task = asyncio.create_task(aproc())
        alive = weakref.ref(task)
        await manager.send(task)
        del task
        await _turns()
        gc.collect()
        assert alive() is not None
        alive().cancel()
        with pytest.raises(asyncio.CancelledError):
            await manager.cleanup()

    async_mode.run(body)


def test_a_finished_aproc_is_released_at_once(async_mode):
    """A task that is done is not kept until the next call."""

    async def body(context_vars):
        manager = AprocManager()
        task = asyncio.create_task(_return())
        alive = weakref.ref(task)
        await manager.send(task)
        del task
        await _turns()
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
def test_send_awaits_at_the_limit(async_mode, as_task):
    """Reference, send: beyond the maximum number of concurrent aprocs it awaits."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(2)
        wrap = asyncio.ensure_future if as_task else lambda coro: coro
        await manager.send(wrap(load.aproc()))
        end = asyncio.Event()
        await manager.send(wrap(end.wait()))
        third = asyncio.create_task(manager.send(wrap(load.aproc())))
        await _turns()
        assert not third.done()
        end.set()
        await third
        assert manager.running == 2
        load.gate.set()
        await manager.cleanup()
        assert load.ended == 2

    async_mode.run(body)


def test_coroutines_are_held_back(async_mode):
    """Coroutines do not start before they have a slot, however many tasks send them."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(3)

        async def sender():
            for _ in range(5):
                await manager.send(load.aproc())

        senders = [asyncio.create_task(sender()) for _ in range(8)]
        await _turns()
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


def test_a_running_task_takes_a_slot(async_mode):
    """Tasks cannot be held back, but coroutines are, while tasks take all slots."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(1)
        await manager.send(asyncio.create_task(load.aproc()))
        held = asyncio.create_task(manager.send(load.aproc()))
        await _turns()
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
def test_cancelling_send_does_not_lose_the_aproc(async_mode, after):
    """A coroutine waiting for its slot is run later, even if its sender gave up at once."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(1)
        await manager.send(load.aproc())
        sending = asyncio.ensure_future(manager.send(load.aproc()))
        await _turns(after)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (manager.running, manager.pending) == (1, 1)
        load.gate.set()
        await manager.cleanup()
        assert load.ended == 2

    async_mode.run(body)


def test_cancelling_cleanup_loses_no_aproc(async_mode):
    """A cancelled cleanup cancels nothing; the next one waits for all."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(1)
        await manager.send(load.aproc())
        held = asyncio.ensure_future(manager.send(load.aproc()))
        cleaning = asyncio.create_task(manager.cleanup())
        await _turns()
        cleaning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cleaning
        assert not manager._cleaners  # nothing is kept of those who gave up
        load.gate.set()
        await manager.cleanup()
        await held
        assert load.ended == 2

    async_mode.run(body)


def test_cleanup_awaits_until_all_aprocs_are_done(async_mode):
    """Reference, cleanup: awaits until all aprocs are done, also those sent meanwhile."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager()
        await manager.send(load.aproc())
        first = asyncio.create_task(manager.cleanup())
        second = asyncio.create_task(manager.cleanup())
        await _turns()
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


class _Foreign:
    """An awaitable of some other library, such as a dask future."""

    def __init__(self):
        self.used = False

    def __await__(self):
        self.used = True
        yield from asyncio.sleep(0).__await__()


def test_other_awaitables(async_mode):
    """Any awaitable will do, and it is held back as a coroutine is."""

    async def body(context_vars):
        load = _Load()
        foreign = _Foreign()
        manager = AprocManager(1)
        await manager.send(load.aproc())
        sending = asyncio.ensure_future(manager.send(foreign))
        await _turns()
        assert not foreign.used
        load.gate.set()
        await sending
        await manager.cleanup()
        assert foreign.used

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


@pytest.mark.parametrize("thing", [3, None, _return, object()])
def test_what_is_not_awaitable(async_mode, thing):
    """Anything else is a TypeError at the door."""

    async def body(context_vars):
        with pytest.raises(TypeError, match="an aproc is a future"):
            await AprocManager().send(thing)

    async_mode.run(body)


def test_an_aproc_may_send_to_its_own_manager(async_mode):
    """At the limit it does not wait for itself, and what it sent runs afterwards."""

    async def body(context_vars):
        manager = AprocManager(1)

        async def aproc(depth):
            if depth:
                await manager.send(aproc(depth - 1))
                await manager.send(asyncio.ensure_future(_return()))

        await manager.send(aproc(5))
        await manager.cleanup()
        assert (manager.done, manager.failed) == (11, 0)

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
def test_eager_tasks_respect_the_limit():
    """An aproc that sends while an eager task factory starts it is counted already."""
    load = _Load()

    async def nested(manager):
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


def test_counters(async_mode):
    """The live counters follow an aproc on its way."""

    async def body(context_vars):
        load = _Load()
        manager = AprocManager(1, "silent")
        counts = lambda: (manager.pending, manager.running, manager.done, manager.failed)  # noqa: E731  # short
        assert counts() == (0, 0, 0, 0)
        await manager.send(load.aproc())
        held = asyncio.ensure_future(manager.send(asyncio.sleep(0, 1 // 1)))
        assert counts() == (1, 1, 0, 0)
        load.gate.set()
        await held
        await manager.cleanup()
        assert counts() == (0, 0, 2, 0)

    async_mode.run(body)


def test_on_done(mode):
    """on_done is called once for each aproc, with its name and its error."""

    async def fail(context_vars):
        await sleep(0, context_vars=context_vars)
        raise KeyError("x")

    async def body(context_vars):
        calls = []
        manager = AprocManager(1, "silent", on_done=lambda name, error: calls.append((name, error)))
        await manager.spawn(sleep, 0, context_vars=context_vars, name="good")
        await manager.spawn(fail, context_vars=context_vars, name="bad")
        await manager.cleanup()
        assert calls[0] == ("good", None)
        assert calls[1][0] == "bad"
        assert isinstance(calls[1][1], KeyError)
        assert len(calls) == 2

    mode.run(body)


def test_import_is_light():
    """Importing the piece does not import asyncio."""
    code = "import sys, mt.aio.manager; print('asyncio' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.strip() == b"False"
