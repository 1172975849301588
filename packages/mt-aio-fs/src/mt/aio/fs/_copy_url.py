"""Copying from or to an object store, whole or not at all; blocking."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any

from mt.aio.fs._atomic import Replacement, Target, resolve_target, write_all
from mt.aio.fs._folder import make_folders

if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.aio.fs._durability import Durability
    from mt.aio.fs._remote import Remote


def way(
    old: Remote | None, new: Remote | None
) -> Callable[[str, str, int | None, bool, Durability, bool], int]:
    """Choose how to copy between two places of which one at least is a store.

    Args:
        old: what serves the original's URL; None for a local path
        new: likewise, of the copy

    Returns:
        A function of the two places and the options of `copy`.
    """
    if new is None:
        assert old is not None  # noqa: S101 - for the type checker
        return partial(_down, old)
    return partial(_up if old is None else _across, new)


def _across(remote: Remote, url: str, new_url: str, *options: Any) -> int:
    return remote.copy(url, new_url, options[-1])


def _up(remote: Remote, filepath: str, url: str, *options: Any) -> int:
    status = os.stat(filepath)
    if stat.S_ISDIR(status.st_mode):
        text = "Is a folder, which no store takes as a whole; copy its files"
        raise IsADirectoryError(errno.EISDIR, text, filepath)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Is not a file, so it cannot be copied", filepath)
    return remote.upload(filepath, url, options[-1])


def _down(  # noqa: PLR0917 - a job's arguments have no names
    remote: Remote,
    url: str,
    filepath: str,
    file_mode: int | None,
    make_dirs: bool,
    durability: Durability,
    exclusive: bool,
) -> int:
    if exclusive and os.path.lexists(filepath):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), filepath)
    target = Target(filepath, None) if exclusive else resolve_target(filepath)
    if target.is_special:
        raise OSError(errno.EINVAL, "Is a device or FIFO, which is not replaced", filepath)
    if make_dirs and target.status is None:
        make_folders(os.path.dirname(target.filepath), durability)
    size = 0

    def sink(piece: memoryview) -> None:
        nonlocal size
        size += write_all(new.fileno(), piece)

    with Replacement(target, file_mode) as new:
        remote.download(url, sink)
        new.publish(durability, exclusive=exclusive)
    return size
