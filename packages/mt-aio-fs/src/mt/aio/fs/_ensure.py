"""Cleaning up, whatever cancels it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.aio.core.lowlevel import offload

if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.aio.core.lowlevel import ContextVars


async def offload_surely(func: Callable[[], object], *, context_vars: ContextVars) -> None:
    """Offload a function that must run, and wait until it has.

    `offload` withdraws a job that no thread has taken when its caller is cancelled. Here it is
    issued again, and the cancellation raised when it is done.
    """
    begun: list[bool] = []

    def job() -> None:
        begun.append(True)
        func()

    interruption: BaseException | None = None
    while not begun:
        try:
            await offload(job, context_vars=context_vars)
        except BaseException as exc:
            from asyncio import CancelledError

            if begun or not isinstance(exc, CancelledError):
                raise
            interruption = exc
    if interruption is not None:
        raise interruption
