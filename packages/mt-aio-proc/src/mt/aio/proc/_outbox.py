"""What is on its way to a child: in order, as much at a time as the socket takes.

A message with large buffers goes through shared memory, if that can be. Copying it there takes
its time, so another thread does it where there is an event loop; what is sent later waits for it.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from mt.aio.proc._frames import LARGE, Buffer, Frame, pack

if TYPE_CHECKING:
    from mt.aio.proc._memory import Memory, Region

MOST_BUFFERS = 64  # in one write; arbitrary, far below what systems allow
ELSEWHERE = 1 << 20  # bytes from which on copying is left to another thread; arbitrary
FLAGS = getattr(socket, "MSG_NOSIGNAL", 0)  # a child that is gone is an error, never a SIGPIPE


class Outgoing:
    """A frame on its way out, as far as it has not been written yet."""

    def __init__(self, number: int, buffers: list[Buffer], region: Region | None = None) -> None:
        self.number = number
        self.buffers = [memoryview(buffer).cast("B") for buffer in buffers]
        self.begun = False
        self.region = region  # as long as it is being filled
        self.holds = region  # what is to be released if it is never sent
        self.withdrawn = False

    def written(self, count: int) -> bool:
        """Take note of bytes that were written; True when it is all done."""
        self.begun = True
        while self.buffers and count >= len(self.buffers[0]):
            count -= len(self.buffers.pop(0))
        if self.buffers:
            self.buffers[0] = self.buffers[0][count:]
        return not self.buffers


class Outbox:
    """The frames that have not been written yet; everything happens under the link's lock."""

    def __init__(
        self,
        channel: socket.socket,
        aside: socket.socket,
        lock: AbstractContextManager[object],
        watch_writing: Callable[[bool], None],
    ) -> None:
        self._channel = channel
        self._aside = aside
        self._lock = lock
        self._watch_writing = watch_writing
        self._memory: Memory | None = None
        self._frames: deque[Outgoing] = deque()

    @property
    def memory(self) -> Memory:
        """This side's shared memory."""
        if self._memory is None:
            from mt.aio.proc._memory import Memory

            self._memory = Memory(self._aside)
        return self._memory

    def post(self, number: int, data: bytes) -> None:
        """Write a small frame: at once, if nothing is before it and there is room."""
        count = 0
        if self._memory is not None and (returned := self._memory.returned()):
            self.put(Outgoing(-1, [returned]))
        if not self._frames:
            try:
                count = self._channel.send(data, FLAGS)
            except BlockingIOError:
                self._watch_writing(True)
            except OSError:  # the child is gone, or going: reading will tell
                return
            if count == len(data):
                return
        outgoing = Outgoing(number, [data])
        if count:
            outgoing.written(count)
        self.put(outgoing)

    def put(self, outgoing: Outgoing) -> None:
        """Write a frame, or keep what does not fit for later."""
        self._frames.append(outgoing)
        if len(self._frames) == 1:
            self.write()

    def write(self) -> None:
        """Write as much as fits."""
        while self._frames and self._frames[0].region is None:
            first = self._frames[0]
            try:
                count = self._channel.sendmsg(first.buffers[:MOST_BUFFERS], (), FLAGS)
            except BlockingIOError:
                self._watch_writing(True)
                return
            except OSError:  # the child is gone, or going: reading will tell
                self.clear()
                break
            if first.written(count):
                self._frames.popleft()
        self._watch_writing(False)

    def withdraw(self, number: int) -> bool:
        """Do not send a frame, if nothing of it has been sent yet; True if that is so."""
        for outgoing in self._frames:
            if outgoing.number == number and not outgoing.begun:
                outgoing.withdrawn = True
                self._frames.remove(outgoing)
                if outgoing.holds is not None and outgoing.region is None:
                    self.memory.release(outgoing.holds.number)
                self.write()  # what may have waited for it
                return True
        return False

    def close(self) -> None:
        """Forget everything, and let go of shared memory."""
        self.clear()
        if self._memory is not None:
            self._memory.close()

    def clear(self) -> None:
        """Forget everything."""
        for outgoing in self._frames:
            outgoing.withdrawn = True
        self._frames.clear()

    def share(self, kind: int, number: int, segments: list[Buffer]) -> Callable[[], None] | None:
        """Send a frame with large segments; return what has to be called, without the lock.

        That copies them to where the child finds them, and has the frame sent.
        """
        large = [segment for segment in segments if len(segment) >= LARGE]
        region = self.memory.take(large) if large else None
        frame = Frame(kind, number, segments, None if region is None else region.number)
        outgoing = Outgoing(number, pack(frame), region)
        if returned := self.memory.returned():
            self.put(Outgoing(-1, [returned]))
        self.put(outgoing)
        if region is None:
            return None
        region.filling = True
        return lambda: self._fill(region, large, outgoing, Frame(kind, number, segments))

    def _fill(
        self, region: Region, large: list[Buffer], outgoing: Outgoing, instead: Frame
    ) -> None:
        """Copy large segments to a region, then send the frame that needs it."""
        failed = False
        try:
            region.fill(large)
        except Exception:  # noqa: BLE001 - no memory, or a limit: the socket has to do
            failed = True
        except BaseException:  # a Ctrl-C: it must not be sent as it is
            with self._lock:
                self.withdraw(outgoing.number)
            raise
        finally:
            self._filled(region, outgoing, instead if failed else None)

    def _filled(self, region: Region, outgoing: Outgoing, instead: Frame | None) -> None:
        """Let go of a region, if it is of no use any more, and send the frame."""
        with self._lock:
            outgoing.region = None
            region.filling = False
            if region.closed:
                region.close()
            elif outgoing.withdrawn or instead is not None:
                self.memory.release(region.number)
            if instead is not None:
                outgoing.holds = None
                outgoing.buffers = [memoryview(buffer).cast("B") for buffer in pack(instead)]
            if not outgoing.withdrawn:
                self.write()
