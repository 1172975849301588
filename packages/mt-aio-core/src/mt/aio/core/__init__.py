"""Run one `async def` body synchronously or asynchronously."""

from __future__ import annotations

from typing import Any

import mt.aio.core._fork  # noqa: F401 - for what it does
from mt.aio.core._asyn import asyn
from mt.aio.core._asynch import arun, arun2
from mt.aio.core._gather import amap, gather
from mt.aio.core._inline import enter, iterate
from mt.aio.core._ipython import ipython_state
from mt.aio.core._limit import lock, semaphore, timeout
from mt.aio.core._pieces import publish
from mt.aio.core._run import srun
from mt.aio.core._sleep import sleep, yield_control

__all__ = [
    "amap",
    "arun",
    "arun2",
    "asyn",
    "enter",
    "gather",
    "ipython",
    "iterate",
    "lock",
    "semaphore",
    "sleep",
    "srun",
    "timeout",
    "yield_control",
]

ipython: str


def __getattr__(name: str) -> Any:
    if name == "ipython":  # looked up anew each time: a notebook may patch asyncio at any moment
        return ipython_state()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


publish(globals())
