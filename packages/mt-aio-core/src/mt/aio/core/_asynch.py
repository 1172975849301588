"""From an asynch function to an asyn function, and back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType, GeneratorType
from typing import Any

from mt.aio.core._asyn import asyn
from mt.aio.core._mode import ContextVars, is_async
from mt.aio.core._run import drive, name_of


def arun(
    asyn_func: Callable[..., Coroutine[Any, Any, Any]],
    *args: Any,
    context_vars: ContextVars = {},
    **kwargs: Any,
) -> Any:
    """Call an asyn function from inside an asynch function.

    **Modes.** Asynchronous: returns the coroutine, which the caller awaits. Synchronous: runs
    the function as `srun` does and returns its result. Every context variable is handed on.

    Args:
        asyn_func: an asyn function.
        *args: its positional arguments.
        context_vars: the asynch function's own context variables.
        **kwargs: its other keyword arguments.

    Returns:
        A coroutine in asynchronous mode, the function's result in synchronous mode.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        SuspendError: as for `srun`, in synchronous mode.
        TypeError: `asyn_func` did not return a coroutine.

    Example:
        >>> from mt.aio.core import arun, sleep
        >>> def nap(context_vars={}):  # an asynch function
        ...     return arun(sleep, 0.001, context_vars=context_vars)
        >>> nap(context_vars={"async": False})
    """
    if is_async(context_vars):
        if not kwargs:  # mostly, and Python 3.11 takes the time to merge what is not there
            return asyn_func(*args, context_vars=context_vars)
        return asyn_func(*args, context_vars=context_vars, **kwargs)
    return drive(asyn_func(*args, context_vars=context_vars, **kwargs), asyn_func)


@asyn
async def arun2(
    asynch_func: Callable[..., Any],
    *args: Any,
    context_vars: ContextVars = {},
    **kwargs: Any,
) -> Any:
    """Call an asynch function from inside an asyn function.

    **Modes.** Asynchronous: awaits the coroutine that the asynch function returns. Synchronous:
    takes its result as it is. Every context variable is handed on.

    Args:
        asynch_func: an asynch function, that is a plain `def` with a `context_vars` keyword that
            returns an awaitable in asynchronous mode and the result in synchronous mode.
        *args: its positional arguments.
        context_vars: the asyn function's own context variables.
        **kwargs: its other keyword arguments.

    Returns:
        Whatever the asynch function's work comes to.

    Raises:
        MissingModeError: `context_vars` has no `"async"` key.
        TypeError: the function returned no awaitable in asynchronous mode, or a coroutine in
            synchronous mode (it is an asyn function then, and can simply be awaited).

    Example:
        >>> from mt.aio.core import arun2, srun
        >>> def plus_one(x, context_vars={}):
        ...     return x + 1
        >>> srun(arun2, plus_one, 1)
        2
    """
    asynchronous = is_async(context_vars)
    result = asynch_func(*args, context_vars=context_vars, **kwargs)
    if asynchronous:
        if not (hasattr(result, "__await__") or isinstance(result, GeneratorType)):
            raise TypeError(
                f"{name_of(asynch_func)} returned {type(result).__name__} in asynchronous mode, "
                "where an asynch function returns an awaitable"
            )
        return await result
    if isinstance(result, CoroutineType):
        result.close()
        raise TypeError(
            f"{name_of(asynch_func)} returned a coroutine in synchronous mode: it is an asyn "
            "function, so await it instead of calling it through arun2()"
        )
    return result
