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


class Request:
    """A line's wish to be looked at; it holds as long as it is the line's own.

    Attributes:
        taken: whether the thread looks there; it says so itself.
    """

    __slots__ = ("line", "taken")

    def __init__(self, line: PolledLine) -> None:
        self.line = ref(line)  # no task and no event loop is kept from here
        self.taken = False


class Lookout:
    """The thread, which runs while there is something to look at."""

    def __init__(self) -> None:
        self._new: SimpleQueue[Request] = SimpleQueue()
        self._lock = threading.Lock()  # of who starts the thread, and of the thread that ends
        self._runs = False
        self._pid = os.getpid()

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose thread is another process's."""
        return os.getpid() == self._pid

    def ask(self, request: Request) -> None:
        """Have the thread look at a line, after its present sleep, as long as that is wanted."""
        self._new.put(request)
        with self._lock:
            if not self._runs:
                name = "mt-aio-queue-lookout"
                try:
                    threading.Thread(target=self._run, name=name, daemon=True).start()
                except RuntimeError:  # too many of them, or the interpreter is about to exit
                    return
                self._runs = True

    def _run(self) -> None:
        requests: list[Request] = []
        while self._wanted(requests):
            requests, looks, rest = _see_to(requests)
            self._look(looks, rest)

    def _wanted(self, requests: list[Request]) -> bool:
        """Take the new requests; tell whether there is anything to look at."""
        with self._lock:
            while not self._new.empty():
                request = self._new.get()
                request.taken = True
                requests.append(request)
            self._runs = bool(requests)
            return self._runs

    def _look(self, looks: list[Callable[[], bool]], rest: float) -> None:
        """Look until there may be something, or somebody asks, or it is time for more."""
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
    requests: list[Request],
) -> tuple[list[Request], list[Callable[[], bool]], float]:
    """Drop the requests that nobody has any more, and those where there is something to try for.

    Returns:
        The others, how to look at their lines, and how many seconds to sleep before each look.
    """
    quiet, looks, rest = [], [], math.inf
    for request in requests:
        line = request.line()
        if line is not None and line.stays_quiet(request):
            quiet.append(request)
            looks.append(line.look)
            rest = min(rest, line.pause())
    return quiet, looks, rest


_lookout = Lookout()
