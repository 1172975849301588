"""Looking at objects."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mt.aio.remote._ask import Gate, ask
from mt.aio.remote._place import Place, locate
from mt.aio.remote._read import ask_store

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

# What `stat` says of an object's mode, which it has none of: a file that we may read and write.
_MODE = stat.S_IFREG | 0o600


async def status(url: str, *, context_vars: ContextVars) -> os.stat_result:
    """Look up size and time of an object.

    Args:
        url: where it is.
        context_vars: the mode.

    Returns:
        Size and time of the last change; the mode is that of a regular file, the rest is 0.

    Raises:
        OSError: as for `read`.
    """
    place = locate(url)
    async with Gate(context_vars):
        meta = await ask_store("head", place, context_vars)
    when = meta["last_modified"].timestamp()
    return os.stat_result((_MODE, 0, 0, 1, 0, 0, meta["size"], when, when, when))


async def exists(url: str, *, context_vars: ContextVars) -> bool:
    """Tell whether there is an object; or, for a URL that ends with a slash, any below it.

    Args:
        url: where it is.
        context_vars: the mode.

    Raises:
        OSError: as for `read`.
    """
    place = locate(url, folder=True)
    async with Gate(context_vars):
        if not place.is_folder:
            try:
                await ask_store("head", place, context_vars)
            except FileNotFoundError:
                return False
            return True
        return bool(await ask(_Below(place), "first", url=url, context_vars=context_vars))


class _Below:
    """What is below a folder: the first object, under the names that `ask` expects."""

    def __init__(self, place: Place) -> None:
        import obstore

        self._found = obstore.list(place.store, place.key or None, chunk_size=1)

    def first(self) -> object:
        return next(self._found, None)

    async def first_async(self) -> object:
        return await anext(self._found, None)
