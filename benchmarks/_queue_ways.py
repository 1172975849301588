"""What is measured of a queue, whoever waits for it; for both sides of the suite `queues`."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

Get = Callable[[], Awaitable[Any]]
Put = Callable[[Any], Any]


async def latency(get: Get, put: Put, count: int) -> dict[str, float]:
    """Put at random moments in a thread; measure until who waits goes on: the median."""
    pauses = [random.uniform(0.0005, 0.003) for _ in range(count)]  # noqa: S311 - no secret

    def produce() -> None:
        for pause in pauses:
            time.sleep(pause)
            put(time.perf_counter())

    thread = threading.Thread(target=produce)
    thread.start()
    times = []
    for _ in pauses:
        begin = await get()
        times.append(time.perf_counter() - begin)
    thread.join()
    return {"time": median(times)}


async def throughput(get: Get, put: Put, count: int) -> dict[str, float]:
    """Put in a thread and get here, as fast as it goes."""

    def produce() -> None:
        for number in range(count):
            put(number)

    thread = threading.Thread(target=produce)
    begin = time.perf_counter()
    thread.start()
    for _ in range(count):
        await get()
    seconds = time.perf_counter() - begin
    thread.join()
    return {"time": seconds / count}


async def puts(
    put: Callable[[Any], Awaitable[Any]], get: Callable[[], Any], count: int
) -> dict[str, float]:
    """Put here; the items are taken out afterwards."""
    begin = time.perf_counter()
    for number in range(count):
        await put((number, "item"))
    seconds = time.perf_counter() - begin
    for _ in range(count):
        get()
    return {"time": seconds / count}


async def idle(get: Get, waiters: int, seconds: float) -> dict[str, float]:
    """Have many coroutines wait; measure the CPU that this takes, as a share of a core.

    Of the threads, those of earlier cases do not count, unless they look at queues, too.
    """
    others = sum(not each.name.startswith("mt-aio-queue") for each in threading.enumerate())
    tasks = [asyncio.ensure_future(get()) for _ in range(waiters)]
    await asyncio.sleep(0.2)
    threads = threading.active_count() - others + 1
    begin, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    share = (time.process_time() - cpu) / (time.perf_counter() - begin)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"share": share, "threads": threads}
