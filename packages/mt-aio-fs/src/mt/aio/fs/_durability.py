"""What a power cut may do to a file: the three choices and the system calls behind them.

`"none"` leaves it to the operating system. `"atomic"` flushes the file before it is renamed to
its final name, so that the name never stands for half a content. `"full"` flushes the folder
after that, so that the new content is on the disk when the call returns.

A failed flush is final: after one, several file systems mark the lost pages as clean, and a
second flush would report a success that did not happen (Rebello et al., "Can applications
recover from fsync failures?", USENIX ATC 2020). So nothing here tries twice.
"""

from __future__ import annotations

import errno
import os
import sys
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from mt.aio.core.lowlevel import expect_wait

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

Durability: TypeAlias = Literal["none", "atomic", "full"]

_CHOICES = ("none", "atomic", "full")

_WAIT = 30e-6  # seconds; arbitrary: a flush in memory takes one, on a disk it takes hundreds
_durations = [0.0] * 3  # of the last flushes, in any order
_turns = count()


def durability_of(context_vars: ContextVars, durability: Durability | None = None) -> Durability:
    """Say which durability applies to a call.

    Args:
        context_vars: the call's context variables; `"durability"` in it holds for a call tree
        durability: the call's own choice, which comes first; None if it makes none

    Returns:
        `"none"`, `"atomic"` or `"full"`; `"atomic"` where nobody has chosen.

    Raises:
        ValueError: if the choice is none of the three
    """
    choice = context_vars.get("durability", "atomic") if durability is None else durability
    if choice not in _CHOICES:
        raise ValueError(f'durability is "none", "atomic" or "full", not {choice!r}')
    return cast("Durability", choice)


def flush_file(fd: int) -> None:
    """Bring a file's content and size to the disk."""
    # The quickest of the last ones tells whether there is a device to wait for: in memory a flush
    # is nothing, but now and then it takes long until the thread has its turn again.
    if min(_durations) > _WAIT:
        expect_wait()
    begin = perf_counter()
    _flush_now(fd)
    _durations[next(_turns) % len(_durations)] = perf_counter() - begin


def _flush_now(fd: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # fsync on macOS stops at the drive's cache; F_FULLFSYNC goes through it.
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as exc:
            if exc.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY, errno.ENODEV}:
                raise
        else:
            return
    os.fsync(fd)


def open_folder(folder: str) -> int | None:
    """Open a folder so that it can be flushed; None on Windows, which has no such thing."""
    if sys.platform == "win32":
        return None
    else:  # noqa: RET505 - mypy would call it unreachable on Windows
        return os.open(folder or os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
