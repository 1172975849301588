"""Closing an HDF5 file that cannot be written any more, without losing the process.

HDF5 keeps chunks and metadata in memory until a flush or the close. When the writing fails then,
because the disk is full, say, the library does not let go: the descriptor stays open, and the
next use of the file or the end of the process, whichever comes first, is a segmentation fault
(seen with HDF5 2.0 as in h5py 3.16). A failing flush, in contrast, leaves a sound state. So

- a file is flushed first, and closed only if that went well;
- otherwise its descriptor is made to lead to a scratch file in memory. There the writing
  succeeds, so that HDF5 closes the file in good order, and the content goes nowhere.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py


def close_file(handle: h5py.File) -> None:
    """Write everything out and close the file, with all objects in it that are still open.

    A file that is closed already is left alone.

    Raises:
        OSError: it could not be written; it is closed nevertheless.
    """
    if not handle:
        return
    try:
        handle.flush()
        _unlock(handle)
    except BaseException:
        _divert(handle)
        with suppress(Exception):  # the error that brought us here is the one to report
            handle.close()
        raise
    try:
        handle.close()
    except RuntimeError as exc:  # as h5py calls a failing close(2)
        raise OSError(errno.EIO, f"The file could not be closed ({exc})") from exc


def _unlock(handle: h5py.File) -> None:
    """Give up HDF5's lock at once; a forked child would hold it for as long as it lives."""
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle.id.get_vfd_handle(), fcntl.LOCK_UN)


def _divert(handle: h5py.File) -> None:
    """Let the file's descriptor lead to a scratch file."""
    if sys.platform == "win32":
        return  # HDF5's descriptors are those of another C library there
    with suppress(OSError):  # without it the close below may fail, as it would have anyway
        scratch = _scratch_file()
        try:
            os.dup2(scratch, handle.id.get_vfd_handle(), inheritable=False)
        finally:
            os.close(scratch)


def _scratch_file() -> int:
    """Open a nameless file, in memory where the system offers that: the disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mt.aio.h5")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
