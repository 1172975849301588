import asyncio
from concurrent.futures import ProcessPoolExecutor


def square(x: int) -> int:
    return x * x


async def main() -> None:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1) as pool:
        print(await loop.run_in_executor(pool, square, 7))


if __name__ == "__main__":  # the worker may import this file
    asyncio.run(main())
