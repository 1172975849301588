"""For authors of asyn functions: the mode, the way off the event loop, the errors."""

from __future__ import annotations

from mt.aio.core._later import later
from mt.aio.core._limit import at_least_one
from mt.aio.core._mode import ContextVars, MissingModeError, is_async
from mt.aio.core._offload import check_cancelled, expect_wait, offload, submit
from mt.aio.core._pieces import living, publish
from mt.aio.core._progress import Bar, Progress, Updatable, check_progress, open_bar
from mt.aio.core._protocol import AsynContext, AsynFunction, AsynIterator
from mt.aio.core._suspend import SuspendError

__all__ = [
    "AsynContext",
    "AsynFunction",
    "AsynIterator",
    "Bar",
    "ContextVars",
    "MissingModeError",
    "Progress",
    "SuspendError",
    "Updatable",
    "at_least_one",
    "check_cancelled",
    "check_progress",
    "expect_wait",
    "is_async",
    "later",
    "living",
    "offload",
    "open_bar",
    "publish",
    "submit",
]


publish(globals())
