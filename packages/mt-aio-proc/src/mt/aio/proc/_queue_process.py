"""Queues of the module `multiprocessing`: a pipe, a lock at each end, a count of free places.

Their methods may block although they are asked not to: once a single byte is in the pipe, `get`
reads until the item is complete, however long its writer takes. So items are read here, as far as
they have come; if one is not complete, a thread waits for the rest. An item whose reading has begun
cannot be left in the pipe. It is kept for the next `get` on this queue in this process, be it
awaited or a plain one, if whoever waited for it has gone.

All this needs attributes that are private to `multiprocessing`, and its way of writing items. Where
they are not as expected (`getter_of`), the queue is used through its public methods in a thread.
"""

# ruff: noqa: SLF001 - there is no public way, see above
from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import threading
from collections import deque
from functools import cache
from multiprocessing import Pipe, queues
from multiprocessing.reduction import ForkingPickler
from pickle import loads
from queue import Empty, Full
from typing import Any

from mt.aio.proc._queue_kept import kept
from mt.aio.proc._queue_kind import GETTER
from mt.aio.proc._queue_pipe import PipeEnd, ready

HEADER = struct.Struct("!i")
LONG_HEADER = struct.Struct("!Q")  # follows a header that says -1
CHUNK = 1 << 20  # bytes read at once, arbitrary
GLANCES = (
    20  # at an item of which the header has come, for what its writer is just adding; arbitrary
)
PLAIN = frozenset({bool, bytes, float, int, str, type(None)})  # can be pickled, and do not change


