"""A thread that looks at quiet queues, for all event loops and all who wait there.

An event loop that wakes up, looks and goes to sleep again takes some four times as long as a thread
that does the same. So, where nothing has come for a while, the thread looks, and the loop sleeps
until there is something. Each look comes after a sleep, when no cache holds anything of this any
more: it does as little as can be, and sees to who still waits only now and then.
"""

from __future__ import annotations

import math
import os
import threading
from queue import SimpleQueue
from time import sleep
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.aio.proc._queue_poll import PolledLine

LOOKS = 8  # between two times of seeing to who still waits; arbitrary


class Lookout:
    """The thread, which runs while there is something to look at."""

    def __init__(self) -> None:
        self._new: SimpleQueue[PolledLine] = SimpleQueue()
        self._lock = threading.Lock()  # of who starts the thread, and of the thread that ends
        self._runs = False
        self._pid = os.getpid()

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose thread is another process's."""
        return os.getpid() == self._pid

    def offer(self, line: PolledLine) -> None:
        """Look at a line, after the thread's present sleep, for as long as it is offered."""
        self._new.put(line)
        with self._lock:
            if not self._runs:
                name = "mt-aio-queue-lookout"
                try:
                    threading.Thread(target=self._run, name=name, daemon=True).start()
                except RuntimeError:  # too many of them, or the interpreter is about to exit
                    return
                self._runs = True

    def _run(self) -> None:
        lines: list[ref[PolledLine]] = []  # no task and no event loop is kept from here
        while self._wanted(lines):
            lines, looks, rest = _see_to(lines)
            self._look(looks, rest)

    def _wanted(self, lines: list[ref[PolledLine]]) -> bool:
        """Take what is offered; tell whether there is anything to look at."""
        with self._lock:
            while not self._new.empty():
                line = self._new.get()
                line.taken = line.offered
                if not line.known:
                    line.known = True
                    lines.append(ref(line))
            self._runs = bool(lines)
            return self._runs

    def _look(self, looks: list[Callable[[], bool]], rest: float) -> None:
        """Look until there may be something, or something is offered, or it is time for more."""
        for _ in range(LOOKS if looks else 0):
            sleep(rest)
            for look in looks:
                if not look():
                    return
            if not self._new.empty():
                return


def lookout() -> Lookout:
    """Give the lookout of this process."""
    global _lookout  # noqa: PLW0603 - there is one for the process
    if not _lookout.belongs_here():
        _lookout = Lookout()
    return _lookout


def _see_to(
    lines: list[ref[PolledLine]],
) -> tuple[list[ref[PolledLine]], list[Callable[[], bool]], float]:
    """Drop the lines at which nobody waits, or is about to try.

    Returns:
        The others, how to look at them, and how many seconds to sleep before each look.
    """
    quiet, looks, rest = [], [], math.inf
    for reference in lines:
        line = reference()
        if line is None:
            continue
        if line.stays_quiet():
            quiet.append(reference)
            looks.append(line.look)
            rest = min(rest, line.pause())
        else:
            line.known = False
    return quiet, looks, rest


_lookout = Lookout()
