"""The end of a manager's work: waiting for what is left, and cutting it off."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from mt.aio.manager._desk import Desk, wake

if TYPE_CHECKING:
    from mt.aio.manager._aproc import Aproc

GRACE = 5.0  # seconds for a cancelled aproc to end; arbitrary, long for a `finally` block


class Closing(Desk):
    """What the manager does when it is cleaned up."""

    async def _drain(self, seconds: float | None) -> None:
        """Wait until all is done or the time is over."""
        if not self._busy():
            return
        from asyncio import timeout

        loop = self._bind(self._running_loop())
        if self._inside():
            raise RuntimeError("an aproc cannot clean up its own manager: it would await itself")
        with suppress(TimeoutError):
            async with timeout(seconds):
                while self._busy():
                    cleaner = loop.create_future()
                    self._cleaners.add(cleaner)
                    self._wanted = True
                    try:
                        await cleaner
                    finally:
                        self._cleaners.discard(cleaner)

    async def _cut_off(self) -> list[Aproc]:
        """Cancel all aprocs, and return those that did not end by themselves nevertheless."""
        import asyncio

        futures = list(self._running)
        cut = [*self._known(), *self._held]
        self._drop_held()
        for future, aproc in zip(futures, cut, strict=False):  # those held come after
            aproc.state = "still running"
            self._cut[future] = aproc
            future.cancel()
        try:
            if futures:
                await asyncio.wait(futures, timeout=GRACE)
        except asyncio.CancelledError:
            for aproc in cut:  # nobody gets the report now
                if aproc.state in {"cancelled", "not started"}:
                    self._ledger.handle_cancelled(aproc)
                aproc.state = ""
            raise
        return [aproc for aproc in cut if aproc.state]

    def _drop_held(self) -> None:
        from asyncio import iscoroutine

        while self._held:
            aproc = self._held.popleft()
            aproc.state = "not started"
            if iscoroutine(aproc.awaitable):
                aproc.awaitable.close()  # or else Python warns that it was never awaited
            self._ledger.settle_cancelled(aproc)
            wake(aproc.waiter)
