"""One writer of files as a program to which faults are done; see faults.py.

python _fault_files.py WRITER ACT PATH, where WRITER is a key of WRITERS. It runs in the environment
that has the writer. All is imported before it says "ready"; then it waits for a line.
"""

# ruff: noqa: ASYNC240 - looking at a file may block, as nothing else runs meanwhile

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

SIZE = 300_000
OLD, NEW = b"o" * SIZE, b"n" * SIZE

Write = Callable[[str, bytes], Awaitable[object]]


def of_open() -> Write:
    """Plain open, in a thread."""

    def write(path: str, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)

    return lambda path, data: asyncio.to_thread(write, path, data)


def of_atomicwrites() -> Write:
    """The package atomicwrites, in a thread."""
    from atomicwrites import atomic_write

    def write(path: str, data: bytes) -> None:
        with atomic_write(path, mode="wb", overwrite=True) as file:
            file.write(data)

    return lambda path, data: asyncio.to_thread(write, path, data)


def of_aiofiles() -> Write:
    """The package aiofiles, as its users write."""
    import aiofiles

    async def write(path: str, data: bytes) -> None:
        async with aiofiles.open(path, "wb") as file:
            await file.write(data)

    return write


def of_anyio() -> Write:
    """Anyio's Path."""
    import anyio

    return lambda path, data: anyio.Path(path).write_bytes(data)


def of_mt_aio() -> Write:
    """Ours; or mtbase's, in whose environment mt.aio is mtbase's."""
    from mt import aio

    return lambda path, data: aio.write_binary(path, data, context_vars={"async": True})


WRITERS = {
    "mt.aio": of_mt_aio,
    "open": of_open,
    "aiofiles": of_aiofiles,
    "anyio": of_anyio,
    "atomicwrites": of_atomicwrites,
    "mtbase": of_mt_aio,
}


def look(path: str) -> str:
    """Say what a reader finds."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return "missing"
    return {OLD: "old", NEW: "new"}.get(data, "torn")


async def once(write: Write, path: str) -> int:
    """Write once between two marks that a trace shows; give the number of the error."""
    for mark in ("begin", "end"):
        with contextlib.suppress(OSError):
            os.stat(f"/fault/{mark}")
        if mark == "begin":
            try:
                await write(path, NEW)
            except OSError as error:
                return error.errno or 250
            except Exception:  # noqa: BLE001 - whatever it is, it has been told
                return 250
    return 0


async def rewritten(write: Write, path: str) -> dict[str, int]:
    """Rewrite a path 200 times; another process reads it all the time."""
    for number in range(200):
        await write(path, (OLD, NEW)[number % 2])
    return {}


async def crowd(write: Write, path: str) -> dict[str, int]:
    """Let 8 tasks write one path 10 times each; count errors and look at the end."""
    errors = 0

    async def one(number: int) -> None:
        nonlocal errors
        for _ in range(10):
            try:
                await write(path, (OLD, NEW)[number % 2])
            except Exception:  # noqa: BLE001 - counted
                errors += 1

    await asyncio.gather(*(one(number) for number in range(8)))
    return {"errors": errors, look(path): 1}


async def cancelled(write: Write, path: str) -> dict[str, int]:
    """Cancel 100 writes, each a little later; look at once, and when all threads have ended."""
    seen: Counter[str] = Counter()
    for number in range(100):
        await write(path, OLD)
        task = asyncio.ensure_future(write(path, NEW))
        for _ in range(number % 10):
            await asyncio.sleep(0)
        until = time.perf_counter() + (number // 10) * 0.0001
        while time.perf_counter() < until:  # noqa: ASYNC110 - a moment of the clock, not an event
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):  # what it leaves is looked at
            await task
        at_once = look(path)
        await asyncio.sleep(0.02)
        later = look(path)
        seen[later] += 1
        if later != at_once:
            seen["changed afterwards"] += 1
    return dict(seen)


async def many(write: Write, path: str) -> dict[str, int]:
    """Write 1,000 files at once, with 64 descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    results = await asyncio.gather(
        *(write(f"{path}{number}", b"x") for number in range(1000)), return_exceptions=True
    )
    return {"failed": sum(isinstance(result, BaseException) for result in results)}


async def folder(write: Write, path: str) -> dict[str, int]:
    """Write to what is a folder with a file in it."""
    os.remove(path)
    os.mkdir(path)
    inside = os.path.join(path, "precious")
    Path(inside).touch()
    told = 0
    try:
        await write(path, NEW)
    except Exception:  # noqa: BLE001 - as it should
        told = 1
    return {"told": told, "lost": int(not Path(inside).is_file())}


async def link(write: Write, path: str) -> dict[str, int]:
    """Write to a symbolic link."""
    real = path + ".real"
    os.rename(path, real)
    os.symlink(real, path)
    await write(path, NEW)
    return {"kept": int(Path(path).is_symlink()), "written": int(look(real) == "new")}


ACTS = {act.__name__: act for act in (once, rewritten, crowd, cancelled, many, folder, link)}


def main(writer: str, act: str, path: str) -> int:
    """Do one act; `once` tells by its status, the others by a line of JSON."""
    write = WRITERS[writer]()

    async def run() -> object:
        with tempfile.TemporaryDirectory() as elsewhere:
            await write(os.path.join(elsewhere, "warm"), NEW)
        print("ready", flush=True)
        sys.stdin.readline()
        return await ACTS[act](write, path)

    result = asyncio.run(run())
    if isinstance(result, int):
        return result
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
