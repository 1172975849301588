import asyncio
from pathlib import Path

from mt.aio import write_text
from mt.aio.fs import read_many


async def total(paths, *, context_vars) -> int:
    size = 0
    async for content in read_many(paths, context_vars=context_vars):
        size += len(content)  # in the order of the paths
    return size


async def main() -> None:
    context_vars = {"async": True}
    await asyncio.gather(
        *(
            write_text(f"out/{n}.txt", f"{n}\n", context_vars=context_vars, make_dirs=True)
            for n in range(1000)
        )
    )
    paths = sorted(Path("out").glob("*.txt"))
    print(len(paths), "files,", await total(paths, context_vars=context_vars), "bytes")


asyncio.run(main())
