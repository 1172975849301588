import asyncio

from mt.aio import sleep, srun


async def load(path: str, context_vars: dict) -> int:
    await sleep(0, context_vars=context_vars)
    return len(path)


def count(path: str) -> int:  # plain code, which somebody calls in a running loop
    return srun(load, path)


async def main() -> None:
    print(count("data.txt"))


asyncio.run(main())
