"""Cancelled writes: at every suspension, and while every system call is under way."""

from __future__ import annotations

import asyncio
import itertools
import os
import types

import pytest

from mt.aio.core.lowlevel import offload
from mt.aio.fs.lowlevel import order_key

pytestmark = pytest.mark.slow


@types.coroutine
def cancelled_at(coro, number):
    """Drive a coroutine, and cancel the task when it suspends for this time, counted from 0."""
    step, value, count = coro.send, None, 0
    while True:
        try:
            awaited = step(value)
        except StopIteration as stop:
            return stop.value
        if count == number:
            asyncio.current_task().cancel()
        count += 1
        try:
            value = yield awaited
            step = coro.send
        except BaseException as exc:  # noqa: BLE001 - it belongs to the coroutine
            step, value = coro.throw, exc


@pytest.mark.parametrize("late", [0, 1, 2, 5, 20])
def test_at_every_suspension(async_mode, place, jobs, late):
    """Cancelled at the k-th suspension, for every k: whole, nothing left, no ghost.

    `late` turns of the loop pass between the cancellation and the next look of the loop at it, so
    that the worker has got further.
    """

    async def body(context_vars):
        number = 0
        while True:
            place.reset(place.before)
            coro = jobs.JOBS[place.job][0](
                place.path, "new", context_vars=context_vars, durability="full"
            )

            async def drive(coro=coro, number=number):
                for _ in range(late):
                    await asyncio.sleep(0)
                return await cancelled_at(coro, number)

            task = asyncio.create_task(drive())
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
                return number
            if "delayed" in place.job:  # whose future was cancelled, and which ends later
                key = order_key(place.path)
                await offload(bool, context_vars=context_vars, order=key)
            else:
                await asyncio.sleep(0.005)  # a ghost would write now
            assert place.word() in {place.before, "new"}
            assert place.left() == []
            number += 1

    assert async_mode.run(body) > 0
    assert place.word() == "new"


@pytest.mark.timeout(120)
def test_during_every_system_call(server, trace_log, place, capfd):
    """Cancelled while a system call takes its time, for each: whole, nothing left, no ghost."""
    if "delayed" in place.job:
        pytest.skip("whoever waits for its future is not the write, which goes on or gives up")
    place.reset(place.before)
    order = place.order(mode="async")
    assert server.traced(trace_log, **order) == 0
    calls = [call for call in server.calls(trace_log) if place.concerns(call)]
    points = sorted({(call.name, call.count) for call in calls if call.name != "fstat"})
    seen = set()
    # On a busy machine more of a write is done after the cancellation: see one that is slower, too.
    for slow, (name, count) in itertools.product((1, 8), points):
        if slow > 1 and len(seen) > 1:
            break
        place.reset(place.before)
        delay = f"delay_enter={60_000 * slow}:delay_exit={20_000 * slow}"
        options = ("-e", f"trace={name}", "-e", f"inject={name}:{delay}:when={count}")
        times = {"cancel_after": 0.03 * slow, "look_after": 0.1 * slow}
        ended = server.traced(trace_log, *options, **times, **order)
        assert ended == 0, (name, count)
        assert place.word() in {place.before, "new"}, (name, count)
        assert place.left() == [], (name, count)
        seen.add(place.word())
    assert seen == {place.before, "new"}, "cancelled before and after the publishing"
    assert os.path.lexists(place.path) or place.before is None
