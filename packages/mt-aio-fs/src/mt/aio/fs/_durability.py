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
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

Durability: TypeAlias = Literal["none", "atomic", "full"]

_CHOICES = ("none", "atomic", "full")


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


def flush_folder(folder: str) -> None:
    """Bring a folder's entries to the disk."""
    fd = open_folder(folder)
    if fd is not None:
        try:
            flush_file(fd)
        finally:
            os.close(fd)


def make_folders(folder: str, durability: Durability) -> None:
    """Create a folder and the missing ones above it, with the umask's mode.

    With `"full"` the entry of each new folder is on the disk when this returns.
    """
    parents = []
    if durability == "full":
        path = folder
        while path and not os.path.isdir(path):
            path = os.path.dirname(path)
            parents.append(path)
    os.makedirs(folder, exist_ok=True)
    for parent in reversed(parents):
        flush_folder(parent)
