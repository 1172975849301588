"""mtbase's side of the suite `core`; runs in mtbase's environment."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from mt import aio


async def trivial(value: int, context_vars: Any) -> int:  # noqa: ARG001 - an asyn function
    """Do nothing, asynly."""
    return value


def srun(count: int) -> dict[str, float]:
    """Call an asyn function in synchronous mode."""
    begin = time.perf_counter()
    for number in range(count):
        aio.srun(trivial, number)
    return {"time": (time.perf_counter() - begin) / count}


def arun(count: int) -> dict[str, float]:
    """Call an asyn function through arun in asynchronous mode."""

    async def body() -> float:
        context_vars = {"async": True}
        begin = time.perf_counter()
        for number in range(count):
            await aio.arun(trivial, number, context_vars=context_vars)
        return (time.perf_counter() - begin) / count

    return {"time": asyncio.run(body())}
