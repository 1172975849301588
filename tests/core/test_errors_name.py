"""What the errors of synchronous mode name, in the cases that are not the usual one."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine
from functools import partial

import pytest

from mt.aio.core import arun2, srun
from mt.aio.core.lowlevel import SuspendError


class Frameless(Coroutine):
    """A coroutine of another kind, of which nothing can be seen."""

    def send(self, value):
        """Suspend."""

    def throw(self, error, value=None, trace=None):
        """End."""
        raise error

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        """Suspend."""


def _told(asyn_func, *args):
    with pytest.raises(SuspendError) as caught:
        srun(asyn_func, *args)
    text = str(caught.value)
    return text[: text.index(". There is no event loop")]


def test_an_await_of_asyncio_s_own():
    """If the function hands on nothing else, that is the place."""
    told = _told(lambda context_vars: asyncio.sleep(0))
    assert "<lambda> suspended in synchronous mode at " in told
    assert "tasks.py" in told


def test_a_function_without_a_name():
    """It is shown as it is; also if it returns no coroutine."""

    async def body(number, context_vars):
        await asyncio.sleep(number)

    func = partial(body, 0)
    assert _told(func).startswith(f"{func!r} suspended")
    for func, name in ((dict, "dict"), (partial(dict), repr(partial(dict)))):
        with pytest.raises(TypeError) as caught:
            srun(func)
        assert str(caught.value).startswith(f"{name} returned dict, not a coroutine")


def test_a_coroutine_that_shows_nothing():
    """There is no place to tell, but what was awaited."""
    told = _told(lambda context_vars: Frameless())
    assert "<lambda> suspended in synchronous mode, awaiting Frameless <" in told


def test_a_bare_yield():
    """At which nothing was awaited; the place is that of the innermost generator."""

    @types.coroutine
    def inner():
        yield

    @types.coroutine
    def outer():
        yield from inner()

    async def body(context_vars):
        await outer()

    told = _told(body)
    place = f"{__file__}:{inner.__code__.co_firstlineno + 2}, in {inner.__qualname__}"
    assert told.endswith(f" at {place}, awaiting a bare yield")


def test_a_task():
    """The await is where it was awaited, not somewhere in what it runs."""

    async def body(task, context_vars):
        await task

    async def main():
        task = asyncio.create_task(asyncio.sleep(9))
        await asyncio.sleep(0)
        told = _told(body, task)
        task.cancel()
        place = f"{__file__}:{body.__code__.co_firstlineno + 1}, in {body.__qualname__}"
        assert f" at {place}, awaiting Task <Task " in told

    asyncio.run(main())


def test_what_an_asynch_function_may_return(async_mode):
    """In asynchronous mode anything that can be awaited: also a coroutine made of a generator."""

    @types.coroutine
    def old(context_vars):
        yield
        return "done"

    assert async_mode.run(arun2, old) == "done"
