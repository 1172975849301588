"""iterate and enter: asynchronous iterators and context managers in plain code."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from mt.aio.core import enter, iterate, srun
from mt.aio.core.lowlevel import SuspendError

SYNC = {"async": False}


async def _numbers(limit, log, context_vars):
    try:
        for number in range(limit):
            yield number
    finally:
        log.append("closed")


class _Iterable:
    """An asynchronous iterable that is no generator."""

    def __init__(self, limit):
        self.left = limit

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


@asynccontextmanager
async def _swallow(kind, log, context_vars):
    try:
        yield 42
    except kind:
        log.append("swallowed")
    log.append("left")


def test_iterate():
    """All items come, then the generator is closed."""
    log = []
    assert list(iterate(_numbers(3, log, SYNC))) == [0, 1, 2]
    assert log == ["closed"]


def test_iterate_over_anything_asynchronous():
    """An iterator without `aclose` will do."""
    assert list(iterate(_Iterable(3))) == [2, 1, 0]


def test_leaving_early_closes_the_generator():
    """Closing what iterate returned runs the asynchronous generator's finally blocks."""
    log = []
    numbers = _numbers(3, log, SYNC)  # kept: one that nobody has any more is closed by Python
    items = iterate(numbers)
    assert next(items) == 0
    items.close()
    assert log == ["closed"]


def test_an_error_passes():
    """What the generator raises is raised, as it is."""

    async def fails():
        yield 1
        raise KeyError("x")

    items = iterate(fails())
    assert next(items) == 1
    with pytest.raises(KeyError, match="x"):
        next(items)


def test_a_generator_that_suspends():
    """The error names the await inside the generator, whose finally blocks run."""
    log = []

    async def inner():
        try:
            yield 1
            await asyncio.sleep(0)
        finally:
            log.append("inner")

    async def outer():
        try:
            async for number in inner():
                yield number
        finally:
            log.append("outer")

    items = iterate(outer())
    assert next(items) == 1
    with pytest.raises(SuspendError, match=r"outer suspended .*in \S*inner, awaiting sleep"):
        next(items)
    assert log == ["inner", "outer"]


def test_srun_names_the_await_inside_a_generator():
    """Issue: srun's error names the innermost await; it used to stop at the `async for`."""

    async def suspends():
        await asyncio.sleep(0)
        yield 1

    async def body(context_vars):
        async for _ in suspends():
            pass

    with pytest.raises(SuspendError, match=r"body suspended .*in \S*suspends, awaiting sleep"):
        srun(body)


def test_enter():
    """The enter-value is the manager's; leaving leaves it."""
    log = []
    with enter(_swallow(KeyError, log, SYNC)) as value:
        assert value == 42
    assert log == ["left"]


def test_the_manager_may_swallow_the_body_s_error():
    """What the body raises reaches the manager."""
    log = []
    with enter(_swallow(KeyError, log, SYNC)):
        raise KeyError("x")
    assert log == ["swallowed", "left"]


def test_an_error_that_is_not_swallowed():
    """It is raised, as it is."""
    log = []
    with pytest.raises(ValueError, match="x"), enter(_swallow(KeyError, log, SYNC)):
        raise ValueError("x")
    assert log == []


def test_a_manager_that_suspends():
    """The error names the await."""

    @asynccontextmanager
    async def suspends():
        await asyncio.sleep(0)
        yield

    with (
        pytest.raises(SuspendError, match=r"suspends suspended .*awaiting sleep"),
        enter(suspends()),
    ):
        pass
