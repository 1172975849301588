"""@asyn: f(...), f.sync(...) and f.aio(...) from one definition."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import subprocess
import sys
import textwrap
from abc import ABC
from contextlib import asynccontextmanager

import pytest

from mt.aio.core import asyn, sleep, srun
from mt.aio.core.lowlevel import SuspendError


@asyn
async def double(x, context_vars={}, *, plus=0):
    """Twice as much."""
    await sleep(0, context_vars=context_vars)
    return 2 * x + plus


@asyn
async def count(limit, context_vars={}):
    """Give numbers."""
    for number in range(limit):
        await sleep(0, context_vars=context_vars)
        yield number


@asyn
@asynccontextmanager
async def recorded(record, context_vars={}):
    """Note the entering and the leaving."""
    record.append("in")
    try:
        yield context_vars["async"]
    finally:
        await sleep(0, context_vars=context_vars)
        record.append("out")


class Scale:
    """Has an asyn method."""

    def __init__(self, factor):
        self.factor = factor

    @asyn
    async def apply(self, x, context_vars={}):
        """Multiply."""
        await sleep(0, context_vars=context_vars)
        return self.factor * x

    @asyn
    async def multiples(self, limit, context_vars={}):
        """Give some multiples."""
        for number in range(limit):
            yield self.factor * number


class Steeper(Scale):
    """Overrides it."""

    @asyn
    async def apply(self, x, context_vars={}):
        """Multiply, and add one."""
        return 1 + await super().apply(x, context_vars=context_vars)


def test_the_function_stays_what_it_was(mode):
    """A plain call with context_vars works as without the decorator."""
    assert mode.run(double, 3, plus=1) == 7
    assert inspect.iscoroutinefunction(double)
    assert list(inspect.signature(double).parameters) == ["x", "context_vars", "plus"]
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")


def test_sync_needs_no_loop():
    """f.sync runs at once, within a running loop as well."""

    async def inside():
        return double.sync(3)

    assert double.sync(3, plus=1) == 7
    assert asyncio.run(inside()) == 6


def test_aio_is_the_plain_awaitable():
    """f.aio gives the function's own coroutine, in asynchronous mode."""
    coro = double.aio(3)
    assert inspect.iscoroutine(coro)
    assert asyncio.run(coro) == 6


def test_a_generator_function():
    """Sync is for a plain `for`, aio for an `async for`."""

    async def collect():
        return [number async for number in count.aio(3)]

    assert list(count.sync(3)) == [0, 1, 2]
    assert asyncio.run(collect()) == [0, 1, 2]


def test_a_context_manager():
    """Sync is for a plain `with`, aio for an `async with`."""
    record = []

    async def use():
        async with recorded.aio(record) as mode:
            assert mode is True

    with recorded.sync(record) as mode:
        assert mode is False
    asyncio.run(use())
    assert record == ["in", "out"] * 2


def test_a_method():
    """An instance's method has both, bound to the instance."""
    scale = Scale(3)
    assert scale.apply.sync(2) == 6
    assert asyncio.run(scale.apply.aio(2)) == 6
    assert asyncio.run(scale.apply(2, context_vars={"async": True})) == 6
    assert srun(scale.apply, 2) == 6
    assert list(scale.multiples.sync(3)) == [0, 3, 6]


def test_a_method_seen_from_its_class():
    """The class gives the function, which takes the instance."""
    assert Scale.apply.sync(Scale(3), 2) == 6
    assert inspect.isfunction(Scale.apply)


def test_an_overriding_method():
    """super() works as with any method."""
    assert Steeper(3).apply.sync(2) == 7


def test_a_bound_method_looks_like_one():
    """Names, docstring, signature, equality and iscoroutinefunction are a method's."""
    scale = Scale(3)
    bound = scale.apply
    assert (bound.__name__, bound.__qualname__) == ("apply", "Scale.apply")
    assert bound.__self__ is scale
    assert bound.__func__ is Scale.apply
    assert str(inspect.signature(bound)) == "(x, context_vars={})"
    assert str(inspect.signature(bound.sync)) == "(x)"
    assert inspect.iscoroutinefunction(bound)
    assert bound == scale.apply
    assert hash(bound) == hash(scale.apply)
    assert bound != Scale(3).apply
    assert not hasattr(bound, "other")


def test_an_abstract_method_stays_abstract():
    """A class that lacks it cannot be instantiated."""

    async def apply(self, context_vars={}):
        pass

    apply.__isabstractmethod__ = True
    apply.__qualname__ = "Base.apply"
    base = type(ABC)("Base", (ABC,), {"apply": asyn(apply)})
    with pytest.raises(TypeError, match="abstract"):
        base()


@pytest.mark.parametrize("way", [double, double.sync, double.aio, Scale.apply.sync])
def test_pickle(way):
    """Functions and what @asyn added are pickled by name."""
    assert pickle.loads(pickle.dumps(way)) is way


def test_pickle_a_bound_method():
    """A bound method takes its instance along."""
    copy = pickle.loads(pickle.dumps(Scale(3).apply))
    assert copy.sync(2) == 6


@pytest.mark.slow
def test_pickle_by_value():
    """What a script defines travels to a child process by value, and has both ways there."""
    program = """
    from mt.aio.core import asyn
    from mt.aio.proc import BgProcess

    @asyn
    async def double(x, context_vars={}):
        return 2 * x

    class Scale:
        @asyn
        async def apply(self, x, context_vars={}):
            return await double(x, context_vars=context_vars)

    class Child(BgProcess):
        def child_handle_message(self, msg):
            return Scale().apply.sync(msg), repr(double.sync).split(" of ")[0]

    with Child() as child:
        print(*child.send.sync(3))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout == "6 <double.sync\n"


def test_signature_without_context_vars():
    """Sync and aio have the function's signature but for context_vars; what follows is by key."""

    async def many(a, context_vars={}, b=3, *, c, d=4):
        pass

    ways = asyn(many)
    assert str(inspect.signature(ways.sync)) == "(a, *, b=3, c, d=4)"
    assert str(inspect.signature(ways.aio)) == "(a, *, b=3, c, d=4)"
    assert str(inspect.signature(recorded.sync)) == "(record)"
    assert "double.sync" in repr(double.sync)


@pytest.mark.parametrize("way", ["sync", "aio"])
def test_context_vars_cannot_be_given(way):
    """Both ways know the mode: to give another is an error."""
    with pytest.raises(TypeError, match="context_vars"):
        getattr(double, way)(3, context_vars={"async": True})


def test_it_is_for_functions_with_context_vars():
    """Anything else is refused at once."""

    async def deaf():
        pass

    with pytest.raises(TypeError, match="has no parameter context_vars"):
        asyn(deaf)
    with pytest.raises(TypeError, match="functions and methods, not partial"):
        asyn(functools.partial(double, 3))


def test_a_function_with_any_keyword():
    """One that hands on all keywords will do."""

    @asyn
    async def wrapper(**kwargs):
        return await double(1, **kwargs)

    assert wrapper.sync() == 2
    assert str(inspect.signature(wrapper.sync)) == "(**kwargs)"


def test_sync_of_a_function_that_suspends():
    """The error names the function and its await."""

    @asyn
    async def suspends(context_vars={}):
        await asyncio.sleep(0)

    with pytest.raises(SuspendError, match=r"suspends suspended .*test_asyn\.py"):
        suspends.sync()


def test_sync_of_a_function_that_is_no_asyn_function():
    """A plain result is srun's TypeError."""

    @asyn
    def plain(context_vars={}):
        return 3

    with pytest.raises(TypeError, match="not a coroutine"):
        plain.sync()
