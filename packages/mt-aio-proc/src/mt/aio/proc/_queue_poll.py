"""Queues that can only be asked, again and again: one timer an event loop asks them all.

So it is for `queue.SimpleQueue`, which is made in C and tells nobody of what is put into it, and
for objects of other makes. Where nothing comes for long, the looks get rarer: see `pause`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from mt.aio.proc._queue_line import LoopLine

PART = 50  # who has waited for a second waits a fiftieth of that longer at most; arbitrary
MOST = 20  # intervals that a pause is made longer to; arbitrary
LONGEST = 0.02  # seconds that a pause is made longer to; arbitrary


def pause(interval: float, waited: float) -> float:
    """Tell how long to wait for the next look: a waking event loop takes its time, too.

    Args:
        interval: what the caller wants.
        waited: seconds for which there has been nothing.
    """
    return max(interval, min(waited / PART, interval * MOST, LONGEST))


class PolledLine(LoopLine):
    """Those who wait for one side of one queue, on one event loop."""

    def __init__(self, poller: Poller, key: object, look: Callable[[], Any] | None) -> None:
        super().__init__(poller.lines, key)
        self._poller = poller
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self.interval = 0.0

    def pause(self) -> float:
        """How long to wait before looking here again."""
        return pause(self.interval, self._loop.time() - self._since)

    def begin(self) -> None:
        """Have the timer look here, too."""
        self._poller.begin(self.pause())

    def end(self) -> None:
        """Not any more."""
        self._poller.end()

    async def wait(
        self, attempt: Callable[[], Any], refused: type[Exception], deadline: float | None
    ) -> Any:
        """Do as every line, and let the next one try: there may be more where this came from."""
        result = await super().wait(attempt, refused, deadline)
        self._since = self._loop.time()
        self.wake()
        return result

    def tick(self) -> None:
        """Wake one, if the queue looks as though it were worth it."""
        if not self.idle:
            return
        try:
            hopeless = self._look is not None and self._look()
        except Exception:  # noqa: BLE001 - who is woken tries, and finds out what is wrong
            hopeless = False
        if not hopeless:
            self.wake()


class Poller:
    """The timer of one event loop, which is the running one whenever anything is done here."""

    def __init__(self) -> None:
        self.lines: dict[object, PolledLine] = {}
        self._wanted = 0  # by so many lines
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def line(self, q: Any, hopeless: str, interval: float) -> PolledLine:
        """Find or make the line for a queue and the method that tells when not to try."""
        key = id(q), hopeless  # who waits keeps the queue
        line = self.lines.get(key) or PolledLine(self, key, getattr(q, hopeless, None))
        line.interval = min(line.interval, interval) if line.idle else interval
        return line

    def begin(self, interval: float) -> None:
        """Look for one more line."""
        self._wanted += 1
        self._set(interval)

    def end(self) -> None:
        """Look for one line less."""
        self._wanted -= 1
        if not self._wanted and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, interval: float) -> None:
        """Make sure that the next look is as soon as that."""
        loop = asyncio.get_running_loop()
        due = loop.time() + interval
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_later(interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for line in list(self.lines.values()):
            line.tick()
        if self._wanted:
            self._set(min(line.pause() for line in self.lines.values() if line.idle))


def poller() -> Poller:
    """Give the timer of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _pollers.get(loop)
    if found is None:
        found = _pollers[loop] = Poller()
    return found


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, Poller] = WeakKeyDictionary()
