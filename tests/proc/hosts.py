"""Remote hosts that are not far, for the tests of processes on such hosts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mt.aio.proc._exit import links
from mt.aio.proc.lowlevel import RemoteHost, Station


class _Nearby(RemoteHost):
    """A remote host whose far end is a thread of this process, and which can go wrong."""

    def __init__(self, loop, **options):
        super().__init__(**{"timeout": 10, "wait": 0.2, "grace": 0.3} | options)
        self._loop = loop
        self.carriers = []

    def carrier(self):
        self.carriers.append(_NearCarrier())
        return self.carriers[-1]

    def loop(self):
        return self._loop


class _NearCarrier:
    """Calls a station, unless told to do something else instead."""

    def __init__(self):
        self.station = None
        self.lost = ""
        self.calls = []
        self.dropped = 0
        self.instead = None

    async def start(self, setup, forward):
        self.station = Station()
        return await self.station.start(setup, forward), "nowhere"

    async def exchange(self, *asked):
        self.calls.append(asked)
        if self.instead is not None:
            return await self.instead(*asked)
        return await self.station.exchange(*asked)

    def gone(self):
        return self.lost

    def why_not(self):
        return ": no reason"

    def drop(self):
        self.dropped += 1
        if self.station is not None:
            self.station.abandon()


@pytest.fixture
def near_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    gone = [link for link in links.values() if isinstance(link, Station)]
    deadline = time.monotonic() + 5
    while not all(station.ended for station in gone) and time.monotonic() < deadline:
        time.sleep(0.01)  # for the killed children: the loop lets go of them
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def nearby(near_loop) -> Callable[..., _Nearby]:
    """Make remote hosts that are not far."""
    return lambda **options: _Nearby(near_loop, **options)
