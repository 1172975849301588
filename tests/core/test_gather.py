"""gather and amap: the same meaning in both modes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from mt.aio.core import amap, gather, lock, semaphore, sleep, srun, timeout
from mt.aio.core.lowlevel import MissingModeError


async def _double(x, context_vars):
    await sleep(0, context_vars=context_vars)
    return 2 * x


async def _fail(x, context_vars):
    await sleep(0, context_vars=context_vars)
    raise ValueError(x)


async def _listed(iterator):
    async with aclosing(iterator):
        return [item async for item in iterator]


def test_gather(mode):
    """Results come in the order of the arguments."""

    async def body(context_vars):
        calls = [_double(x, context_vars=context_vars) for x in range(4)]
        return await gather(*calls, context_vars=context_vars)

    assert mode.run(body) == [0, 2, 4, 6]


def test_gather_nothing(mode):
    """No argument, no result."""
    assert mode.run(gather) == []


def test_gather_raises_the_error(mode):
    """One that fails gives its error, as itself; those after it do not end their work."""
    ended = []

    async def body(context_vars):
        async def long(context_vars):
            for _ in range(100):
                await sleep(0, context_vars=context_vars)
            ended.append(1)

        calls = [_fail(1, context_vars=context_vars), long(context_vars=context_vars)]
        with pytest.raises(ValueError, match="1"):
            await gather(*calls, context_vars=context_vars)

    mode.run(body)
    assert not ended


def test_gather_raises_several_errors(async_mode):
    """Those that failed in the meantime come as a group."""

    async def body(context_vars):
        calls = [_fail(x, context_vars=context_vars) for x in range(3)]
        with pytest.raises(ExceptionGroup, match="several of the gathered calls") as info:
            await gather(*calls, context_vars=context_vars)
        assert [error.args for error in info.value.exceptions] == [(0,), (1,), (2,)]

    async_mode.run(body)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_gather_refuses_what_cannot_be_awaited(async_mode, place):
    """Nothing goes on in the background then, and nothing complains of not being awaited."""

    async def body(context_vars):
        calls = [_double(x, context_vars=context_vars) for x in range(2)]
        calls.insert(place, 5)
        with pytest.raises(TypeError, match="awaitable"):
            await gather(*calls, context_vars=context_vars)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async_mode.run(body)


def test_gather_with_one_that_was_cancelled(async_mode):
    """It counts as a failure, and the others are cancelled."""

    async def body(context_vars):
        ended = asyncio.get_running_loop().create_future()
        ended.cancel()
        never = asyncio.get_running_loop().create_future()
        with pytest.raises(asyncio.CancelledError, match="one of the gathered calls"):
            await gather(ended, never, context_vars=context_vars)
        assert never.cancelled()

    async_mode.run(body)


def test_cancelling_gather_cancels_all(async_mode):
    """All have ended when gather has, even if they take their time."""

    async def body(context_vars):
        ended = []

        async def slow(number):
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                ended.append(number)

        task = asyncio.create_task(gather(slow(1), slow(2), context_vars=context_vars))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(ended) == [1, 2]

    async_mode.run(body)


def test_cancelling_gather_twice(async_mode):
    """A second cancellation does not let go of what is still ending."""

    async def body(context_vars):
        ended = []
        gate = asyncio.Event()

        async def slow():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await gate.wait()
                ended.append(1)

        task = asyncio.create_task(gather(slow(), context_vars=context_vars))
        for _ in range(2):
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [1]

    async_mode.run(body)


def test_gather_and_amap_want_the_mode():
    """Without "async" the error says so."""
    with pytest.raises(MissingModeError):
        asyncio.run(gather(context_vars={}))
    with pytest.raises(MissingModeError):
        asyncio.run(_listed(amap(_double, [1], context_vars={})))


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_amap(mode, limit):
    """Results come in the order of the items, and no more calls run than may."""
    running, most = [], []

    async def call(x, context_vars):
        running.append(x)
        most.append(len(running))
        for _ in range(x % 3 + 1):
            await sleep(0, context_vars=context_vars)
        running.remove(x)
        return x

    async def body(context_vars):
        results = amap(call, range(20), max_concurrency=limit, context_vars=context_vars)
        return await _listed(results)

    assert mode.run(body) == list(range(20))
    assert max(most) <= (limit if mode.is_async else 1)
    if mode.is_async and limit == 3:
        assert max(most) == 3


def test_amap_fetches_items_no_sooner_than_it_calls(mode):
    """An endless iterable will do, and so will an asynchronous one."""
    fetched = []

    async def endless():
        number = 0
        while True:
            fetched.append(number)
            yield number
            number += 1

    async def body(context_vars):
        results = amap(_double, endless(), max_concurrency=4, context_vars=context_vars)
        async with aclosing(results):
            async for result in results:
                if result == 6:
                    return

    mode.run(body)
    assert len(fetched) <= 3 + 4


def test_amap_raises_the_error_in_its_turn(mode):
    """Results before it come first; the calls under way are cancelled."""

    async def body(context_vars):
        got, ended = [], []

        async def call(x, context_vars):
            if x == 2:
                raise ValueError(x)
            for _ in range(50 if x > 2 else 0):
                await sleep(0, context_vars=context_vars)
            ended.append(x)
            return x

        with pytest.raises(ValueError, match="2"):  # noqa: PT012 - the loop is the test
            async for result in amap(call, range(5), context_vars=context_vars):
                got.append(result)  # noqa: PERF401 - what came before the error is the point
        assert got == [0, 1]
        assert ended == [0, 1]

    mode.run(body)


def test_amap_wants_room_for_one():
    """max_concurrency below 1 could never begin."""
    with pytest.raises(ValueError, match="at least 1, not 0"):
        srun(lambda context_vars: _listed(amap(_double, [], max_concurrency=0, context_vars={})))


@pytest.mark.parametrize("number", [2.5, "2", True, None])
def test_amap_wants_a_whole_number(mode, number):
    """2.5 calls at once, a number that is never reached, would be all of them."""

    async def body(context_vars):
        items = amap(_double, [], max_concurrency=number, context_vars=context_vars)
        with pytest.raises(TypeError, match="max_concurrency must be an integer, not"):
            await _listed(items)

    mode.run(body)


def test_an_awaitable_that_cannot_be_closed():
    """In sync mode what has not begun is closed, if there is anything to close."""

    class Thing:
        def __await__(self):
            raise AssertionError("it has begun")
            yield

    async def body(context_vars):
        calls = [_fail(1, context_vars=context_vars), Thing()]
        await gather(*calls, context_vars=context_vars)

    with pytest.raises(ValueError, match="1"):
        srun(body)


def test_the_building_blocks_in_plain_code():
    """`sync` needs no asyn function around it: amap is iterated over with a plain `for`."""
    with timeout.sync(60):
        assert list(amap.sync(_double, [1, 2, 3])) == [2, 4, 6]
    door = lock.sync()
    for _ in range(2):  # it can be entered any number of times
        with door:
            assert gather.sync() == []
    with pytest.raises(TimeoutError), timeout.sync(0), semaphore.sync(2):
        sleep.sync(0.001)
