"""Changing a file's mode or name."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, offload
from mt.aio.fs._atomic import PLAIN_FLAGS, replace
from mt.aio.fs._check import check_file_mode
from mt.aio.fs._durability import durability_of, flush_file
from mt.aio.fs._folder import flushing
from mt.aio.fs._path import absolute, check_path, order_key

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability


@asyn
async def safe_chmod(
    filepath: str | os.PathLike[str],
    file_mode: int = 0o664,
    *,
    context_vars: ContextVars = {},
) -> None:
    """Change the mode of a file or folder. A symbolic link is followed.

    **Modes.** Asynchronous: in a worker thread, after the writes to this path that were issued
    before. Synchronous: right here. Without `context_vars`, or with empty ones, asynchronous.

    Args:
        filepath: path to the file
        file_mode: the new mode
        context_vars: the mode of operation, see [context_vars](../concepts/context-vars.md)

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one, or the mode no int
        ValueError: if the mode is out of range
        FileNotFoundError: if the file does not exist; nobody waits for it to appear
        OSError: what the system reports

    **Cancellation**: before it has begun, nothing happens; else it is done when this ends.
    """
    path = absolute(check_path(filepath))
    if file_mode is None:
        raise TypeError("safe_chmod needs a mode such as 0o664")
    check_file_mode(file_mode)
    key = order_key(path)
    await offload(os.chmod, path, file_mode, context_vars=_or_async(context_vars), order=key)


@asyn
async def safe_rename(
    filepath: str | os.PathLike[str],
    new_filepath: str | os.PathLike[str],
    context_vars: ContextVars = {},
    *,
    durability: Durability | None = None,
) -> None:
    """Rename a file or folder within a file system.

    An existing file of the new name is replaced atomically: at every instant the name stands for
    the old one or the new one. An existing folder or device is never replaced.

    **Modes.** Asynchronous: in a worker thread, after the writes to both paths that were issued
    before. Synchronous: right here. Without `context_vars`, or with empty ones, asynchronous.

    Args:
        filepath: path to the file or folder
        new_filepath: its new path
        context_vars: the mode of operation, see [context_vars](../concepts/context-vars.md)
        durability: what a power cut may do. `"none"`: anything to a file written shortly before;
            `"atomic"`: a file is on the disk before it gets its new name; `"full"`: the new name
            is, too, once the call has returned. None: as `context_vars["durability"]` says, else
            `"atomic"`

    Raises:
        TypeError: if a path is neither a `str` nor an `os.PathLike` of one
        ValueError: for an unknown durability
        FileNotFoundError: if the file does not exist; nobody waits for it to appear
        IsADirectoryError: if the new name is that of a folder
        OSError: what the system reports, such as a rename across file systems; if the new name is
            that of a device, which root could replace

    **Cancellation**: before the renaming, nothing happens; else it is done when this ends.

    **On error**: both names are as they were. Only the last step of `"full"`, flushing the
    folders, can fail with the renaming done.
    """
    path = absolute(check_path(filepath))
    new_path = absolute(check_path(new_filepath, "new_filepath"))
    context_vars = _or_async(context_vars)
    choice = durability_of(context_vars, durability)
    # A job stands in one lane only, so an empty one waits for its turn in the other.
    await offload(_wait, context_vars=context_vars, order=order_key(path))
    await offload(
        _rename, path, new_path, choice, context_vars=context_vars, order=order_key(new_path)
    )


def _or_async(context_vars: ContextVars) -> ContextVars:
    """Complete context variables that nobody gave: published callers await these two so."""
    return context_vars or {"async": True}


def _wait() -> None:
    """Do nothing, when the turn has come."""


def _rename(filepath: str, new_filepath: str, durability: Durability) -> None:
    if os.path.isdir(new_filepath):
        text = "Is a folder, which is never replaced: name a file in it"
        raise IsADirectoryError(errno.EISDIR, text, new_filepath)
    refuse_device(new_filepath)
    if durability != "none":
        _flush(filepath)
    # With a slash at its end a folder would be taken for the one that it is in.
    folders = {os.path.dirname(path.rstrip(os.sep)) for path in (filepath, new_filepath)}
    check_cancelled()
    with flushing(durability, *folders):
        replace(filepath, new_filepath)


def refuse_device(filepath: str) -> None:
    """Keep a device from being replaced: root may, and all who use it would meet a plain file."""
    try:
        file_type = stat.S_IFMT(os.lstat(filepath).st_mode)
    except OSError:  # what is wrong with the path, the renaming will say
        return
    if file_type in {stat.S_IFCHR, stat.S_IFBLK}:
        text = "Is a device, which is never replaced: name a file"
        raise OSError(errno.EINVAL, text, filepath)


def _flush(filepath: str) -> None:
    """Bring a regular file's content to the disk; anything else has none."""
    if not stat.S_ISREG(os.lstat(filepath).st_mode):
        return
    flags = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows flushes writers only
    try:
        fd = os.open(filepath, flags | PLAIN_FLAGS)
    except PermissionError as exc:
        exc.add_note("Flushing a file needs the right to open it; durability='none' does not.")
        raise
    try:
        flush_file(fd)
    finally:
        os.close(fd)
