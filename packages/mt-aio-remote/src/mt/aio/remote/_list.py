"""What is in a folder, as far as stores have any."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from mt.aio.remote._ask import Gate, ask
from mt.aio.remote._look import exists
from mt.aio.remote._place import READ_ONLY, locate, shown

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars


async def names(url: str, *, context_vars: ContextVars) -> tuple[list[str], list[str]]:
    """List the names below a folder, up to their next slash.

    Args:
        url: the folder, with or without a slash at the end; or a bucket.
        context_vars: the mode.

    Returns:
        The names of the folders, which are beginnings of keys, and those of the objects; both
        sorted. Something may be among both.

    Raises:
        FileNotFoundError: there is nothing below it, nor an object of that name; or no bucket.
        NotADirectoryError: there is nothing below it, but an object of that name.
        OSError: as for `read`; it is an HTTP server's, which has no lists. A key in the folder
            that the client cannot deal with, such as one with `..` in it, is errno `EINVAL`.

    **Cancellation.** The request is dropped at once.
    """
    import obstore

    place = locate(url, folder=True)
    if place.scheme in READ_ONLY:
        raise OSError(errno.ENOTSUP, "An HTTP server does not list what it has", shown(url))
    prefix = place.key.rstrip("/")
    args = (place.store, prefix or None)
    async with Gate(context_vars):
        found = await ask(obstore, "list_with_delimiter", *args, url=url, context_vars=context_vars)
    cut = len(prefix) + 1 if prefix else 0
    folders = {key[cut:] for key in found["common_prefixes"]}
    files = {each["path"][cut:] for each in found["objects"]}  # empty: the mark of an empty folder
    if prefix and not folders and not found["objects"]:
        await _say_why(url.rstrip("/"), context_vars)
    return sorted(folders - {""}), sorted(files - {""})


async def _say_why(url: str, context_vars: ContextVars) -> None:
    number = errno.ENOENT
    if await exists(url, context_vars=context_vars):
        number = errno.ENOTDIR
    raise OSError(number, os.strerror(number), url)
