"""The cases of suite `files` that want a real disk."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import _files_ways as ways
from _harness import Case, Figures, Measure, Target, sync_loop, timed_async

from mt.aio import fs


def cases(runner: asyncio.Runner, *, quick: bool) -> Iterator[Case]:
    """Give the cases; the folder is MT_AIO_BENCH_DISK's, else one of the system's."""
    default = "/var/tmp" if os.path.isdir("/var/tmp") else None  # noqa: S108 - /tmp may be a tmpfs
    place = os.environ.get("MT_AIO_BENCH_DISK") or default
    with tempfile.TemporaryDirectory(dir=place) as folder:
        count = 200 if quick else 1_000
        paths = [os.path.join(folder, str(number)) for number in range(count)]
        for path in paths:
            ways.write_sync(path)
        yield from inline_cases(runner, paths)
        yield from durable_cases(runner, paths)


def inline_cases(runner: asyncio.Runner, paths: list[str]) -> Iterator[Case]:
    """Read small files that are in memory, on the event loop itself."""
    for name, style, _ in ways.STYLES:

        def measure(way: ways.Way, style: Any = style) -> Measure:
            return lambda: runner.run(timed_async(lambda: style(way, paths), len(paths)))

        yield Case(
            f"read_binary, disk, inline, {name}",
            measure(ways.read_inline),
            {
                "aiofiles": measure(ways.read_aiofiles),
                "read_binary, not inline": measure(ways.read_ours),
                "synchronous loop": sync_loop(ways.read_sync, paths),
            },
            (Target(0.11, "aiofiles"),),
            notes="the files are cached; where the file system refuses RWF_NOWAIT this is a hop",
        )


def durable_cases(runner: asyncio.Runner, paths: list[str]) -> Iterator[Case]:
    """Write many files at once, with each durability.

    Disks that are virtual or shared take between a fraction of a millisecond and ten for a flush,
    from one second to the next. So who writes one after the other gets a few files only: the two
    that are compared are to find the disk in one mood. What one has left unwritten is written
    before the next begins.
    """
    count = len(paths)
    few = paths[: max(count // 10, 20)]

    def settled(measure: Measure) -> Measure:
        def run() -> Figures:
            os.sync()
            return measure()

        return run

    def at_once(durability: Any) -> Measure:
        async def body() -> None:
            await asyncio.gather(
                *(
                    fs.write_binary(path, ways.DATA, context_vars=ways.ASYNC, durability=durability)
                    for path in paths
                )
            )

        return settled(lambda: runner.run(timed_async(body, count)))

    async def in_threads() -> None:
        await asyncio.gather(*(asyncio.to_thread(ways.write_safe, path) for path in paths))

    yield Case(
        f"{count} writes at once, disk, full",
        at_once("full"),
        {
            "fsync each, one by one": settled(sync_loop(ways.write_safe, few)),
            "fsync each, to_thread": settled(lambda: runner.run(timed_async(in_threads, count))),
        },
        (Target(0.3, "fsync each, one by one"),),
        notes=f"the contestant that writes one by one writes {len(few)} files",
    )
    yield Case(
        f"{count} writes at once, disk, atomic",
        at_once("atomic"),
        {"none": at_once("none")},
        (Target(1.5, "none"),),
    )
