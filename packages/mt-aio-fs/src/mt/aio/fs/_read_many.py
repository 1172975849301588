"""Reading many files, many at a hop."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from mt.aio.core import asyn
from mt.aio.core.lowlevel import check_cancelled, is_async, offload
from mt.aio.fs._check import check_size
from mt.aio.fs._path import absolute, check_path
from mt.aio.fs._read import read_file

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from mt.aio.core.lowlevel import ContextVars

# A hop reads so many files at most, and no further one once it has so many bytes. Arbitrary.
_MOST_FILES = 256
_ENOUGH = 8 * 2**20


@asyn
async def read_many(
    paths: Iterable[str | os.PathLike[str]],
    size: int | None = None,
    context_vars: ContextVars = {},
) -> AsyncGenerator[bytes]:
    """Read binary files one after the other, in the order of their paths.

        async for content in read_many(paths, context_vars=context_vars):
            ...

    For many small files this takes a fraction of what awaiting `read_binary` for each does, as one
    worker thread reads up to 256 of them before the event loop is told.

    **Modes.** Asynchronous: files are read in a worker thread. Synchronous: right here.

    Args:
        paths: the files' paths; taken as they are needed, so that they may be a generator
        size: the number of bytes to read from the beginning of each. None or a negative number:
            all of it
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Yields:
        The contents. Nothing is read ahead while one is being dealt with, except for the files
        of its own hop: at most 256, and few if they are large.

    Raises:
        TypeError: if a path is neither a `str` nor an `os.PathLike` of one, or the size no int
        OSError: what the system reports of a file, when its turn has come: the contents of those
            before it have been given

    **Cancellation**: ends the wait at once; what is read after that is dropped.
    """
    is_async(context_vars)  # wanted, also if there is nothing to read
    size = check_size(size)
    source = iter(paths)
    waiting: list[str] = []
    count = 1  # the first content comes soon, and more at a time then
    while True:
        waiting += [absolute(check_path(path)) for path in islice(source, count - len(waiting))]
        if not waiting:
            return
        contents = await offload(
            _read_some, waiting, size, context_vars=context_vars, abandon_on_cancel=True
        )
        waiting = waiting[len(contents) :]
        contents.reverse()
        while contents:
            yield contents.pop()
        count = max(len(waiting), min(4 * count, _MOST_FILES))


def _read_some(paths: list[str], size: int | None) -> list[bytes]:
    """Read the first file, and further ones until there is enough or one of them fails."""
    contents = [read_file(paths[0], size)]
    total = len(contents[0])
    for path in paths[1:]:
        if total >= _ENOUGH:
            break
        check_cancelled()
        try:
            contents.append(read_file(path, size))
        except OSError:  # raised when it is the first
            break
        total += len(contents[-1])
    return contents
