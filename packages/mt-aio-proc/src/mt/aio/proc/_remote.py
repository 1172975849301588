"""Hosts elsewhere: what an engine that carries calls to another machine has to do."""

from __future__ import annotations

import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from mt.aio.proc._host import Host, Launch

if TYPE_CHECKING:
    import asyncio

    from mt.aio.proc._frames import Buffer
    from mt.aio.proc._line import Line
    from mt.aio.proc._station import Told


class Carrier(Protocol):
    """What carries the calls for one child to a `Station`; used in one event loop."""

    async def start(self, setup: list[Buffer], forward: tuple[str, ...]) -> tuple[int, str]:
        """Have `Station.start` called somewhere; return what it returns, and where that is."""

    async def exchange(self, *asked: Any) -> Told:
        """Have `Station.exchange` called there. It must never be called twice for one call."""

    def gone(self) -> str:
        """Why no answer will come, if that is known by now; else nothing."""

    def why_not(self) -> str:
        """What to add to the error when `start` has taken too long; may be empty."""

    def drop(self) -> None:
        """Let go of the station, which is to end its child; never waits."""


class RemoteHost(Host):
    """A host whose children live elsewhere, reached through calls that an engine carries.

    Args:
        timeout: seconds for a child to be started.
        wait: seconds for which a call waits for news at the far end.
        grace: seconds that an answer may take beyond that, before the host is given up for lost.
    """

    def __init__(self, *, timeout: float = 60.0, wait: float = 2.0, grace: float = 3.0) -> None:
        if min(timeout, wait, grace) <= 0:
            raise ValueError("timeout, wait and grace are seconds, more than 0")
        self.timeout = timeout
        self.wait = wait
        self.grace = grace

    @abstractmethod
    def carrier(self) -> Carrier:
        """Make what carries the calls for one child."""

    @abstractmethod
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that the carriers belong to; called in a thread, may block."""

    def launch(self, launch: Launch) -> Line:
        """Begin to launch a child, in a thread of its own: to get there may take a while."""
        from mt.aio.proc._far import FarLine
        from mt.aio.proc._line import Ending

        line = FarLine(launch, self, self.carrier())

        def begin() -> None:
            try:
                loop = self.loop()
                line.driver.carried_by(loop)
                loop.call_soon_threadsafe(line.begin, loop)
            except Exception as exc:  # noqa: BLE001 - whatever it is, those who wait are told
                line.end(Ending(None, lost=f"it cannot be reached: {exc}", cause=exc))

        threading.Thread(target=begin, name="mt-aio-proc-begin", daemon=True).start()
        return line
