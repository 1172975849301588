"""What travels between parent and child: frames, as bytes. No I/O in here, and few imports.

A frame has a kind, a number and segments: a pickle and the large buffers that travel beside it.
Large segments may lie in shared memory; the frame then names the region, and they are not in the
stream. The child imports this module, so that it does without `typing`, `enum` and their like.
"""

from __future__ import annotations

from struct import Struct
from struct import unpack_from as unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, TypeAlias

Buffer: TypeAlias = "bytes | bytearray | memoryview"

# From the parent; the first two are requests, the other two go with a stream.
SETUP, MESSAGE, STREAM, MORE, STOP = 0, 1, 7, 8, 9
# From the child.
READY, FAILED, RETURNED, RAISED, IGNORED, PART, TOLD = 2, 3, 4, 5, 6, 10, 11
# From either: the region of shared memory with this number is not used any more.
RELEASE = 12

LARGE = 1 << 16  # bytes; arbitrary: from here on a copy costs more than a segment of its own
SOME = 1 << 13  # bytes to read at a time where nothing large comes; arbitrary: many messages
_SHARED = 0x80  # set in the kind: the large segments are in shared memory

_HEAD = Struct("<BQI")  # kind, number, count of segments; their lengths follow
_SIMPLE = Struct("<BQIQ")  # the same for one segment, with its length
_REGION = Struct("<Q")  # the number of the region, after the lengths


class Frame:
    """One unit of the conversation."""

    __slots__ = ("kind", "number", "region", "segments")

    def __init__(
        self,
        kind: int,
        number: int,
        segments: Sequence[Buffer],
        region: int | None = None,
    ) -> None:
        self.kind: int = kind
        self.number: int = number
        self.segments: Sequence[Buffer] = segments
        self.region: int | None = region


class Missing:
    """In the place of segments that cannot be had: whoever wants to load them gets the error.

    Segments are only ever iterated over by those who load them, so this stands for a list.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> NoReturn:
        raise self._error


def pack(frame: Frame) -> list[Buffer]:
    """Lay a frame out as the buffers to be written, one after the other."""
    segments, region = frame.segments, frame.region
    if len(segments) == 1 and len(segments[0]) < LARGE and region is None:
        return [pack_small(frame.kind, frame.number, segments[0])]
    kind = frame.kind if region is None else frame.kind | _SHARED
    lengths = b"".join(len(segment).to_bytes(8, "little") for segment in segments)
    head = _HEAD.pack(kind, frame.number, len(segments)) + lengths
    if region is None:
        return [head, *segments]
    return [head + _REGION.pack(region), *(seg for seg in segments if len(seg) < LARGE)]


def pack_small(kind: int, number: int, segment: Buffer) -> bytes:
    """Lay out a frame of one segment that is not large: the usual one."""
    return _SIMPLE.pack(kind, number, 1, len(segment)) + segment


class Parser:
    """Makes frames of what is read, in whatever pieces it comes.

    Small pieces go through `feed`. While a large segment is coming in, `wanted` is the place to
    read the next piece into, so that it is not copied once more; `filled` takes note of it.

    A segment that lies in shared memory comes out as a placeholder, a `range` of its length.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._head: tuple[int, int, tuple[int, ...], int | None] | None = None
        self._segments: list[Buffer] = []
        self._large: memoryview | None = None
        self._have = 0  # bytes of the large segment

    def feed(self, data: bytes) -> list[Frame]:
        """Take a piece; return the frames that it completes."""
        frames: list[Frame] = []
        if self._head is None and not self._data:
            data = _take_simple(data, frames)
            if not data:
                return frames
        self._data += data
        return self._complete(frames)

    def wanted(self) -> memoryview | None:
        """Return the rest of the large segment that is coming in, if one is."""
        if self._large is None:
            return None
        return self._large[self._have :]

    def filled(self, count: int) -> list[Frame]:
        """Take note of bytes that were read into `wanted`; return the completed frames."""
        self._have += count
        return self._complete([])

    def _complete(self, frames: list[Frame]) -> list[Frame]:
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
        kind, number, lengths, region = self._head
        while len(self._segments) < len(lengths):
            segment = self._take_segment(lengths[len(self._segments)], region)
            if segment is None:
                return None
            self._segments.append(segment)
        frame = Frame(kind, number, self._segments, region)
        self._head, self._segments = None, []
        return frame

    def _take_head(self) -> tuple[int, int, tuple[int, ...], int | None] | None:
        if len(self._data) < _HEAD.size:
            return None
        kind, number, count = _HEAD.unpack_from(self._data)
        end = _HEAD.size + 8 * count
        shared = kind & _SHARED
        if len(self._data) < end + (_REGION.size if shared else 0):
            return None
        lengths = unpack(f"<{count}Q", self._data, _HEAD.size)
        region = None
        if shared:
            (region,) = _REGION.unpack_from(self._data, end)
            end += _REGION.size
        del self._data[:end]
        return kind & ~_SHARED, number, lengths, region

    def _take_segment(self, length: int, region: int | None) -> Buffer | None:
        if length < LARGE:
            return self._take(length) if len(self._data) >= length else None
        if region is not None:
            return range(length)  # type: ignore[return-value] # a placeholder: see `place`
        if self._large is None:
            self._large, self._have = _space(length), 0
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


def _take_simple(data: bytes, frames: list[Frame]) -> bytes:
    """Take the frames of one small segment from the beginning; return what is left."""
    position, end, head = 0, len(data), _SIMPLE.size
    while end - position >= head:
        kind, number, count, length = _SIMPLE.unpack_from(data, position)
        after = position + head + length
        if count != 1 or kind & _SHARED or length >= LARGE or after > end:
            break
        frames.append(Frame(kind, number, (data[position + head : after],)))
        position = after
    return data[position:] if position else data


def _space(length: int) -> memoryview:
    """Make room for a large segment that may be written to, without filling it with zeros."""
    import mmap

    return memoryview(mmap.mmap(-1, length, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
