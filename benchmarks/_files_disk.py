"""The cases of suite `files` that want a real disk."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import _files_limits as limits
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
        yield new_files_case(runner, folder, count)


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
    few = paths[: _few(count)]

    def at_once(durability: Any) -> Measure:
        return _settled(
            lambda: runner.run(timed_async(lambda: _gathered(paths, durability), count))
        )

    yield Case(
        f"{count} writes at once, disk, full",
        at_once("full"),
        {
            "fsync each, one by one": _settled(sync_loop(ways.write_safe, few)),
            "fsync each, to_thread": _settled(
                lambda: runner.run(timed_async(lambda: _in_threads(paths), count))
            ),
            "no flush, one by one": _settled(sync_loop(limits.replace_unflushed, few)),
        },
        (Target(0.3, "fsync each, one by one"),),
        notes=_notes(os.path.dirname(paths[0]), len(few)),
    )
    yield Case(
        f"{count} writes at once, disk, atomic",
        at_once("atomic"),
        {"none": at_once("none")},
        (Target(1.5, "none"),),
    )


def new_files_case(runner: asyncio.Runner, folder: str, count: int) -> Case:
    """Write many files at once that were not there before, each turn in a folder of its own.

    Nothing is deleted until the end: an ext4 without a journal does not use the numbers of deleted
    files again for some minutes, and looks at each of them before it finds one for a new file.
    """
    numbers = itertools.count()

    def afresh(count: int, write: Callable[[list[str]], Figures]) -> Measure:
        def run() -> Figures:
            place = os.path.join(folder, f"new-{next(numbers)}")
            os.mkdir(place)
            paths = [os.path.join(place, str(number)) for number in range(count)]
            return _settled(lambda: write(paths))()

        return run

    def in_loop(body: Callable[[list[str]], Awaitable[Any]]) -> Measure:
        return afresh(count, lambda paths: runner.run(timed_async(lambda: body(paths), len(paths))))

    def plain(func: Callable[[str], Any]) -> Measure:
        return afresh(_few(count), lambda paths: sync_loop(func, paths)())

    return Case(
        f"{count} new files at once, disk, full",
        in_loop(lambda paths: _gathered(paths, "full")),
        {
            "fsync each, one by one": plain(ways.write_safe),
            "fsync each, to_thread": in_loop(_in_threads),
            "no flush, one by one": plain(limits.replace_unflushed),
        },
        (Target(0.3, "fsync each, one by one"),),
        notes=_notes(folder, _few(count)),
    )


def _notes(folder: str, few: int) -> str:
    device = os.stat(folder).st_dev
    link = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
    journal = Path("/sys/fs/ext4", os.path.basename(os.path.realpath(link)), "journal_task")
    without = journal.exists() and journal.read_text(encoding="utf-8").strip() == "<none>"
    return f"the contestants that write one by one write {few} files" + (
        "; the disk's ext4 has no journal" if without else ""
    )


def _few(count: int) -> int:
    return max(count // 10, 20)


def _settled(measure: Measure) -> Measure:
    def run() -> Figures:
        os.sync()
        return measure()

    return run


async def _gathered(paths: list[str], durability: Any) -> None:
    await asyncio.gather(
        *(
            fs.write_binary(path, ways.DATA, context_vars=ways.ASYNC, durability=durability)
            for path in paths
        )
    )


async def _in_threads(paths: list[str]) -> None:
    await asyncio.gather(*(asyncio.to_thread(ways.write_safe, path) for path in paths))
