"""Queues of threads and processes, awaited: wake-up, throughput, and what waiting costs."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
from collections.abc import Callable, Iterator
from typing import Any

import culsans
import janus
from _harness import Case, Figures, Measure, Options, Target
from _mtbase import Mtbase
from _queue_ways import idle, latency, puts, throughput

from mt.aio.proc import qget_aio, qput_aio

LIMIT = "asyncio.Queue"  # + call_soon_threadsafe: what an event loop can do


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    count = 100 if options.quick else 300
    many = 10_000 if options.quick else 30_000
    with Mtbase(options.mtbase, "queues") as mtbase:
        yield Case(
            "wake-up, thread queue, median",
            ours("thread", latency, count),
            {**peers(latency, count), "mtbase": mtbase.case("latency", kind="thread", count=count)},
            (Target(1.15, LIMIT), Target(1.0, "janus"), Target(1.0, "culsans")),
            rounds=0 if options.quick else 15,
        )
        yield Case(
            "wake-up, process queue, median",
            ours("process", latency, count),
            {"mtbase": mtbase.case("latency", kind="process", count=count)},
            (Target(0.3, "mtbase"),),
        )
        yield Case(
            "throughput, thread queue",
            ours("thread", throughput, many),
            {
                **peers(throughput, many),
                "mtbase": mtbase.case("throughput", kind="thread", count=many),
            },
            (Target(1.0, "mtbase"),),
        )
        yield Case(
            "throughput, process queue",
            ours("process", throughput, many // 3),
            {"mtbase": mtbase.case("throughput", kind="process", count=many // 3)},
            (Target(1.0, "mtbase"),),
        )
        yield from put_cases(many, mtbase)
        yield from idle_cases(options, mtbase)


def put_cases(many: int, mtbase: Mtbase) -> Iterator[Case]:
    """Put, with room."""
    for kind, count in (("thread", many), ("process", many // 3)):
        q = made(kind)

        def measure(q: Any = q, count: int = count) -> Figures:
            return asyncio.run(puts(lambda item: qput_aio(q, item), q.get, count))

        notes = "ours pickles at once, so that the putter sees errors" if kind == "process" else ""
        yield Case(
            f"put, {kind} queue",
            measure,
            {"mtbase": mtbase.case("puts", kind=kind, count=count)},
            notes=notes,
        )


def idle_cases(options: Options, mtbase: Mtbase) -> Iterator[Case]:
    """Wait for what does not come: 1,000 coroutines on one queue."""
    size = {"waiters": 1000, "seconds": 0.5 if options.quick else 2.0}
    for kind in ("thread", "process", "simple"):
        q = made(kind)

        def measure(q: Any = q) -> Figures:
            return asyncio.run(idle(lambda: qget_aio(q), **size))  # type: ignore[arg-type]

        peer = mtbase.case("idle", kind=kind, **size) if kind != "simple" else None
        targets = (Target(0.005, figure="share"), Target(2, figure="threads"))
        yield Case(
            f"1,000 idle waiters, {kind} queue",
            measure,
            {"mtbase": peer},
            targets,
            rounds=3,
            notes="queue.SimpleQueue can only be polled" if kind == "simple" else "",
        )


def made(kind: str) -> Any:
    """Make a queue."""
    if kind == "simple":
        return queue.SimpleQueue()
    return queue.Queue() if kind == "thread" else multiprocessing.Queue()


def ours(kind: str, way: Callable[..., Any], count: int) -> Measure:
    """Measure qget_aio on a queue of threads or processes."""
    q = made(kind)
    return lambda: asyncio.run(way(lambda: qget_aio(q), q.put, count))


def peers(way: Callable[..., Any], count: int) -> dict[str, Measure | None]:
    """Measure the others on their own queues."""

    async def plain() -> Figures:
        q: asyncio.Queue[Any] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        figures: Figures = await way(
            q.get, lambda item: loop.call_soon_threadsafe(q.put_nowait, item), count
        )
        return figures

    async def of_janus() -> Figures:
        q: janus.Queue[Any] = janus.Queue()
        try:
            figures: Figures = await way(q.async_q.get, q.sync_q.put, count)
        finally:
            await q.aclose()
        return figures

    async def of_culsans() -> Figures:
        q: culsans.Queue[Any] = culsans.Queue()
        figures: Figures = await way(q.async_q.get, q.sync_q.put, count)
        return figures

    return {
        LIMIT: lambda: asyncio.run(plain()),
        "janus": lambda: asyncio.run(of_janus()),
        "culsans": lambda: asyncio.run(of_culsans()),
    }
