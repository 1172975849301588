"""gather and amap: when they stop waiting, and what is left of errors then."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from mt.aio.core import amap, gather, sleep


class OwnError(Exception):
    """One that can be referred to weakly."""


async def _work(turns, *, fails=False, context_vars):
    for _ in range(turns):
        await sleep(0, context_vars=context_vars)
    if fails:
        raise OwnError


def _complaints(caplog):
    """What asyncio says of errors nobody looked at, and of callbacks that fail."""
    gc.collect()
    return [record for record in caplog.records if record.name == "asyncio"]


def test_gather_waits_no_longer_than_until_one_fails(async_mode):
    """Whatever else is still running, and whatever has succeeded before."""

    async def body(context_vars):
        never = asyncio.get_running_loop().create_future()
        done = [_work(1, context_vars=context_vars) for _ in range(2)]
        bad = _work(9, fails=True, context_vars=context_vars)
        with pytest.raises(OwnError):
            await gather(never, *done, bad, context_vars=context_vars)
        assert never.cancelled()

    async_mode.run(body)


def test_no_error_of_several_is_complained_of(async_mode, caplog):
    """Those that come together are raised together, and that is that."""

    async def body(context_vars):
        calls = [_work(1, fails=True, context_vars=context_vars) for _ in range(3)]
        with pytest.raises(ExceptionGroup):
            await gather(*calls, context_vars=context_vars)

    async_mode.run(body)
    assert not _complaints(caplog)


def test_no_error_of_a_later_call_of_amap_is_complained_of(async_mode, caplog):
    """The first in the order of the items is raised; those after it have been looked at."""

    async def body(context_vars):
        async def fails(turns, context_vars):
            await _work(turns, fails=True, context_vars=context_vars)

        calls = amap(fails, [2, 1, 1], context_vars=context_vars, max_concurrency=3)
        with pytest.raises(OwnError):
            await anext(calls)

    async_mode.run(body)
    assert not _complaints(caplog)


def test_an_error_on_being_cancelled_is_not_complained_of(async_mode, caplog):
    """The cancellation comes first; an error that it brings about has been looked at."""

    async def body(context_vars):
        async def stubborn():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                raise OwnError

        task = asyncio.create_task(gather(stubborn(), context_vars=context_vars))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)
    assert not _complaints(caplog)


def test_a_cancellation_while_the_others_end(async_mode):
    """It comes before the error for which they have to end."""

    async def body(context_vars):
        gate = asyncio.Event()

        async def slow():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await gate.wait()

        bad = _work(1, fails=True, context_vars=context_vars)
        task = asyncio.create_task(gather(slow(), bad, context_vars=context_vars))
        for _ in range(9):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)


@pytest.mark.parametrize("as_tasks", [False, True])
@pytest.mark.usefixtures("no_collection")
def test_an_error_is_in_no_cycle(mode, as_tasks):
    """Whoever drops it has what its traceback refers to freed at once."""

    async def body(context_vars):
        calls = [_work(turns, fails=turns > 1, context_vars=context_vars) for turns in (1, 2)]
        if as_tasks and mode.is_async:
            calls = [asyncio.ensure_future(call) for call in calls]
        try:
            await gather(*calls, context_vars=context_vars)
        except OwnError as error:
            alive = weakref.ref(error)
        del calls
        await sleep(0, context_vars=context_vars)  # or the loop itself still holds it
        assert alive() is None

    mode.run(body)


@pytest.mark.parametrize("wanted", [1, 3])
def test_amap_fetches_what_it_needs(mode, wanted):
    """In synchronous mode nothing before its result is asked for."""
    fetched = []

    def items():
        for number in range(9):
            fetched.append(number)
            yield number

    async def body(context_vars):
        results = amap(_work, items(), max_concurrency=4, context_vars=context_vars)
        for _ in range(wanted):
            await anext(results)
        await results.aclose()

    mode.run(body)
    assert len(fetched) == wanted + (3 if mode.is_async else 0)


def test_amap_shows_a_bar_if_asked_to(mode, monkeypatch):
    """Only then; and it closes the one that it has opened, also if it is left early."""
    bars = []

    class Recorded:
        def __init__(self, desc, total):
            self.n, self.closed = 0, 0
            bars.append(self)

        def update(self, n):
            self.n += n

        def close(self):
            self.closed += 1

    async def body(context_vars):
        for progress in ({}, {"progress": True}):
            results = amap(sleep, [0] * 3, context_vars=context_vars, **progress)
            await anext(results)
            await results.aclose()

    monkeypatch.setattr("tqdm.tqdm", Recorded)
    mode.run(body)
    assert [(bar.n, bar.closed) for bar in bars] == [(1, 1)]
