"""mtbase's side of the suite `queues`; runs in mtbase's environment."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import queue
from typing import Any

from mt import aio

ways = importlib.import_module("_queue_ways")


def latency(kind: str, count: int) -> dict[str, float]:
    """Wake a coroutine from a thread."""
    q: Any = queue.Queue() if kind == "thread" else multiprocessing.Queue()
    return asyncio.run(ways.latency(lambda: aio.qget_aio(q), q.put, count))


def throughput(kind: str, count: int) -> dict[str, float]:
    """Hand items over as fast as it goes."""
    q: Any = queue.Queue() if kind == "thread" else multiprocessing.Queue()
    return asyncio.run(ways.throughput(lambda: aio.qget_aio(q), q.put, count))


def puts(kind: str, count: int) -> dict[str, float]:
    """Put items without anybody to take them meanwhile."""
    q: Any = queue.Queue() if kind == "thread" else multiprocessing.Queue()
    return asyncio.run(ways.puts(lambda item: aio.qput_aio(q, item), q.get, count))


def idle(kind: str, waiters: int, seconds: float) -> dict[str, float]:
    """Wait for what does not come."""
    q: Any = queue.Queue() if kind == "thread" else multiprocessing.Queue()
    return asyncio.run(ways.idle(lambda: aio.qget_aio(q), waiters, seconds))
