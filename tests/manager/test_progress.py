"""AprocManager: progress bars, and what send returns."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys

import pytest

from mt.aio.core import sleep
from mt.aio.manager import AprocManager


class Bar:
    """A progress bar of the user's own."""

    def __init__(self):
        self.n = 0

    def update(self, n):
        """Move on."""
        self.n += n


async def _fail():
    raise ValueError("x")


def test_a_bar_of_the_user_s(mode):
    """It is told of each aproc done, failed ones included."""
    bar = Bar()

    async def body(context_vars):
        async with AprocManager(2, "silent", progress=bar) as manager:
            for _ in range(4):
                await manager.spawn(sleep, 0, context_vars=context_vars)
            if mode.is_async:
                await manager.send(_fail())

    mode.run(body)
    assert bar.n == (5 if mode.is_async else 4)


def test_a_bar_of_tqdm(mode, capfd):
    """A title makes one; it is closed by cleanup, and a second cleanup has a second one."""

    async def body(context_vars):
        manager = AprocManager(2, progress="saving")
        for count in (3, 2):
            for _ in range(count):
                await manager.spawn(sleep, 0, context_vars=context_vars)
            await manager.cleanup()

    mode.run(body)
    shown = capfd.readouterr().err
    assert "saving: 100%" in shown
    assert "2/2" in shown
    assert shown.count("\n") == 2


def test_a_bar_is_closed_by_an_error_of_the_body(mode, capfd):
    """It is left as it stands, on a line of its own."""

    async def body(context_vars):
        async with AprocManager(progress="saving") as manager:
            await manager.spawn(sleep, 0, context_vars=context_vars)
            raise ValueError("of the body")

    with pytest.raises(ValueError, match="of the body"):
        mode.run(body)
    assert capfd.readouterr().err.endswith("\n")


def test_a_bar_knows_how_many_were_sent(async_mode, monkeypatch):
    """Its total counts those that run or wait for a slot, and none that an earlier bar counted."""
    bars = []

    class Recorded:
        def __init__(self, desc, total):
            self.totals = [total]
            bars.append(self.totals)

        def update(self, n):
            self.totals.append(self.total)

        def close(self):
            self.totals.append("closed")

    async def body(context_vars):
        gate = asyncio.Event()
        manager = AprocManager(2, progress=True)
        await manager.send(gate.wait())
        await manager.send(asyncio.sleep(0))
        held = manager.send(gate.wait())
        while not manager.done:
            await asyncio.sleep(0)
        gate.set()
        await held
        await manager.cleanup()
        await manager.send(asyncio.sleep(0))
        await manager.cleanup()

    monkeypatch.setattr("tqdm.tqdm", Recorded)
    async_mode.run(body)
    assert bars == [[0, 3, 3, 3, "closed"], [0, 1, "closed"]]


def test_without_tqdm(monkeypatch):
    """The manager says at once what is missing."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ModuleNotFoundError, match=r"need tqdm: pip install .*progress"):
        AprocManager(progress=True)
    AprocManager(progress=Bar())


def test_something_that_is_no_bar():
    """Anything else is refused at once."""
    with pytest.raises(TypeError, match="an object with a method 'update', not int"):
        AprocManager(progress=3)


def test_send_is_no_coroutine_function():
    """Decided and documented: it takes the aproc over at the call."""
    assert not inspect.iscoroutinefunction(AprocManager.send)


def test_what_send_returns_is_a_coroutine(async_mode):
    """It may be made a task, gathered, shielded, waited for or thrown away."""

    async def body(context_vars):
        manager = AprocManager()
        await manager.send(asyncio.sleep(0))
        done = manager.send(asyncio.sleep(0))
        assert asyncio.iscoroutine(done)
        assert inspect.isawaitable(done)
        assert await asyncio.create_task(manager.send(asyncio.sleep(0))) is None
        sends = [manager.send(asyncio.sleep(0)) for _ in range(3)]
        assert await asyncio.gather(*map(asyncio.ensure_future, sends)) == [None] * 3
        await asyncio.wait_for(manager.send(asyncio.sleep(0)), 1)
        task = asyncio.create_task(manager.send(asyncio.sleep(0)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        manager.send(asyncio.sleep(0)).close()
        await manager.cleanup()
        assert manager.done == 9

    async_mode.run(body)


def test_a_task_is_named_after_its_code(async_mode):
    """A running number, as asyncio gives, would tell nobody anything."""

    async def body(context_vars):
        names = []

        async def note():
            names.append(asyncio.current_task().get_name())

        async with AprocManager(2) as manager:
            for _ in range(3):  # one binds the loop, one goes the short way, one is held back
                await manager.send(note())
        assert [name.rpartition(".")[2] for name in names] == ["note"] * 3

    async_mode.run(body)


def test_an_aproc_has_the_sender_s_context(async_mode):
    """Its contextvars are those at the call of send, also for one that is held back."""
    number = contextvars.ContextVar("number")

    async def body(context_vars):
        got = []

        async def note():
            await asyncio.sleep(0)
            got.append(number.get())

        async with AprocManager(2) as manager:
            for value in range(6):
                number.set(value)
                await manager.send(note())
        assert sorted(got) == list(range(6))

    async_mode.run(body)
