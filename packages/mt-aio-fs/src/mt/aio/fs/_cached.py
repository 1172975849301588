"""Reading a small file on the event loop itself, if that takes no waiting for a device.

Linux can be told to read only what is in memory already (`RWF_NOWAIT`). Many a file is, and a hop
to a worker thread takes several times as long as reading it does. Yet nothing says so of finding
and opening a file: on a network mount, or with its folder not in memory, that waits. So it is asked
for by the caller, who knows the place.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from mt.aio.core.lowlevel import is_async
from mt.aio.fs._special import READ_FLAGS

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

# Of larger files the reading itself keeps the event loop away. Arbitrary: some ten microseconds.
_MOST = 2**16

_CAN = sys.platform == "linux" and hasattr(os, "RWF_NOWAIT")
_refusing: set[int] = set()  # devices whose file system cannot tell what is in memory


def read_cached(filepath: str, size: int | None, context_vars: ContextVars) -> bytes | None:
    """Read a file at once.

    Args:
        filepath: path to the file
        size: the most bytes to read; None for no limit
        context_vars: the mode

    Returns:
        The content. None if it has to be read in the common way: in synchronous mode, if it is
        not in memory or not all of it, large, empty or no regular file, and where the system or
        the file system cannot say.

    Raises:
        OSError: what the system says of finding and opening the file
    """
    if not (is_async(context_vars) and _CAN):
        return None
    status = os.stat(filepath)
    if not stat.S_ISREG(status.st_mode) or status.st_dev in _refusing:
        return None
    # One byte more tells whether the file has grown.
    wanted = status.st_size + 1 if size is None else min(size, status.st_size + 1)
    if not (status.st_size and 0 < wanted <= _MOST):
        return None
    return _read(filepath, wanted, status)


def _read(filepath: str, wanted: int, status: os.stat_result) -> bytes | None:
    buffer = bytearray(wanted)
    # Were it a FIFO by now, opening it would wait for a writer; if another program has a lease on
    # it, for that.
    try:
        fd = os.open(filepath, READ_FLAGS)
    except BlockingIOError:
        return None
    try:
        count = os.preadv(fd, (buffer,), 0, os.RWF_NOWAIT)
    except BlockingIOError:  # not in memory
        return None
    except OSError:
        _refusing.add(status.st_dev)
        return None
    finally:
        os.close(fd)
    if count != min(wanted, status.st_size):  # partly in memory, or it has changed meanwhile
        return None
    del buffer[count:]
    return bytes(buffer)
