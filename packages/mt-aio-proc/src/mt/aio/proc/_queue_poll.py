"""Queues that can only be asked, again and again: one timer an event loop asks them all.

So it is for `queue.SimpleQueue`, which is made in C and tells nobody of what is put into it, and
for objects of other makes. Where nothing comes for long, the looks get rarer: see `pause`. And a
`queue.SimpleQueue`, at which any thread may look, is looked at by the lookout then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from weakref import WeakValueDictionary

from mt.aio.proc._queue_line import LoopLine
from mt.aio.proc._queue_lookout import Request, lookout

PART = 25  # who has waited for a second waits a twenty-fifth of that longer at most; arbitrary
MOST = 30  # intervals that a pause is made longer to; arbitrary
LONGEST = 0.03  # seconds that a pause is made longer to; arbitrary
LEAST = 0.001  # seconds: a thread that sleeps less takes more than its loop; arbitrary


def pause(interval: float, waited: float) -> float:
    """Tell how long to wait for the next look: a waking event loop takes its time, too.

    Args:
        interval: what the caller wants.
        waited: seconds for which there has been nothing.
    """
    return max(interval, min(waited / PART, interval * MOST, LONGEST))


class PolledLine(LoopLine):
    """Those who wait for one side of one queue, on one event loop."""

    def __init__(self, poller: Poller, key: object, q: Any, hopeless: str) -> None:
        super().__init__(poller.lines, key)
        self._poller = poller
        self.look: Callable[[], Any] = getattr(q, hopeless, lambda: False)
        self._simple = type(q) is SimpleQueue  # any thread may look
        self._since = time.monotonic()
        self.interval = 0.0
        self.request: Request | None = None  # what the lookout has been asked for

    def pause(self) -> float:
        """How long to wait before looking here again."""
        return pause(self.interval, time.monotonic() - self._since)

    def begin(self) -> None:
        """Have the timer look here, too."""
        self._poller.begin([self])

    def end(self) -> None:
        """Not any more."""
        self._poller.end(self)

    async def wait(
        self, attempt: Callable[[], Any], refused: type[Exception], deadline: float | None
    ) -> Any:
        """Do as every line, and let the next one try: there may be more where this came from."""
        result = await super().wait(attempt, refused, deadline)
        self._since = time.monotonic()
        self.wake()
        return result

    def tick(self) -> None:
        """Wake one, if the queue looks as though it were worth it."""
        try:
            hopeless = self.look()
        except Exception:  # noqa: BLE001 - who is woken tries, and finds out what is wrong
            hopeless = False
        if not hopeless:
            self.wake()

    def looked_after(self, pause: float) -> bool:
        """Tell whether the lookout looks here; ask it if the pauses are long enough for that."""
        quiet = pause > max(self.interval, LEAST) or pause == LONGEST
        if quiet and self._simple and self.request is None:
            self.request = Request(self)
            lookout().ask(self.request)
        return self.request is not None and self.request.taken

    def stays_quiet(self, request: Request) -> bool:
        """Tell, in the lookout's thread, whether to look on; call the loop if need be."""
        if self.request is not request or self._poller.loop.is_closed():
            return False
        if self.look():
            return True
        with suppress(Exception):  # it has just been closed; and others are waiting, too
            self._poller.loop.call_soon_threadsafe(self._found, request)
        return False

    def _found(self, request: Request) -> None:
        """Go on with the timer, after the lookout has found something."""
        if self.request is request:
            self.request = None
            self._poller.tick([self])


class Poller:
    """The timer of one event loop, which is the running one whenever anything is done here.

    It lives as long as somebody waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.lines: dict[object, PolledLine] = {}
        self._asked: dict[PolledLine, None] = {}  # those that the timer is for
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def line(self, q: Any, hopeless: str, interval: float) -> PolledLine:
        """Find or make the line for a queue and the method that tells when not to try."""
        key = id(q), hopeless  # who waits keeps the queue
        line = self.lines.get(key) or PolledLine(self, key, q, hopeless)
        line.interval = min(line.interval, interval) if line.idle else interval
        return line

    def begin(self, lines: Iterable[PolledLine]) -> None:
        """Look at more lines."""
        rest = None
        for line in lines:
            pause = line.pause()
            if not line.looked_after(pause):
                self._asked[line] = None
                rest = pause if rest is None else min(rest, pause)
        if rest is not None:
            self._set(rest)

    def end(self, line: PolledLine) -> None:
        """Look at one line less."""
        line.request = None
        self._asked.pop(line, None)
        if not self._asked and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick(self, lines: Collection[PolledLine]) -> None:
        """Look at lines, and go on with those in which somebody is still waiting."""
        for line in lines:
            line.tick()
        self.begin(line for line in lines if line.idle)

    def _set(self, interval: float) -> None:
        """Make sure that the next look is as soon as that."""
        due = self.loop.time() + interval
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self.loop.call_later(interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        lines, self._asked = self._asked, {}
        self.tick(lines)


def poller() -> Poller:
    """Give the timer of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _pollers.get(id(loop))
    if found is None:
        found = _pollers[id(loop)] = Poller(loop)
    return found


_pollers: WeakValueDictionary[int, Poller] = WeakValueDictionary()
