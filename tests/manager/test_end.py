"""AprocManager: the end of an `async with`, other event loops."""

from __future__ import annotations

import asyncio
import contextlib
import types

import pytest

from mt.aio.core import sleep, srun
from mt.aio.manager import AprocManager


@types.coroutine
def _suspend():
    yield


def test_async_with(async_mode, turns, failing):
    """The end of the statement awaits all aprocs and raises their errors."""

    async def body(context_vars):
        with pytest.raises(ValueError, match="x"):  # noqa: PT012  # the statement is the test
            async with AprocManager() as manager:
                await manager.send(failing(ValueError("x")))
                await manager.send(turns())
        assert (manager.running, manager.done) == (0, 2)

    async_mode.run(body)


def test_the_body_s_error_wins(async_mode, turns, failing):
    """If the body raises, aprocs are awaited and their errors are told in a note."""

    async def body(context_vars):
        with pytest.raises(KeyError) as info:  # noqa: PT012  # the statement is the test
            async with AprocManager() as manager:
                await manager.send(failing(ValueError("lost?")))
                await manager.send(turns())
                raise KeyError("body")
        assert info.value.args == ("body",)
        assert "ValueError: lost?" in info.value.__notes__[0]
        assert manager.done == 2
        await manager.cleanup()

    async_mode.run(body)


def test_the_body_s_error_and_no_other(async_mode, turns):
    """If only the body fails its error has no note; the bar is left as it stands."""

    class Bar:
        total, n, closed = 0, 0, 0

        def update(self, n):
            self.n += n

        def close(self):
            self.closed += 1

    async def body(context_vars):
        bar = Bar()
        with pytest.raises(KeyError) as info:  # noqa: PT012  # the statement is the test
            async with AprocManager(progress=bar) as manager:
                await manager.send(turns())
                raise KeyError("body")
        assert not hasattr(info.value, "__notes__")
        assert bar.n == manager.done == 1
        await manager.cleanup()  # with no bar open

    async_mode.run(body)


def test_cancelling_the_body_cancels_no_aproc(async_mode, turns, waiting):
    """A first cancellation still awaits the aprocs; a second one stops the waiting."""

    async def body(context_vars):
        gate = asyncio.Event()
        manager = AprocManager()

        async def statement():
            async with manager:
                await manager.send(gate.wait())
                await waiting()

        task = asyncio.create_task(statement())
        await turns()
        task.cancel()
        await turns()
        assert not task.done()
        assert manager.running == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert manager.running == 1
        gate.set()
        await manager.cleanup()

    async_mode.run(body)


def test_a_closed_coroutine(async_mode, turns):
    """A coroutine that is being closed inside the statement does not wait for the aprocs."""

    async def body(context_vars):
        manager = AprocManager()

        async def statement():
            async with manager:
                await manager.send(turns())
                await _suspend()

        coro = statement()
        coro.send(None)
        coro.close()
        assert manager.running == 1
        await manager.cleanup()

    async_mode.run(body)


def test_aclosing(async_mode, failing):
    """`aclose` does what cleanup does."""

    async def body(context_vars):
        manager = AprocManager()
        with pytest.raises(ValueError, match="x"):
            async with contextlib.aclosing(manager):
                await manager.send(failing(ValueError("x")))

    async_mode.run(body)


def test_a_second_loop():
    """While the first loop is open, a second one gets a clear error."""
    manager = AprocManager()

    async def use():
        await manager.send(asyncio.sleep(0))
        await manager.cleanup()

    async def misuse():
        aproc = asyncio.sleep(0)
        try:
            await manager.send(aproc)
        finally:
            aproc.close()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(use())
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            second.run(misuse())


def test_a_future_of_another_loop(async_mode):
    """A future that this loop can never await is refused."""
    other = asyncio.new_event_loop()

    async def body(context_vars):
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await AprocManager().send(other.create_future())

    async_mode.run(body)
    other.close()


def test_one_loop_after_the_other():
    """Once a loop is closed and all is done, another may use the manager."""
    manager = AprocManager()

    async def use():
        await manager.send(asyncio.sleep(0))
        await manager.cleanup()

    asyncio.run(use())
    asyncio.run(use())
    assert manager.done == 2


def test_a_sender_that_was_left_behind():
    """Whoever waited on a loop that is closed now does not disturb the next one."""
    manager = AprocManager(1)
    loop = asyncio.new_event_loop()
    slots = [loop.create_future(), loop.create_future()]

    async def leave():
        await manager.send(slots[0])
        assert not loop.is_closed()
        sending = manager.send(slots[1])
        sending.send(None).add_done_callback(print)  # it waits for its slot, as a task would
        for slot in slots:
            slot.set_result(None)
        return sending

    sending = loop.run_until_complete(leave())  # ends before anybody is woken
    loop.close()

    async def use():
        await manager.send(asyncio.sleep(0))
        await asyncio.wait_for(manager.cleanup(), 10)

    asyncio.run(use())
    sending.close()
    assert manager.done == 3


def test_a_loop_closed_too_early():
    """Aprocs that can never end any more are named in a clear error."""
    manager = AprocManager()

    async def leave():
        await manager.send(asyncio.get_running_loop().create_future())

    async def send():
        await manager.send(asyncio.get_running_loop().create_future())

    asyncio.run(leave())
    with pytest.raises(RuntimeError, match="closed before all aprocs were done; lost are 1"):
        asyncio.run(send())
    with pytest.raises(RuntimeError, match="needs a running event loop"):
        srun(_cleanup, manager)


async def _cleanup(manager, context_vars):
    await manager.cleanup()


async def _spawn(manager, context_vars):
    await manager.spawn(sleep, 0, context_vars=context_vars)


def test_send_from_outside_the_loop(turns):
    """`run_until_complete` may be given what send and cleanup return."""
    manager = AprocManager()
    loop = asyncio.new_event_loop()
    task = loop.create_task(turns())
    loop.run_until_complete(manager.send(task))
    loop.run_until_complete(manager.cleanup())
    loop.close()
    assert manager.done == 1


def test_send_from_outside_waits_and_reports(turns, failing):
    """What it returns does inside the loop all that `send` does."""
    manager = AprocManager(1)
    loop = asyncio.new_event_loop()
    slot = loop.create_future()
    loop.run_until_complete(manager.send(slot))
    waiting = manager.send(failing(ValueError("x")))
    loop.call_soon(lambda: loop.call_soon(slot.set_result, None))
    loop.run_until_complete(waiting)
    assert (manager.pending, manager.running, manager.done) == (0, 1, 1)
    loop.run_until_complete(turns())
    with pytest.raises(ValueError, match="x"):
        loop.run_until_complete(manager.send(turns()))
    loop.run_until_complete(manager.cleanup())
    loop.close()
    assert (manager.done, manager.failed) == (3, 1)


def test_a_task_that_asyncio_run_cancels(waiting):
    """What asyncio.run cancels at its end is reported by the next cleanup, and by nothing else."""
    manager = AprocManager()

    async def leave():
        await manager.send(waiting())

    asyncio.run(leave())
    srun(_spawn, manager)
    with pytest.raises(asyncio.CancelledError, match="An aproc has been cancelled"):
        srun(_cleanup, manager)
