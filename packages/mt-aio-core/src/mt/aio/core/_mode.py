"""The mode of an asyn function, as its `context_vars` tell it: the only place that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import wraps
from typing import Any, TypeAlias

ContextVars: TypeAlias = Mapping[str, Any]
"""What an asyn function gets as `context_vars`: at least `"async"`, a boolean."""

SYNC: ContextVars = {"async": False}
ASYNC: ContextVars = {"async": True}


class MissingModeError(KeyError):
    """`context_vars` has no `"async"` key, so nobody said in which mode to run."""

    __module__ = "mt.aio.core.lowlevel"  # which may not have been imported when this is raised

    def __str__(self) -> str:
        """The message itself, where `KeyError` would show it in quotes."""
        return str(self.args[0])


def is_async(context_vars: ContextVars) -> bool:
    """Tell whether `context_vars` ask for asynchronous mode.

    The mode is never guessed, not even from a running event loop.

    Args:
        context_vars: the context variables that an asyn function was given.

    Returns:
        True in asynchronous mode, False in synchronous mode.

    Raises:
        MissingModeError: there is no `"async"` key.
        TypeError: `context_vars` is no mapping, or its `"async"` is not a boolean.
    """
    try:
        mode = context_vars["async"]
    except KeyError:
        raise MissingModeError(
            "context_vars has no 'async' key: pass context_vars={'async': True} and await the "
            "call, or run it without a loop through srun(function, ...)"
        ) from None
    except TypeError:
        raise TypeError(
            "context_vars must be a mapping such as {'async': True}, "
            f"not {type(context_vars).__name__}"
        ) from None
    if mode is True or mode is False:
        return mode
    raise TypeError(f"context_vars['async'] must be True or False, not {mode!r}")


if os.environ.get("MT_AIO_DEBUG") == "1":  # asked once: without it, it costs nothing
    _is_async = is_async

    @wraps(_is_async)
    def is_async(context_vars: ContextVars) -> bool:
        """Have the event loop watched, from the first time on that somebody runs on it."""
        asynchronous = _is_async(context_vars)
        if asynchronous:
            from mt.aio.core._watch import watch_running_loop

            watch_running_loop()
        return asynchronous
