"""mtbase's side of the suite `proc`; runs in mtbase's environment."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from typing import Any

import numpy as np

from mt import aio


class Echo(aio.BgProcess):
    """Returns its messages, prints if it is told to."""

    def child_handle_message(self, msg: Any) -> Any:
        """Return the message."""
        if isinstance(msg, dict):
            for _ in range(msg.get("lines", 0)):
                print("a line of text")
        return msg

    def parent_handle_message(self, msg: Any) -> None:
        """Take what the child printed, and do nothing."""


_kept: list[Echo] = []


def _echo() -> Echo:
    if not _kept:
        _kept.append(Echo())
    return _kept[0]


def one(count: int) -> dict[str, float]:
    """Send small messages one after the other."""

    async def body() -> float:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            await _echo().send(("hello", 1, 2.5))
            times.append(time.perf_counter() - begin)
        return sorted(times)[count // 2]

    return {"time": asyncio.run(body())}


def many(count: int) -> dict[str, float]:
    """Keep 32 small messages in flight."""

    async def worker() -> None:
        for _ in range(count // 32):
            await _echo().send(("hello", 1, 2.5))

    async def body() -> float:
        begin = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(32)])
        return (time.perf_counter() - begin) / count

    return {"time": asyncio.run(body())}


def large(count: int, size: int) -> dict[str, float]:
    """Echo an array, in a tuple: a bare one kills the child."""
    message = (np.ones(size // 8),)

    async def body() -> float:
        begin = time.perf_counter()
        for _ in range(count):
            await _echo().send(message)
        return (time.perf_counter() - begin) / count

    return {"time": asyncio.run(body())}


def printed(lines: int) -> dict[str, float]:
    """Have the child print lines."""

    async def body() -> float:
        begin = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):  # where it shows the lines
            await _echo().send({"lines": lines})
        return (time.perf_counter() - begin) / lines

    return {"time": asyncio.run(body())}


def burst(count: int) -> dict[str, float]:
    """Start many children and have the first reply of each."""

    async def body() -> float:
        begin = time.perf_counter()
        processes = [Echo() for _ in range(count)]
        await asyncio.gather(*[process.send(1) for process in processes])
        taken = time.perf_counter() - begin
        for process in processes:
            process.close()
        return taken / count

    return {"time": asyncio.run(body())}


def start(megabytes: int) -> dict[str, float]:
    """Start a child and have its first reply."""
    ballast = np.ones(megabytes << 17)

    async def body() -> float:
        begin = time.perf_counter()
        process = Echo()
        await process.send(1)
        taken = time.perf_counter() - begin
        process.close()
        return taken

    taken = asyncio.run(body())
    del ballast
    return {"time": taken}
