"""Queues of threads: how waiting coroutines are woken, and that the queue is left as it was."""

from __future__ import annotations

import asyncio
import gc
import os
import queue
import random
import threading
import time
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mt.aio.core.lowlevel import MissingModeError
from mt.aio.proc import qget_aio, qput_aio
from mt.aio.proc._queue import TURNS
from mt.aio.proc._queue_line import Line, Place, Waiter


def _shims(q):
    """What stands in for methods of the queue's conditions."""
    return [
        name
        for c in (q.not_empty, q.not_full)
        for name in ("notify", "notify_all")
        if name in vars(c)
    ]


def test_the_queue_is_touched_only_while_somebody_waits(async_mode):
    """Once nobody waits, for success, a timeout or a cancellation, its conditions are bare."""
    q = queue.Queue(1)

    async def body(context_vars):
        await qput_aio(q, 1)
        assert await qget_aio(q) == 1
        assert _shims(q) == []
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0.001)
        assert _shims(q) == []
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0)
        assert _shims(q) == ["notify", "notify_all"]
        getting.cancel()
        await asyncio.wait([getting])
        assert _shims(q) == []
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0)
        q.put(2)
        assert _shims(q) == [], "the only one who waited has been woken"
        return await getting

    assert async_mode.run(body) == 2


def test_a_cancelled_waiter_passes_its_wake_on(async_mode):
    """One item, two who wait: the first is woken and cancelled at once, the second gets it."""
    q = queue.Queue()

    async def body(context_vars):
        first, second = (asyncio.ensure_future(qget_aio(q)) for _ in range(2))
        await asyncio.sleep(0)
        q.put(1)
        first.cancel()
        async with asyncio.timeout(20):
            item = await second
        assert first.cancelled() or (await asyncio.wait([first]) and first.cancelled())
        return item

    assert async_mode.run(body) == 1


def test_a_thread_that_waits_is_still_notified(async_mode):
    """A thread's get and a coroutine's get on one queue: two items, one for each."""
    q = queue.Queue()

    async def body(context_vars):
        thread = asyncio.ensure_future(asyncio.to_thread(q.get))
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0.02)
        q.put(1)
        q.put(2)
        async with asyncio.timeout(20):
            return sorted([await thread, await getting])

    assert async_mode.run(body) == [1, 2]


def test_a_loop_that_was_closed_does_not_swallow_a_wake():
    """A coroutine left behind by a closed loop is passed over; the next one gets the item."""
    q = queue.Queue()
    dead = asyncio.new_event_loop()
    left = dead.create_task(qget_aio(q))
    dead.run_until_complete(asyncio.sleep(0))
    dead.close()

    async def body():
        getting = asyncio.ensure_future(qget_aio(q, timeout=20))
        await asyncio.sleep(0)
        q.put(1)
        return await getting

    assert asyncio.run(body()) == 1
    left._log_destroy_pending = False


def test_a_fork_has_no_part_in_the_waiting():
    """What a forked child puts into its copy wakes nobody here, and works there."""
    q = queue.Queue()

    async def body():
        getting = asyncio.ensure_future(qget_aio(q))
        await asyncio.sleep(0)
        pid = os.fork()
        if pid == 0:
            q.put(7)
            ok = _shims(q) == [] and q.get(False) == 7
            os._exit(0 if ok else 1)
        _, status = os.waitpid(pid, 0)
        assert status == 0
        assert not getting.done()
        q.put(1)
        return await getting

    assert asyncio.run(body()) == 1


def test_a_queue_can_be_collected(async_mode):
    """What the queue keeps for its waiters goes with it."""

    async def body(context_vars):
        q = queue.Queue()
        with pytest.raises(queue.Empty):
            await qget_aio(q, timeout=0.001)
        return weakref.ref(q)

    reference = async_mode.run(body)
    gc.collect()
    assert reference() is None


def test_a_queue_that_is_never_empty_leaves_the_loop_to_others(async_mode):
    """A consumer that never has to wait gives way now and then."""
    q = queue.SimpleQueue()
    for number in range(2000):
        q.put(number)

    async def body(context_vars):
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        for _ in range(2000):
            await qget_aio(q)
        task.cancel()
        await asyncio.wait([task])
        return turns

    assert async_mode.run(body) >= 2000 // TURNS - 1


def test_context_vars_without_a_mode():
    """As everywhere: what is no mode is refused."""
    with pytest.raises(MissingModeError):
        asyncio.run(qget_aio(queue.Queue(), context_vars={"durability": "none"}))
    with pytest.raises(TypeError, match="True or False"):
        asyncio.run(qput_aio(queue.Queue(), 1, context_vars={"async": 1}))


def test_a_timeout_that_is_no_number():
    """It would never come to an end."""
    with pytest.raises(ValueError, match="nan"):
        asyncio.run(qget_aio(queue.Queue(), timeout=float("nan")))


def test_an_endless_timeout(async_mode):
    """Infinity is a timeout, too."""
    q = queue.Queue()

    async def body(context_vars):
        getting = asyncio.ensure_future(qget_aio(q, timeout=float("inf")))
        await asyncio.sleep(0.01)
        q.put(1)
        return await getting

    assert async_mode.run(body) == 1


STEPS = st.lists(st.sampled_from(["enter", "cancel", "put", "take", "step"]), max_size=40)


@pytest.mark.slow
@given(STEPS, st.integers(0, 2**32))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_wake_is_lost(steps, seed):
    """Whoever comes, goes and is woken: nobody stays in line beside an item none is after."""
    rng, loop = random.Random(seed), _StillLoop()
    line, items, waiters = Line(threading.Lock()), [], []
    for step in steps:
        if step == "enter":
            waiter = Waiter(loop)
            line.enter(waiter, front=False)
            waiters.append(waiter)
            _try(line, waiter, items, waiters)
        elif step == "cancel" and waiters:
            line.leave(waiters.pop(rng.randrange(len(waiters))))
        elif step == "put":
            items.append(1)
            with line.lock:
                line.wake()
        elif step == "take" and items:
            items.pop()
        elif step == "step":
            woken = [waiter for waiter in waiters if waiter.place is Place.WOKEN]
            if woken:
                waiter = rng.choice(woken)
                waiter.place = Place.OUT
                if not _try(line, waiter, items, waiters):
                    line.enter(waiter, front=True)
        after = sum(waiter.place is Place.WOKEN for waiter in waiters)
        assert not line.idle or len(items) <= after


def _try(line, waiter, items, waiters):
    """Take an item and leave, if there is one."""
    if not items:
        return False
    items.pop()
    waiters.remove(waiter)
    if waiter.place is not Place.OUT:
        line.leave(waiter)
    return True


class _StillLoop:
    """A loop that is told of wakes and does nothing."""

    def is_closed(self):
        """It never is."""
        return False


def test_time_is_up_by_the_clock_on_a_busy_loop(async_mode):
    """A loop that is held up for longer than the timeout ends the waiting right afterwards."""

    async def body(context_vars):
        asyncio.get_running_loop().call_later(0.01, time.sleep, 0.1)
        begin = time.monotonic()
        with pytest.raises(queue.Full):
            await qput_aio(full, 2, timeout=0.05)
        return time.monotonic() - begin

    full = queue.Queue(1)
    full.put(1)
    assert 0.045 <= async_mode.run(body) < 5
