"""Beyond one machine: children on a dask cluster, and small objects in S3.

A child is compared with a bare dask actor; the cluster is a scheduler and two workers on loopback.
A child on this machine is compared with what it took before there was a choice.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _harness import Case, Figures, Measure, Options, Target
from _local_path import local_cases
from _object_stores import store_cases

from mt.aio.dask import DaskHost
from mt.aio.proc import BgProcess

Send = Callable[[Any], Awaitable[Any]]

CLUSTER = """
import sys
from distributed import LocalCluster

options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
with LocalCluster(local_directory=sys.argv[1], **options) as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""
BARE = "bare dask actor"


class Echo(BgProcess):
    """Replies with what it gets."""


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    quick = options.quick
    with cluster() as address, asyncio.Runner() as runner:
        world = World(runner, address)
        try:
            yield one_case(100 if quick else 500, world)
            yield many_case(world)
            yield large_case(world)
        finally:
            runner.run(world.close())
    yield from local_cases(quick=quick)
    yield from store_cases(quick=quick)


@contextmanager
def cluster() -> Iterator[str]:
    """Have a scheduler and two workers while the block lasts; give the scheduler's address."""
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", CLUSTER, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as popen,
    ):
        try:
            yield popen.stdout.readline().strip()
        finally:
            popen.stdin.close()


class World:
    """A client, a bare actor, and children of ours, direct and by way of the scheduler."""

    def __init__(self, runner: asyncio.Runner, address: str) -> None:
        self.runner = runner
        runner.run(self._start(address))

    async def _start(self, address: str) -> None:
        from distributed import Client

        class Bare:
            """Made in here, so that it goes to the worker by value."""

            async def echo(self, msg: Any) -> Any:
                return msg

        options = {"asynchronous": True, "direct_to_workers": True, "set_as_default": True}
        self.client = await Client(address, **options)
        actor = await self.client.submit(Bare, actor=True)
        self.bare: Send = actor.echo
        self.process = Echo(host=DaskHost(self.client, direct=True))
        self.proxied = Echo(host=DaskHost(self.client, direct=False))
        for send in (self.bare, self.process.send, self.proxied.send):
            await send(b"x")

    async def close(self) -> None:
        """End it all."""
        await self.process.aclose()
        await self.proxied.aclose()
        await self.client.close()

    def run(self, measure: Callable[[], Awaitable[Figures]]) -> Measure:
        """Make a measure of a coroutine function."""
        return lambda: self.runner.run(_awaited(measure))


async def _awaited(measure: Callable[[], Awaitable[Figures]]) -> Figures:
    return await measure()


def median_of(count: int, send: Send, message: Any) -> Callable[[], Awaitable[Figures]]:
    """Measure the median time of a message there and back."""

    async def measure() -> Figures:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            await send(message)
            times.append(time.perf_counter() - begin)
        return {"time": median(times)}

    return measure


def one_case(count: int, world: World) -> Case:
    """One byte, one message in flight."""
    return Case(
        "1 byte, one in flight",
        world.run(median_of(count, world.process.send, b"x")),
        {
            BARE: world.run(median_of(count, world.bare, b"x")),
            "ours, through the scheduler": world.run(median_of(count, world.proxied.send, b"x")),
        },
        (Target(2.5, BARE),),
        notes="The medians of each round's times.",
    )


def many_case(world: World) -> Case:
    """200 messages at once, the time of each."""

    def at_once(send: Send) -> Callable[[], Awaitable[Figures]]:
        async def measure() -> Figures:
            begin = time.perf_counter()
            await asyncio.gather(*(send(b"x") for _ in range(200)))
            return {"time": (time.perf_counter() - begin) / 200}

        return measure

    return Case(
        "1 byte, 200 at once",
        world.run(at_once(world.process.send)),
        {BARE: world.run(at_once(world.bare))},
    )


def large_case(world: World) -> Case:
    """100 MiB of numbers, there and back."""
    array = np.ones(100 << 17)
    return Case(
        "100 MiB array",
        world.run(median_of(5, world.process.send, array)),
        {BARE: world.run(median_of(5, world.bare, array))},
        (Target(1.5, BARE),),
        notes="The medians of five in each round.",
    )
