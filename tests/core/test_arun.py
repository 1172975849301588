"""arun and arun2."""

from __future__ import annotations

import asyncio

import pytest

from mt.aio.core import arun, arun2, sleep, srun, yield_control
from mt.aio.core.lowlevel import MissingModeError, SuspendError


async def double(x, *, add=0, context_vars={}):
    """Double a number, in either mode."""
    await sleep(0, context_vars=context_vars)
    return 2 * x + add


async def what_it_gets(context_vars={}):
    """Return the context variables as they arrived."""
    return context_vars


def test_arun_runs_in_both_modes(mode):
    """Reference, arun: invokes an asyn function from inside an asynch function."""

    def asynch_double(x, context_vars={}):
        return arun(double, x, add=1, context_vars=context_vars)

    async def body(context_vars):
        result = asynch_double(3, context_vars=context_vars)
        return await result if context_vars["async"] else result

    assert mode.run(body) == 7


def test_arun_hands_every_context_variable_on(mode):
    """In both modes, not only "async"."""

    async def body(context_vars):
        given = {**context_vars, "session": object()}
        result = arun(what_it_gets, context_vars=given)
        assert (await result if context_vars["async"] else result) == given

    mode.run(body)


def test_arun_refuses_a_plain_function_in_sync_mode():
    """As srun does."""
    with pytest.raises(TypeError, match="not a coroutine"):
        arun(lambda context_vars: 3, context_vars={"async": False})


def test_arun_names_a_suspended_await():
    """As srun does."""
    with pytest.raises(SuspendError, match="yield_control suspended"):
        arun(_gives_way, context_vars={"async": False})


async def _gives_way(context_vars={}):
    await yield_control()


_gives_way.__qualname__ = "yield_control"


def test_arun_needs_a_mode():
    """Reference, arun: context_vars must include context_vars['async']."""
    with pytest.raises(MissingModeError):
        arun(double, 3)


def test_arun2_runs_an_asynch_function_in_both_modes(mode):
    """Reference, arun2: invokes an asynch function from inside an asyn function."""

    def asynch_double(x, context_vars={}):
        return arun(double, x, context_vars=context_vars)

    async def body(context_vars):
        return await arun2(asynch_double, 4, context_vars=context_vars)

    assert mode.run(body) == 8


def test_arun2_in_plain_code():
    """It is an asyn function like others, and has both ways."""

    def asynch_double(x, context_vars):
        assert context_vars == {"async": False}
        return 2 * x

    assert arun2.sync(asynch_double, 4) == 8


def test_arun2_hands_every_context_variable_on(mode):
    """In both modes, not only "async"."""

    def asynch(context_vars={}):
        return arun(what_it_gets, context_vars=context_vars)

    async def body(context_vars):
        given = {**context_vars, "k": 2}
        assert await arun2(asynch, context_vars=given) == given

    mode.run(body)


def test_arun2_refuses_a_plain_result_in_async_mode():
    """An asynch function returns an awaitable in asynchronous mode."""
    with pytest.raises(TypeError, match="returned int in asynchronous mode"):
        asyncio.run(arun2(lambda context_vars: 3, context_vars={"async": True}))


def test_arun2_refuses_an_asyn_function_in_sync_mode():
    """Its coroutine would be returned instead of its result; it is closed."""
    with pytest.raises(TypeError, match="it is an asyn function, so await it"):
        srun(arun2, double, 3)


def test_arun2_needs_a_mode():
    """Reference, arun2: context_vars must include context_vars['async']."""
    with pytest.raises(MissingModeError):
        asyncio.run(arun2(double, 3))
