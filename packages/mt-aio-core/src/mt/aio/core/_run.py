"""The runners: how an asyn function is called from code that is not one.

A coroutine that never suspends needs no event loop: one step takes it to its end. The step is
taken by `yield from` inside a generator, which hands the result over without building a
StopIteration object; whatever the coroutine really yields lands in the body of the `for` below
and is an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import CoroutineType, coroutine
from typing import Any, TypeVar

from mt.aio.core._mode import ContextVars, is_async
from mt.aio.core._suspend import suspend_error

T = TypeVar("T")


def srun(
    asyn_func: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    extra_context_vars: ContextVars = {},
    **kwargs: Any,
) -> T:
    """Run an asyn function in synchronous mode, in this thread, with no event loop.

    It works wherever plain code works: in a script, inside a running event loop, in a notebook
    cell, in any thread. `contextvars` are those of the caller, exceptions pass unchanged.

    Args:
        asyn_func: an asyn function, that is an `async def` with a `context_vars` keyword.
        *args: its positional arguments.
        extra_context_vars: context variables handed on besides `{"async": False}`.
        **kwargs: its other keyword arguments.

    Returns:
        Whatever the asyn function returns.

    Raises:
        SuspendError: the function suspended, that is it awaited something that needs an event
            loop. It is closed (its `finally` blocks run) and the error names the await.
        TypeError: `asyn_func` did not return a coroutine.
        ValueError: `extra_context_vars` ask for asynchronous mode.

    Example:
        >>> from mt.aio.core import sleep, srun
        >>> async def double(x, context_vars={}):
        ...     await sleep(0.001, context_vars=context_vars)
        ...     return 2 * x
        >>> srun(double, 3)
        6
    """
    context_vars: ContextVars = {"async": False}
    if extra_context_vars:
        context_vars = {"async": False, **extra_context_vars}
        if is_async(context_vars):
            raise ValueError(
                "extra_context_vars ask for asynchronous mode, but srun() runs without an event "
                "loop: leave 'async' out, or await the function itself"
            )
    return drive(asyn_func(*args, context_vars=context_vars, **kwargs), asyn_func)


@coroutine
def _step(awaitable: Awaitable[T], result: list[T]) -> Generator[Any, Any, None]:
    """Yield what the awaitable yields; at its end, put its result into the list."""
    result.append((yield from awaitable))  # type: ignore[misc]  # as `coroutine` allows


def drive(coro: Coroutine[Any, Any, T], asyn_func: Callable[..., Any]) -> T:
    """Run a coroutine to its end in one step."""
    if type(coro) is not CoroutineType:  # else `yield from` would take a list for one
        coro = _checked(coro, asyn_func)
    result: list[T] = []
    for awaited in _step(coro, result):
        raise suspend_error(asyn_func, coro, awaited)
    return result[0]


def _checked(coro: object, asyn_func: Callable[..., Any]) -> Coroutine[Any, Any, Any]:
    """Accept what behaves as a coroutine (a compiled one, say); refuse anything else."""
    if isinstance(coro, Coroutine):
        return coro
    raise TypeError(
        f"{name_of(asyn_func)} returned {type(coro).__name__}, not a coroutine: "
        "an asyn function is declared with 'async def' and has no 'yield'"
    )


def name_of(func: object) -> str:
    return getattr(func, "__qualname__", None) or repr(func)
