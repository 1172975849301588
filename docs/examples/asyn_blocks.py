import asyncio
from collections.abc import AsyncIterator

from mt.aio import mkdtemp, read_text, write_text
from mt.aio.core import amap, asyn, gather, semaphore, timeout
from mt.aio.core.lowlevel import ContextVars

NAMES = ["one", "two", "three"]


@asyn
async def lengths(folder: str, context_vars: ContextVars = {}) -> AsyncIterator[int]:
    """Write a few files at once, read them again, a few at a time, and give their lengths."""
    door = semaphore(2, context_vars=context_vars)

    async def write(name: str, context_vars: ContextVars) -> None:
        async with door:
            await write_text(f"{folder}/{name}", name, context_vars=context_vars)

    async with timeout(10, context_vars=context_vars):
        calls = [write(name, context_vars=context_vars) for name in NAMES]
        await gather(*calls, context_vars=context_vars)
    paths = [f"{folder}/{name}" for name in NAMES]
    async for text in amap(read_text, paths, max_concurrency=2, context_vars=context_vars):
        yield len(text)


with mkdtemp.sync() as folder:
    print(*lengths.sync(folder))


async def main() -> None:
    async with mkdtemp.aio() as folder:
        print(*[number async for number in lengths.aio(folder)])


asyncio.run(main())
