"""Calls that a type checker has to accept, and the types it has to see. Never run."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import queue
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Hashable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, assert_type
from weakref import WeakValueDictionary

from mt.aio import (
    AprocManager,
    BgProcess,
    CreateFileH5,
    arun,
    arun2,
    fs,
    h5,
    ipython,
    json_load,
    json_save,
    mkdtemp,
    npz_load,
    npz_save,
    open_file,
    qget_aio,
    qput_aio,
    read_binary,
    read_text,
    safe_chmod,
    safe_rename,
    sleep,
    srun,
    write_binary,
    write_text,
    yield_control,
)
from mt.aio.core import amap, asyn, enter, gather, iterate, lock, semaphore, timeout
from mt.aio.core.lowlevel import (
    ContextVars,
    at_least_one,
    check_cancelled,
    expect_wait,
    is_async,
    later,
    living,
    offload,
    submit,
)
from mt.aio.dask import DaskHost, DaskQueue
from mt.aio.dask import queue as queue_of_cluster
from mt.aio.fs.lowlevel import FolderFlush
from mt.aio.proc import BgProcessPool
from mt.aio.proc.lowlevel import LocalHost
from mt.aio.remote import close, configure


async def double(x: int, *, context_vars: ContextVars = {}) -> int:
    """An asyn function of a user's."""
    await sleep(0.1, context_vars=context_vars)
    return 2 * x


def asynch_double(x: int, context_vars: ContextVars = {}) -> Any:
    """An asynch function of a user's."""
    return arun(double, x, context_vars=context_vars)


def synchronous(path: Path) -> None:
    """Everything that srun can run."""
    assert_type(srun(double, 3), int)
    assert_type(srun(read_binary, path), bytes)
    assert_type(srun(read_text, "a", 3), str)
    assert_type(srun(sleep, 0.5, extra_context_vars={"durability": "full"}), None)
    assert_type(ipython, str)


async def files(path: Path, context_vars: ContextVars) -> None:
    """Readers and writers."""
    assert_type(await read_binary(path, context_vars=context_vars), bytes)
    assert_type(await read_binary(path, context_vars=context_vars, inline=True), bytes)
    assert_type(await read_text(path, encoding="latin-1", context_vars=context_vars), str)
    async for content in fs.read_many([path, "b"], 10, context_vars):
        assert_type(content, bytes)
    written = await write_binary(path, b"x", 0o600, context_vars, True)
    assert_type(written, asyncio.Future[int] | int)
    assert_type(
        await write_text(path, "x", None, context_vars, make_dirs=True, durability="full"),
        asyncio.Future[int] | int,
    )
    await write_binary(path, bytearray(3), context_vars=context_vars)
    await write_binary(path, memoryview(b"x"), context_vars=context_vars)
    assert_type(await json_load(path, context_vars, inline=True, parse_float=str), Any)
    await json_save(path, {"a": [1]}, context_vars=context_vars, indent=2)
    assert_type(await npz_load(path, context_vars=context_vars), dict[str, Any])
    await npz_save(path, {"a": [1]}, context_vars=context_vars)
    assert_type(await safe_chmod(path, 0o600), None)
    assert_type(await safe_rename(path, "other", context_vars), None)
    async with mkdtemp(context_vars=context_vars) as folder:
        assert_type(folder, str)
    async with open_file(path, "rb", context_vars=context_vars) as handle:
        await handle.read(3)
    async with CreateFileH5(path, context_vars=context_vars) as h5:
        assert_type(h5, CreateFileH5)
    with CreateFileH5(os.fspath(path), None, {}, logging.getLogger()):
        pass


async def paths(path: Path, context_vars: ContextVars) -> None:
    """What `mt.aio.fs` has beside the facade's names."""
    assert_type(await fs.exists(path, context_vars=context_vars), bool)
    assert_type(await fs.stat(path, context_vars=context_vars), os.stat_result)
    assert_type(await fs.copy(path, "other", 0o600, context_vars=context_vars), int)
    assert_type(await fs.remove("other", tree=True, context_vars=context_vars), None)
    assert_type(await fs.make_dirs(path, durability="full", context_vars=context_vars), None)
    assert_type(await fs.rename(path, "other", context_vars=context_vars), None)
    assert_type(await fs.symlink("a", path, replace=True, context_vars=context_vars), None)
    assert_type(await fs.sweep(path, foreign_age=3600.0, context_vars=context_vars), list[str])
    async for found in fs.walk(path, enter=os.path.exists, context_vars=context_vars):
        assert_type(found, tuple[str, list[str], list[str]])
    assert_type(await fs.json_update(path, len, default=[], context_vars=context_vars), Any)
    await fs.json_update(path, len, timeout=None, context_vars=context_vars, indent=2)
    await write_binary(path, b"x", context_vars=context_vars, exclusive=True)


