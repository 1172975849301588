"""The program that a child runs: it gets the parent's `sys.path`, then serves.

It is run as a file, so that starting it needs nothing but an interpreter. Its arguments are
descriptors: the channel to the parent, the socket beside it, and the lifeline, which nobody
writes to and which ends when the parent does. With a single one, the program is a nursery, from
which children are forked: see `_nursery`.
"""

from __future__ import annotations

import marshal
import os
import sys
from _thread import start_new_thread


def _bind_to_parent(lifeline: int, *, forked: bool) -> None:
    """Make sure that this process ends when the parent does, whatever it is doing then.

    What only looks like Linux may accept what it does not do, but it has no nursery, either.
    """
    try:
        _killed_with_parent(lifeline)
    except (OSError, AttributeError):  # not Linux
        forked = False
    if not forked:
        start_new_thread(_die_with_parent, (lifeline,))


def _killed_with_parent(lifeline: int) -> None:
    """Have the system kill this process when the lifeline ends.

    A thread would cost time at each start, and code that keeps the GIL would keep it from acting.
    """
    import fcntl
    import select

    fcntl.fcntl(lifeline, fcntl.F_SETSIG, 9)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)
    poll = select.poll()
    poll.register(lifeline, 0)
    if poll.poll(0):  # it had ended before that
        os._exit(1)


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


_taken: dict[bytes, dict[str, Any]] = {}  # the world as it came, and what was made of it


def _world(channel: int) -> dict[str, Any]:
    """Take over what the parent says of its own world; most often the nursery has done so."""
    data = _read(channel, int.from_bytes(_read(channel, 8), "little"))
    if data in _taken:
        return _taken[data]
    world: dict[str, Any] = marshal.loads(data)  # noqa: S302 - from our parent
    _taken.clear()
    _taken[data] = world
    sys.path[:], sys.argv[:] = world["path"], world["argv"]
    if (environ := world.get("environ")) is not None and environ != dict(os.environb):
        os.environb.clear()
        os.environb.update(environ)
    return world


def _import_pickle() -> None:
    """Import what is behind `pickle`; it wants `functools`, but of that only what is made in C.

    All of `functools`, with what it imports in turn, would take longer than the rest of the start.
    """
    import _functools  # type: ignore[import-not-found] # private, but what is wanted

    sys.modules.setdefault("functools", _functools)
    try:
        import _pickle  # noqa: F401 - see above
    except ImportError:  # not CPython
        return
    finally:
        if sys.modules["functools"] is _functools:
            del sys.modules["functools"]


def main() -> None:
    """Get ready to import what the parent can import, then serve."""
    descriptors = [int(argument) for argument in sys.argv[1:]]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    _import_pickle()
    forked = len(descriptors) == 1  # from now on
    if forked:
        _world(*descriptors)

        from mt.aio.proc._nursery import run

        descriptors = run(*descriptors)  # comes back in the children only
    channel, aside, lifeline = descriptors
    _bind_to_parent(lifeline, forked=forked)
    world = _world(channel)

    from mt.aio.proc._serve import serve

    serve(channel, aside, world)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if __name__ == "__main__":
    main()
