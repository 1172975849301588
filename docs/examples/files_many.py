import asyncio

from mt.aio import write_text
from mt.aio.fs import read_many

PATHS = [f"out/{number}.txt" for number in range(1000)]


async def main() -> None:
    context_vars = {"async": True}
    await asyncio.gather(
        *(write_text(path, path, context_vars=context_vars, make_dirs=True) for path in PATHS)
    )
    size = 0
    async for content in read_many(PATHS, context_vars=context_vars):
        size += len(content)  # of one file after the other, in the order of the paths
    print(size, "bytes")


asyncio.run(main())
