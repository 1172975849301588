"""Going through a tree of folders, many of them a hop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, offload
from mt.aio.fs._path import check_path, place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import TypeAlias

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._remote import Remote

    Found: TypeAlias = tuple[str, list[str], list[str]]

# A hop ends when it has found this many names. Arbitrary: some milliseconds, when they are cached.
_NAMES = 2000


@asyn
async def walk(
    folder: str | os.PathLike[str],
    *,
    enter: Callable[[str], bool] | None = None,
    context_vars: ContextVars = {},
) -> AsyncIterator[tuple[str, list[str], list[str]]]:
    """Go through a folder and those in it, from the top.

        async for path, folders, files in walk("data", context_vars=context_vars):
            ...

    **Modes.** Asynchronous: worker threads read the folders, about 2,000 names at a time; the next
    ones are read when these have been used up, so a slow consumer does not fill the memory.
    Synchronous: right here.

    Args:
        folder: path to the folder; or URL of a bucket or of what keys in it begin with, up to a
            slash, which is as good as a folder: each such is one request or, if it has more than
            1,000 names, several. A name may be a folder's and an object's at once
        enter: is called with the path of each folder in it, in a worker thread in asynchronous
            mode, and says whether to go into that. None: into all. (Changing the lists, which
            `os.walk` looks at, has no effect here.)
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Yields:
        For each folder its path, which begins with `folder` as it was given, the names of the
        folders in it and the names of everything else in it, both sorted. Symbolic links to
        folders are among the folders, and are not entered; one that leads nowhere, in a circle or
        to a place that may not be looked at is among the rest.

    Raises:
        TypeError: if the path is neither a `str` nor an `os.PathLike` of one
        NotADirectoryError: if it is no folder
        FileNotFoundError: if it is not there, or there is nothing below a URL
        OSError: what the system reports of any folder, such as `PermissionError`. That a folder
            in it has been removed meanwhile is none

    **Cancellation**: ends the wait at once; what is read after that is dropped.
    """
    given = check_path(folder, "folder")
    anchor, remote = place(given)
    if remote is not None:
        async for below in _walk_store(given, enter, remote, context_vars):
            yield below
        return
    paths = _walk(given, anchor, enter)
    while batch := await offload(_take, paths, context_vars=context_vars, abandon_on_cancel=True):
        for found in batch:
            yield found


def _take(paths: Iterator[Found]) -> list[Found]:
    batch: list[Found] = []
    count = 0
    for found in paths:
        batch.append(found)
        count += 1 + len(found[1]) + len(found[2])
        if count >= _NAMES:
            break
        check_cancelled()
    return batch


def _walk(given: str, anchor: str, enter: Callable[[str], bool] | None) -> Iterator[Found]:
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(os.path.join(anchor, below) if below else anchor) as found:
                kinds = {entry.name: (_is_folder(entry), entry.is_symlink()) for entry in found}
        except FileNotFoundError:
            if not below:
                raise
            continue
        folders = sorted(name for name, (is_folder, _) in kinds.items() if is_folder)
        files = sorted(name for name, (is_folder, _) in kinds.items() if not is_folder)
        path = os.path.join(given, below) if below else given
        waiting += (
            os.path.join(below, name)
            for name in reversed(folders)
            if not kinds[name][1] and (enter is None or enter(os.path.join(path, name)))
        )
        yield path, folders, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether it is a folder; a link in a circle, or to a place that is closed, is none."""
    try:
        return entry.is_dir()
    except OSError:
        if not entry.is_symlink():
            raise
        return False


async def _walk_store(
    given: str, enter: Callable[[str], bool] | None, remote: Remote, context_vars: ContextVars
) -> AsyncIterator[Found]:
    waiting = [given]
    while waiting:
        url = waiting.pop()
        base = url if url.endswith("/") else f"{url}/"
        try:
            folders, files = await remote.names(base, context_vars=context_vars)
        except FileNotFoundError:
            if url == given:
                raise
            continue  # removed meanwhile
        below = [base + name for name in folders]
        if enter is not None:
            below = await offload(
                _filtered, enter, below, context_vars=context_vars, abandon_on_cancel=True
            )
        waiting += reversed(below)
        yield url, folders, files


def _filtered(enter: Callable[[str], bool], paths: list[str]) -> list[str]:
    return [path for path in paths if enter(path)]
