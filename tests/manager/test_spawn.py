"""AprocManager.spawn: one body for both modes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mt.aio.core import sleep, srun
from mt.aio.core.lowlevel import MissingModeError, SuspendError
from mt.aio.manager import AprocManager


async def _fail(text, context_vars):
    await sleep(0, context_vars=context_vars)
    raise ValueError(text)


def test_spawn_runs_the_procedure(mode):
    """Arguments and context variables reach the asyn function; cleanup awaits it."""

    async def body(context_vars):
        got = []

        async def procedure(*args, context_vars, **kwargs):
            await sleep(0, context_vars=context_vars)
            got.append((args, kwargs, context_vars))

        async with AprocManager(2) as manager:
            for number in range(5):
                await manager.spawn(procedure, number, key=2, context_vars=context_vars)
        assert sorted(call[0] for call in got) == [(n,) for n in range(5)]
        assert all(call[1:] == ({"key": 2}, context_vars) for call in got)
        assert (manager.running, manager.done) == (0, 5)

    mode.run(body)


def test_spawn_runs_at_once_in_sync_mode():
    """In sync mode the procedure is done when spawn returns, and there is no event loop."""
    order = []

    async def procedure(number, context_vars):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        order.append(number)

    async def body(context_vars):
        manager = AprocManager()
        for number in range(3):
            await manager.spawn(procedure, number, context_vars=context_vars)
            assert order[-1] == number

    srun(body)
    assert order == [0, 1, 2]


def test_spawn_is_held_back(async_mode):
    """In async mode the limit holds for spawned procedures."""

    async def body(context_vars):
        running = []
        most = []

        async def procedure(context_vars):
            running.append(1)
            most.append(len(running))
            await asyncio.sleep(0)
            running.pop()

        async with AprocManager(2) as manager:
            for _ in range(10):
                await manager.spawn(procedure, context_vars=context_vars)
        assert max(most) == 2

    async_mode.run(body)


def test_spawn_names_the_task(async_mode):
    """The name is the task's name."""

    async def body(context_vars):
        names = []

        async def procedure(context_vars):
            names.append(asyncio.current_task().get_name())

        async with AprocManager() as manager:
            await manager.spawn(procedure, context_vars=context_vars, name="saver")
        assert names == ["saver"]

    async_mode.run(body)


def test_raise(mode):
    """Policy 'raise' reports an error once; in sync mode it is spawn itself that does."""

    async def body(context_vars):
        manager = AprocManager()
        with pytest.raises(ValueError, match="x") as info:  # noqa: PT012  # the mode says which
            await manager.spawn(_fail, "x", context_vars=context_vars, name="failing")
            await manager.cleanup()
        assert "failing (sent at " in info.value.__notes__[0]
        assert "test_spawn.py:" in info.value.__notes__[0]
        await manager.cleanup()
        assert (manager.running, manager.done, manager.failed) == (0, 1, 1)

    mode.run(body)


def test_silent(mode):
    """Policy 'silent' ignores an error in every mode."""

    async def body(context_vars):
        async with AprocManager(handle_exception="silent") as manager:
            await manager.spawn(_fail, "x", context_vars=context_vars)
        assert (manager.running, manager.failed) == (0, 1)

    mode.run(body)


def test_warn(mode, caplog):
    """Policy 'warn' logs an error in every mode."""

    async def body(context_vars):
        logger = logging.getLogger("aprocs")
        async with AprocManager(handle_exception="warn", logger=logger) as manager:
            await manager.spawn(_fail, "x", context_vars=context_vars)

    mode.run(body)
    assert [r.getMessage().split(" (")[0] for r in caplog.records if r.name == "aprocs"] == [
        "An aproc has failed: _fail"
    ]


def test_missing_mode():
    """context_vars without "async" is refused before anything runs."""
    with pytest.raises(MissingModeError):
        AprocManager().spawn(_fail, "x", context_vars={})


def test_no_asyn_function(mode):
    """A plain function is refused in every mode."""

    async def body(context_vars):
        with pytest.raises(TypeError, match="an aproc is a future"):
            await AprocManager().spawn(lambda context_vars: 3, context_vars=context_vars)

    mode.run(body)


def test_send_in_sync_mode():
    """Without an event loop, send says what to use instead."""

    async def body(context_vars):
        aproc = sleep(0, context_vars=context_vars)
        try:
            await AprocManager().send(aproc)
        finally:
            aproc.close()

    with pytest.raises(RuntimeError, match=r"use spawn\(asyn_func"):
        srun(body)


def test_a_procedure_that_suspends_in_sync_mode():
    """It is srun's error, it is counted, and it is not reported a second time."""
    manager = AprocManager()

    async def procedure(context_vars):
        await asyncio.sleep(0)

    async def body(context_vars):
        await manager.spawn(procedure, context_vars=context_vars)

    with pytest.raises(SuspendError):
        srun(body)
    assert (manager.running, manager.done, manager.failed) == (0, 1, 1)
    srun(_cleanup, manager)


def test_ctrl_c_in_sync_mode():
    """KeyboardInterrupt passes at once, whatever the policy."""
    manager = AprocManager(handle_exception="silent")

    async def procedure(context_vars):
        raise KeyboardInterrupt

    async def body(context_vars):
        await manager.spawn(procedure, context_vars=context_vars)

    with pytest.raises(KeyboardInterrupt):
        srun(body)
    assert (manager.running, manager.failed) == (0, 1)


async def _cleanup(manager, context_vars):
    await manager.cleanup()


def test_an_aproc_that_returns_a_future_lasts_until_that_is_done(async_mode):
    """A delayed write's function returns early; its slot is taken until the write is done."""

    async def body(context_vars):
        later = [asyncio.get_running_loop().create_future() for _ in range(2)]

        async def begins(number, context_vars):
            return later[number]

        manager = AprocManager(1)
        await manager.spawn(begins, 0, context_vars=context_vars)
        second = asyncio.ensure_future(manager.spawn(begins, 1, context_vars=context_vars))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (manager.running, manager.pending, second.done()) == (1, 1, False)
        later[0].set_result(None)
        await second
        later[1].set_exception(ValueError("the disk is full"))
        with pytest.raises(ValueError, match="the disk is full"):
            await manager.cleanup()
        assert (manager.done, manager.failed) == (2, 1)

    async_mode.run(body)


def test_a_future_that_is_watched_already_is_not_watched_twice(async_mode):
    """An aproc whose result was sent by itself, too, counts as done when it returns."""

    async def body(context_vars):
        later = asyncio.get_running_loop().create_future()

        async def begins(context_vars):
            return later

        manager = AprocManager()
        await manager.send(later)
        await manager.spawn(begins, context_vars=context_vars)
        for _ in range(3):
            await asyncio.sleep(0)
        assert (manager.running, manager.done) == (1, 1)
        later.set_result(None)
        await manager.cleanup()
        assert manager.done == 2

    async_mode.run(body)
