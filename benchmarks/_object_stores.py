"""Small objects in an S3 store on this machine.

moto's server costs more than any client does, and all contestants wait for it: no client can read
in less than what it takes. So the same is read from a server that does next to nothing as well,
where the difference between the clients shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import obstore
import s3fs
from _fixed_server import fixed_server
from _harness import Case, Figures, Measure, Target, timed, timed_async
from _s3_server import OPTIONS, s3_server
from obstore.store import S3Store

from mt.aio import remote
from mt.aio.core import srun
from mt.aio.fs import read_binary, write_binary

ASYNC = {"async": True}
BUCKET = "bench"
FIXED = "fixed"
AT_ONCE = 16
CONTENT = bytes(1024)

Read = Callable[[str], Awaitable[Any]]


def store_cases(*, quick: bool) -> Iterator[Case]:
    """Read and write small objects."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        names = [f"small/{number}" for number in range(50 if quick else 200)]
        moto = stack.enter_context(s3_server(BUCKET))
        peers = _clients(stack, runner, moto, BUCKET)
        ours = [f"{BUCKET}/{name}" for name in names]
        for name in ours:
            srun(write_binary, f"s3://{name}", CONTENT)
        yield moto_case(runner, ours, *peers)
        fixed = stack.enter_context(fixed_server(len(CONTENT)))
        at_fixed = _clients(stack, runner, fixed, FIXED)
        yield fixed_case(runner, [f"{FIXED}/{name}" for name in names], *at_fixed)
        yield plain_case(ours, peers[1])
        yield write_case(runner, ours, *peers)


def _clients(
    stack: ExitStack, runner: asyncio.Runner, address: str, bucket: str
) -> tuple[Any, S3Store]:
    """Make ready for a server: us, s3fs and obstore."""
    client = {"client_options": {"allow_http": True}}
    remote.configure(f"s3://{bucket}", endpoint=address, **OPTIONS, **client)
    peer = runner.run(_s3fs(address))
    stack.callback(lambda: runner.run(peer.session.close()))
    return peer, S3Store(bucket, endpoint=address, **OPTIONS, **client)


async def _s3fs(address: str) -> Any:
    files = s3fs.S3FileSystem(
        key=OPTIONS["access_key_id"],
        secret=OPTIONS["secret_access_key"],
        asynchronous=True,
        skip_instance_cache=True,
        endpoint_url=address,
        client_kwargs={"region_name": OPTIONS["region"]},
    )
    files.session = await files.set_session()
    return files


def _readers(
    runner: asyncio.Runner, names: list[str], peer: Any, store: S3Store
) -> tuple[Measure, dict[str, Measure | None]]:
    """Read small objects, several at a time: ours, and the peers."""

    async def ours(name: str) -> bytes:
        return await read_binary(f"s3://{name}", context_vars=ASYNC)

    async def by_s3fs(name: str) -> bytes:
        return await peer._cat_file(name)  # noqa: SLF001 - that is its asynchronous interface

    async def by_obstore(name: str) -> bytes:
        got = await obstore.get_async(store, name.partition("/")[2])
        return (await got.bytes_async()).to_bytes()

    def measure(read: Read) -> Measure:
        return _several(runner, read, names)

    return measure(ours), {"s3fs": measure(by_s3fs), "obstore": measure(by_obstore)}


def moto_case(runner: asyncio.Runner, names: list[str], peer: Any, store: S3Store) -> Case:
    """Read from moto's server, several at a time."""
    return Case(
        f"{len(names)} S3 objects of 1 KiB, {AT_ONCE} at a time, moto",
        *_readers(runner, names, peer, store),
        (Target(0.33, "s3fs"),),
        notes="most of the time is moto's own, which all wait for: with obstore itself, too, the "
        "ratio is what the line `obstore` says; the next case has a server that does little",
    )


def fixed_case(runner: asyncio.Runner, names: list[str], peer: Any, store: S3Store) -> Case:
    """Read from a server that costs next to nothing."""
    return Case(
        f"{len(names)} S3 objects of 1 KiB, {AT_ONCE} at a time, fast server",
        *_readers(runner, names, peer, store),
        (Target(0.33, "s3fs"),),
        notes="what the clients themselves take: the server sends one answer to all requests",
    )


def plain_case(names: list[str], store: S3Store) -> Case:
    """Read one after the other, without a loop."""

    def sync() -> None:
        for name in names:
            srun(read_binary, f"s3://{name}")

    def plain() -> None:
        for name in names:
            obstore.get(store, name.partition("/")[2]).bytes().to_bytes()

    return Case(
        f"{len(names)} S3 objects of 1 KiB, no loop, moto",
        lambda: timed(sync, len(names)),
        {"obstore": lambda: timed(plain, len(names))},
    )


def write_case(runner: asyncio.Runner, names: list[str], peer: Any, store: S3Store) -> Case:
    """Write small objects, several at a time."""

    async def ours(name: str) -> None:
        await write_binary(f"s3://{name}", CONTENT, context_vars=ASYNC)

    async def by_s3fs(name: str) -> None:
        await peer._pipe_file(name, CONTENT)  # noqa: SLF001 - likewise

    async def by_obstore(name: str) -> None:
        await obstore.put_async(store, name.partition("/")[2], CONTENT)

    def measure(write: Read) -> Measure:
        return _several(runner, write, names)

    return Case(
        f"{len(names)} S3 objects of 1 KiB written, {AT_ONCE} at a time, moto",
        measure(ours),
        {"s3fs": measure(by_s3fs), "obstore": measure(by_obstore)},
    )


def _several(runner: asyncio.Runner, act: Read, names: list[str]) -> Measure:
    """Measure an act on each name, so many at a time."""

    async def worker(left: Iterator[str]) -> None:
        for name in left:
            await act(name)

    async def body() -> None:
        left = iter(names)
        await asyncio.gather(*(worker(left) for _ in range(AT_ONCE)))

    def measure() -> Figures:
        return runner.run(timed_async(body, len(names)))

    return measure
