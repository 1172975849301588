"""One end of a pipe that several event loops of this process wait for."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from typing import Any

from mt.aio.proc._queue_line import LoopLine, Waiter
from mt.aio.proc._queue_watch import watch

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
        for loop, line in list(self.lines.items()):
            try:
                loop.call_soon_threadsafe(line.wake)
            except RuntimeError:  # the loop is closed
                self.lines.pop(loop, None)


class PipeLine(LoopLine):
    """Those of one event loop."""

    def __init__(self, end: PipeEnd) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(end.lines, self._loop)
        self._end = end
        self._stop: Callable[[], None] | None = None

    def begin(self) -> None:
        """Watch the pipe, unless that has to wait."""
        if self._stop is None:
            self._stop = watch(self._end.fileno(), self._end.writing, self.wake)

    def end(self) -> None:
        """Watch it no more."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def enter(self, waiter: Waiter, front: bool) -> None:
        """Do as every line; but if a ready pipe could not be used, look again a little later."""
        if front and not self.idle and ready(self._end.fileno(), self._end.writing):
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
