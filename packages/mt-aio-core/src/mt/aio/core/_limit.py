"""Time-outs, locks and other limits that mean the same in both modes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from operator import index
from typing import TYPE_CHECKING, Any

from mt.aio.core._asyn import asyn
from mt.aio.core._mode import ContextVars, is_async

if TYPE_CHECKING:
    from types import TracebackType


@asyn
def timeout(
    secs: float | None, *, context_vars: ContextVars = {}
) -> AbstractAsyncContextManager[None]:
    """Limit the time that the body of an `async with` may take.

    **Modes.** Asynchronous: the body is cancelled when the time is over. Synchronous: nothing
    can interrupt the body; the error is raised at its end, if that came too late.

    Args:
        secs: seconds; None for no limit.
        context_vars: the mode.

    Returns:
        The context manager, to be entered once.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        RuntimeError: on entering: it has been entered before.
        TimeoutError: on leaving: the time was over. An error of the body itself comes first.
        TypeError: `secs` is no number.
        ValueError: `secs` is NaN.
    """
    secs = _seconds_or_none("secs", secs)
    if is_async(context_vars):
        from asyncio import timeout as limit

        return _Silent(limit(secs))
    return _Deadline(secs)


@asyn
def lock(*, context_vars: ContextVars = {}) -> AbstractAsyncContextManager[None]:
    """Make a lock: one `async with` on it at a time.

    **Modes.** Asynchronous: among the tasks of one event loop (`asyncio.Lock`). Synchronous:
    among threads (`threading.Lock`). Entering it again inside waits for ever in both.

    Args:
        context_vars: the mode of those who will use it.

    Returns:
        A context manager that can be entered any number of times.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.

    **Cancellation.** Ends the waiting; the lock is not taken.
    """
    return semaphore(1, context_vars=context_vars)


@asyn
def semaphore(value: int, *, context_vars: ContextVars = {}) -> AbstractAsyncContextManager[None]:
    """Make a semaphore: up to `value` bodies of `async with` on it at a time.

    **Modes**, **Cancellation**: as for `lock`.

    Args:
        value: how many may be inside at once.
        context_vars: the mode of those who will use it.

    Returns:
        A context manager that can be entered any number of times.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        TypeError: `value` is no integer.
        ValueError: `value` is below 1, so that nobody could ever enter.
    """
    value = at_least_one("the value of a semaphore", value)
    if is_async(context_vars):
        import asyncio

        return _Silent(asyncio.Semaphore(value))
    from threading import BoundedSemaphore

    return _Threads(BoundedSemaphore(value))


def at_least_one(name: str, value: object) -> int:
    """Check an argument that says how many: of calls at once, for example.

    Args:
        name: what the argument is called, for the error.
        value: the argument.

    Returns:
        The number.

    Raises:
        TypeError: `value` is no integer.
        ValueError: it is below 1.
    """
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not bool")
    try:
        number = index(value)  # type: ignore[arg-type]  # which is what is being tested
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def _seconds_or_none(name: str, value: object) -> float | None:
    """Give a number of seconds, or None for no limit."""
    if value is None:
        return None
    try:
        secs = value + 0.0  # type: ignore[operator]  # likewise
    except TypeError:
        raise TypeError(f"{name} must be a number or None, not {type(value).__name__}") from None
    if secs != secs:  # noqa: PLR0124  # NaN is what is not itself
        raise ValueError(f"{name} must be a number or None, not nan")
    return float(secs)


class _Silent(AbstractAsyncContextManager[None]):
    """A context manager of asyncio's, with None as its enter-value in both modes."""

    def __init__(self, inner: AbstractAsyncContextManager[Any]) -> None:
        self._inner = inner

    async def __aenter__(self) -> None:
        await self._inner.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


class _Deadline(AbstractAsyncContextManager[None]):
    def __init__(self, secs: float | None) -> None:
        self._secs = secs
        self._begun: float | None = None

    async def __aenter__(self) -> None:
        from time import monotonic

        if self._begun is not None:  # `asyncio.timeout` refuses that, too
            raise RuntimeError("this time limit has been entered already: make another one")
        self._begun = monotonic()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from time import monotonic

        if kind is None and self._secs is not None and self._begun is not None:
            took = monotonic() - self._begun
            if took > self._secs:
                raise TimeoutError(f"took {took:.3g} s, where {self._secs:g} s were allowed")


class _Threads(AbstractAsyncContextManager[None]):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aenter__(self) -> None:
        self._inner.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._inner.release()
