"""Shared memory for large buffers: written once, read in place, used again.

The writer of a message owns the regions its buffers travel in. A region is an unnamed file in
memory; its descriptor goes to the other side once, through a socket of its own. Who receives a
message maps the region and lends views of it to the message: they may be written to and are
nobody else's, for the writer does not touch the region until it has been released. That happens
when no view of it is left, with whatever is sent next. So there is no name to be cleaned up:
when both processes are gone, or have closed their descriptors, so is the memory.

A new region is filled by `pwrite`, which is cheaper than to fault a new mapping in page by page,
and which tells when there is no memory left; one that is used again, through a mapping that is
kept. Where there is no `memfd_create` (macOS, some builds of Python), a region is shared memory as
POSIX has it, which has a name for a moment. Some systems let that be mapped only.
"""

from __future__ import annotations

import mmap
import os
from errno import EMFILE, ENODEV, ENXIO, EOPNOTSUPP, ESPIPE
from sys import getrefcount

from mt.aio.proc._frames import LARGE, RELEASE, Frame, pack
from mt.aio.proc._passing import receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from mt.aio.proc._frames import Buffer

# All of these are arbitrary.
SMALLEST = 1 << 18  # bytes of a region; up to there a receiver copies and releases it at once
PIECE = 1 << 22  # bytes that are copied at a time: a millisecond or so, then others may run
_MOST = 32  # regions in use at once; more goes through the socket
_KEPT = 1 << 28  # bytes of regions that are kept for the next message

_ONLY_MAPPED = {ESPIPE, ENXIO, ENODEV, EOPNOTSUPP}  # what `pwrite` says of such memory; macOS: 1st


class Region:
    """Memory that this process has made, and what is known of it."""

    def __init__(self, number: int, descriptor: int, size: int) -> None:
        self.number = number
        self.size = size
        self.known = False  # to the other side
        self.filling = False
        self.closed = False
        self._descriptor = descriptor
        self._filled = 0
        self._mapping: mmap.mmap | None = None

    def fill(self, buffers: list[Buffer]) -> None:
        """Copy buffers into it, one after the other, as `offsets` says."""
        for offset, buffer in zip(offsets(buffers), buffers, strict=True):
            with memoryview(buffer).cast("B") as view:
                self._copy(offset, view)

    def give(self, aside: socket) -> None:
        """Send its descriptor to the other side, if it does not have it yet."""
        if not self.known:
            send(aside, self.number.to_bytes(8, "little"), [self._descriptor])
            self.known = True

    def close(self) -> None:
        """Let go of the memory, unless somebody is filling it: then he will do so."""
        self.closed = True
        if not self.filling and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._mapping = None

    def _copy(self, offset: int, view: memoryview) -> None:
        for begin in range(0, len(view), PIECE):
            piece = view[begin : begin + PIECE]
            start, end = offset + begin, offset + begin + len(piece)
            if end > self._filled and self._write(piece, start):
                self._filled = end
                continue
            if self._mapping is None:
                self._mapping = mmap.mmap(self._descriptor, self.size)
            self._mapping[start:end] = piece

    def _write(self, piece: memoryview, start: int) -> bool:
        """Fill a new part; False if this memory can only be mapped."""
        try:
            while piece:
                count = os.pwrite(self._descriptor, piece, start)
                piece, start = piece[count:], start + count
        except OSError as error:
            if error.errno not in _ONLY_MAPPED:
                raise
            self._filled = self.size
            return False
        return True


