"""The helper process beside pools of processes, mtbase's BgProcess, and a blocking pipe."""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import os
import py_compile
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import Any

import _proc_echo
import numpy as np
from _harness import Case, Figures, Measure, Options, Target, gapped
from _mtbase import Mtbase
from _proc_echo import Echo
from _proc_peers import Peers
from _proc_work import serve_pipe

SMALL = ("hello", 1, 2.5)
BURST = 8
Send = Callable[[Any], Awaitable[Any]]


def cases(options: Options) -> Iterator[Case]:
    """Give the cases of this suite."""
    quick = options.quick
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        mtbase = stack.enter_context(Mtbase(options.mtbase, "proc"))
        process = stack.enter_context(Echo())
        runner.run(process.send(1))
        with Peers(runner) as peers:
            yield one_case(300 if quick else 2_000, process.send, runner, peers, mtbase)
            yield many_case(640 if quick else 6_400, process.send, runner, peers, mtbase)
            yield bytes_case(10 if quick else 40, process.send, runner, peers)
            yield array_case(process, runner, peers, mtbase)
        # Without the peers, whose threads and timers would be counted, too.
        yield printed_case(2_000, process, runner, mtbase)
        yield from idle_cases(process, runner)
        yield first_case()
        yield from further_cases(runner, mtbase)


