"""Those who wait for a reply: a coroutine on its event loop, or a thread in synchronous mode."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Any, TypeAlias

from mt.aio.proc._protocol import Frame

if TYPE_CHECKING:
    from mt.aio.proc._driver import Driver

Outcome: TypeAlias = Frame | Callable[[], BaseException]
"""The reply, or what makes the error for who waits in vain."""


class ThreadWaiter:
    """Waits by blocking its thread, which watches the descriptors meanwhile."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._outcome: Outcome | None = None

    def settle(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._driver.poke()

    async def wait(self, timeout: float | None) -> Frame:
        """Return the reply, or raise; never suspends."""
        if not self._driver.wait(lambda: self._outcome is not None, timeout) and not self._outcome:
            raise Empty
        return _frame(self._outcome)


class LoopWaiter:
    """Waits as a future of the running event loop, which watches the descriptors."""

    def __init__(self, driver: Driver) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        driver.attach(loop)
        self._future: asyncio.Future[Outcome] = loop.create_future()

    def settle(self, outcome: Outcome) -> None:
        from asyncio import _get_running_loop

        loop = self._future.get_loop()
        if _get_running_loop() is loop:
            self._set(outcome)
            return
        try:
            loop.call_soon_threadsafe(self._set, outcome)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            return

    async def wait(self, timeout: float | None) -> Frame:
        """Return the reply, or raise."""
        timer = None
        if timeout is not None:
            timer = self._future.get_loop().call_later(max(timeout, 0), self._set, Empty)
        try:
            return _frame(await self._future)
        finally:
            if timer is not None:
                timer.cancel()

    def _set(self, outcome: Any) -> None:
        if not self._future.done():
            self._future.set_result(outcome)


Waiter: TypeAlias = ThreadWaiter | LoopWaiter


def _frame(outcome: Outcome | None) -> Frame:
    if isinstance(outcome, Frame):
        return outcome
    assert outcome is not None  # noqa: S101 - for mypy: whoever calls has seen to it
    raise outcome()
