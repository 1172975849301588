"""sleep and yield_control."""

from __future__ import annotations

import asyncio
import time

import pytest

from mt.aio.core import sleep, srun, yield_control
from mt.aio.core.lowlevel import MissingModeError


def test_sleep_sleeps(mode):
    """Reference, sleep: an asyn function that sleeps for a number of seconds."""
    before = time.monotonic()
    mode.run(sleep, 0.02)
    assert time.monotonic() - before >= 0.019


def test_sleep_in_async_mode_lets_others_run(async_mode):
    """Reference, sleep: in asynchronous mode, it invokes asyncio.sleep()."""

    async def body(context_vars):
        steps = []

        async def other():
            steps.append("other")

        task = asyncio.ensure_future(other())
        await sleep(0.001, context_vars=context_vars)
        steps.append("slept")
        await task
        return steps

    assert async_mode.run(body) == ["other", "slept"]


def test_sleep_in_sync_mode_is_time_sleep(monkeypatch):
    """Reference, sleep: in synchronous mode, it invokes time.sleep()."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    srun(sleep, 3.5)
    assert slept == [3.5]


@pytest.mark.parametrize("secs", [-1, float("nan")])
def test_sleep_refuses_what_is_no_duration(mode, secs):
    """Both modes refuse alike."""
    with pytest.raises(ValueError, match="secs must be zero or more"):
        mode.run(sleep, secs)


def test_sleep_needs_a_mode():
    """Reference, sleep: context_vars must include context_vars['async']."""
    with pytest.raises(MissingModeError):
        asyncio.run(sleep(0))


def test_sleep_ends_when_cancelled(async_mode):
    """Cancellation ends the sleep at once."""

    async def body(context_vars):
        task = asyncio.ensure_future(sleep(3600, context_vars=context_vars))
        await yield_control()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_mode.run(body)


@pytest.mark.parametrize("given", [{}, {"context_vars": {}}, {"context_vars": {"async": True}}])
def test_yield_control_lets_others_run(given):
    """Reference, yield_control: yields the control back; asynchronous without context_vars."""

    async def main():
        steps = []
        asyncio.get_running_loop().call_soon(steps.append, "other")
        await yield_control(**given)
        return steps.copy()

    assert asyncio.run(main()) == ["other"]


def test_yield_control_can_be_driven_by_srun():
    """With context_vars in synchronous mode there is nobody to give way to."""
    assert srun(yield_control) is None
