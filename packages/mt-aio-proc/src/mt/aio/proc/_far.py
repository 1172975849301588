"""The caller's end of a line to a child elsewhere: see `_station` for the other end.

At most two calls are out at a time: one that waits for news, and one that brings more for the
child meanwhile. What is to be said while both are out goes with the next one, all together. Each
call has its own deadline, which a caller that was itself held up does not count against it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from mt.aio.proc._far_watch import FarWatch
from mt.aio.proc._frames import RAISED, RETURNED, Buffer, Frame
from mt.aio.proc._line import Ending, Line
from mt.aio.proc._station import FRAME, HANG_UP, KILL, WRITE, Packet, Told

if TYPE_CHECKING:
    from mt.aio.proc._host import Launch
    from mt.aio.proc._remote import Carrier, RemoteHost

T = TypeVar("T")

_REPLIES = (RETURNED, RAISED)

# All of these are arbitrary.
ROOM = 1 << 18  # bytes of an answer whose size has not been told before
SLOWEST = 4 << 20  # bytes a second that a network is expected to move at the least
IDLE = 0.05  # seconds without a message before one asks for what nobody waits for
_OUT = 2  # calls under way at once
_SLICE = 0.25  # seconds, or an eighth of the deadline: a loop that stands still loses no more of it


class _GoneError(Exception):
    """Its text says why no answer will come."""


class _LateError(Exception):
    """Nothing has come in time."""


class FarOutlet:
    """What is to go with the next call; under the link's lock."""

    def __init__(self, nudge: Callable[[], None]) -> None:
        self._packets: deque[Packet] = deque()
        self._nudge = nudge
        self.expected: set[int] = set()  # the messages whose replies are to come

    def __bool__(self) -> bool:
        return bool(self._packets)

    def post(self, number: int, data: bytes) -> None:
        self._put((number, -1, [data]))

    def share(self, kind: int, number: int, segments: list[Buffer]) -> Callable[[], None] | None:
        self._put((number, kind, segments))
        return None

    def withdraw(self, number: int) -> bool:
        kept = [packet for packet in self._packets if packet[0] != number]
        withdrawn = len(kept) < len(self._packets)
        self._packets = deque(kept)
        if withdrawn:
            self.expected.discard(number)
        return withdrawn

    def clear(self) -> None:
        self._packets.clear()

    def _put(self, packet: Packet) -> None:
        if packet[0] > 0:
            self.expected.add(packet[0])
        self._packets.append(packet)
        self._nudge()

    def take(self) -> list[Packet]:
        """Take what is to be said: a large message goes alone."""
        taken: list[Packet] = []
        size = 0
        while self._packets and (not taken or size + weight([self._packets[0]]) <= ROOM):
            taken.append(self._packets.popleft())
            size += weight(taken[-1:])
        return taken


