"""Looking at, removing and naming files and folders."""

from __future__ import annotations

import os
import stat as modes
from contextlib import suppress
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, is_async, offload
from mt.aio.fs._atomic import replace as replace_file
from mt.aio.fs._durability import durability_of
from mt.aio.fs._folder import flushing, make_folders
from mt.aio.fs._path import absolute, check_path, located, order_key, place
from mt.aio.fs._rename import refuse_device, safe_rename
from mt.aio.fs._tempdir import remove_tree
from mt.aio.fs._temporary import temporary_name

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._durability import Durability


@asyn
async def exists(
    filepath: str | os.PathLike[str],
    *,
    follow_links: bool = True,
    context_vars: ContextVars = {},
) -> bool:
    """Tell whether there is a file, a folder or anything else of a name.

    **Modes.** Asynchronous: in a worker thread. Synchronous: right here.

    Args:
        filepath: path to it
        follow_links: ask for what a symbolic link leads to, not for the link itself
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Returns:
        True if it is there; False if it or a folder above it is not.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        OSError: if the system does not say, such as `PermissionError` (`os.path.exists` says False)

    **Cancellation**: ends the wait at once.
    """
    path, remote = place(check_path(filepath))
    if remote is not None:
        return await remote.exists(path, context_vars=context_vars)
    return await offload(
        _exists, path, follow_links, context_vars=context_vars, abandon_on_cancel=True
    )


@asyn
async def stat(
    filepath: str | os.PathLike[str],
    *,
    follow_links: bool = True,
    context_vars: ContextVars = {},
) -> os.stat_result:
    """Look up size, mode and times of a file or folder.

    **Modes.** Asynchronous: in a worker thread. Synchronous: right here.

    Args:
        filepath: path to it
        follow_links: look at what a symbolic link leads to, not at the link itself
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Returns:
        What `os.stat` returns.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        OSError: what the system reports, such as `FileNotFoundError`

    **Cancellation**: ends the wait at once.
    """
    path, remote = place(check_path(filepath))
    if remote is not None:
        return await remote.status(path, context_vars=context_vars)
    look = os.stat if follow_links else os.lstat
    return await offload(look, path, context_vars=context_vars, abandon_on_cancel=True)


@asyn
async def remove(
    filepath: str | os.PathLike[str],
    *,
    tree: bool = False,
    missing_ok: bool = False,
    context_vars: ContextVars = {},
) -> None:
    """Remove a file or symbolic link; with `tree`, also a folder and all that is in it.

    A link is removed itself, never what it leads to, and not followed within a tree; with `tree`
    that is so of one with a slash at its end, too.

    **Modes.** Asynchronous: in one worker thread, a tree as well, after the writes to this path
    that were issued before. Synchronous: right here.

    Args:
        filepath: path to it
        tree: remove a folder, too, with its content, be that read-only
        missing_ok: that there is nothing to remove is no error
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        FileNotFoundError: if there is nothing, and `missing_ok` is not set
        IsADirectoryError: if it is a folder, and `tree` is not set (on macOS: `PermissionError`)
        OSError: what the system reports; a part of a tree may be gone

    **Cancellation**: before it has begun, nothing happens; else it is done when this ends.
    """
    path, key, remote = located(check_path(filepath))
    remove_it = _remove if remote is None else remote.remove
    await offload(
        remove_it,
        path,
        tree,
        missing_ok,
        context_vars=context_vars,
        order=key,
        network=remote is not None,
    )


@asyn
async def make_dirs(
    folder: str | os.PathLike[str],
    *,
    durability: Durability | None = None,
    context_vars: ContextVars = {},
) -> None:
    """Create a folder, and the missing ones above it, with the umask's mode.

    That it is there already is no error.

    **Modes.** Asynchronous: in one worker thread. Synchronous: right here.

    Args:
        folder: path to the folder
        durability: `"full"`: the new folders are on the disk when the call returns. None: as
            `context_vars["durability"]` says
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        ValueError: for an unknown durability
        FileExistsError: if something else than a folder is there
        OSError: what the system reports; some of the folders may have been made

    **Cancellation**: before it has begun, nothing happens; else it is done when this ends.
    """
    path = absolute(check_path(folder, "folder"))
    choice = durability_of(context_vars, durability)
    await offload(make_folders, path, choice, context_vars=context_vars, order=order_key(path))


