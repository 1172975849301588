"""The manager of aprocs: what it costs to send one and forget it; and what `@asyn` costs."""

from __future__ import annotations

import asyncio
import inspect
import random
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import aiojobs
import aiometer
from _harness import Case, Figures, Measure, Options, Target, timed_async
from _mtbase import Mtbase

from mt.aio.core import asyn
from mt.aio.manager import AprocManager
from mt.aio.proc import BgProcess

PENDING = 1024


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    count = 20_000 if options.quick else 100_000
    with asyncio.Runner() as runner, Mtbase(options.mtbase, "manager") as mtbase:
        for limit in (1024, 16):
            yield throughput_case(count, limit, mtbase, runner)
        yield trickle_case(4_000 if options.quick else 10_000, mtbase, runner)
        yield memory_case(100_000 if options.quick else 1_000_000, runner)
        yield asyn_case(count, runner)
        yield method_case(count // 10, runner)


async def trivial() -> None:
    """Give way once."""
    await asyncio.sleep(0)


async def managed(count: int, limit: int) -> None:
    """Send aprocs to our manager."""
    async with AprocManager(limit) as manager:
        for _ in range(count):
            await manager.send(trivial())


async def waves(count: int, limit: int) -> None:
    """Start as many tasks as may run, wait for all of them, and so on: no manager at all."""
    for begin in range(0, count, limit):
        size = min(limit, count - begin)
        await asyncio.wait([asyncio.create_task(trivial()) for _ in range(size)])


async def waves_one_by_one(count: int, limit: int) -> None:
    """Do the same, and await the tasks in order: nobody is told when a task has ended."""
    for begin in range(0, count, limit):
        size = min(limit, count - begin)
        for task in [asyncio.create_task(trivial()) for _ in range(size)]:
            await task


async def scheduled(count: int, limit: int) -> None:
    """Spawn jobs on aiojobs' scheduler."""
    scheduler = aiojobs.Scheduler(limit=limit, pending_limit=1)
    for _ in range(count):
        await scheduler.spawn(trivial())
    await scheduler.wait_and_close()


async def metered(count: int, limit: int) -> None:
    """Map over numbers with aiometer."""

    async def job(_: int) -> None:
        await trivial()

    await aiometer.run_on_each(job, range(count), max_at_once=limit)


def throughput_case(count: int, limit: int, mtbase: Mtbase, runner: asyncio.Runner) -> Case:
    """Send trivial aprocs, as fast as they are taken."""

    def way(func: Callable[[int, int], Awaitable[None]], share: int = 1) -> Measure:
        number = count // share
        return lambda: runner.run(timed_async(lambda: func(number, limit), number))

    peers = {
        "create_task in waves": way(waves),
        "the same, awaited in order": way(waves_one_by_one),
        "aiojobs": way(scheduled),
        "aiometer": way(metered, share=5),
        "mtbase": mtbase.case("throughput", count=count, limit=limit),
    }
    targets = [Target(1.2, "create_task in waves")]
    targets += [Target(0.85, peer) for peer in ("aiojobs", "aiometer", "mtbase")]
    return Case(f"{count:,} trivial aprocs, {limit} at once", way(managed), peers, tuple(targets))


def trickle_case(count: int, mtbase: Mtbase, runner: asyncio.Runner) -> Case:
    """Keep many pending that end one by one, at random times within a second."""

    async def body() -> None:
        chance = random.Random(1)  # noqa: S311 - a workload, not a secret
        async with AprocManager(PENDING) as manager:
            for _ in range(count):
                await manager.send(asyncio.sleep(chance.random()))

    return Case(
        f"aprocs that end one by one, {PENDING:,} pending",
        lambda: runner.run(timed_async(body, count)),
        {"mtbase": mtbase.case("trickle", count=count, pending=PENDING)},
        (Target(0.5, "mtbase", "cpu"),),
        rounds=3,
    )


class Load:
    """Trivial aprocs that know how many of them there are at most, those included that are done."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def aproc(self) -> Coroutine[Any, Any, None]:
        """Make one more."""
        return self._run(Ticket(self))

    async def _run(self, ticket: Ticket) -> None:  # noqa: ARG002 - it lives as long as this does
        await asyncio.sleep(0)


class Ticket:
    """Counts as long as its aproc has not been released."""

    def __init__(self, load: Load) -> None:
        self.load = load
        load.now += 1
        load.most = max(load.most, load.now)

    def __del__(self) -> None:
        self.load.now -= 1


def memory_case(count: int, runner: asyncio.Runner) -> Case:
    """See whether memory grows with the number of aprocs that are done."""

    async def body() -> Figures:
        load = Load()
        async with AprocManager(PENDING) as manager:
            for _ in range(10 * PENDING):
                await manager.send(load.aproc())
            before = await level(manager)
            tracemalloc.reset_peak()
            for _ in range(count):
                await manager.send(load.aproc())
            _, peak = tracemalloc.get_traced_memory()
            after = await level(manager)
        return {"grown": after - before, "peak": peak - before, "alive": load.most}

    async def level(manager: AprocManager) -> int:
        await manager.cleanup()
        return tracemalloc.get_traced_memory()[0]

    def ours() -> Figures:
        tracemalloc.start()
        try:
            return runner.run(body())
        finally:
            tracemalloc.stop()

    return Case(
        f"memory over {count:,} aprocs, {PENDING:,} at once",
        ours,
        targets=(Target(65_536, figure="grown"), Target(PENDING + 2, figure="alive")),
        rounds=1,
        warm=False,
        notes="bytes traced by tracemalloc when all are done: before, at the peak, afterwards; and "
        "how many aprocs were not released at most: those that run, one that waits, one being made",
    )


async def bare(value: int, context_vars: Any = None) -> int:  # noqa: ARG001 - an asyn function
    """Do nothing, asynly."""
    return value


@asyn
async def decorated(value: int, context_vars: Any = None) -> int:  # noqa: ARG001 - likewise
    """Do nothing, asynly."""
    return value


def asyn_case(count: int, runner: asyncio.Runner) -> Case:
    """Await an asyn function in the old way, with `@asyn` and without."""
    context_vars = {"async": True}

    def way(func: Callable[..., Awaitable[int]]) -> Measure:
        async def body() -> None:
            for number in range(count):
                await func(number, context_vars=context_vars)

        return lambda: runner.run(timed_async(body, count))

    peers: dict[str, Measure | None] = {"without @asyn": way(bare)}
    return Case("call with context_vars=", way(decorated), peers, (Target(1.05, "without @asyn"),))


def method_case(count: int, runner: asyncio.Runner) -> Case:
    """Send to a child through the method with `@asyn`, and through the function inside it."""
    plain = inspect.unwrap(inspect.getattr_static(Echo, "send"))

    def way(send: Callable[[BgProcess], Callable[[int], Awaitable[Any]]]) -> Measure:
        async def body() -> Figures:
            async with Echo() as process:

                async def turns(number: int) -> None:
                    for each in range(number):
                        await send(process)(each)

                await turns(100)
                return await timed_async(lambda: turns(count), count)

        return lambda: runner.run(body())

    peers: dict[str, Measure | None] = {
        "without @asyn": way(lambda process: partial(plain, process))
    }
    ours = way(lambda process: process.send)
    return Case("send to a child", ours, peers, (Target(1.05, "without @asyn"),))


class Echo(BgProcess):
    """Gives back what it gets."""
