"""Asking a store: the one place that chooses between obstore's two faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mt.aio.core.lowlevel import is_async
from mt.aio.remote._error import explain
from mt.aio.remote._place import shown
from mt.aio.remote._store import secrets

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from mt.aio.core.lowlevel import ContextVars

# So many requests of one event loop are under way at once, or thousands of awaited reads would
# need thousands of sockets. Arbitrary.
MOST_AT_ONCE = 64

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def ask(
    owner: Any, act: str, /, *args: Any, url: str, context_vars: ContextVars, **options: Any
) -> Any:
    """Have obstore do one thing, awaiting it in asynchronous mode, without any thread of ours.

    Args:
        owner: what has the act as a method: the module `obstore` or an object of it.
        act: its name; that of the awaitable one has `_async` behind it.
        *args: its arguments.
        url: the URL for the error's text.
        context_vars: the mode.
        **options: its keyword arguments.

    Raises:
        OSError: what the store reports.

    **Cancellation.** The request is dropped at once; only to be used for what changes nothing.
    """
    try:
        if is_async(context_vars):
            return await getattr(owner, f"{act}_async")(*args, **options)
        return getattr(owner, act)(*args, **options)
    except Exception as exc:  # noqa: BLE001 - obstore's errors share no useful base
        error = plain(exc, url)
    raise error


def ask_here(func: Callable[..., Any], /, *args: Any, url: str, **options: Any) -> Any:
    """Have obstore do one thing, blocking."""
    try:
        return func(*args, **options)
    except Exception as exc:  # noqa: BLE001 - obstore's errors share no useful base
        error = plain(exc, url)
    raise error


def plain(exc: Exception, url: str) -> Exception:
    """Give what an error of obstore stands for, to be raised outside of its handler."""
    return explain(exc, shown(url), secrets())


class Gate:
    """An `async with` that lets so many through at once, in each event loop; see MOST_AT_ONCE."""

    def __init__(self, context_vars: ContextVars) -> None:
        self._semaphore = _semaphore() if is_async(context_vars) else None

    async def __aenter__(self) -> None:
        if self._semaphore is not None:
            await self._semaphore.acquire()

    async def __aexit__(self, *args: object) -> None:
        if self._semaphore is not None:
            self._semaphore.release()


def _semaphore() -> asyncio.Semaphore:
    import asyncio

    loop = asyncio.get_running_loop()
    found = _gates.get(loop)
    if found is None:
        found = _gates[loop] = asyncio.Semaphore(MOST_AT_ONCE)
    return found
