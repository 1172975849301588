"""Writing into what is no regular file: a device or a FIFO.

Opening a FIFO blocks until somebody reads, and writing blocks while it is full. A worker thread
stuck there could not be cancelled, so both are tried without blocking, with a look at the
cancellation in between.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time

from mt.aio.core.lowlevel import check_cancelled
from mt.aio.fs._atomic import PLAIN_FLAGS, Target, write_all

# How often a blocked write looks for its cancellation, in seconds. Arbitrary.
_INTERVAL = 0.02


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

    def _open_fifo(filepath: str) -> int:
        while True:
            try:
                return os.open(filepath, os.O_WRONLY | os.O_NONBLOCK | PLAIN_FLAGS)
            except OSError as exc:
                if exc.errno != errno.ENXIO:  # which says that nobody has it open for reading
                    raise
            check_cancelled()
            time.sleep(_INTERVAL)
