"""Closing an HDF5 file that cannot be written any more, without losing the process.

HDF5 keeps chunks and metadata in memory until a flush or the close. When the writing fails then,
because the disk is full, say, the library does not let go: the descriptor stays open, and the
next use of the file or the end of the process, whichever comes first, is a segmentation fault
(seen with HDF5 1.14.4, 1.14.6 and 2.0, as in h5py 3.12 to 3.16). The same happens when the last
reference to a dataset is dropped whose content cannot be written. A failing flush, in contrast,
leaves a sound state. So

- a file is flushed first, and closed only if that went well;
- otherwise its descriptor is made to lead to the null device. There the writing succeeds, so
  that HDF5 closes the file in good order, and the content goes nowhere.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from mt.aio.h5._explain import explained, system_error_in

if TYPE_CHECKING:
    import h5py

T = TypeVar("T")


def close_file(handle: h5py.File, path: str) -> None:
    """Write everything out and close the file, with all objects in it that are still open.

    A file that is closed already is left alone.

    Args:
        handle: the open file
        path: what to call it in errors

    Raises:
        OSError: it could not be written; it is closed nevertheless.
    """
    if not handle:
        return
    try:
        with explained(path):
            handle.flush()
        _unlock(handle)
    except BaseException:
        divert(handle)
        with suppress(Exception):  # the error that brought us here is the one to report
            handle.close()
        raise
    try:
        handle.close()
    except RuntimeError as exc:  # as h5py calls what fails then
        error = system_error_in(exc, path)
        raise error or OSError(errno.EIO, f"Could not be closed ({exc})", path) from exc


def settled(result: T) -> T:
    """Let HDF5 write what it holds back of a dataset, if it is one.

    Raises:
        OSError: it could not be written
    """
    h5py = sys.modules.get("h5py")
    if h5py is not None and isinstance(result, h5py.Dataset) and result and _is_writable(result):
        result.flush()
    return result


def _is_writable(dset: h5py.Dataset) -> bool:
    writable: bool = dset.file.mode != "r"
    return writable


def _unlock(handle: h5py.File) -> None:
    """Give up HDF5's lock at once; a forked child would hold it for as long as it lives."""
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle.id.get_vfd_handle(), fcntl.LOCK_UN)


def divert(handle: h5py.File) -> None:
    """Let the file's descriptor lead to where any writing succeeds."""
    if sys.platform == "win32":
        return  # HDF5's descriptors are those of another C library there
    with suppress(OSError):  # without it the close below may fail, as it would have anyway
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            os.dup2(nowhere, handle.id.get_vfd_handle(), inheritable=False)
        finally:
            os.close(nowhere)
