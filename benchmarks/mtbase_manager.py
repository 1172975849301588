"""mtbase's side of the suite `manager`; runs in mtbase's environment."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from mt import aio


async def trivial() -> None:
    """Give way once."""
    await asyncio.sleep(0)


def throughput(count: int, limit: int) -> dict[str, float]:
    """Send trivial aprocs, as fast as they are taken."""
    return _sent(count, limit, trivial)


def trickle(count: int, pending: int) -> dict[str, float]:
    """Keep many pending that end one by one, at random times within a second."""
    chance = random.Random(1)  # noqa: S311 - a workload, not a secret
    return _sent(count, pending, lambda: asyncio.sleep(chance.random()))


def _sent(count: int, limit: int, aproc: Callable[[], Awaitable[None]]) -> dict[str, float]:
    async def body() -> dict[str, float]:
        begin, cpu = time.perf_counter(), time.process_time()
        manager = aio.AprocManager(max_concurrency=limit)
        for _ in range(count):
            await manager.send(asyncio.ensure_future(aproc()))
        await manager.cleanup()
        end = time.perf_counter()
        return {"time": (end - begin) / count, "cpu": (time.process_time() - cpu) / count}

    return asyncio.run(body())