class Memory:
    """One side's dealings with shared memory: its own regions, and those it reads."""

    def __init__(self, aside: socket) -> None:
        self._aside = aside
        self._number = 0
        self._own: dict[int, Region] = {}
        self._free: list[Region] = []
        self._mapped: dict[int, mmap.mmap] = {}
        self._lent: set[int] = set()
        self._dropped: list[int] = []
        self._alone = _count({0: mmap.mmap(-1, 1)}, 0)
        self._able = True

    def take(self, buffers: list[Buffer]) -> Region | None:
        """Get a region for these buffers that the other side knows; None if there is none."""
        size = _total(buffers)
        fit = [region for region in self._free if region.size >= size]
        if fit:
            region = min(fit, key=lambda region: region.size)
            self._free.remove(region)
            return region
        if len(self._own) - len(self._free) >= _MOST or not self._able:
            return None
        made = self._make(size)
        if made is not None:
            try:
                made.give(self._aside)
            except OSError:  # too many descriptors are under way
                made.close()
                return None
            self._own[made.number] = made
        return made

    def release(self, number: int) -> None:
        """Take back a region of our own: no view of it is left."""
        region = self._own.get(number)
        if region is None:
            return
        self._free.append(region)
        while sum(region.size for region in self._free) > _KEPT and len(self._free) > 1:
            dropped = self._free.pop(0)
            self._dropped.append(dropped.number)
            del self._own[dropped.number]
            dropped.close()

    def place(self, frame: Frame) -> None:
        """Put views of shared memory where a frame has placeholders."""
        if frame.region is None:
            return
        number = frame.region
        mapping = self._mapped.get(number)
        if mapping is None:
            mapping = self._map(number)
        view = memoryview(mapping)
        segments = list(frame.segments)
        large = [segment for segment in segments if len(segment) >= LARGE]
        small = _total(large) <= SMALLEST
        places = iter(offsets(large))
        for position, segment in enumerate(segments):
            if len(segment) >= LARGE:
                begin = next(places)
                part = view[begin : begin + len(segment)]
                segments[position] = bytearray(part) if small else part
        frame.segments = segments
        self._lent.add(number)

    def returned(self) -> bytes:
        """Frames that release what is not used here any more, and tell what is no more."""
        if not self._lent and not self._dropped:
            return b""
        done = [number for number in self._lent if _count(self._mapped, number) <= self._alone]
        self._lent.difference_update(done)
        dropped, self._dropped = self._dropped, []
        return b"".join(
            [_note(number, gone=False) for number in done]
            + [_note(number, gone=True) for number in dropped]
        )

    def noted(self, frame: Frame) -> None:
        """Take a frame that `returned` has made on the other side."""
        if frame.segments:
            self._mapped.pop(frame.number, None)
            self._lent.discard(frame.number)
        else:
            self.release(frame.number)

    def close(self) -> None:
        """Let go of everything; views that are still lent stay valid."""
        for region in self._own.values():
            region.close()
        self._own.clear()
        self._free.clear()
        self._mapped.clear()
        self._lent.clear()

    def _make(self, size: int) -> Region | None:
        size = max(SMALLEST, 1 << (size - 1).bit_length())  # costs nothing until it is filled
        try:
            descriptor = _unnamed()
        except (ImportError, OSError):
            self._able = False
            return None
        try:
            os.truncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            return None
        self._number += 1
        return Region(self._number, descriptor, size)

    def _map(self, number: int) -> mmap.mmap:
        """Map a region that the other side has just told of."""
        while number not in self._mapped:
            data, descriptors = receive(self._aside, 8)
            if not descriptors:
                raise OSError(EMFILE, os.strerror(EMFILE))
            try:
                size = os.fstat(descriptors[0]).st_size  # `mmap` would find it for files alone
                mapping = mmap.mmap(descriptors[0], size)
            finally:
                os.close(descriptors[0])
            self._mapped[int.from_bytes(data, "little")] = mapping
        return self._mapped[number]


def offsets(buffers: list[Buffer]) -> list[int]:
    """Say where buffers lie in a region: one after the other, each on a page of its own."""
    places, end = [], 0
    for buffer in buffers:
        places.append(end)
        end += -(-len(buffer) // mmap.PAGESIZE) * mmap.PAGESIZE
    return places


def _total(buffers: list[Buffer]) -> int:
    return offsets(buffers)[-1] + len(buffers[-1])


def _count(mapped: dict[int, mmap.mmap], number: int) -> int:
    """Count the references to a mapping; each view of it, and what is made of views, has one."""
    return getrefcount(mapped[number])


def _note(number: int, *, gone: bool) -> bytes:
    return bytes(pack(Frame(RELEASE, number, (b"",) if gone else ()))[0])


def _unnamed() -> int:
    """Open a file that lives in memory and has no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mt-aio-proc")
    # What multiprocessing.shared_memory stands upon; that one would keep the name.
    from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found,unused-ignore]  # private

    name = f"/mt-aio-{os.urandom(8).hex()}"  # macOS allows 31 characters
    descriptor = shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    try:
        shm_unlink(name)  # at once: whoever is killed later leaves nothing
    except OSError:
        os.close(descriptor)
        raise
    return int(descriptor)