class Getter(PipeEnd):
    """The reading end of a queue, as all event loops and threads of this process use it.

    An item travels from the pipe to `_kept` only if it was not complete when it was looked at. Then
    `_reading` is set and the queue's own lock is held, by nobody but the thread in `_finish`.
    """

    def __init__(self, q: Any) -> None:
        super().__init__(q._reader, writing=False)
        self._reader = q._reader
        self._writer = q._writer
        self._rlock = q._rlock
        self._sem = getattr(q, "_sem", None)
        self._kept: deque[tuple[Any, BaseException | None]] = deque()
        self._keeping = threading.Lock()
        self._reading = False

    def get(self, q: Any) -> Any:
        """Take an item, unless there is none that is complete; never blocks."""
        if self._kept:
            return self._take(q)
        if getattr(q, "_closed", False):
            return q.get(False)  # raises as it likes
        if self._reading or not self._rlock.acquire(False):
            raise Empty
        try:
            begun, data = self._read_what_is_there()
        except BaseException:
            self._rlock.release()
            raise
        if data is None:
            self._start(q, begun)
            raise Empty
        self._release()
        return loads(data)  # noqa: S301 - as every get of such a queue does

    def _read_what_is_there(self) -> tuple[bytes, bytes | None]:
        """Read an item's header and, if all of it is there, the item."""
        fd = self._reader.fileno()
        available = _available(fd)
        if not available:
            if self._writer.closed and ready(fd, writing=False):
                raise EOFError
            raise Empty
        if available < HEADER.size:
            return b"", None
        header = os.read(fd, HEADER.size)
        (size,) = HEADER.unpack(header)
        if size < 0:
            return header, None
        for _ in range(GLANCES):
            if available - HEADER.size >= size:
                return header, _read(fd, size)
            available = HEADER.size + _available(fd)
        return header, None

    def _start(self, q: Any, begun: bytes) -> None:
        """Have the rest of an item read in a thread."""
        self._reading = True
        thread = threading.Thread(
            target=self._finish, args=(q, begun), name="mt-aio-queue-reader", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # there can be no more threads
            self._finish(q, begun)

    def _finish(self, q: Any, begun: bytes) -> None:
        """Read the rest of an item, keep the item, and wake those who wait."""
        item = error = None
        try:
            try:
                fd = self._reader.fileno()
                header = begun + _read(fd, HEADER.size - len(begun))
                (size,) = HEADER.unpack(header)
                if size < 0:
                    (size,) = LONG_HEADER.unpack(_read(fd, LONG_HEADER.size))
                data = _read(fd, size)
            finally:
                self._release()
            item = loads(data)  # noqa: S301 - as every get of such a queue does
        except Exception as exc:  # noqa: BLE001 - it belongs to who gets the item
            error = exc
        with self._keeping:
            self._kept.append((item, error))
            self._reading = False
            vars(q)["get"] = lambda *args, **kwargs: self._plain_get(q, *args, **kwargs)
        self.wake_all()

    def _take(self, q: Any) -> Any:
        """Hand out what is kept."""
        with self._keeping:
            try:
                item, error = self._kept.popleft()
            except IndexError:
                raise Empty from None
            finally:
                if not self._kept:
                    vars(q).pop("get", None)
        if error is not None:
            raise error
        return item

    def _plain_get(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Stand in for the queue's own `get` while something is kept."""
        if self.belongs_here():
            try:
                return self._take(q)
            except Empty:
                pass
        else:
            vars(q).pop("get", None)
        return type(q).get(q, *args, **kwargs)

    def _release(self) -> None:
        """Leave the pipe to others, one item shorter."""
        if self._sem is not None:
            self._sem.release()
        self._rlock.release()


class Putter(PipeEnd):
    """The writing end of a `multiprocessing.SimpleQueue`, which has no thread of its own.

    A short item fits into a pipe that says it is ready. A long one is in the queue once its writing
    has begun: a thread completes it, for which the interpreter waits before it exits.
    """

    def __init__(self, q: Any) -> None:
        super().__init__(q._writer, writing=True)
        self._writer = q._writer
        self._wlock = q._wlock
        self._writing = False

    def put(self, data: bytes) -> None:
        """Write an item, unless the pipe is full or somebody else writes; never blocks."""
        if self._writing or not self._wlock.acquire(False):
            raise Full
        try:
            if not ready(self._writer.fileno(), writing=True):
                raise Full
            if HEADER.size + len(data) <= select.PIPE_BUF:
                self._writer.send_bytes(data)
            else:
                self._writing = True
        finally:
            if not self._writing:
                self._wlock.release()
        if self._writing:
            threading.Thread(target=self._finish, args=(data,), name="mt-aio-queue-writer").start()

    def _finish(self, data: bytes) -> None:
        try:
            self._writer.send_bytes(data)
        finally:
            self._writing = False
            self._wlock.release()
            self.wake_all()


class Pickled:
    """An object that has been pickled already, and arrives as what it was."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        """Be unpickled by the module `pickle` alone, wherever that is."""
        return loads, (self._data,)


def pickled(obj: object) -> bytes:
    """Pickle as the queues do."""
    return bytes(ForkingPickler.dumps(obj))


def prepared(q: Any, obj: Any) -> Any:
    """Pickle now what the queue's thread would pickle later, where nobody sees that it cannot.

    A queue whose `put` is not the usual one is given the object itself.
    """
    if type(q).put not in (queues.Queue.put, queues.JoinableQueue.put):
        return obj
    if type(obj) in PLAIN or (type(obj) is tuple and PLAIN.issuperset(map(type, obj))):
        return obj
    return Pickled(pickled(obj))


def getter_of(q: Any) -> Getter | None:
    """Find or make the getter of a queue, which keeps it; None if the queue is not as expected."""
    found: Getter | None = vars(q).get(GETTER)
    if found is not None and found.belongs_here():
        return found
    if (
        type(q).get not in (queues.Queue.get, queues.SimpleQueue.get)
        or not all(hasattr(q, name) for name in _EXPECTED)
        or not _written_as_expected()
    ):
        return None
    return kept(q, GETTER, _make_getter)


def _make_getter(q: Any) -> Getter:
    vars(q).pop("get", None)  # of a process of which this is a fork
    return Getter(q)


def putter_of(q: Any) -> Putter:
    """Find or make the putter of a simple queue, which keeps it."""
    return kept(q, "_mt_aio_putter", Putter)


@cache
def _written_as_expected() -> bool:
    """Whether this version of `multiprocessing` writes items as it always has."""
    reader, writer = Pipe(duplex=False)
    with reader, writer:
        writer.send_bytes(b"item")
        return os.read(reader.fileno(), CHUNK) == HEADER.pack(4) + b"item"


def _available(fd: int) -> int:
    """How many bytes can be read without waiting."""
    (count,) = _INT.unpack(fcntl.ioctl(fd, termios.FIONREAD, _ZERO))
    return int(count)


def _read(fd: int, size: int) -> bytes:
    """Read exactly so many bytes."""
    data = os.read(fd, min(size, CHUNK)) if size else b""
    if len(data) == size:
        return data
    whole = bytearray()
    while data:
        whole += data
        if len(whole) == size:
            return bytes(whole)
        data = os.read(fd, min(size - len(whole), CHUNK))
    raise EOFError("the queue ended in the middle of an item")


_EXPECTED = ("_reader", "_writer", "_rlock")
_INT = struct.Struct("i")
_ZERO = bytes(_INT.size)
