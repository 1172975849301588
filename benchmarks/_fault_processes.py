"""One way of having work done in another process, to which a fault is done; see faults.py.

python _fault_processes.py WAY FAULT: does it, and prints a line of JSON. It may hang; whoever has
started it knows for how long to wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import _fault_work as work

Call = Callable[[Callable[[Any], Any], Any], Awaitable[Any]]
PATIENCE = 4.0  # seconds; arbitrary: eight times what the slowest answer takes


def of_pool() -> Call:
    """concurrent.futures."""
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(1)
    return lambda func, arg: asyncio.wrap_future(pool.submit(func, arg))


def of_loky() -> Call:
    """Loky."""
    import loky

    pool = loky.ProcessPoolExecutor(1)
    return lambda func, arg: asyncio.wrap_future(pool.submit(func, arg))


def of_pebble() -> Call:
    """Pebble."""
    import pebble

    pool = pebble.ProcessPool(1)
    return lambda func, arg: asyncio.wrap_future(pool.schedule(func, args=(arg,)))


def of_anyio() -> Call:
    """anyio.to_process."""
    import anyio.to_process

    return anyio.to_process.run_sync


def of_multiprocessing() -> Call:
    """multiprocessing.Pool."""
    import multiprocessing as mp

    pool = mp.Pool(1)

    def call(func: Callable[[Any], Any], arg: Any) -> Awaitable[Any]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def told(name: str, value: Any) -> None:
            if not future.done():
                getattr(future, name)(value)

        pool.apply_async(
            func,
            (arg,),
            callback=lambda value: loop.call_soon_threadsafe(told, "set_result", value),
            error_callback=lambda e: loop.call_soon_threadsafe(told, "set_exception", e),
        )
        return future

    return call


def of_process() -> Call:
    """Ours; or mtbase's, in whose environment mt.aio is mtbase's."""
    from mt import aio

    class Worker(aio.BgProcess):  # type: ignore[misc,unused-ignore]  # mtbase has no types
        def child_handle_message(self, msg: Any) -> Any:
            name, arg = msg
            return getattr(work, name)(arg)

        def parent_handle_message(self, msg: Any) -> None:
            pass

    worker = Worker()

    async def call(func: Callable[[Any], Any], arg: Any, **options: Any) -> Any:
        return await worker.send((func.__name__, arg), **options)

    call.worker = worker  # type: ignore[attr-defined]
    return call


WAYS = {
    "mt.aio": of_process,
    "ProcessPoolExecutor": of_pool,
    "multiprocessing.Pool": of_multiprocessing,
    "loky": of_loky,
    "pebble": of_pebble,
    "anyio": of_anyio,
    "mtbase": of_process,
}


async def ended(call: Call, func: Callable[[Any], Any], arg: Any) -> str:
    """Say how a call ended, as one word."""
    try:
        await asyncio.wait_for(call(func, arg), PATIENCE)
    except TimeoutError:
        return "hangs"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is told
        return type(error).__name__
    return "answers"


async def then(call: Call) -> str:
    """Say whether the next call works."""
    worker = getattr(call, "worker", None)
    how = await ended(call, work.echo, 1)
    if how != "answers" and worker is not None and hasattr(worker, "restart"):
        worker.restart()
        if await ended(call, work.echo, 1) == "answers":
            return "restart() helps"
    return {"answers": "usable", "hangs": "then hangs"}.get(how, "unusable")


async def one(call: Call, fault: str) -> dict[str, str]:
    """Do a fault in the worker, then see whether there is a next call."""
    await call(work.echo, 0)
    argument = sys._getframe() if fault == "odd_message" else 0.0  # noqa: SLF001 - does not pickle
    func = work.echo if fault == "odd_message" else getattr(work, fault)
    how = await ended(call, func, argument)
    return {"ended": how, "then": await then(call)}


async def late(call: Call) -> dict[str, str]:
    """Give up waiting, then ask something else: whose reply is it?"""
    await call(work.echo, 0)
    worker = getattr(call, "worker", None)
    with contextlib.suppress(Exception):  # a time-out, by whatever name
        if worker is not None:
            await worker.send(("slow", 0.5), recv_timeout=0.1)
        else:
            await asyncio.wait_for(call(work.slow, 0.5), 0.1)
    try:
        reply = await asyncio.wait_for(call(work.echo, "mine"), PATIENCE)
    except TimeoutError:
        return {"ended": "hangs"}
    return {"ended": "own reply" if reply == "mine" else "reply of another call"}


async def orphan(call: Call) -> None:
    """Name the worker, keep it busy, and wait to be killed."""
    print(await call(work.pid, 0), flush=True)
    busy = asyncio.ensure_future(call(work.slow, 30))
    await asyncio.wait([busy])


async def main(way: str, fault: str) -> None:
    """Do the fault and print what came of it."""
    call = WAYS[way]()
    if fault == "orphan":
        await orphan(call)
    begin = time.perf_counter()
    result = await (late(call) if fault == "late" else one(call, fault))
    print("\n" + json.dumps({**result, "seconds": time.perf_counter() - begin}), flush=True)
    os._exit(0)  # whether a pool can be closed now is another question


async def forgotten(way: str) -> None:
    """Use a worker and end without closing anything."""
    call = WAYS[way]()
    globals()["kept"] = call
    await call(work.echo, 0)


if __name__ == "__main__":
    asyncio.run(forgotten(sys.argv[1]) if sys.argv[2] == "forgotten" else main(*sys.argv[1:]))
