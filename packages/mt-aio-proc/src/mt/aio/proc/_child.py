"""The program that a child runs: it gets the parent's `sys.path`, then serves.

It is run as a file, so that starting it needs nothing but an interpreter. Its arguments are two
descriptors: the channel to the parent, and the lifeline, which nobody writes to and which ends
when the parent does.
"""

from __future__ import annotations

import marshal
import os
import sys
from _thread import start_new_thread


def _bind_to_parent(lifeline: int) -> None:
    """Make sure that this process ends when the parent does, whatever it is doing then."""
    start_new_thread(_die_with_parent, (lifeline,))
    if sys.platform == "linux":  # code that keeps the GIL would keep that thread from acting
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, 9)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _die_with_parent(lifeline: int) -> None:
    """Wait for the parent's end and follow."""
    while os.read(lifeline, 1):
        pass
    os._exit(1)


def _read(channel: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = os.read(channel, count - len(data))
        if not piece:
            sys.exit(1)  # the parent is gone already
        data += piece
    return data


def main() -> None:
    """Get ready to import what the parent can import, then serve."""
    channel, lifeline = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(channel, False)
    os.set_inheritable(lifeline, False)
    _bind_to_parent(lifeline)
    size = int.from_bytes(_read(channel, 8), "little")
    sys.path[:], sys.argv[:] = marshal.loads(_read(channel, size))  # noqa: S302 - from our parent

    from mt.aio.proc._serve import serve

    serve(channel)


if __name__ == "__main__":
    main()
