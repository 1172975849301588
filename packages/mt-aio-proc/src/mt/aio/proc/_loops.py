"""Those who wait for a reply on an event loop, which watches the descriptors meanwhile."""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop  # documented, and quicker than to ask and to catch
from collections import deque
from queue import Empty
from typing import TYPE_CHECKING, Any

from mt.aio.proc._frames import Frame
from mt.aio.proc._waiter import Outcome, next_frame

if TYPE_CHECKING:
    from mt.aio.proc._line import Watch


class LoopWaiter:
    """Waits as a future of the running event loop, which watches the descriptors."""

    __slots__ = ("_future", "_loop")

    def __init__(self, driver: Watch) -> None:
        loop = self._loop = asyncio.get_running_loop()
        driver.attach(loop)
        self._future: asyncio.Future[Outcome] = loop.create_future()

    def settle(self, outcome: Outcome) -> None:
        if _get_running_loop() is self._loop:
            if not self._future.done():
                self._future.set_result(outcome)
            return
        try:
            self._loop.call_soon_threadsafe(self._set, outcome)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            return

    async def wait(self, timeout: float | None) -> Frame:
        """Return the reply, or raise."""
        if timeout is None:
            outcome = await self._future
        else:
            timer = self._loop.call_later(max(timeout, 0), self._set, Empty)
            try:
                outcome = await self._future
            finally:
                timer.cancel()
        if type(outcome) is Frame:
            return outcome
        raise outcome()  # type: ignore[operator] # mypy does not narrow by `is`

    def _set(self, outcome: Any) -> None:
        if not self._future.done():
            self._future.set_result(outcome)


class LoopListener:
    """Waits for one part of a reply after the other, as a LoopWaiter does for a reply."""

    def __init__(self, driver: Watch) -> None:
        self._driver = driver
        self._outcomes: deque[Outcome] = deque()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        driver.attach(self._loop)

    def settle(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if _get_running_loop() is self._loop:
            self._wake()
            return
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            return

    async def wait(self, timeout: float | None) -> Frame:
        """Return the next part, or the end, or raise."""
        loop = self._loop
        deadline = None if timeout is None else loop.time() + max(timeout, 0)
        while not self._outcomes:  # a wake may be late: for what has been taken already
            self._waiter = loop.create_future()
            timer = None if deadline is None else loop.call_at(deadline, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            if not self._outcomes and deadline is not None and loop.time() >= deadline:
                raise Empty
        return next_frame(self._outcomes)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
