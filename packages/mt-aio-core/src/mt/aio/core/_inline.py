"""Asynchronous iterators and context managers in plain code, with no event loop."""

from __future__ import annotations

from collections.abc import AsyncIterable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from mt.aio.core._run import drive

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")


def iterate(items: AsyncIterable[T]) -> Generator[T, None, None]:
    """Iterate over an asynchronous iterable or generator that was made in synchronous mode.

    Args:
        items: an asynchronous iterable that never suspends, such as an asynchronous generator
            that was given `context_vars={"async": False}`.

    Returns:
        A generator of its items. Closing it, as leaving a `for` early does in the end, closes the
        asynchronous generator.

    Raises:
        SuspendError: it suspended, as for `srun`.

    Example:
        >>> from mt.aio.core import iterate, sleep
        >>> async def count(limit, context_vars={}):
        ...     for number in range(limit):
        ...         await sleep(0.001, context_vars=context_vars)
        ...         yield number
        >>> list(iterate(count(3, context_vars={"async": False})))
        [0, 1, 2]
    """
    iterator = aiter(items)

    async def step() -> T:
        return await anext(iterator)

    async def close() -> None:
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()

    try:
        while True:
            try:
                item = drive(step(), _code_of(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        drive(close(), _code_of(items))


def enter(manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
    """Make a plain context manager of an asynchronous one that was made in synchronous mode.

    Args:
        manager: an asynchronous context manager that never suspends, such as `mkdtemp` with
            `context_vars={"async": False}`.

    Returns:
        A context manager for `with`, with the same enter-value. What the body raises reaches
        `manager`, which may swallow it.

    Raises:
        SuspendError: on entering or leaving: it suspended, as for `srun`.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from mt.aio.core import enter
        >>> @asynccontextmanager
        ... async def answer(context_vars={}):
        ...     yield 42
        >>> with enter(answer(context_vars={"async": False})) as value:
        ...     print(value)
        42
    """
    return _Entered(manager)


class _Entered(AbstractContextManager[T]):
    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager

    def __enter__(self) -> T:
        async def begin() -> T:
            return await self._manager.__aenter__()

        return drive(begin(), _code_of(self._manager))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        async def end() -> bool | None:
            return await self._manager.__aexit__(kind, error, trace)

        return drive(end(), _code_of(self._manager))


def _code_of(thing: object) -> Any:
    """Find whatever has a name to call the thing by in an error."""
    return getattr(thing, "gen", thing) if hasattr(thing, "__aenter__") else thing
