"""One end of a pipe that several event loops of this process wait for."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from typing import Any

from mt.aio.proc._queue_line import LoopLine, Waiter
from mt.aio.proc._queue_watch import watch

TURNS = 2  # of the loop: who is woken in one has his turn in the next, after what was due before
PAUSE = 0.001  # seconds before the next look at a ready pipe that somebody else has locked


class PipeEnd:
    """A line for each event loop whose coroutines wait for the same end of a pipe."""

    def __init__(self, connection: Any, *, writing: bool) -> None:
        self._connection = connection
        self.writing = writing
        self.lines: dict[asyncio.AbstractEventLoop, PipeLine] = {}
        self._pid = os.getpid()

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose waiters are another process's."""
        return os.getpid() == self._pid

    def line(self) -> PipeLine:
        """Find or make the line of the running event loop."""
        return self.lines.get(asyncio.get_running_loop()) or PipeLine(self)

    def fileno(self) -> int:
        """Give the descriptor, as long as it is open."""
        descriptor: int = self._connection.fileno()
        return descriptor

    def wake_all(self) -> None:
        """Wake the first of each line, from any thread."""
        for loop, line in self.lines.copy().items():  # at once: other threads add theirs
            try:
                loop.call_soon_threadsafe(line.wake)
            except RuntimeError:  # the loop is closed
                self.lines.pop(loop, None)


class PipeLine(LoopLine):
    """Those of one event loop.

    To watch takes as long as to get several items. So when the last in line is woken, the pipe is
    watched on for the turn of the loop in which he takes his item and comes back for another.
    """

    def __init__(self, end: PipeEnd) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(end.lines, self._loop)
        self._end = end
        self._stop: Callable[[], None] | None = None
        self._waking = False
        self._lingers = False
        self._turns = 0  # left to linger for

    def begin(self) -> None:
        """Watch the pipe, unless it is watched, or that has to wait."""
        if self._stop is None:
            self._stop = watch(self._end.fileno(), self._end.writing, self._is_ready)

    def end(self) -> None:
        """Watch it no more, now or soon."""
        if not self._waking:
            self._stop_watching()
            return
        self._turns = TURNS
        if not self._lingers:
            self._lingers = True
            self._loop.call_soon(self._linger)

    def wake(self) -> None:
        """Wake the first in line; if there is none, there is no need to watch."""
        if not self.idle:
            self._stop_watching()
            return
        self._waking = True
        try:
            super().wake()
        finally:
            self._waking = False

    def _is_ready(self) -> None:
        """Wake the next, unless what the loop has seen is what the last one has just taken."""
        if not self._lingers or ready(self._end.fileno(), self._end.writing):
            self.wake()

    def retire(self) -> None:
        """Be registered as long as the pipe is watched."""
        if not self._lingers:
            super().retire()

    def _linger(self) -> None:
        """Look, in each turn of the loop, whether somebody has come; end it if nobody does."""
        self._turns -= 1
        if not self.idle and self._turns:
            self._loop.call_soon(self._linger)
            return
        self._lingers = False
        if not self.idle:
            self._stop_watching()
        self.retire()

    def _stop_watching(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None

    def enter(self, waiter: Waiter, front: bool) -> None:
        """Do as every line; but if a ready pipe could not be used, look again a little later."""
        if front and not self.idle and ready(self._end.fileno(), self._end.writing):
            self._stop_watching()
            self._stop = self._loop.call_later(PAUSE, self._watch_again).cancel
        super().enter(waiter, front)

    def _watch_again(self) -> None:
        self._stop = None
        self.begin()


def ready(fd: int, writing: bool) -> bool:
    """Tell whether a descriptor is ready now."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(0))
