"""CreateFileH5 cancelled at any moment."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import types

import pytest

from mt.aio.core.lowlevel import submit
from mt.aio.h5 import CreateFileH5
from mt.aio.h5 import _draft as implementation
from mt.aio.h5._lane import LANE


@types.coroutine
def _suspend():
    yield


async def _write(path, context_vars, *, fail):
    async with CreateFileH5(path, context_vars=context_vars) as context:
        context.handle["new"] = [3]
        if fail:
            raise LookupError


def test_cancelled_in_the_body(async_mode, path, names):
    """Cancellation in the body leaves the target and no temporary file."""

    async def body(context_vars):
        entered = asyncio.Event()

        async def write():
            async with CreateFileH5(path, context_vars=context_vars) as context:
                context.handle["new"] = [3]
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert names(path) == ["old"]


@pytest.mark.parametrize(
    "step",
    list(itertools.product(["open", "finish", "abandon"], ["begun", "ended"], [1, 3])),
    ids=str,
)
def test_cancelled_while_a_worker_is_at_it(async_mode, path, monkeypatch, halt, *, step, names):
    """The coroutine ends when the worker has: all or nothing, and nothing left behind."""
    method, moment, times = step
    plain = getattr(implementation.Draft, method)

    def gated(draft):
        if moment == "ended":
            plain(draft)
        halt()
        if moment == "begun":
            plain(draft)

    monkeypatch.setattr(implementation.Draft, method, gated)

    async def body(context_vars):
        task = asyncio.create_task(_write(path, context_vars, fail=method == "abandon"))
        await halt.cancel(task, times)
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert names(path) == (["new"] if (method, moment) == ("finish", "ended") else ["old"])


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("method", ["open", "finish", "abandon"])
def test_cancelled_while_waiting_for_the_lane(async_mode, path, method, times, names):
    """Work that no thread has begun is withdrawn; removing the temporary file never is."""
    go_on = threading.Event()

    def hold_the_lane():
        return submit(go_on.wait, 30, order=LANE)

    async def body(context_vars):
        async def write():
            context = CreateFileH5(path, context_vars=context_vars)
            if method == "open":
                hold_the_lane()
            async with context:
                context.handle["new"] = [3]
                hold_the_lane()
                ready.set()
                if method == "abandon":
                    raise LookupError

        ready = asyncio.Event()
        task = asyncio.create_task(write())
        if method == "open":
            await asyncio.sleep(0)
        else:
            await ready.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert names(path) == ["old"]


def test_a_closed_coroutine(async_mode, path, names):
    """A coroutine that is closed instead of cancelled removes its temporary file, too."""

    async def body(context_vars):
        context = await CreateFileH5(path, context_vars=context_vars).__aenter__()

        async def rest():
            try:
                await _suspend()
            except GeneratorExit as error:
                await context.__aexit__(type(error), error, None)
                raise

        coro = rest()
        coro.send(None)
        coro.close()
        assert os.listdir(path.parent) == ["file.h5"]

    async_mode.run(body)
    assert names(path) == ["old"]
