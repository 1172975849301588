"""How each contestant reads and writes one file, and how many of them are awaited at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiofile
import aiofiles
import aiofiles.os
import anyio

from mt.aio import fs

ASYNC = {"async": True}
DATA = os.urandom(4096)

Way = Callable[[str], Awaitable[Any]]


async def read_ours(path: str) -> bytes:
    """Read with mt.aio."""
    return await fs.read_binary(path, context_vars=ASYNC)


async def read_inline(path: str) -> bytes:
    """Read with mt.aio, on the event loop if the file is in memory."""
    return await fs.read_binary(path, context_vars=ASYNC, inline=True)


async def read_aiofiles(path: str) -> bytes:
    """Read with aiofiles."""
    async with aiofiles.open(path, "rb") as file:
        data: bytes = await file.read()
        return data


async def read_anyio(path: str) -> bytes:
    """Read with anyio."""
    return await anyio.Path(path).read_bytes()


async def read_aiofile(path: str) -> bytes:
    """Read with aiofile."""
    async with aiofile.async_open(path, "rb") as file:
        data: bytes = await file.read()
        return data


async def read_to_thread(path: str) -> bytes:
    """Read in one hop with the standard library."""
    return await asyncio.to_thread(read_sync, path)


def read_sync(path: str) -> bytes:
    """Read with the plain synchronous call."""
    with open(path, "rb") as file:
        return file.read()


async def write_ours(path: str) -> None:
    """Write with mt.aio, atomically and durably, as it does by default."""
    await fs.write_binary(path, DATA, context_vars=ASYNC)


async def write_aiofiles(path: str) -> None:
    """Write with aiofiles, in place."""
    async with aiofiles.open(path, "wb") as file:
        await file.write(DATA)


async def write_aiofiles_atomic(path: str) -> None:
    """Write with aiofiles to a temporary file that is then renamed; not durably."""
    temporary = path + ".tmp"
    async with aiofiles.open(temporary, "wb") as file:
        await file.write(DATA)
    await aiofiles.os.replace(temporary, path)


async def write_anyio(path: str) -> None:
    """Write with anyio, in place."""
    await anyio.Path(path).write_bytes(DATA)


async def write_to_thread(path: str) -> None:
    """Write in one hop with the standard library, in place."""
    await asyncio.to_thread(write_sync, path)


def write_sync(path: str, data: bytes = DATA) -> None:
    """Write with the plain synchronous call, in place."""
    Path(path).write_bytes(data)


def write_safe(path: str) -> None:
    """Write as one would by hand: temporary file, flush, rename, flush of the folder."""
    temporary = path + ".tmp"
    with open(temporary, "wb") as file:
        file.write(DATA)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def one_by_one(way: Way, paths: list[str]) -> None:
    """Await a way of one file after the other."""
    for path in paths:
        await way(path)


async def by_64(way: Way, paths: list[str]) -> None:
    """Await 64 at a time."""
    for start in range(0, len(paths), 64):
        await asyncio.gather(*map(way, paths[start : start + 64]))


async def gathered(way: Way, paths: list[str]) -> None:
    """Await all at once."""
    await asyncio.gather(*map(way, paths))


STYLES = (
    ("one by one", one_by_one, 1),
    ("64 at a time", by_64, 64),
    ("gathered", gathered, 10**9),
)
