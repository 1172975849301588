"""What the plugin's fixtures give, by itself: a `Mode`."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mt.aio.core import sleep
from mt.aio.core.pytest_plugin import Mode


def test_a_mode_is_a_value():
    """Two that say the same are equal, and can be keys; none can be changed."""
    assert {Mode("sync"): "found"}[Mode("sync", 0, loop_elsewhere=False)] == "found"
    with pytest.raises(AttributeError):
        Mode("sync").name = "async"


def test_the_loop_is_the_mode_s():
    """On uvloop the loop is one of uvloop's, in async mode one of asyncio's; both debug."""
    uvloop = pytest.importorskip("uvloop")

    async def loop(context_vars):
        assert asyncio.get_running_loop().get_debug()
        return asyncio.get_running_loop()

    assert type(Mode("uvloop").run(loop)) is uvloop.Loop
    assert isinstance(Mode("async").run(loop), asyncio.BaseEventLoop)


def test_without_a_limit_a_loop_may_be_blocked():
    """A mode that is made without one has none."""

    async def blocks(context_vars):
        time.sleep(0.02)

    Mode("async").run(blocks)


def test_nothing_is_left_of_the_watch():
    """The thread that watches the loop ends with the run."""
    before = threading.enumerate()
    Mode("async", 60_000).run(sleep, 0)
    assert set(threading.enumerate()) <= set(before)


@pytest.mark.parametrize("name", ["async", "uvloop"])
def test_a_task_left_behind_fails(name):
    """It would be destroyed with the loop, its work undone."""
    if name == "uvloop":
        pytest.importorskip("uvloop")

    async def leaves(context_vars):
        asyncio.create_task(asyncio.sleep(60), name="forgotten")  # noqa: RUF006  # the mistake

    with pytest.raises(AssertionError, match=r"tasks left open: .*forgotten"):
        Mode(name).run(leaves)


def _ways_to_loops():
    return [vars(owner).copy() for owner in (asyncio.Runner, asyncio.BaseEventLoop)]


def test_nothing_is_left_of_the_look_out():
    """After a run in sync mode, loops are made and run as before."""
    before = _ways_to_loops()
    Mode("sync").run(sleep, 0)
    assert _ways_to_loops() == before


def test_in_sync_mode_no_loop_is_given_work():
    """Unless the mode says that one runs elsewhere."""

    async def calls(loop, context_vars):
        loop.call_soon_threadsafe(print)

    loop = asyncio.new_event_loop()
    try:
        Mode("sync", loop_elsewhere=True).run(calls, loop)
        with pytest.raises(AssertionError, match=r"call_soon_threadsafe\(\)"):
            Mode("sync").run(calls, loop)
    finally:
        loop.close()


def test_with_a_loop_elsewhere_none_is_made_here():
    """Not one of uvloop's either."""
    uvloop = pytest.importorskip("uvloop")

    async def makes(context_vars):
        uvloop.new_event_loop().close()

    with pytest.raises(AssertionError, match=r"Loop\(\)"):
        Mode("sync", loop_elsewhere=True).run(makes)


def test_what_other_threads_do_with_loops_is_their_affair():
    """In sync mode it is the run's own thread that must do without."""

    async def waits(context_vars):
        thread = threading.Thread(target=asyncio.run, args=(asyncio.sleep(0),))
        thread.start()
        thread.join()

    Mode("sync").run(waits)
