"""Reading and writing what is no regular file: a device or a FIFO.

Opening a FIFO blocks until somebody has the other end, reading blocks while it is empty and writing
while it is full. A worker thread stuck there could not be cancelled, and a few dozens of them would
be all there are; so each is tried without blocking, with a look at the cancellation in between.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs._atomic import PLAIN_FLAGS, Target, write_all

# How often a blocked job looks for its cancellation, in seconds. Arbitrary.
_INTERVAL = 0.02

# A reader asks for so much at a time: the capacity of a Linux pipe.
_PIECE = 2**16

# How to open for reading without waiting for a FIFO's writer. Linux alone tells who polls an empty
# one whether a writer has been there; elsewhere opening waits. For a regular file it means that a
# lease of another program is not waited for, but is BlockingIOError.
NONBLOCK = os.O_NONBLOCK if sys.platform == "linux" else 0
READ_FLAGS = os.O_RDONLY | PLAIN_FLAGS | NONBLOCK


def read_special(fd: int, data: bytes, size: int | None) -> bytes:
    """Read on to the end, after a first piece; an end before any writer came does not count.

    Returns:
        The first piece and what follows it, together no more than the size.

    Raises:
        OSError: what the system reports
        asyncio.CancelledError: while it waits for a writer, or between two pieces, if whoever
            awaits this was cancelled
    """
    pieces, total = [data], len(data)
    is_ready = data or not NONBLOCK
    while size is None or total < size:
        check_cancelled()
        if not is_ready:
            _wait_for_content(fd)
        try:
            piece = os.read(fd, _PIECE if size is None else min(_PIECE, size - total))
        except BlockingIOError:
            is_ready = False
            continue
        if not piece:
            break
        is_ready = True
        pieces.append(piece)
        total += len(piece)
    return b"".join(pieces)


def write_special(target: Target, data: bytes | memoryview) -> int:
    """Write into a device or FIFO as it is: nothing is replaced, no mode is set.

    Returns:
        The number of bytes written.

    Raises:
        OSError: what the system reports; a part may have been written
        asyncio.CancelledError: while it waits for a reader, or between two pieces, if whoever
            awaits this was cancelled; a part may have been written
    """
    if sys.platform != "win32" and target.status and stat.S_ISFIFO(target.status.st_mode):
        return _write_fifo(target.filepath, data)
    fd = os.open(target.filepath, os.O_WRONLY | PLAIN_FLAGS)
    try:
        return write_all(fd, data)
    finally:
        os.close(fd)


if sys.platform != "win32":  # which has no FIFOs among its files

    def _write_fifo(filepath: str, data: bytes | memoryview) -> int:
        fd = _open_fifo(filepath)
        try:
            import select  # not by every program that reads a file

            room = select.poll()
            room.register(fd, select.POLLOUT)
            with memoryview(data) as view:
                done = 0
                while done < view.nbytes:
                    try:
                        done += os.write(fd, view[done:])
                    except BlockingIOError:
                        room.poll(_INTERVAL * 1000)
                        check_cancelled()
                return done
        finally:
            os.close(fd)

    def _wait_for_content(fd: int) -> None:
        """Return when there is something to be read, or the last writer has gone."""
        import select  # as above

        content = select.poll()
        content.register(fd, select.POLLIN)
        while not content.poll(_INTERVAL * 1000):
            check_cancelled()

    def _open_fifo(filepath: str) -> int:
        while True:
            try:
                return os.open(filepath, os.O_WRONLY | os.O_NONBLOCK | PLAIN_FLAGS)
            except OSError as exc:
                if exc.errno != errno.ENXIO:  # which says that nobody has it open for reading
                    raise
            check_cancelled()
            time.sleep(_INTERVAL)