async def procedures(context_vars: ContextVars) -> None:
    """Runners, helper processes, queues and the manager."""
    await arun2(asynch_double, 3, context_vars=context_vars)
    arun2.sync(asynch_double, 3)
    await yield_control()
    await yield_control(context_vars=context_vars)
    async with BgProcess() as process:
        assert_type(process, BgProcess)
        assert_type(await process.send("x", 3.0, context_vars=context_vars), Any)
        assert_type(process.exitcode, int | None)
        await process.send("x", on_give_up="restart")
        async for part in process.stream("x", ahead=2):
            assert_type(part, Any)
    host = DaskHost("tcp://scheduler:8786", workers=["a"], resources={"GPU": 1}, direct=True)
    async with BgProcess(host=host) as remote:
        assert_type(remote, BgProcess)
    assert_type(BgProcess(host=LocalHost()), BgProcess)
    assert_type(queue_of_cluster("jobs", maxsize=3), DaskQueue)
    assert_type(await qput_aio(queue_of_cluster("jobs"), 3, context_vars=context_vars), None)
    assert_type(await qget_aio(queue_of_cluster("jobs"), timeout=1), Any)
    async with BgProcessPool(BgProcess, 2) as pool:
        assert_type(pool.members, tuple[BgProcess, ...])
        assert_type(await pool.send("x"), Any)
        async for reply in pool.map(["x"], progress=True):
            assert_type(reply, Any)
    await qput_aio(queue.Queue[int](), 3, True, 0.5)
    await qget_aio(multiprocessing.Queue(), timeout=0.5)
    await qget_aio(queue.SimpleQueue[int](), False)
    await qget_aio(multiprocessing.SimpleQueue(), context_vars=context_vars)
    assert_type(await qput_aio(queue.Queue[int](), 3, context_vars=context_vars), None)
    assert_type(srun(qget_aio, queue.Queue[int](), timeout=1), Any)
    async with AprocManager(16, handle_exception="silent") as manager:
        assert_type(manager, AprocManager)
        await manager.send(asyncio.ensure_future(double(1, context_vars=context_vars)))
        await manager.send(double(1, context_vars=context_vars))


async def authors(context_vars: ContextVars, key: Hashable) -> None:
    """What authors of asyn functions use."""
    assert_type(is_async(context_vars), bool)
    assert_type(await offload(divmod, 7, 2, context_vars=context_vars, order=key), tuple[int, int])
    assert_type(submit(os.getpid), asyncio.Future[int])
    assert_type(check_cancelled(), None)
    assert_type(at_least_one("many", 3), int)
    assert_type(living(WeakValueDictionary[str, DaskHost]().valuerefs()), list[DaskHost])
    assert_type(expect_wait(), None)
    with FolderFlush("folder") as change:
        assert_type(change.flush(), None)
    assert_type(await offload(lambda: later(os.getpid), context_vars=context_vars), int)
    coro: Coroutine[Any, Any, int] = double(3, context_vars=context_vars)
    assert_type(await coro, int)


@asyn
async def triple(x: int, *, by: float = 3.0, context_vars: ContextVars = {}) -> float:
    """An asyn function with both ways."""
    await sleep(0.1, context_vars=context_vars)
    return by * x


@asyn
async def numbers(limit: int, context_vars: ContextVars = {}) -> AsyncIterator[int]:
    """An asynchronous generator function."""
    for number in range(limit):
        await sleep(0.1, context_vars=context_vars)
        yield number


@asyn
@asynccontextmanager
async def opened(path: str, context_vars: ContextVars = {}) -> AsyncGenerator[bytes, None]:
    """A function that gives a context manager."""
    yield await read_binary(path, context_vars=context_vars)


class Scale:
    """A class with an asyn method."""

    @asyn
    async def apply(self, x: int, context_vars: ContextVars = {}) -> str:
        """Do so."""
        return str(await triple(x, context_vars=context_vars))


