"""What parent and child say to each other, and who may say what when. No I/O in here.

A frame has a kind, a number and segments: a pickle and the large buffers that travel beside it.
The parent numbers its messages; a reply bears the number of its message. That is all that keeps
a late reply from reaching the wrong caller: a number nobody waits for any more is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from struct import Struct
from struct import unpack_from as unpack
from typing import Generic, NamedTuple, TypeAlias, TypeVar

Buffer: TypeAlias = bytes | bytearray | memoryview

SETUP, MESSAGE = 0, 1  # from the parent
READY, FAILED, RETURNED, RAISED, IGNORED = 2, 3, 4, 5, 6  # from the child

LARGE = 1 << 16  # bytes; arbitrary: from here on a copy costs more than a segment of its own

_HEAD = Struct("<BQI")  # kind, number, count of segments; their lengths follow


class Frame(NamedTuple):
    """One unit of the conversation."""

    kind: int
    number: int
    segments: Sequence[Buffer]


def pack(frame: Frame) -> list[Buffer]:
    """Lay a frame out as the buffers to be written, one after the other."""
    lengths = b"".join(len(segment).to_bytes(8, "little") for segment in frame.segments)
    head = _HEAD.pack(frame.kind, frame.number, len(frame.segments)) + lengths
    if len(frame.segments) == 1 and len(frame.segments[0]) < LARGE:
        return [head + frame.segments[0]]
    return [head, *frame.segments]


class Parser:
    """Makes frames of what is read, in whatever pieces it comes.

    Small pieces go through `feed`. While a large segment is coming in, `wanted` is the place to
    read the next piece into, so that it is not copied once more; `filled` takes note of it.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._head: tuple[int, int, tuple[int, ...]] | None = None
        self._segments: list[Buffer] = []
        self._large: bytearray | None = None
        self._have = 0  # bytes of the large segment

    def feed(self, data: bytes) -> list[Frame]:
        """Take a piece; return the frames that it completes."""
        self._data += data
        return self._frames()

    def wanted(self) -> memoryview | None:
        """Return the rest of the large segment that is coming in, if one is."""
        if self._large is None:
            return None
        return memoryview(self._large)[self._have :]

    def filled(self, count: int) -> list[Frame]:
        """Take note of bytes that were read into `wanted`; return the completed frames."""
        self._have += count
        return self._frames()

    def _frames(self) -> list[Frame]:
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
        kind, number, lengths = self._head
        while len(self._segments) < len(lengths):
            segment = self._take_segment(lengths[len(self._segments)])
            if segment is None:
                return None
            self._segments.append(segment)
        frame = Frame(kind, number, self._segments)
        self._head, self._segments = None, []
        return frame

    def _take_head(self) -> tuple[int, int, tuple[int, ...]] | None:
        if len(self._data) < _HEAD.size:
            return None
        kind, number, count = _HEAD.unpack_from(self._data)
        end = _HEAD.size + 8 * count
        if len(self._data) < end:
            return None
        lengths = unpack(f"<{count}Q", self._data, _HEAD.size)
        del self._data[:end]
        return kind, number, lengths

    def _take_segment(self, length: int) -> Buffer | None:
        if length < LARGE:
            return self._take(length) if len(self._data) >= length else None
        if self._large is None:
            self._large, self._have = bytearray(length), 0
        part = self._take(min(length - self._have, len(self._data)))
        self._large[self._have : self._have + len(part)] = part
        self._have += len(part)
        if self._have < length:
            return None
        segment, self._large = self._large, None
        return segment

    def _take(self, count: int) -> bytes:
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken


class State(Enum):
    """Where the conversation stands, seen by the parent."""

    STARTING = auto()  # the child has not said yet that it is ready; messages may be under way
    READY = auto()
    CLOSING = auto()  # no more messages; replies that still come are nobody's
    ENDED = auto()  # the child is gone


class Event(Enum):
    """What can happen to the conversation."""

    SEND = "send"  # the parent sends a message
    READY = "ready"  # the child is ready
    REPLY = "reply"  # the child has returned or raised
    IGNORED = "ignored"  # the child tells of an exception that no message has caused
    FAILED = "failed"  # the child could not be set up; it will exit
    CLOSE = "close"  # the parent wants no more
    END = "end"  # the child is gone


TABLE: dict[tuple[State, Event], State] = {
    (State.STARTING, Event.SEND): State.STARTING,
    (State.STARTING, Event.READY): State.READY,
    (State.STARTING, Event.IGNORED): State.STARTING,
    (State.STARTING, Event.FAILED): State.CLOSING,
    (State.STARTING, Event.CLOSE): State.CLOSING,
    (State.STARTING, Event.END): State.ENDED,
    (State.READY, Event.SEND): State.READY,
    (State.READY, Event.REPLY): State.READY,
    (State.READY, Event.IGNORED): State.READY,
    (State.READY, Event.CLOSE): State.CLOSING,
    (State.READY, Event.END): State.ENDED,
    (State.CLOSING, Event.READY): State.CLOSING,
    (State.CLOSING, Event.REPLY): State.CLOSING,
    (State.CLOSING, Event.IGNORED): State.CLOSING,
    (State.CLOSING, Event.FAILED): State.CLOSING,
    (State.CLOSING, Event.CLOSE): State.CLOSING,
    (State.CLOSING, Event.END): State.ENDED,
    (State.ENDED, Event.CLOSE): State.ENDED,
    (State.ENDED, Event.END): State.ENDED,
}
"""The next state for each event; what is not listed must not happen."""

EVENT_OF_KIND = {
    READY: Event.READY,
    FAILED: Event.FAILED,
    RETURNED: Event.REPLY,
    RAISED: Event.REPLY,
    IGNORED: Event.IGNORED,
}


class ProtocolError(RuntimeError):
    """Something happened that the table does not allow."""


Waiter = TypeVar("Waiter")


class Conversation(Generic[Waiter]):
    """The parent's view of the conversation: its state, and who waits for which reply."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self._number = 0
        self._waiters: dict[int, Waiter] = {}

    def happens(self, event: Event) -> None:
        """Go to the next state."""
        try:
            self.state = TABLE[self.state, event]
        except KeyError:
            raise ProtocolError(f"{event.value!r} while {self.state.name.lower()}") from None

    def send(self, waiter: Waiter) -> int:
        """Number a message whose reply somebody waits for."""
        self.happens(Event.SEND)
        self._number += 1
        self._waiters[self._number] = waiter
        return self._number

    def forget(self, number: int) -> None:
        """Nobody waits for this reply any more: when it comes, it is dropped."""
        self._waiters.pop(number, None)

    def receive(self, frame: Frame) -> Waiter | None:
        """Take a frame from the child; return who waits for it, if it is a reply."""
        try:
            event = EVENT_OF_KIND[frame.kind]
        except KeyError:
            raise ProtocolError(f"a child does not send frames of kind {frame.kind}") from None
        self.happens(event)
        return self._waiters.pop(frame.number, None) if event is Event.REPLY else None

    def dismiss(self, event: Event) -> list[Waiter]:
        """End or close the conversation; return those who wait in vain."""
        self.happens(event)
        waiters = list(self._waiters.values())
        self._waiters.clear()
        return waiters
