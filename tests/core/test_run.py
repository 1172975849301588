"""srun."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import types

import pytest

from mt.aio.core import sleep, srun
from mt.aio.core.lowlevel import SuspendError

VARIABLE = contextvars.ContextVar("VARIABLE", default=0)


async def double(x, *, add=0, context_vars={}):
    """Double a number, in either mode."""
    await sleep(0, context_vars=context_vars)
    return 2 * x + add


async def what_it_gets(context_vars={}):
    """Return the context variables as they arrived."""
    return context_vars


def test_srun_returns_what_the_function_returns():
    """Reference, srun: invokes an asyn function synchronously and returns what it returns."""
    assert srun(double, 3) == 6
    assert srun(double, x=3, add=1) == 7


def test_srun_makes_sync_context_vars_and_adds_the_extra_ones():
    """Reference, srun: context_vars is {'async': False} updated with extra_context_vars."""
    assert srun(what_it_gets) == {"async": False}
    assert srun(what_it_gets, extra_context_vars={"k": 1}) == {"async": False, "k": 1}


def test_srun_leaves_extra_context_vars_alone():
    """The caller's dictionary is not written to."""
    extra = {"k": 1}
    srun(what_it_gets, extra_context_vars=extra)
    assert extra == {"k": 1}


def test_srun_refuses_async_mode():
    """Asking srun for asynchronous mode is a mistake at the door."""
    with pytest.raises(ValueError, match="without an event loop"):
        srun(what_it_gets, extra_context_vars={"async": True})


def test_srun_needs_no_loop_and_makes_none():
    """Reference, introduction: an asyn function can be invoked without an event loop."""

    async def body(context_vars):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()

    srun(body)


def test_srun_works_inside_a_running_loop():
    """In a notebook cell, say, a loop runs already; srun does not mind."""

    async def main():
        return srun(double, 4)

    assert asyncio.run(main()) == 8


def test_srun_works_in_any_thread():
    """Threads without a loop are as good."""
    results = []
    thread = threading.Thread(target=lambda: results.append(srun(double, 5)))
    thread.start()
    thread.join()
    assert results == [10]


def test_srun_keeps_contextvars():
    """What the function sets is set for the caller, who runs in the same context."""

    async def body(context_vars):
        VARIABLE.set(VARIABLE.get() + 1)

    VARIABLE.set(1)
    srun(body)
    assert VARIABLE.get() == 2


def test_srun_lets_exceptions_through_unchanged():
    """The very exception object arrives, a StopIteration as Python's own RuntimeError."""
    error = ValueError("mine")

    async def body(context_vars):
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        srun(body)
    assert caught.value is error
    assert caught.value.__cause__ is None

    async def stops(context_vars):
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        srun(stops)


@pytest.mark.parametrize("result", [None, 7, [1, 2], iter([1])])
def test_srun_refuses_a_function_that_returns_no_coroutine(result):
    """A plain function is no asyn function, also if its result could be iterated."""

    def plain(context_vars):
        return result

    with pytest.raises(TypeError, match="not a coroutine: an asyn function is declared"):
        srun(plain)


def test_srun_refuses_an_asynchronous_generator():
    """An `async def` with a `yield` is no asyn function either."""

    async def generator(context_vars):
        yield 1

    with pytest.raises(TypeError, match="async_generator, not a coroutine"):
        srun(generator)


def test_srun_takes_what_behaves_as_a_coroutine():
    """Compiled coroutines are not CoroutineType, but they are coroutines."""

    class Compiled(asyncio.coroutines.collections.abc.Coroutine):
        def send(self, value):
            raise StopIteration(9)

        def throw(self, *args):
            raise args[0]

        def close(self):
            pass

        def __await__(self):
            return self

        __iter__ = __await__

        def __next__(self):
            return self.send(None)

    assert srun(lambda context_vars: Compiled()) == 9


def test_suspending_names_function_and_await():
    """A coroutine that suspends in sync mode raises, naming function, file and line."""

    async def inner():
        await asyncio.sleep(0)

    async def outer(context_vars):
        await inner()

    line = inner.__code__.co_firstlineno + 1
    with pytest.raises(SuspendError) as caught:
        srun(outer)
    text = str(caught.value)
    assert outer.__qualname__ in text
    assert f"{__file__}:{line}, in {inner.__qualname__}, awaiting" in text
    assert "sleep" in text.split("awaiting")[1]
    assert isinstance(caught.value, RuntimeError)


def test_suspending_inside_a_running_loop_names_the_awaited_future():
    """Inside a loop, where futures exist, the error shows the one that was awaited."""

    async def body(future, context_vars):
        await future

    async def main():
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(SuspendError, match=f"{__file__}:.* awaiting Future <Future pending"):
            srun(body, future)

    asyncio.run(main())


def test_suspending_closes_the_coroutine():
    """Its finally blocks run before the error is raised."""
    steps = []

    async def body(context_vars):
        try:
            await asyncio.sleep(0)
            steps.append("never")
        finally:
            steps.append("closed")

    with pytest.raises(SuspendError):
        srun(body)
    assert steps == ["closed"]


def test_suspending_in_a_coroutine_that_refuses_to_close():
    """What goes wrong while it is closed is a note on the error, not another error."""

    async def body(context_vars):
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)

    with pytest.raises(SuspendError) as caught:
        srun(body)
    assert "ignored GeneratorExit" in caught.value.__notes__[0]


def test_suspending_at_a_bare_yield():
    """A generator-based awaitable that yields nothing is named as such."""

    @types.coroutine
    def bare():
        yield

    async def body(context_vars):
        await bare()

    with pytest.raises(SuspendError, match=r"suspended in synchronous mode at .*bare"):
        srun(body)


def test_suspending_in_an_awaitable_without_frames():
    """An awaitable that is no coroutine is shown by its type."""

    class Odd:
        def __await__(self):
            return iter([None])

    async def body(context_vars):
        await Odd()

    with pytest.raises(SuspendError, match=r"in .*body, awaiting list_iterator"):
        srun(body)
