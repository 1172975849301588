"""mtbase's side of the suite `files`; runs in mtbase's environment."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from mt import aio

ASYNC = {"async": True}
DATA = os.urandom(4096)


def read(paths: list[str], at_once: int) -> dict[str, float]:
    """Read files, so many at a time."""
    return _timed(lambda path: aio.read_binary(path, context_vars=ASYNC), paths, at_once)


def write(paths: list[str], at_once: int) -> dict[str, float]:
    """Write files, so many at a time."""
    return _timed(lambda path: aio.write_binary(path, DATA, context_vars=ASYNC), paths, at_once)


def read_sync(paths: list[str]) -> dict[str, float]:
    """Read files in synchronous mode."""
    begin = time.perf_counter()
    for path in paths:
        aio.srun(aio.read_binary, path)
    return {"time": (time.perf_counter() - begin) / len(paths)}


def _timed(way: Callable[[str], Any], paths: list[str], at_once: int) -> dict[str, float]:
    async def body() -> float:
        begin = time.perf_counter()
        if at_once == 1:
            for path in paths:
                await way(path)
        else:
            for start in range(0, len(paths), at_once):
                await asyncio.gather(*map(way, paths[start : start + at_once]))
        return (time.perf_counter() - begin) / len(paths)

    return {"time": asyncio.run(body())}
