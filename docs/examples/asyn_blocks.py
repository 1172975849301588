import asyncio
from collections.abc import AsyncIterator

from mt.aio import json_save, mkdtemp, read_text, write_text
from mt.aio.core import amap, asyn, gather, lock, semaphore, timeout
from mt.aio.core.lowlevel import ContextVars

NAMES = ["one", "two", "three"]


@asyn
async def lengths(folder: str, context_vars: ContextVars = {}) -> AsyncIterator[int]:
    """Write a few files at once, read them again, a few at a time, and give their lengths."""
    door, turn = semaphore(2, context_vars=context_vars), lock(context_vars=context_vars)
    index: list[str] = []

    async def write(name: str, context_vars: ContextVars) -> None:
        async with door:  # two at a time
            await write_text(f"{folder}/{name}", name, context_vars=context_vars)
        async with turn:  # nobody else comes between the change and its being saved
            index.append(name)
            await json_save(f"{folder}/index.json", index, context_vars=context_vars)

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
