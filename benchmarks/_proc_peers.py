"""The peers of suite `proc`: pools with one worker each, behind an awaitable send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, Self

import aiomultiprocess
import anyio.to_process
import loky
import pebble
import trio
import trio_parallel
from _harness import Figures, Measure
from _proc_work import echo, echo_async


class Peers:
    """All of them, started; `pools` names those that can win a target."""

    pools = ("ProcessPoolExecutor", "anyio.to_process", "loky", "pebble")

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._stack = AsyncExitStack()
        self.sends: dict[str, Callable[[Any], Awaitable[Any]]] = {}

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._stack.aclose())

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        executor = ProcessPoolExecutor(1)
        self._stack.callback(executor.shutdown)
        other = loky.ProcessPoolExecutor(1)
        self._stack.callback(other.shutdown)
        third = pebble.ProcessPool(1)
        self._stack.callback(third.join)
        self._stack.callback(third.close)
        slow = await self._stack.enter_async_context(aiomultiprocess.Pool(1))
        self.sends = {
            "ProcessPoolExecutor": lambda msg: loop.run_in_executor(executor, echo, msg),
            "anyio.to_process": self._anyio,
            "loky": lambda msg: asyncio.wrap_future(other.submit(echo, msg)),
            "pebble": lambda msg: asyncio.wrap_future(third.schedule(echo, args=(msg,))),
            "aiomultiprocess": lambda msg: slow.apply(echo_async, (msg,)),
        }
        for send in self.sends.values():
            await send(1)

    async def _anyio(self, msg: Any) -> Any:
        return await anyio.to_process.run_sync(echo, msg, limiter=self._limiter())

    def _limiter(self) -> anyio.CapacityLimiter:
        if not hasattr(self, "_one"):
            self._one = anyio.CapacityLimiter(1)
        return self._one

    def trio(self, count: int, msg: Any) -> Measure:
        """trio-parallel needs an event loop of its own kind."""

        async def body() -> float:
            async with trio_parallel.open_worker_context() as context:
                await context.run_sync(echo, msg)
                times = []
                for _ in range(count):
                    begin = time.perf_counter()
                    await context.run_sync(echo, msg)
                    times.append(time.perf_counter() - begin)
                return sorted(times)[count // 2]

        def measure() -> Figures:
            return {"time": trio.run(body)}

        return measure
