"""Waiting for a place in a full `multiprocessing` queue, whose free places a semaphore counts.

A semaphore cannot be watched. So, while somebody waits, a thread takes a place as soon as there is
one, gives it back, and wakes the first in line. It is one thread for any number of waiters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from mt.aio.proc._queue_kept import kept
from mt.aio.proc._queue_line import Line

SLICE = 0.25  # seconds after which the thread looks whether anybody waits; arbitrary
LINGER = 1.0  # seconds for which it stays when nobody does; arbitrary
TURN = 0.05  # seconds for who was woken to try, before the next is woken; arbitrary


class SlotLine(Line):
    """Those who wait for a free place."""

    def __init__(self, semaphore: Any) -> None:
        self._wanted = threading.Condition()
        super().__init__(self._wanted)
        self._semaphore = semaphore
        self._tried = threading.Event()
        self._runs = False
        self._pid = os.getpid()

    def belongs_here(self) -> bool:
        """Whether this is not a forked copy, whose thread is another process's."""
        return os.getpid() == self._pid

    def begin(self) -> None:
        """Have the thread watch the semaphore."""
        if not self._runs:
            self._runs = True
            threading.Thread(target=self._run, name="mt-aio-queue-slots", daemon=True).start()
        self._wanted.notify()

    async def wait(
        self, attempt: Callable[[], Any], refused: type[Exception], deadline: float | None
    ) -> Any:
        """Do as every line, and let the thread know of each attempt."""

        def told() -> Any:
            try:
                return attempt()
            finally:
                self._tried.set()

        return await super().wait(told, refused, deadline)

    def _run(self) -> None:
        while True:
            with self._wanted:
                if not self._wanted.wait_for(lambda: self.idle, LINGER):
                    self._runs = False
                    return
            if self._semaphore.acquire(True, SLICE):
                self._semaphore.release()
                self._tried.clear()
                with self._wanted:
                    self.wake()
                self._tried.wait(TURN)


def slot_line_of(q: Any) -> SlotLine | None:
    """Find or make the line of a queue, which keeps it; None if it has no such semaphore."""
    semaphore = vars(q).get("_sem")
    if semaphore is None:
        return None
    return kept(q, "_mt_aio_slots", lambda _: SlotLine(semaphore))
