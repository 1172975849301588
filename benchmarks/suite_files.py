"""Reading and writing files: many small ones, one large one, JSON, and a real disk."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import _files_disk
import _files_limits as limits
import _files_ways as ways
from _harness import (
    Case,
    Figures,
    Looped,
    Measure,
    Options,
    Target,
    peak_descriptors,
    sync_loop,
    timed,
    timed_async,
)
from _mtbase import Mtbase

from mt.aio import fs
from mt.aio.core import srun

ASYNC = ways.ASYNC
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - the tmpfs itself is wanted
STYLES = ways.STYLES


@dataclass(frozen=True)
class Bench(Looped):
    """What the cases share."""

    mtbase: Mtbase
    echo: limits.Echo
    memory: str  # a folder on tmpfs
    quick: bool

    def names(self, kind: str, count: int) -> list[str]:
        """Make up the paths of small files."""
        return [os.path.join(self.memory, f"{kind}-{number}") for number in range(count)]

    def wake_ups(self, at_once: int) -> dict[str, Measure | None]:
        """Give what two wake-ups take, to which one file at a time comes down."""
        return {"bare wake-ups": sync_loop(self.echo.wake, [""] * 500)} if at_once == 1 else {}

    def in_loop(self, body: Callable[[], Awaitable[Any]], count: int = 1) -> Measure:
        """Measure a coroutine function on the event loop."""
        return lambda: self.runner.run(timed_async(body, count))


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    with ExitStack() as stack:
        bench = Bench(
            stack.enter_context(asyncio.Runner()),
            stack.enter_context(Mtbase(options.mtbase, "files")),
            stack.enter_context(limits.Echo()),
            stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)),
            options.quick,
        )
        paths = bench.names("read", 500 if options.quick else 2_000)
        for path in paths:
            ways.write_sync(path)
        yield from read_cases(bench, paths)
        yield bulk_case(bench, paths)
        yield sync_case(bench, paths)
        yield descriptor_case(bench, paths)
        yield from write_cases(bench, len(paths))
        yield from large_cases(bench)
        yield from json_cases(bench)
        yield from _files_disk.cases(bench.runner, quick=bench.quick)


def read_cases(bench: Bench, paths: list[str]) -> Iterator[Case]:
    """Read small files, cached."""
    for (name, style, at_once), limit in zip(STYLES, (0.22, 0.14, 0.15), strict=True):

        def measure(way: ways.Way, style: Any = style) -> Measure:
            return bench.in_loop(lambda: style(way, paths), len(paths))

        yield Case(
            f"read_binary, {name}",
            measure(ways.read_ours),
            {
                "aiofiles": measure(ways.read_aiofiles),
                "anyio": measure(ways.read_anyio),
                "aiofile": measure(ways.read_aiofile),
                "to_thread": measure(ways.read_to_thread),
                "mtbase": bench.mtbase.case("read", paths=paths, at_once=at_once),
                "synchronous loop": sync_loop(ways.read_sync, paths),
                "bare system calls": sync_loop(limits.bare_read, paths),
                **bench.wake_ups(at_once),
            },
            (Target(limit, "aiofiles"),),
        )


def bulk_case(bench: Bench, paths: list[str]) -> Case:
    """Read small files in bulk."""

    async def ours() -> None:
        async for _ in fs.read_many(paths, context_vars=ASYNC):
            pass

    def gathered(way: ways.Way) -> Measure:
        return bench.in_loop(lambda: ways.gathered(way, paths), len(paths))

    return Case(
        "read_many",
        bench.in_loop(ours, len(paths)),
        {
            "aiofiles, gathered": gathered(ways.read_aiofiles),
            "to_thread, gathered": gathered(ways.read_to_thread),
            "synchronous loop": sync_loop(ways.read_sync, paths),
        },
        (Target(0.07, "aiofiles, gathered"),),
    )


def sync_case(bench: Bench, paths: list[str]) -> Case:
    """Read small files in synchronous mode."""
    return Case(
        "read_binary, sync mode",
        sync_loop(lambda path: srun(fs.read_binary, path), paths),
        {
            'open(p, "rb").read()': sync_loop(ways.read_sync, paths),
            "mtbase": bench.mtbase.case("read_sync", paths=paths),
        },
        (Target(1.2, 'open(p, "rb").read()'),),
    )


def descriptor_case(bench: Bench, paths: list[str]) -> Case:
    """Count the descriptors that 2,000 gathered reads have open at most."""
    many = [paths[number % len(paths)] for number in range(2_000)]

    def measure(way: ways.Way) -> Measure:
        def run() -> Figures:
            figures: Figures = {}
            with peak_descriptors(figures):
                bench.runner.run(ways.gathered(way, many))
            return figures

        return run

    return Case(
        "descriptors at 2,000 gathered reads",
        measure(ways.read_ours),
        {"aiofiles": measure(ways.read_aiofiles), "to_thread": measure(ways.read_to_thread)},
        (Target(32, figure="fds"),),
        rounds=3,
    )


def write_cases(bench: Bench, count: int) -> Iterator[Case]:
    """Write small files to new names; ours atomically, the peers' in place unless said."""
    fresh = iter(range(10**9))

    def on_new_names(write: Callable[[list[str]], Figures]) -> Measure:
        def run() -> Figures:
            paths = bench.names(f"write-{next(fresh)}", count)
            figures = write(paths)
            for path in paths:
                os.unlink(path)
            return figures

        return run

    def in_loop(way: ways.Way, style: Any) -> Measure:
        return on_new_names(
            lambda paths: bench.runner.run(timed_async(lambda: style(way, paths), count))
        )

    def mtbase(at_once: int) -> Measure | None:
        def ask(paths: list[str]) -> Figures:
            measure = bench.mtbase.case("write", paths=paths, at_once=at_once)
            return measure() if measure else {}

        return on_new_names(ask) if bench.mtbase.case("write") else None

    def plain(func: Callable[[str], Any]) -> Measure:
        return on_new_names(lambda paths: sync_loop(func, paths)())

    for (name, style, at_once), limit in zip(STYLES, (0.30, 0.25, 0.20), strict=True):
        yield Case(
            f"write_binary, {name}",
            in_loop(ways.write_ours, style),
            {
                "aiofiles": in_loop(ways.write_aiofiles, style),
                "aiofiles, atomic": in_loop(ways.write_aiofiles_atomic, style),
                "anyio": in_loop(ways.write_anyio, style),
                "to_thread": in_loop(ways.write_to_thread, style),
                "mtbase": mtbase(at_once),
                "write_binary, sync mode": plain(
                    lambda path: srun(fs.write_binary, path, ways.DATA)
                ),
                "bare system calls": plain(limits.bare_write),
                **bench.wake_ups(at_once),
            },
            (Target(limit, "aiofiles"), Target(0.12, "mtbase")),
            notes="ours is atomic and durable, the peers write in place unless said otherwise",
        )


