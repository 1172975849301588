"""Removing what killed writers have left behind.

A process that is killed cannot remove its temporary file. `sweep` does it later, and must never
take the file of a writer that lives. It takes a file only if

1. its name is one that mt.aio makes up, which says who writes it (see `_temporary`); and
2. that process is gone: no process of this system has its id and its start, or it ran on this
   machine before the last boot, and the file, on a local file system, is untouched since; and
3. nobody has the file open: a forked child may go on with what its parent has begun. Linux tells
   by granting a lease, which also keeps others from opening the file until it is removed. (File
   systems that know no leases, and other systems, leave it at 1 and 2.)

The process of another host or container cannot be looked at, so its files stay, unless the caller
says after which time without a change they may go.

A lock held on the temporary file would be no better: HDF5 locks the file itself and would find it
locked, network file systems may have no locks, and between the creation and the locking the file
would look abandoned.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, offload
from mt.aio.fs._mount import is_local
from mt.aio.fs._path import absolute, check_path
from mt.aio.fs._tempdir import remove_tree
from mt.aio.fs._temporary import TEMPORARY_SUFFIX, Writer, start_of, this_writer, writer_of

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@asyn
async def sweep(
    folder: str | os.PathLike[str],
    *,
    recursive: bool = False,
    foreign_age: float | None = None,
    context_vars: ContextVars = {},
) -> list[str]:
    """Remove the temporary files of writers that are gone, such as killed ones.

    A file goes only if its name ends in `.mttmp` and tells its writer, that process is known to
    have ended, and nobody has the file open. Files of processes that cannot be looked at, those of
    other hosts on a network mount or of other containers, stay. A writer on this machine from
    before its last start is known to have ended if the file lies on a local file system and has
    not changed since. Temporary folders, which `copy` makes, are treated likewise.

    **Modes.** Asynchronous: everything happens in one worker thread. Synchronous: right here.

    Args:
        folder: path to the folder in which targets are written
        recursive: look into the folders in it, too; symbolic links are not followed
        foreign_age: let also the files go whose writer cannot be looked at, if they have not been
            changed, nor anything in them, for this many seconds. None: never
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Returns:
        The paths of the removed files, sorted.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        ValueError: if `foreign_age` is negative
        OSError: what the system reports, such as `FileNotFoundError` for a missing folder. That a
            file may not be removed is no error: it is not among the paths returned. Nor is that
            a folder below may not be looked into

    **Cancellation**: looked for between two files; what is removed by then stays removed.

    **Concurrency**: any number of writers and sweepers may be at work; a file of a living writer
    is never removed. Two assumptions: machines have different ids (`/etc/machine-id`), and a
    writer's child that outlives it has the temporary file open.
    """
    path = absolute(check_path(folder, "folder"))
    if foreign_age is not None and not foreign_age >= 0:  # nor NaN
        raise ValueError(f"foreign_age is a number of seconds, not {foreign_age!r}")
    return await offload(_sweep, path, recursive, foreign_age, context_vars=context_vars)


def _sweep(folder: str, recursive: bool, foreign_age: float | None) -> list[str]:
    removed = []
    folders = [folder]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as found:
                entries = list(found)
        except (FileNotFoundError, PermissionError):
            if here == folder:
                raise
            continue  # somebody else has removed it, or it belongs to another user
        for entry in entries:
            check_cancelled()
            if entry.name.endswith(TEMPORARY_SUFFIX) and (writer := writer_of(entry.name)):
                if _is_gone(entry.path, writer, foreign_age) and _remove(entry.path):
                    removed.append(entry.path)
            elif recursive and entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
    return sorted(removed)


def _is_gone(filepath: str, writer: Writer, foreign_age: float | None) -> bool:
    """Say whether a writer is known to have ended."""
    here = this_writer()
    if writer.is_here(here):
        return not _lives(writer)
    try:
        changed = _last_change(filepath)
    except FileNotFoundError:
        return False
    if foreign_age is not None and changed < time.time() - foreign_age:
        return True
    return writer.is_of_earlier_boot(here) and changed < _boot_time() and is_local(filepath)


def _last_change(filepath: str) -> float:
    """Say when a file, or what is in a folder, was changed last."""
    status = os.lstat(filepath)
    changed = status.st_ctime
    if stat.S_ISDIR(status.st_mode):
        for parent, folders, files in os.walk(filepath):
            for name in folders + files:
                changed = max(changed, os.lstat(os.path.join(parent, name)).st_ctime)
    return changed


def _lives(writer: Writer) -> bool:
    """Say whether a process of this system lives; True if in doubt."""
    with suppress(PermissionError, OverflowError):  # it is there, but another user's
        try:
            os.kill(writer.pid, 0)
        except ProcessLookupError:
            return False
    # /proc may be mounted so that others' processes are hidden: not seeing it proves nothing.
    seen = start_of(writer.pid)
    if seen is None:
        return True
    start, ended = seen
    return start == writer.start and not ended


def _boot_time() -> float:
    """Say when the system was started, in seconds since the epoch; 0 if it does not tell."""
    with suppress(OSError, ValueError, IndexError), open("/proc/stat", "rb") as file:
        return float(file.read().partition(b"\nbtime ")[2].split()[0])
    return 0.0


def _remove(filepath: str) -> bool:
    """Remove a left file, link or folder, unless somebody has it open; tell whether."""
    try:
        status = os.lstat(filepath)
        if stat.S_ISDIR(status.st_mode):
            remove_tree(filepath)
        elif stat.S_ISREG(status.st_mode):
            return _remove_unopened(filepath)
        else:
            os.unlink(filepath)
    except FileNotFoundError:
        return False  # another sweeper was faster
    except OSError as exc:
        if exc.errno not in _NOT_ALLOWED:
            raise
        return False  # it belongs to another user, or may only be read
    return True


def _remove_unopened(filepath: str) -> bool:
    if sys.platform != "linux":
        os.unlink(filepath)
        return True
    fd = os.open(filepath, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not _lease(fd):
            return False
        os.unlink(filepath)  # closing ends the lease
    finally:
        os.close(fd)
    return True


if sys.platform == "linux":

    def _lease(fd: int) -> bool:
        """Get a file for ourselves; False if anybody else, in any process, has it open."""
        import fcntl
        import signal

        try:
            # Who opens it now is made to wait, and we would be told by SIGIO, which ends a
            # process that does not expect it. SIGURG is ignored by default.
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as exc:
            # EINVAL: a file system without leases. EAGAIN: somebody has it open. EACCES: another
            # user's file, as little ours to remove.
            return exc.errno == errno.EINVAL
        return True
