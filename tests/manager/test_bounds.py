"""AprocManager: what it keeps of very many errors, and that each report starts afresh."""

from __future__ import annotations

import asyncio

import pytest

from mt.aio.manager import AprocManager


async def _send_failed(manager, count):
    """Send futures that fail all in one turn, so that no send finds an error to raise."""
    for number in range(count):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError(number))
        await manager.send(future)


async def _send_cancelled(manager, count):
    """Send futures that have been cancelled."""
    for _ in range(count):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await manager.send(future)


def test_a_later_report_does_not_count_what_was_reported(async_mode):
    """The count of errors that were not kept is told once."""

    async def body(context_vars):
        manager = AprocManager()
        await _send_failed(manager, 101)
        with pytest.raises(ExceptionGroup) as first:
            await manager.cleanup()
        assert "and 1 more errors" in first.value.__notes__[0]
        await _send_failed(manager, 2)
        with pytest.raises(ExceptionGroup) as second:
            await manager.cleanup()
        assert len(second.value.exceptions) == 2
        assert not hasattr(second.value, "__notes__")

    async_mode.run(body)


def test_of_many_cancelled_aprocs_a_hundred_are_named(async_mode):
    """However many were cancelled, they come as one error; those not named are counted, once."""

    async def body(context_vars):
        manager = AprocManager()
        for count, last in ((103, "and 3 more"), (1, "cancelled aproc: ")):
            await _send_cancelled(manager, count)
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await manager.cleanup()
            notes = cancelled.value.__notes__
            assert len(notes) == min(count, 101)
            assert notes[-1].startswith(last)

    async_mode.run(body)


def test_send_raises_errors_and_leaves_cancellations_to_cleanup(async_mode, turns):
    """An error comes from the next send, as itself; that another was cancelled, later."""

    async def body(context_vars):
        manager = AprocManager()
        await _send_cancelled(manager, 1)
        await _send_failed(manager, 1)
        await turns()
        with pytest.raises(ValueError, match="0"):
            await manager.send(turns())
        with pytest.raises(asyncio.CancelledError):
            await manager.cleanup()

    async_mode.run(body)


def test_a_cancelled_aproc_is_told_with_the_body_s_error(async_mode):
    """Where the body's error is raised, its note has the aprocs that were cancelled as well."""

    async def failing():
        async with AprocManager() as manager:
            await _send_cancelled(manager, 1)
            raise ValueError("the body")

    async def body(context_vars):
        with pytest.raises(ValueError, match="the body") as error:
            await failing()
        (note,) = error.value.__notes__
        assert "An aproc has been cancelled" in note

    async_mode.run(body)
