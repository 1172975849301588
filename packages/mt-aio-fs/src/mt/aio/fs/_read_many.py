"""Reading many files, many at a hop."""

from __future__ import annotations

import os
from contextlib import aclosing
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, cast

from mt.aio.core import amap, asyn
from mt.aio.core.lowlevel import check_cancelled, is_async, offload
from mt.aio.fs._check import check_size
from mt.aio.fs._path import check_path, place
from mt.aio.fs._read import read_file

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from mt.aio.core.lowlevel import ContextVars
    from mt.aio.fs._remote import Remote

# A hop reads so many files at most, and no further one once it has so many bytes. Arbitrary.
_MOST_FILES = 256
_ENOUGH = 8 * 2**20

_OBJECTS = 16  # are asked for at once, arbitrarily: so many may be in the memory


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

    **Modes.** Asynchronous: files are read in a worker thread, and of objects in a store up to 16
    are asked for at once. Synchronous: right here, one after the other.

    Args:
        paths: the files' paths, or URLs of objects, mixed as you like; taken as they are needed,
            so that they may be a generator
        size: the number of bytes to read from the beginning of each. None or a negative number:
            all of it
        context_vars: the mode, see [context_vars](../concepts/context-vars.md)

    Yields:
        The contents. Nothing is read ahead while one is being dealt with, except for the files
        of its own hop: at most 256, and few if they are large. Of objects, the next 15 are.

    Raises:
        TypeError: if a path is neither a `str` nor an `os.PathLike` of one, or the size no int
        OSError: what the system reports of a file, when its turn has come: the contents of those
            before it have been given

    **Cancellation**: ends the wait at once; what is read after that is dropped. Whoever leaves the
    `async for` early should close the iterator (`contextlib.aclosing`), if there are objects.
    """
    is_async(context_vars)  # wanted, also if there is nothing to read
    size = check_size(size)
    source = iter(paths)
    waiting: list[tuple[str, Remote | None]] = []  # what serves it: None for a file
    count = 1  # the first content comes soon, and more at a time then
    while True:
        waiting += map(_place, islice(source, count - len(waiting)))
        if not waiting:
            return
        if (remote := waiting[0][1]) is not None:
            read = partial(remote.read, size=size)
            urls = _urls(waiting, source)
            found = amap(read, urls, context_vars=context_vars, max_concurrency=_OBJECTS)
            async with aclosing(cast("AsyncGenerator[bytes]", found)):
                async for content in found:
                    yield content
            continue
        files = [path for path, _ in takewhile(_is_file, waiting)]
        contents = await offload(
            _read_some, files, size, context_vars=context_vars, abandon_on_cancel=True
        )
        waiting = waiting[len(contents) :]
        contents.reverse()
        while contents:
            yield contents.pop()
        count = max(len(waiting), min(4 * count, _MOST_FILES))


def _place(path: str | os.PathLike[str]) -> tuple[str, Remote | None]:
    return place(check_path(path))


def _is_file(item: tuple[str, Remote | None]) -> bool:
    return item[1] is None


def _urls(
    waiting: list[tuple[str, Remote | None]], source: Iterator[str | os.PathLike[str]]
) -> Iterator[str]:
    """Take the URLs up to the next path, which is left waiting."""
    while True:
        waiting += map(_place, islice(source, not waiting))
        if not waiting or _is_file(waiting[0]):
            return
        yield waiting.pop(0)[0]


def _read_some(paths: list[str], size: int | None) -> list[bytes]:
    """Read the first file, and further ones until there is enough or one fails."""
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
