import asyncio

import nest_asyncio

nest_asyncio.apply()  # patches asyncio, for the whole process


async def load(path: str) -> int:
    await asyncio.sleep(0)
    return len(path)


def count(path: str) -> int:  # plain code, which somebody calls in a running loop
    return asyncio.run(load(path))


async def main() -> None:
    print(count("data.txt"))


asyncio.run(main())
