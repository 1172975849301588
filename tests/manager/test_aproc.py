"""What an aproc is called and where it was sent, and the coroutine that has nothing to wait for."""

from __future__ import annotations

import asyncio
import inspect
import sys

import pytest

from mt.aio.manager import AprocManager, CleanupTimeoutError
from mt.aio.manager._aproc import ACCEPTED, Aproc


def _site(name=None):
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti, name


def test_each_is_sent_at_its_own_line():
    """Also if another call stands before it, and others follow."""
    line = inspect.currentframe().f_lineno
    aprocs = [
        Aproc(None, _site()),
        Aproc(None, _site()),
    ]
    aprocs.append(Aproc(None, _site()))
    wanted = [f"{__file__}:{line + n}" for n in (2, 3, 5)]
    assert [aproc.place for aproc in aprocs] == wanted


def test_an_instruction_has_the_line_that_begins_there():
    """If it has none, the place is where its function begins."""
    code, instruction, _ = _site()
    lines = [(begin, number) for begin, _, number in code.co_lines() if number is not None]
    for begin, number in lines:
        assert Aproc(None, (code, begin, None)).place == f"{__file__}:{number}"
    bare = code.replace(co_linetable=b"\xff" * len(code.co_code))  # spans without a line
    place = Aproc(None, (bare, instruction, None)).place
    assert place == f"{__file__}:{code.co_firstlineno}"


def test_calls_in_a_row_have_their_own_places(async_mode, waiting):
    """Those of one function, and those of two whose code looks alike."""

    async def body(context_vars):
        manager = AprocManager()

        def twice():
            return (
                manager.send(waiting()),
                manager.send(waiting()),
            )

        def twin():
            return manager.send(waiting())

        def other_twin():
            return manager.send(waiting())

        for send in (twice, twin, other_twin):
            send()
        with pytest.raises(CleanupTimeoutError) as caught:
            await manager.cleanup(timeout=0)
        first, *lines = (func.__code__.co_firstlineno for func in (twice, twin, other_twin))
        wanted = [first + 2, first + 3, *(line + 1 for line in lines)]
        assert [cut.place for cut in caught.value.cut_off] == [f"{__file__}:{n}" for n in wanted]

    async_mode.run(body)


class Own:
    """An awaitable of somebody's."""

    def __await__(self):
        """Wait for nothing."""
        return iter(())


def test_names():
    """A name that somebody gave, else what the code that runs is called, else its kind."""

    async def work():
        """Do nothing."""

    async def main():
        tasks = [asyncio.create_task(work()), asyncio.create_task(work(), name="given")]
        kinds = [*tasks, asyncio.get_running_loop().create_future(), Own()]
        await asyncio.gather(*tasks)
        return [Aproc(kind, _site()).name for kind in kinds]

    own = "test_names.<locals>.work"
    assert asyncio.run(main()) == [own, "given", "Future", "Own"]
    assert Aproc(Own(), _site("as spawned")).name == "as spawned"


def _raised(*args):
    with pytest.raises(ValueError, match=r"^") as caught:
        ACCEPTED.throw(*args)
    return caught.value


def _traces(error):
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


def test_what_is_thrown_into_an_accepted_one_comes_out():
    """In each of the ways in which a coroutine can be thrown something."""
    error = ValueError("x")
    assert _raised(error) is error
    assert _raised(ValueError).args == ()
    assert _raised(ValueError, "x").args == ("x",)
    with pytest.raises(KeyError) as other:
        {}["x"]
    assert other.tb in _traces(_raised(ValueError("y"), None, other.tb))
    before = error.__traceback__
    assert before in _traces(_raised(error))
