"""Reading an object, whole or its beginning."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from mt.aio.core.lowlevel import offload
from mt.aio.remote._ask import Gate, ask
from mt.aio.remote._place import Place, locate

if TYPE_CHECKING:
    from mt.aio.core.lowlevel import ContextVars

# Copying more than this into a `bytes` is not done on the event loop. Arbitrary: 0.1 ms.
_LARGE = 2**20

_MOST = 2**62  # a number that fits into a request; no object is as large


async def read(url: str, size: int | None = None, *, context_vars: ContextVars) -> bytes:
    """Read an object, as it was at one instant.

    Args:
        url: where it is.
        size: the most bytes to read; None for no limit.
        context_vars: the mode.

    Returns:
        The content.

    Raises:
        FileNotFoundError: there is none; `filename` is the URL, as in every error.
        PermissionError: the store does not let us.
        IsADirectoryError: the URL ends with a slash, or has no key.
        ValueError: there can be no such key; the store is not configured rightly.
        OSError: what else the store reports.

    **Cancellation.** The request is dropped at once.
    """
    place = locate(url)
    async with Gate(context_vars):
        if size == 0:  # an empty range is none; but whether the object is there, this tells
            await ask_store("head", place, context_vars)
            return b""
        try:
            got = await _get(place, size, context_vars)
        except OSError as exc:
            if exc.errno != errno.ERANGE:
                raise
            return b""  # an empty object has no beginning
        buffer = await ask(got, "bytes", url=url, context_vars=context_vars)
    if len(buffer) > _LARGE:
        data: bytes = await offload(buffer.to_bytes, context_vars=context_vars)
    else:
        data = buffer.to_bytes()
    return data if size is None else data[:size]


async def ask_store(act: str, place: Place, context_vars: ContextVars, **options: Any) -> Any:
    """Have obstore do one thing with an object."""
    import obstore

    args = (place.store, place.key)
    return await ask(obstore, act, *args, url=place.url, context_vars=context_vars, **options)


async def _get(place: Place, size: int | None, context_vars: ContextVars) -> Any:
    """Get an object, or its beginning if the server knows how to."""
    if size is not None:
        options = {"range": (0, min(size, _MOST))}
        try:
            return await ask_store("get", place, context_vars, options=options)
        except OSError as exc:
            if exc.errno != errno.ENOTSUP:  # an HTTP server that gives all or nothing
                raise
    return await ask_store("get", place, context_vars)
