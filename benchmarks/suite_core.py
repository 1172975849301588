"""The runners, and the way to a worker thread and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from _harness import Case, Figures, Measure, Options, Target, timed, timed_async
from _mtbase import Mtbase
from asgiref.sync import async_to_sync

from mt.aio.core import arun, srun
from mt.aio.core.lowlevel import offload

SYNC, ASYNC = {"async": False}, {"async": True}


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    count = 20_000 if options.quick else 50_000
    with asyncio.Runner() as runner, Mtbase(options.mtbase, "core") as mtbase:
        yield srun_case(count, mtbase)
        yield arun_case(count, mtbase, runner)
        yield from hop_cases(500 if options.quick else 2_000, runner)
        yield blocking_case(runner)


async def trivial(value: int, context_vars: Any) -> int:  # noqa: ARG001 - an asyn function
    """Do nothing, asynly."""
    return value


def plain(value: int) -> int:
    """Do nothing."""
    return value


def send(value: int) -> int:
    """Drive a coroutine by hand, with no check at all."""
    try:
        trivial(value, context_vars=SYNC).send(None)
    except StopIteration as stop:
        result: int = stop.value
        return result
    raise RuntimeError


def repeated(func: Callable[[int], Any], count: int) -> Measure:
    """Call a function many times."""

    def loop() -> None:
        for number in range(count):
            func(number)

    return lambda: timed(loop, count)


def srun_case(count: int, mtbase: Mtbase) -> Case:
    """Call an asyn function from synchronous code."""

    def ours() -> Figures:
        def loop() -> None:
            for number in range(count):
                srun(trivial, number)

        return timed(loop, count)

    return Case(
        "srun",
        ours,
        {
            "coro.send(None)": repeated(send, count),
            "plain call": repeated(plain, count),
            "mtbase": mtbase.case("srun", count=count),
            "asyncio.run": repeated(lambda n: asyncio.run(trivial(n, ASYNC)), 100),
            "asgiref": repeated(lambda n: async_to_sync(trivial)(n, ASYNC), 50),
        },
        (Target(1.8, "coro.send(None)"),),
    )


def arun_case(count: int, mtbase: Mtbase, runner: asyncio.Runner) -> Case:
    """Await an asyn function, directly and through arun."""

    async def ours() -> None:
        for number in range(count):
            await arun(trivial, number, context_vars=ASYNC)

    async def direct() -> None:
        for number in range(count):
            await trivial(number, context_vars=ASYNC)

    return Case(
        "arun, async mode",
        in_loop(runner, ours, count),
        {
            "direct await": in_loop(runner, direct, count),
            "mtbase": mtbase.case("arun", count=count),
        },
        (Target(3.2, "direct await"),),
    )


def hop_cases(count: int, runner: asyncio.Runner) -> Iterator[Case]:
    """Run next to nothing in a worker thread."""

    def ours() -> Awaitable[int]:
        return offload(plain, 1, context_vars=ASYNC)

    def thread() -> Awaitable[int]:
        return asyncio.to_thread(plain, 1)

    def executor() -> Awaitable[int]:
        return asyncio.get_running_loop().run_in_executor(None, plain, 1)

    def one_by_one(hop: Callable[[], Awaitable[int]]) -> Measure:
        async def body() -> None:
            for _ in range(count):
                await hop()

        return in_loop(runner, body, count)

    def gathered(hop: Callable[[], Awaitable[int]]) -> Measure:
        async def body() -> None:
            await asyncio.gather(*(hop() for _ in range(count)))

        return in_loop(runner, body, count)

    for name, way in (("one by one", one_by_one), ("gathered", gathered)):
        peers = {"to_thread": way(thread), "run_in_executor": way(executor)}
        yield Case(f"offload, {name}", way(ours), peers)


def blocking_case(runner: asyncio.Runner) -> Case:
    """Keep 32 threads waiting at once, as a stalled network mount would."""

    async def body() -> None:
        await asyncio.gather(*(offload(time.sleep, 0.1, context_vars=ASYNC) for _ in range(32)))

    return Case(
        "32 blocking calls of 100 ms", in_loop(runner, body), targets=(Target(0.25),), rounds=3
    )


def in_loop(runner: asyncio.Runner, body: Callable[[], Awaitable[Any]], count: int = 1) -> Measure:
    """Measure a coroutine function on the suite's event loop."""
    return lambda: runner.run(timed_async(body, count))
