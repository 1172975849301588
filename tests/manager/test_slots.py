"""AprocManager: how slots are filled, by which tasks, and whose context counts."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from mt.aio.manager import AprocManager


def test_the_sender_waits_once_for_a_crowd(async_mode):
    """Aprocs that end together free their slots together; not each is worth a wait."""

    async def body(context_vars):
        waits = 0
        async with AprocManager(16) as manager:
            for _ in range(320):
                sending = manager.send(asyncio.sleep(0))
                waits += manager.pending
                await sending
        assert waits <= 320 // 16

    async_mode.run(body)


def test_nobody_overtakes_those_held(async_mode, turns):
    """What is sent between a slot's getting free and its being filled has to wait its turn."""

    async def body(context_vars):
        order = []

        async def aproc(name):
            order.append(name)
            await asyncio.sleep(0)

        manager = AprocManager(1)
        slot = asyncio.get_running_loop().create_future()
        await manager.send(slot)
        held = [asyncio.ensure_future(manager.send(aproc("first")))]
        await turns()
        slot.add_done_callback(
            lambda _: held.append(asyncio.ensure_future(manager.send(aproc("second"))))
        )
        slot.add_done_callback(
            lambda _: held.append(
                asyncio.ensure_future(manager.spawn(_third, order, context_vars=context_vars))
            )
        )
        slot.set_result(None)
        await turns()
        await asyncio.gather(*held)
        await manager.cleanup()
        assert order == ["first", "second", "third"]

    async_mode.run(body)


async def _third(order, context_vars):
    order.append("third")


def test_a_task_factory_is_used(async_mode):
    """One that is set at any time makes the tasks."""

    async def body(context_vars):
        class OwnTask(asyncio.Task):
            pass

        loop = asyncio.get_running_loop()
        kinds = []

        async def aproc():
            kinds.append(type(asyncio.current_task()))

        async with AprocManager() as manager:
            await manager.send(aproc())
            loop.set_task_factory(lambda loop, coro, **kwargs: OwnTask(coro, loop=loop, **kwargs))
            await manager.send(aproc())
            loop.set_task_factory(None)
            await manager.send(aproc())
        assert kinds == [asyncio.Task, OwnTask, asyncio.Task]

    async_mode.run(body)


@pytest.mark.parametrize(("limit", "before"), [(1, 0), (1, 1), (2, 1)])
def test_the_user_s_code_is_called_in_the_sender_s_context(async_mode, limit, before):
    """A logger that looks at a context variable sees its value at the call of send."""

    async def body(context_vars):
        variable = contextvars.ContextVar("variable", default=None)
        seen = []

        class Logger:
            def warning(self, *args):
                seen.append(("logger", variable.get()))

        async def fail():
            await asyncio.sleep(0)
            raise ValueError("x")

        def note(name, error):
            if error is not None:
                seen.append(("on_done", variable.get()))

        for manager in (
            AprocManager(limit, "warn", Logger()),
            AprocManager(limit, "silent", on_done=note),
        ):
            variable.set("an earlier one's")
            for _ in range(before):
                await manager.send(asyncio.sleep(0))
            variable.set("the sender's")
            sending = asyncio.ensure_future(manager.send(fail()))
            variable.set("another's")
            await sending
            await manager.cleanup()
        assert seen == [("logger", "the sender's"), ("on_done", "the sender's")]

    async_mode.run(body)


def test_an_aproc_is_taken_over_by_the_call(async_mode, turns):
    """Whatever its kind, and the first one, too: not only when what `send` returns is awaited."""

    async def body(context_vars):
        begun = asyncio.Event()

        async def aproc():
            begun.set()

        async with AprocManager(2) as manager:
            sending = [manager.send(aproc())]
            await begun.wait()
            await turns()
            sending.append(manager.send(asyncio.ensure_future(begun.wait())))
            assert manager.running == 1
            for each in sending:
                await each

    async_mode.run(body)


def test_senders_of_futures_wait_for_the_crowd_to_leave(async_mode, turns):
    """Futures cannot be held back: while too many run, none of their senders goes on."""

    async def body(context_vars):
        manager = AprocManager(1)
        futures = [asyncio.get_running_loop().create_future() for _ in range(3)]
        senders = [asyncio.ensure_future(manager.send(future)) for future in futures]
        told = []
        for future in futures:
            await turns()
            told.append([sender.done() for sender in senders])
            future.set_result(None)
        await asyncio.gather(*senders)
        await manager.cleanup()
        assert told == [[True, False, False], [True, False, False], [True, True, True]]

    async_mode.run(body)


def test_a_loop_that_makes_its_own_tasks():
    """One whose `create_task` is not asyncio's own makes all of them."""
    made = []

    class OwnLoop(asyncio.SelectorEventLoop):
        def create_task(self, coro, **kwargs):
            made.append(coro.__name__)
            return super().create_task(coro, **kwargs)

    async def aproc():
        """Do nothing."""

    async def body():
        async with AprocManager() as manager:
            for _ in range(3):
                await manager.send(aproc())

    with asyncio.Runner(loop_factory=OwnLoop) as runner:
        runner.run(body())
    assert made.count("aproc") == 3