@asyn
async def rename(
    filepath: str | os.PathLike[str],
    new_filepath: str | os.PathLike[str],
    *,
    durability: Durability | None = None,
    context_vars: ContextVars = {},
) -> None:
    """Rename a file or folder within a file system.

    It is `safe_rename`, but never guesses its mode.

    **Modes.** Asynchronous: in a worker thread, after the writes to both paths that were issued
    before. Synchronous: right here.

    Args:
        filepath: path to the file or folder
        new_filepath: its new path; a file there is replaced atomically, a folder or device never
        durability: what a power cut may do, as for `safe_rename`
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Raises:
        TypeError: if a path is neither a `str` nor an `os.PathLike` of one
        ValueError: for an unknown durability
        FileNotFoundError: if the file does not exist
        IsADirectoryError: if the new name is that of a folder
        OSError: what the system reports, such as a rename across file systems: see `copy`

    **Cancellation**: before the renaming, nothing happens; else it is done when this ends.

    **On error**: both names are as they were, as for `safe_rename`.
    """
    is_async(context_vars)  # which says so if the mode is missing
    await safe_rename(filepath, new_filepath, context_vars, durability=durability)


@asyn
async def symlink(
    target: str | os.PathLike[str],
    filepath: str | os.PathLike[str],
    *,
    replace: bool = False,
    durability: Durability | None = None,
    context_vars: ContextVars = {},
) -> None:
    """Make a symbolic link.

    **Modes.** Asynchronous: in a worker thread, after the writes to the link's path that were
    issued before. Synchronous: right here.

    Args:
        target: what the link is to lead to, as it is to stand in the link: a relative path counts
            from the link's folder. It need not exist
        filepath: path to the link
        replace: replace a link or file of that name atomically: at every instant the name stands
            for the old or the new
        durability: `"full"`: the link is on the disk when the call returns. None: as
            `context_vars["durability"]` says
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Raises:
        TypeError: if a path is neither a `str` nor an `os.PathLike` of one
        ValueError: for an unknown durability
        FileExistsError: if something has the name, and `replace` is not set
        IsADirectoryError: if a folder was to be replaced
        OSError: what the system reports; if a device was to be replaced

    **Cancellation**: before it has begun, nothing happens; else it is done when this ends.

    **On error**: the name is as it was, and no temporary link is left. Only the last step of
    `"full"`, flushing the folder, can fail with the link in place.
    """
    where, path = check_path(target, "target"), absolute(check_path(filepath))
    choice = durability_of(context_vars, durability)
    await offload(
        _link, where, path, replace, choice, context_vars=context_vars, order=order_key(path)
    )


def _exists(filepath: str, follow_links: bool) -> bool:
    try:
        (os.stat if follow_links else os.lstat)(filepath)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _remove(filepath: str, tree: bool, missing_ok: bool) -> None:
    if tree:  # with a slash at its end a link would stand for the folder that it leads to
        filepath = filepath.rstrip(os.sep) or filepath
    try:
        if tree and modes.S_ISDIR(os.lstat(filepath).st_mode):
            remove_tree(filepath)
        else:
            os.unlink(filepath)
    except FileNotFoundError:
        if not missing_ok:
            raise


def _link(target: str, filepath: str, replace: bool, durability: Durability) -> None:
    with flushing(durability, os.path.dirname(filepath)):
        if replace:
            _replace_by_link(target, filepath)
        else:
            os.symlink(target, filepath)


def _replace_by_link(target: str, filepath: str) -> None:
    refuse_device(filepath)
    temporary = temporary_name(filepath)
    try:
        os.symlink(target, temporary)
        check_cancelled()
        replace_file(temporary, filepath)
    except BaseException as exc:  # Ctrl-C, too, which may come when the link has just been made
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(exc, OSError):
            exc.filename, exc.filename2 = filepath, None
        raise
