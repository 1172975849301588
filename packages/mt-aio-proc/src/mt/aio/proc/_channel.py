"""The child's end of the channel: whole frames in, whole frames out; both block."""

from __future__ import annotations

import os
import select
from _thread import RLock
from time import monotonic

from mt.aio.proc import _frames as frames
from mt.aio.proc._frames import LARGE, SOME, Frame, Missing, Parser, pack, pack_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.aio.proc._frames import Buffer
    from mt.aio.proc._memory import Memory, Region

LOOK = 0.001  # seconds after which it looks again whether the parent has hung up; arbitrary


class Channel:
    """The descriptors to the parent, read and written in whole frames; both block."""

    def __init__(self, descriptor: int, aside: int) -> None:
        self.descriptor = descriptor
        self._aside = aside
        self._memory: Memory | None = None
        self._parser = Parser()
        self._poll = select.poll()
        self._hang_up = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere it is read as the end
        self._poll.register(descriptor, self._hang_up)
        self._looked = 0.0
        self._turn = RLock()  # log records come from any thread
        self._due: list[tuple[int, int, list[Buffer]]] = []
        self._writing = False

    def hung_up(self) -> bool:
        """Tell whether the parent has ended the conversation: so far as was known lately.

        What it had sent before that and is not handled yet is not wanted any more.
        """
        now = monotonic()
        if now - self._looked < LOOK:
            return False
        self._looked = now
        return any(event & self._hang_up for _, event in self._poll.poll(0))

    def read(self) -> list[Frame] | None:
        """Read once; return the frames that are complete now, None at the parent's end."""
        wanted = self._parser.wanted()
        if wanted is not None:
            count = os.readv(self.descriptor, [wanted])
            return self._placed(self._parser.filled(count)) if count else None
        data = os.read(self.descriptor, SOME)
        return self._placed(self._parser.feed(data)) if data else None

    def write(self, kind: int, number: int, segments: list[Buffer]) -> None:
        """Write a frame, all of it; large segments through shared memory, if that can be.

        A signal handler or a destructor may come in between, and have something to write, too:
        its frame is written when this one has been.
        """
        with self._turn:
            self._due.append((kind, number, segments))
            if self._writing:
                return
            self._writing = True
            try:
                while self._due:
                    self._write_frame(*self._due.pop(0))
            finally:
                self._writing = False

    def close(self) -> None:
        """Hang up. Who still writes must not write to whatever gets the same descriptor."""
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)

    def _write_frame(self, kind: int, number: int, segments: list[Buffer]) -> None:
        returned = b"" if self._memory is None else self._memory.returned()
        if len(segments) == 1 and len(segments[0]) < LARGE:
            self._write(returned + pack_small(kind, number, segments[0]))
            return
        if returned:
            self._write(returned)
        region = self._share(segments)
        frame = Frame(kind, number, segments, None if region is None else region.number)
        for buffer in pack(frame):
            self._write(buffer)

    def _write(self, buffer: Buffer) -> None:
        count = os.write(self.descriptor, buffer)
        if count < len(buffer):
            rest = memoryview(buffer)[count:]
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]

    def _share(self, segments: list[Buffer]) -> Region | None:
        large = [segment for segment in segments if len(segment) >= LARGE]
        if not large:
            return None
        memory = self._shared()
        region = memory.take(large)
        if region is not None:
            try:
                region.fill(large)
            except OSError:  # no memory, or a limit: the socket has to do
                memory.release(region.number)
                return None
        return region

    def _shared(self) -> Memory:
        if self._memory is None:
            from _socket import socket

            from mt.aio.proc._memory import Memory

            self._memory = Memory(socket(fileno=self._aside))
        return self._memory

    def _placed(self, read: list[Frame]) -> list[Frame]:
        """Put in what is in shared memory, and take out what only concerns that."""
        if any(frame.region is not None or frame.kind == frames.RELEASE for frame in read):
            with self._turn:
                return self._sorted_out(read)
        return read

    def _sorted_out(self, read: list[Frame]) -> list[Frame]:
        for frame in read:
            if frame.region is not None:
                try:
                    self._shared().place(frame)
                except Exception as error:  # noqa: BLE001 - the sender is told, as it is unpickled
                    frame.segments = Missing(error)  # type: ignore[assignment]  # see there
            elif frame.kind == frames.RELEASE:
                self._shared().noted(frame)
        return [frame for frame in read if frame.kind != frames.RELEASE]