class FarLine(Line):
    """One child on a remote host."""

    def __init__(self, launch: Launch, host: RemoteHost, carrier: Carrier) -> None:
        self.owner = os.getpid()
        self.driver: FarWatch = FarWatch()
        self.outbox: FarOutlet = FarOutlet(self._nudge)
        self.patience = host.wait + host.grace + 1
        self._launch = launch
        self._lock = launch.lock
        self._wait, self._grace, self._timeout = host.wait, host.grace, host.timeout
        self._carrier = carrier
        self._tasks: set[asyncio.Task[None]] = set()
        self._out = 0
        self._seq = 0
        self._have = 0
        self._room = ROOM
        self._bulky = False  # a call is out that nothing may overtake
        self._order = ""
        self._pid = -1
        self._nudged = False
        self._closing = False
        self._idle: asyncio.TimerHandle | None = None
        self._exitcode: int | None = None

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def label(self) -> str:
        return super().label if self._pid > 0 else "a child that has not started"

    def look(self) -> int | None:
        return self._exitcode

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the child; called in the carrier's loop."""
        self.driver.loop = loop
        if not self.ended:
            self._task(self._start())

    def hang_up(self) -> None:
        self._closing = True
        self.outbox.clear()
        self._order = self._order or HANG_UP
        self._nudge()

    def kill(self, why: str = "") -> None:
        if os.getpid() == self.owner and not self.ended:
            with self._lock:
                self._closing = True
                self._order = KILL + why
                self._nudge()

    def give_up(self) -> None:
        self.end(Ending(None, reason=", as far as can be told: nothing answers"))

    def disown(self) -> None:
        self._lock = threading.RLock()
        self.driver = FarWatch()
        self.ended = True

    def end(self, ending: Ending) -> None:
        """Nothing more comes."""
        with self._lock:
            if self.ended:
                return
            self.ended = True
            self._exitcode = ending.exitcode
            try:
                self._launch.listener.over(ending)
            finally:
                self.outbox.clear()
                self.driver.poke()
                self._in_loop(self._leave)

    def _nudge(self) -> None:
        """Have the loop look what is to be done, soon: then more may have come."""
        if not self._nudged and self.driver.loop is not None:
            self._nudged = True
            self._in_loop(self._step)
        elif self.driver.loop is None and self._order:  # it has not even begun
            self.end(Ending(None))

    def _in_loop(self, func: Callable[[], None]) -> None:
        loop = self.driver.loop
        if loop is None:
            return
        try:
            if asyncio._get_running_loop() is loop:  # noqa: SLF001 - documented
                loop.call_soon(func)
            else:
                loop.call_soon_threadsafe(func)
        except RuntimeError:  # the loop is closed
            self.end(Ending(None, lost="the event loop that carried its messages is closed"))

    def _step(self) -> None:
        """Make the next call, if there is something to say, or nobody waits for news."""
        with self._lock:
            self._nudged = False
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            if self.ended or self._bulky:
                return
            if self._pid < 0:
                if self._order:
                    self.end(Ending(None))
                return
            if self._out and not ((self.outbox or self._order) and self._out < _OUT):
                return
            packets, order, self._order = self.outbox.take(), self._order, ""
            size = weight(packets) + (self._room if self._room > ROOM else 0)
            self._bulky = size > ROOM
            self._out += 1
            self._seq += 1
            wait = 0.0 if self._bulky else self._wait
            asked = (self._seq, self._have, wait, self._room, order, packets)
            self._task(self._call(asked, wait + self._grace + size / SLOWEST))
            self._room = ROOM

    def _task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(coroutine), name="mt-aio-proc-far")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Whatever goes wrong, the host is lost: for good, whatever becomes of it."""
        try:
            await coroutine
        except _GoneError as exc:
            self.end(Ending(None, lost=str(exc)))
        except asyncio.CancelledError:
            self.end(Ending(None, lost="the event loop that carried its messages has ended"))
            raise
        except BaseException as exc:
            started = "" if self._pid > 0 else "it could not be started: "
            name, text = type(exc).__name__, str(exc)
            self.end(Ending(None, lost=f"{started}{name}: {text}", cause=exc))
            if not isinstance(exc, Exception):
                raise

    async def _start(self) -> None:
        """Have the child started."""
        launch, seconds = self._launch, self._timeout
        starting = self._carrier.start(launch.setup, launch.forward)
        try:
            self._pid, where = await self._within(starting, seconds)
        except _LateError:
            reason = f"it could not be started within {seconds:g} s{self._carrier.why_not()}"
            raise _GoneError(reason) from None
        self.where = f" on {where}"
        self._step()

    async def _call(self, asked: tuple[Any, ...], patience: float) -> None:
        try:
            told = await self._within(self._carrier.exchange(*asked), patience)
        except _LateError:
            raise _GoneError(f"it has not answered for {patience:.3g} s") from None
        self._out -= 1
        if asked[2] == 0:
            self._bulky = False
        try:
            self._hear(told)
        finally:
            if self.outbox.expected or self._room > ROOM or self._closing:
                self._step()
            else:  # the next message probably comes before that, and asks for news by itself
                self._idle = asyncio.get_running_loop().call_later(IDLE, self._step)

    def _hear(self, told: Told) -> None:
        """Pass on what is new of an answer."""
        first, events, withheld = told
        with self._lock:
            for event in events[max(self._have - first, 0) :]:
                if self.ended:
                    return
                self._have += 1
                kind, *what = event
                if kind == FRAME:
                    if what[0] in _REPLIES:
                        self.outbox.expected.discard(what[1])
                    self._launch.listener.receive(Frame(*what))
                elif kind == WRITE:
                    self._launch.listener.printed(*what)
                else:
                    self.end(Ending(*what))
            if withheld:
                self._room = withheld

    async def _within(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """Wait for something, but not for ever; while the loop stands still, time does too.

        Raises:
            _LateError: it has not come.
            _GoneError: it will not come.
        """
        task = asyncio.ensure_future(coroutine)
        piece = min(_SLICE, seconds / 8)
        try:
            while seconds > 0:
                if gone := self._carrier.gone():
                    raise _GoneError(gone)
                done, _ = await asyncio.wait({task}, timeout=min(seconds, piece))
                if done:
                    return task.result()
                seconds -= piece
        finally:
            if not task.done():
                task.cancel()
                task.add_done_callback(_seen)
        raise _LateError

    def _leave(self) -> None:
        """Let go of what has been under way."""
        if self._idle is not None:
            self._idle.cancel()
        for task in self._tasks:
            task.cancel()
        self._carrier.drop()


def weight(packets: Any) -> int:
    """How many bytes packets take on their way."""
    return sum(len(segment) for _, _, segments in packets for segment in segments)


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of what became of a task that nobody waits for, so that asyncio does not."""
    if not task.cancelled():
        task.exception()