def median_of(count: int, send: Send, message: object) -> Callable[[], Awaitable[Figures]]:
    """Send one message after the other and give the median of the times."""

    async def body() -> Figures:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            await send(message)
            times.append(time.perf_counter() - begin)
        return {"time": sorted(times)[count // 2]}

    return body


def in_flight(count: int, send: Send, width: int = 32) -> Callable[[], Awaitable[Figures]]:
    """Keep so many messages in flight."""

    async def worker() -> None:
        for _ in range(count // width):
            await send(SMALL)

    async def body() -> Figures:
        begin = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(width)])
        return {"time": (time.perf_counter() - begin) / count}

    return body


def run(runner: asyncio.Runner, body: Callable[[], Awaitable[Figures]]) -> Measure:
    """Make a measure of an asyn body."""

    async def main() -> Figures:
        return await body()

    return lambda: runner.run(main())


def blocking_pipe(count: int) -> Measure:
    """Echo over a blocking pipe: the limit."""

    def measure() -> Figures:
        ours, theirs = mp.Pipe()
        child = mp.get_context("fork").Process(target=serve_pipe, args=(theirs,), daemon=True)
        child.start()
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            ours.send(SMALL)
            ours.recv()
            times.append(time.perf_counter() - begin)
        child.kill()
        child.join()
        return {"time": sorted(times)[count // 2]}

    return measure


def one_case(count: int, send: Send, runner: asyncio.Runner, peers: Peers, mtbase: Mtbase) -> Case:
    """One small message in flight, the median."""
    contestants: dict[str, Measure | None] = {
        name: run(runner, median_of(max(count // 4, 50), peer, SMALL))
        for name, peer in peers.sends.items()
    }
    contestants["trio-parallel"] = peers.trio(max(count // 4, 50), SMALL)
    contestants["blocking pipe"] = blocking_pipe(count)
    contestants["mtbase"] = mtbase.case("one", count=max(count // 8, 50))
    best = [Target(0.35, name) for name in peers.pools]
    return Case(
        "small message, one in flight",
        run(runner, median_of(count, send, SMALL)),
        contestants,
        (Target(1.8, "blocking pipe"), *best, Target(0.06, "mtbase")),
        notes="The medians of each round's times; a target for each pool means: the best of them. "
        "0.35 of anyio, which writes to a pipe as well, is less than the blocking pipe itself.",
    )


def many_case(count: int, send: Send, runner: asyncio.Runner, peers: Peers, mtbase: Mtbase) -> Case:
    """32 small messages in flight, the time of each."""
    contestants: dict[str, Measure | None] = {
        name: run(runner, in_flight(max(count // 8, 320), peer))
        for name, peer in peers.sends.items()
    }
    contestants["mtbase"] = mtbase.case("many", count=320)
    best = [Target(0.2, name) for name in peers.pools]
    return Case(
        "small messages, 32 in flight",
        run(runner, in_flight(count, send)),
        contestants,
        (*best, Target(0.02, "mtbase")),
    )


def bytes_case(count: int, send: Send, runner: asyncio.Runner, peers: Peers) -> Case:
    """One megabyte of bytes, there and back."""
    data = os.urandom(1_000_000)
    return Case(
        "1 MB bytes",
        run(runner, median_of(count, send, data)),
        {name: run(runner, median_of(count, peer, data)) for name, peer in peers.sends.items()},
        tuple(Target(0.45, name) for name in peers.pools),
    )


def array_case(process: Echo, runner: asyncio.Runner, peers: Peers, mtbase: Mtbase) -> Case:
    """100 MB of numbers, there and back, and the longest gap of the event loop meanwhile."""
    array = np.ones(12_500_000)
    other = np.ones_like(array)

    def copy() -> Figures:
        begin = time.perf_counter()
        other[:] = array
        return {"time": time.perf_counter() - begin}

    async def ours() -> Figures:
        async def echo() -> None:
            reply = await process.send(array)
            assert reply[-1] == 1  # noqa: S101 - it is to have arrived

        return await gapped(echo)

    contestants: dict[str, Measure | None] = {
        name: run(runner, median_of(1, peers.sends[name], array)) for name in peers.pools
    }
    contestants["warm memcpy"] = copy
    contestants["mtbase"] = mtbase.case("large", count=1, size=array.nbytes)
    return Case(
        "100 MB array",
        run(runner, ours),
        contestants,
        (
            *(Target(0.15, name) for name in peers.pools),
            Target(0.15, "mtbase"),
            Target(6, "warm memcpy"),
            Target(0.02, figure="gap"),
        ),
    )


def printed_case(lines: int, process: Echo, runner: asyncio.Runner, mtbase: Mtbase) -> Case:
    """A line that the child prints, handed to on_write."""

    async def ours() -> Figures:
        begin = time.perf_counter()
        await process.send({"lines": lines})
        return {"time": (time.perf_counter() - begin) / lines}

    return Case(
        "a printed line",
        run(runner, ours),
        {"mtbase": mtbase.case("printed", lines=200)},
        (Target(0.05, "mtbase"),),
    )


def idle_cases(process: Echo, runner: asyncio.Runner) -> Iterator[Case]:
    """The parent's CPU time while it waits, as a share of a core."""

    def waiting(sends: int) -> Callable[[], Awaitable[Figures]]:
        async def body() -> Figures:
            tasks = [asyncio.ensure_future(process.send({"sleep": 3}))] if sends else []
            tasks += [asyncio.ensure_future(process.send(SMALL)) for _ in range(sends - 1)]
            await asyncio.sleep(0.2)
            cpu, begin = time.process_time(), time.perf_counter()
            await asyncio.sleep(2.5)
            share = (time.process_time() - cpu) / (time.perf_counter() - begin)
            await asyncio.gather(*tasks)
            return {"share": share}

        return body

    for name, sends in (("idle", 0), ("one send waiting", 1), ("32 sends waiting", 32)):
        target = (Target(0.005, figure="share"),)
        yield Case(f"CPU, {name}", run(runner, waiting(sends)), {}, target, rounds=2)


FIRST = """
import asyncio, sys, time
sys.path.insert(0, {folder!r})
import mt.aio.proc._link, mt.aio.proc._loops
from _proc_echo import Echo
async def main():
    begin = time.perf_counter()
    process = Echo()
    await process.send(1)
    print(time.perf_counter() - begin)
    await process.aclose()
asyncio.run(main())
"""


def first_case() -> Case:
    """The first child of a program: from the constructor to the first reply."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def ours() -> Figures:
        program = FIRST.format(folder=os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            text=True,
            env=environment,
        )
        return {"time": float(done.stdout)}

    def bare() -> Figures:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
        return {"time": time.perf_counter() - begin}

    return Case(
        "first child",
        ours,
        {"python -I -S -c pass": bare},
        (Target(2.2, "python -I -S -c pass"),),
        rounds=15,
    )


def further_cases(runner: asyncio.Runner, mtbase: Mtbase) -> Iterator[Case]:
    """Each further child, also from a parent that has touched a gigabyte; and many at once."""
    py_compile.compile(_proc_echo.__file__)  # as is done with what is installed

    async def burst() -> Figures:
        begin = time.perf_counter()
        processes = [Echo() for _ in range(BURST)]
        await asyncio.gather(*[process.send(1) for process in processes])
        taken = time.perf_counter() - begin
        for process in processes:
            await process.aclose()
        return {"time": taken / BURST}

    async def ours() -> Figures:
        begin = time.perf_counter()
        process = Echo()
        await process.send(1)
        taken = time.perf_counter() - begin
        await process.aclose()
        return {"time": taken}

    def spawn() -> Figures:
        begin = time.perf_counter()
        with ProcessPoolExecutor(1, mp.get_context("spawn")) as pool:
            pool.submit(abs, -1).result()
            taken = time.perf_counter() - begin
        return {"time": taken}

    for name, megabytes in (("small parent", 0), ("1 GB touched", 1000)):
        ballast = np.ones(megabytes << 17)
        yield Case(
            f"further child, {name}",
            run(runner, ours),
            {
                "mtbase": mtbase.case("start", megabytes=megabytes),
                "multiprocessing spawn": spawn,
            },
            (Target(0.4, "mtbase"), Target(0.05, "multiprocessing spawn")),
            notes="Constructor to first reply, without the end of the child.",
        )
        del ballast
    yield Case(
        f"{BURST} further children at once",
        run(runner, burst),
        {"mtbase": mtbase.case("burst", count=BURST)},
        notes="The time of each. Only the first one finds a spare child.",
    )
