"""The far end: keeps a child for a caller elsewhere, who asks again and again what it says.

What crosses over is plain tuples of numbers, texts and bytes, whose large buffers the carrier may
move as it likes; nothing is unpickled on the way. The caller numbers its calls; one that has come
already is not obeyed a second time, and what the child says is numbered as well and is kept until
a later call says that it has arrived. So no message is handled twice, whatever the carrier does.

A call waits for news for a while, unless there is some already. A newer one takes its place: then
it answers with nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mt.aio.core.lowlevel import offload, submit
from mt.aio.proc import _protocol as protocol
from mt.aio.proc._exit import links
from mt.aio.proc._frames import Missing
from mt.aio.proc._outbox import ELSEWHERE
from mt.aio.proc._start import launch

if TYPE_CHECKING:
    from mt.aio.proc._frames import Buffer, Frame
    from mt.aio.proc._line import Ending
    from mt.aio.proc._relay import Relay

Packet = tuple[int, int, list["Buffer"]]
"""What is for the child: a message's number, the kind of its frame, its segments; a frame that is
packed already has the kind -1."""

Told = tuple[int, list[tuple[Any, ...]], int]
"""The number of the first event, the events, and the size of the next one if it did not fit."""

HANG_UP, KILL = "hang up", "kill"  # what a call may want besides
WRITE, FRAME, OVER = "write", "frame", "over"  # the kinds of events


TURN = 10.0  # seconds that a call waits for the one before it, which it overtook; arbitrary


class OutOfTurnError(RuntimeError):
    """A call came whose predecessor did not."""


class Station:
    """One child, kept for a caller elsewhere. All methods belong to one event loop."""

    def __init__(self) -> None:
        self.owner: int = os.getpid()
        self._lock = threading.RLock()
        self._events: list[tuple[Any, ...]] = []
        self._first = 0  # the number of the first one that is kept
        self._seq = 0  # the latest call that was obeyed
        self._news: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._relay: Relay | None = None

    @property
    def ended(self) -> bool:
        """Whether there is no child, or none any more."""
        return self._relay is None or self._relay.ended

    async def start(self, setup: list[Buffer], forward: tuple[str, ...]) -> int:
        """Start the child; return its process id."""
        relay = self._relay = launch(setup, forward, self._lock, self)
        links[id(self)] = self
        relay.driver.attach(self._loop)
        return await offload(lambda: relay.pid, context_vars={"async": True})

    async def exchange(  # noqa: PLR0917 - it is called from afar, by position
        self, seq: int, have: int, wait: float, room: int, order: str, packets: list[Packet]
    ) -> Told:
        """Do what a call wants, once; tell what is new, as soon as there is something.

        Args:
            seq: the number of the call. A repeated one only asks for news.
            have: how many events have arrived.
            wait: seconds to wait for the next one.
            room: bytes that the answer may have.
            order: what else to do; mostly nothing.
            packets: what is for the child.

        Raises:
            OutOfTurnError: the call before this one has not come in some seconds.
        """
        deadline = self._loop.time() + TURN
        while seq > self._seq + 1:
            if not await self._wait(deadline):
                raise OutOfTurnError(f"call {seq} came, but {self._seq + 1} did not")
        if seq == self._seq + 1:
            self._seq = seq
            self._wake()
            self._obey(order, packets)
        del packets
        deadline = self._loop.time() + wait
        with self._lock:
            del self._events[: max(have - self._first, 0)]
            self._first = max(have, self._first)
        while self._first + len(self._events) <= have and seq == self._seq:
            if not await self._wait(deadline):
                break
        return self._told(have, room) if seq == self._seq else (have, [], 0)

    def abandon(self) -> None:
        """Kill the child, as nobody asks any more."""
        if self._relay is not None:
            self._relay.kill("since nobody asks for it any more")

    def begin_close(self) -> None:
        """Tell the child that no more will come."""
        with self._lock:
            if self._relay is not None and not self._relay.ended:
                self._relay.hang_up()

    def finish(self, timeout: float) -> None:
        """Wait for the child to end, then kill it; blocks."""
        if self._relay is not None:
            self._relay.finish(timeout)

    def disown(self) -> None:
        """In a fork of this process: let go of everything."""
        if self._relay is not None:
            self._relay.disown()

    def receive(self, frame: Frame) -> None:
        """Keep what the child says; called by the relay."""
        if frame.kind != protocol.RELEASE:
            missing = isinstance(frame.segments, Missing)
            segments = [] if missing else list(frame.segments)
            self._keep((FRAME, frame.kind, frame.number, segments))

    def printed(self, stream: str, text: str) -> None:
        """Keep what the child has printed; called by the relay."""
        self._keep((WRITE, stream, text))

    def over(self, ending: Ending) -> None:
        """Keep how the child ended; called by the relay."""
        event = OVER, ending.exitcode, ending.output, ending.reason
        self._keep((*event, ending.lost, ending.cause, ending.unborn) if ending.unborn else event)

    def _obey(self, order: str, packets: list[Packet]) -> None:
        relay = self._relay
        if relay is None or relay.ended:
            return
        for number, kind, segments in packets:
            with self._lock:
                if kind < 0:
                    relay.outbox.post(number, bytes(segments[0]))
                    continue
                fill = relay.outbox.share(kind, number, segments)
            if fill is not None and sum(map(len, segments)) < ELSEWHERE:
                fill()
            elif fill is not None:
                submit(fill)
        if order == HANG_UP:
            self.begin_close()
        elif order:
            relay.kill(order.removeprefix(KILL))

    def _keep(self, event: tuple[Any, ...]) -> None:
        self._events.append(event)
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - documented
            self._wake()
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for future in self._news:
            if not future.done():
                future.set_result(None)

    async def _wait(self, deadline: float) -> bool:
        """Wait until something has happened; False if it is too late for that."""
        if self._loop.time() >= deadline:
            return False
        future = self._loop.create_future()
        self._news.add(future)
        timer = self._loop.call_at(deadline, self._wake)
        try:
            await future
        finally:
            timer.cancel()
            self._news.discard(future)
        return True

    def _told(self, have: int, room: int) -> Told:
        """Give the events from a number on, as many as there is room for."""
        with self._lock:
            events = self._events[max(have - self._first, 0) :]
        given: list[tuple[Any, ...]] = []
        for event in events:
            size = _size(event)
            if size > room:
                return self._first, given, size
            room -= size
            given.append(event)
        return self._first, given, 0


def _size(event: tuple[Any, ...]) -> int:
    """About how many bytes an event takes on its way."""
    if event[0] == FRAME:
        return sum(map(len, event[3]))
    return len(event[2]) if event[0] == WRITE else 0
