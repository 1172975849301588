"""How threads wait for what comes from a child on a remote host: an event loop reads it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class FarWatch:
    """Lets threads wait for what the carrier's event loop does."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._carries: asyncio.AbstractEventLoop | None = None
        self.loop: asyncio.AbstractEventLoop | None = None  # the same, once it has begun

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do nothing: the carrier's loop reads."""

    def carried_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those who wait know which loop it will be, before they keep it from beginning."""
        with self._turn:
            self._carries = loop
            self._turn.notify_all()

    def wait(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something is done; False if it was not in time.

        Raises:
            RuntimeError: this thread runs the very loop that it would wait for.
        """
        running = asyncio._get_running_loop()  # noqa: SLF001 - documented
        with self._turn:
            if running is not None:
                if not self._turn.wait_for(lambda: self._carries is not None or done(), timeout):
                    return False
                if running is self._carries and not done():
                    raise RuntimeError(
                        "the event loop that carries the messages cannot be blocked for one"
                    )
            return self._turn.wait_for(done, timeout)

    def poke(self) -> None:
        """Have the waiting threads look."""
        with self._turn:
            self._turn.notify_all()
