"""Waiting and giving way."""

from __future__ import annotations

import time

from mt.aio.core._asyn import asyn
from mt.aio.core._mode import ContextVars, is_async


@asyn
async def sleep(secs: float, context_vars: ContextVars = {}) -> None:
    """Sleep for a number of seconds.

    **Modes.** Asynchronous: `asyncio.sleep`. Synchronous: `time.sleep`.

    Args:
        secs: seconds to sleep.
        context_vars: the mode, see the guide on asyn functions.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        ValueError: `secs` is negative or not a number, in either mode.

    **Cancellation.** Ends the sleep at once.
    """
    if not secs >= 0:
        raise ValueError(f"secs must be zero or more, not {secs!r}")
    if is_async(context_vars):
        import asyncio

        await asyncio.sleep(secs)
    else:
        time.sleep(secs)  # noqa: ASYNC251 - synchronous mode has no loop to block


@asyn
async def yield_control(*, context_vars: ContextVars = {}) -> None:
    """Let the event loop run whatever else is ready, for one turn.

    **Modes.** Asynchronous (also without `context_vars`): gives way as `asyncio.sleep(0)` does.
    Synchronous: returns at once, as there is no loop to give way to.

    Args:
        context_vars: the mode; left out or empty, the mode is asynchronous.
    """
    if not context_vars or is_async(context_vars):
        import asyncio

        await asyncio.sleep(0)