async def three_ways(path: Path, context_vars: ContextVars) -> None:
    """What `asyn` makes."""
    assert_type(triple.sync(3, by=2), float)
    assert_type(await triple.aio(3), float)
    assert_type(await triple(3, context_vars=context_vars), float)
    assert_type(srun(triple, 3), float)
    assert_type(numbers.sync(3), Iterator[int])
    assert_type(numbers.aio(3), AsyncIterator[int])
    assert_type(numbers(3, context_vars=context_vars), AsyncIterator[int])
    assert_type(opened.sync("a"), AbstractContextManager[bytes])
    async with opened.aio("a") as content:
        assert_type(content, bytes)
    assert_type(Scale().apply.sync(3), str)
    assert_type(await Scale().apply.aio(3), str)
    assert_type(await Scale().apply(3, context_vars=context_vars), str)
    assert_type(read_text.sync(path, encoding="latin-1"), str)
    assert_type(await read_binary.aio(path, 3), bytes)
    assert_type(write_text.sync(path, "x", make_dirs=True), asyncio.Future[int] | int)
    with mkdtemp.sync() as folder:
        assert_type(folder, str)


async def ways_of_all_pieces(path: Path) -> None:
    """Methods, generators, context managers and generic functions keep their types."""
    with BgProcess() as process:
        assert_type(process.send.sync("x", 3.0, on_give_up="restart"), Any)
        assert_type(await process.send.aio("x"), Any)
        assert_type(process.stream.sync("x", ahead=2), Iterator[Any])
        assert_type(process.aclose.sync(1.0), None)
    with BgProcessPool(BgProcess, 2) as pool:
        assert_type(pool.send.sync("x"), Any)
        assert_type(pool.map.sync(["x"]), Iterator[Any])
        assert_type(await pool.aclose.aio(), None)
    assert_type(qput_aio.sync(queue.Queue[int](), 3, timeout=1), None)
    assert_type(qget_aio.sync(queue.SimpleQueue[int](), False), Any)
    assert_type(open_file.sync(path, "rb"), AbstractContextManager[Any])
    assert_type(fs.walk.sync(path), Iterator[tuple[str, list[str], list[str]]])
    assert_type(fs.read_many.sync([path], 10), Iterator[bytes])
    assert_type(fs.stat.sync(path), os.stat_result)
    assert_type(await fs.exists.aio(path), bool)
    assert_type(h5.h5_save.sync(path, {"x": 1}, 0o600, verify=True), None)
    assert_type(amap.sync(double, range(3), max_concurrency=2), Iterator[int])
    assert_type(timeout.sync(3), AbstractContextManager[None])
    with lock.sync(), semaphore.sync(2):
        pass


async def blocks(context_vars: ContextVars) -> None:
    """The building blocks."""
    calls = [double(x, context_vars=context_vars) for x in range(3)]
    assert_type(await gather(*calls, context_vars=context_vars), list[int])
    async for number in amap(double, range(3), context_vars=context_vars, progress=True):
        assert_type(number, int)
    async for each in amap(triple, range(3), context_vars=context_vars, max_concurrency=2):
        assert_type(each, float)
    async with timeout(3, context_vars=context_vars), lock(context_vars=context_vars):
        pass
    door = semaphore(2, context_vars=context_vars)
    async with door:
        pass
    for one in iterate(numbers(3, {"async": False})):
        assert_type(one, int)
    with enter(opened("a", {"async": False})) as content:
        assert_type(content, bytes)
    AprocManager(progress="saving")


async def arrays(path: Path, context_vars: ContextVars) -> None:
    """HDF5 beyond CreateFileH5."""
    async with h5.OpenFileH5(path, "a", context_vars, verify=True) as f:
        assert_type(f, h5.OpenFileH5)
        await f.write("x", [1, 2], attrs={"unit": "m"}, deflate="zlib", compression="gzip")
        await f.read("x", slice(1), progress=max)
        assert_type(await f.run(len, "abc"), int)
    await h5.h5_save(path, {"x": h5.H5Item([1], {"a": 1})}, 0o600, context_vars, verify=True)
    assert_type(await h5.h5_load(path, {"x": 1}, context_vars, attrs=True), Any)


def stores() -> None:
    """Object stores."""
    assert_type(configure("s3://bucket", region="x", client_options={"timeout": "5s"}), None)
    assert_type(close(), None)
    assert_type(srun(read_binary, "s3://bucket/key", 3), bytes)