def large_cases(bench: Bench) -> Iterator[Case]:
    """Read and write one large file."""
    path, data = os.path.join(bench.memory, "large"), os.urandom(256 * 2**20)

    async def write() -> None:
        await fs.write_binary(path, data, context_vars=ASYNC)

    def write_sync() -> None:
        with open(path, "wb") as file:
            file.write(data)

    write_sync()

    content: list[bytes] = []  # to free it takes 20 ms, which are the reader's own

    async def read() -> None:
        content.append(await fs.read_binary(path, context_vars=ASYNC))

    reading = bench.gapped(read)

    def read_afresh() -> Figures:
        content.clear()
        return reading()

    targets = (Target(1.1, "plain call"), Target(0.020, figure="gap"))
    for name, ours, plain in (
        ("write", bench.gapped(write), write_sync),
        ("read", read_afresh, lambda: ways.read_sync(path)),
    ):
        peers: dict[str, Measure | None] = {"plain call": lambda plain=plain: timed(plain)}
        yield Case(f"{name}_binary, 256 MiB", ours, peers, targets, rounds=5)
    os.unlink(path)


def json_cases(bench: Bench) -> Iterator[Case]:
    """Save and load 20 MB of JSON (2 MB with --quick)."""
    item = {"name": "x" * 20, "values": [1, 2.5, None, True], "nested": {"key": "väl\n"}}
    obj = [{**item, "id": number} for number in range(20_000 if bench.quick else 180_000)]
    path, text = os.path.join(bench.memory, "json"), json.dumps(obj)

    ways.write_sync(path, text.encode())

    async def save() -> None:
        await fs.json_save(path, obj, context_vars=ASYNC)

    async def load() -> None:
        await fs.json_load(path, context_vars=ASYNC)

    def dump() -> None:
        with open(path, "wb") as file:
            file.write(json.dumps(obj).encode())

    def parse() -> Any:
        return json.loads(ways.read_sync(path))

    for name, ours, codec, limit in (("save", save, dump, 1.1), ("load", load, parse, 1.3)):
        yield Case(
            f"json_{name}, {len(text) / 1e6:.0f} MB",
            bench.gapped(ours),
            {"codec in a thread": bench.gapped(lambda codec=codec: asyncio.to_thread(codec))},
            (Target(0.4, "codec in a thread", "gap"), Target(limit, "codec in a thread")),
            rounds=5,
        )
    os.unlink(path)
