"""Copying files and trees, whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, offload
from mt.aio.fs._atomic import PLAIN_FLAGS, Replacement, resolve_target, write_all
from mt.aio.fs._check import check_file_mode
from mt.aio.fs._durability import durability_of, flush_file
from mt.aio.fs._folder import flush_folder, flushing, make_folders
from mt.aio.fs._path import check_path, located
from mt.aio.fs._rename import _wait
from mt.aio.fs._tempdir import remove_tree
from mt.aio.fs._temporary import temporary_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability

# Between pieces of this size a copy looks whether it was cancelled. Arbitrary: some milliseconds.
_PIECE = 8 * 2**20

_PERMISSIONS = 0o777

_NO_FILE = "Is neither a file nor a folder nor a link, so it cannot be copied"


@asyn
async def copy(
    filepath: str | os.PathLike[str],
    new_filepath: str | os.PathLike[str],
    file_mode: int | None = None,
    *,
    make_dirs: bool = False,
    durability: Durability | None = None,
    exclusive: bool = False,
    context_vars: ContextVars = {},
) -> int:
    """Copy a file, or a folder with all that is in it, whole or not at all.

    A file's copy replaces what was there as `write_binary` does: through a temporary file. A
    folder is copied to a temporary folder, which is then given its name; nothing may have that
    name already. Symbolic links in a folder are copied as links; `filepath` and `new_filepath`
    themselves are followed. On file systems that can, both files share their blocks.

    Either may be the URL of an object: within a store the store makes the copy, otherwise it goes
    through this machine, piece by piece. A folder cannot be copied from or to a store.

    **Modes.** Asynchronous: everything happens in one worker thread, a tree as well, after the
    writes to both paths that were issued before. Synchronous: right here.

    Args:
        filepath: path to the file or folder
        new_filepath: path of the copy itself, not of the folder to put it into
        file_mode: the copy's mode; None: that of the original, whose times and owner are not
            copied. For a folder it must be None; for the copy of an object it is what it is for
            `write_binary`
        make_dirs: create the copy's folders if they are missing
        durability: what a power cut may do, as for `write_binary`
        exclusive: fail if something is there already; a folder's copy always does
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Returns:
        The number of bytes copied.

    Raises:
        TypeError: if a path is neither a `str` nor an `os.PathLike` of one, or the mode no int
        ValueError: for an unknown durability, a file mode out of range or for a folder
        FileNotFoundError: if the file does not exist, or the folder of the copy
        IsADirectoryError: if the copy of a file were to replace a folder
        FileExistsError: if something is there and must not be replaced
        OSError: what the system reports; a folder cannot be copied into itself, nor a device or
            FIFO in it at all

    **Cancellation**: a copy that has not been published is abandoned and its temporary file or
    folder removed; one that has been is complete. The coroutine ends when the worker thread has.

    **On error**: what had the new name is as it was, and nothing is left beside it. Only the last
    step of `"full"`, flushing the folder, can fail with the copy in place.

    **Concurrency**: a file that is replaced meanwhile, as the writers of mt.aio do it, is copied
    as one whole content. A folder that is changed meanwhile may be copied in part as before, in
    part as after it.
    """
    path, key, old = located(check_path(filepath))
    new_path, new_key, new = located(check_path(new_filepath, "new_filepath"))
    check_file_mode(file_mode)
    options = (file_mode, make_dirs, durability_of(context_vars, durability), exclusive)
    # A job stands in one lane only, so an empty one waits for its turn in the other.
    await offload(_wait, context_vars=context_vars, order=key)
    job: Callable[..., int] = _copy
    network = old is not None or new is not None
    if network:
        from mt.aio.fs._copy_url import way

        job = way(old, new)
    return await offload(
        job, path, new_path, *options, context_vars=context_vars, order=new_key, network=network
    )


def _copy(  # noqa: PLR0917 - a job's arguments have no names
    filepath: str,
    new_filepath: str,
    file_mode: int | None,
    make_dirs: bool,
    durability: Durability,
    exclusive: bool,
) -> int:
    status = os.stat(filepath)
    is_tree = stat.S_ISDIR(status.st_mode)
    if is_tree and file_mode is not None:
        raise ValueError("file_mode is for the copy of a file; this is a folder")
    if (exclusive or is_tree) and os.path.lexists(new_filepath):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_filepath)
    if not is_tree and not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, _NO_FILE, filepath)
    if make_dirs:
        make_folders(os.path.dirname(new_filepath.rstrip(os.sep)), durability)
    if is_tree:
        return _copy_tree(filepath, new_filepath.rstrip(os.sep), durability)
    target = resolve_target(new_filepath)
    if target.status is not None and os.path.samestat(target.status, status):
        text = "Is the original itself, or a link to it"
        raise OSError(errno.EINVAL, text, new_filepath)
    source = os.open(filepath, os.O_RDONLY | PLAIN_FLAGS)
    try:
        mode = os.fstat(source).st_mode & _PERMISSIONS if file_mode is None else file_mode
        with Replacement(target, mode) as new:
            size = _transfer(source, new.fileno())
            new.publish(durability, exclusive=exclusive)
    finally:
        os.close(source)
    return size


def _transfer(source: int, new: int) -> int:
    """Copy what a descriptor still has to give."""
    size = 0
    if hasattr(os, "copy_file_range"):
        # Not every pair of file systems can, and /proc claims to be empty. Reading goes on where
        # this has ended, and meets what is a real error again.
        with suppress(OSError):
            while count := os.copy_file_range(source, new, _PIECE):
                size += count
                check_cancelled()
    while piece := os.read(source, _PIECE):
        check_cancelled()
        size += write_all(new, piece)
    return size


def _copy_tree(folder: str, new_folder: str, durability: Durability) -> int:
    parent, name = os.path.split(new_folder)
    inside = os.path.join(os.path.realpath(parent), name).startswith(
        os.path.join(os.path.realpath(folder), "")
    )
    if inside:
        raise OSError(errno.EINVAL, "Lies in the folder that it is to be a copy of", new_folder)
    temporary = temporary_name(new_folder)
    try:
        try:
            os.mkdir(temporary, stat.S_IRWXU)
        except OSError as exc:
            exc.filename = new_folder
            if isinstance(exc, FileNotFoundError):
                exc.add_note("Its folder is missing: create it, or pass make_dirs=True.")
            raise
        size = _fill(folder, temporary, durability)
        check_cancelled()
        with flushing(durability, parent):
            os.rename(temporary, new_folder)  # which replaces nothing but an empty folder
    except BaseException:
        with suppress(OSError):  # the error that brought us here is the one to report
            remove_tree(temporary)
        raise
    return size


def _fill(folder: str, new_folder: str, durability: Durability) -> int:
    """Copy the content of a folder into an empty one, and its mode."""
    size = 0
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        check_cancelled()
        new_path = os.path.join(new_folder, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), new_path)
        elif entry.is_dir():
            os.mkdir(new_path, stat.S_IRWXU)
            size += _fill(entry.path, new_path, durability)
        elif entry.is_file():
            size += _copy_member(entry.path, new_path, durability)
        else:
            raise OSError(errno.EINVAL, _NO_FILE, entry.path)
    os.chmod(new_folder, os.stat(folder).st_mode & _PERMISSIONS)
    if durability != "none":
        flush_folder(new_folder)
    return size


def _copy_member(filepath: str, new_filepath: str, durability: Durability) -> int:
    source = os.open(filepath, os.O_RDONLY | PLAIN_FLAGS)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN_FLAGS
        new = os.open(new_filepath, flags, stat.S_IRUSR | stat.S_IWUSR)
        try:
            size = _transfer(source, new)
            os.chmod(new_filepath, os.fstat(source).st_mode & _PERMISSIONS)
            if durability != "none":
                flush_file(new)
        finally:
            os.close(new)
    finally:
        os.close(source)
    return size
